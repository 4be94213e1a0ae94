"""The `depotclient` command: session reports as a table, as NDJSON or into files; the sandbox."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Annotated

import attrs
import typer
from rich.table import Table
from rich.text import Text

from depotclient.cli.connection import connected
from depotclient.cli.export import export
from depotclient.cli.plot import plot
from depotclient.reports import SessionReports
from depotclient.text import TIME, parse_time
from evtransport.cli.base import (
    JsonOption,
    PortOption,
    ProgressLine,
    SandboxOption,
    cell,
    command_line,
    echo_error,
    output_console,
    plain_table,
    progress_line,
    run,
    serve,
    wants_json,
    write_json,
)

__all__ = ["app"]

app = command_line(
    "Session reports of chargers behind a Siemens Depot. Credentials come from the environment:"
    " DEPOT_TOKEN, or DEPOT_CLIENT_ID and DEPOT_CLIENT_SECRET; and where they are needed,"
    " DEPOT_REGION, DEPOT_BASE_URL and DEPOT_TOKEN_URL."
)


@attrs.frozen
class ReportHead:
    """The fields of a session report that the table shows; no others are parsed for it."""

    session_id: int
    vehicle_id: str | None = None
    session_time_start: datetime | None = None
    session_time_end: datetime | None = None
    energy_soc_start: float | None = None
    energy_soc_end: float | None = None
    energy_charge_start: float | None = None
    energy_charge_end: float | None = None


@app.command()
def reports(
    charger: Annotated[str, typer.Argument(metavar="CHARGER", help="The charger's id.")],
    connector: Annotated[str, typer.Argument(metavar="CONNECTOR", help="The connector's id.")],
    from_: Annotated[
        str | None, typer.Option("--from", metavar="T", help=f"Begin of the window: {TIME}")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="T", help="End of the window, likewise; by default now."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Reports a page, 1 to 2000; by default as many as make a good page."
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="CURSOR", help="Go on where a walk with the same arguments broke off."
        ),
    ] = None,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
) -> None:
    """The session reports of one connector: a table on a terminal, else NDJSON.

    The JSON lines are the vendor's own reports, whole. The table shows times in UTC.
    """
    walk = Reports(charger, connector, from_, to, limit, resume)
    run(walk.print(as_json=wants_json(json), sandbox=sandbox))


app.command()(export)
app.command()(plot)


@app.command()
def sandbox(port: PortOption = 0) -> None:
    """Run a server that behaves as the Depot API, and print how to reach it."""
    from depotclient.sandbox.server import DepotSandbox

    server = DepotSandbox(port=port)
    contents = (
        f"charger {charger} with connectors {', '.join(connectors)}"
        for charger, connectors in server.chargers.items()
    )
    run(serve(server, *contents))


@attrs.frozen
class Reports:
    """The `reports` command with its arguments as they were typed."""

    charger: str
    connector: str
    from_: str | None
    to: str | None
    limit: int | None
    resume: str | None

    async def print(self, *, as_json: bool, sandbox: bool) -> int:
        """Print the reports page by page.

        Raises:
            ValueError: An argument is not usable.
            ApiError: The walk failed; what came before it has been printed.
        """
        from_, to = parse_time("--from", self.from_), parse_time("--to", self.to)
        async with connected(sandbox) as it:
            # Nothing is under way while a page is printed: a reader that takes minutes, such as
            # a pager, would let the deadline of a page fetched ahead pass.
            found = it.client.session_reports(
                self.charger,
                self.connector,
                from_=from_,
                to=to,
                limit=self.limit,
                read_ahead=0,
                into=ReportHead,
                resume=self.resume,
            )
            with progress_line("0 reports") as meter:
                await (_print_json(found, meter) if as_json else _print_table(found, meter))
        return 0


async def _print_json(found: SessionReports[ReportHead], meter: ProgressLine) -> None:
    count = size = 0
    async with aclosing(found.pages()) as pages:
        async for page in pages:
            with meter.paused():
                write_json(*page.raw_reports)
            count, size = count + len(page.reports), size + len(page.raw)
            meter.show(_so_far(count, size))


async def _print_table(found: SessionReports[ReportHead], meter: ProgressLine) -> None:
    console = output_console()
    count = size = 0
    async with aclosing(found.pages()) as pages:
        async for page in pages:
            heads: list[ReportHead] = []
            try:
                heads.extend(page.reports)
            finally:  # the cursor of a report that can't be read stands behind those before it
                with meter.paused():
                    console.print(report_table(heads, console.width, header=count == 0))
            count, size = count + len(heads), size + len(page.raw)
            meter.show(_so_far(count, size))
    if count == 0:
        with meter.paused():
            echo_error("no session reports")


def _so_far(count: int, size: int) -> str:
    return f"{count:,} reports, {size / 1e6:,.1f} MB"


def report_table(heads: Iterable[ReportHead], width: int, *, header: bool = True) -> Table:
    """The rows of one page, in columns that are the same for every page.

    Args:
        heads: The reports.
        width: Of the terminal; from 80 columns on a row is one line unless an id is long.
        header: Name the columns, as the first page does.
    """
    wide = width >= 100
    table = plain_table(header=header, gap=2 if wide else 1)
    table.add_column("Session", width=12 if wide else 10, overflow="fold")
    table.add_column("Vehicle", width=20 if wide else 10, overflow="fold")
    for name in ("Start (UTC)", "End (UTC)"):
        table.add_column(name, width=16)
    for name, size in (("h:min", 6), ("kWh", 7), ("SoC %", 10)):
        table.add_column(name, width=size, overflow="fold", justify="right")
    for head in heads:
        table.add_row(*_row(head))
    return table


def _row(head: ReportHead) -> tuple[Text, ...]:
    return tuple(
        cell(value)
        for value in (
            head.session_id,
            head.vehicle_id,
            _minute(head.session_time_start),
            _minute(head.session_time_end),
            _duration(head.session_time_start, head.session_time_end),
            _kwh(head.energy_charge_start, head.energy_charge_end),
            f"{_percent(head.energy_soc_start)} -> {_percent(head.energy_soc_end)}",
        )
    )


def _minute(time: datetime | None) -> str | None:
    return None if time is None else f"{time:%Y-%m-%d %H:%M}"


def _duration(start: datetime | None, end: datetime | None) -> str | None:
    if start is None or end is None:
        return None
    minutes = (end - start) // timedelta(minutes=1)
    sign = "-" if minutes < 0 else ""
    return f"{sign}{abs(minutes) // 60}:{abs(minutes) % 60:02}"


def _kwh(start: float | None, end: float | None) -> str | None:
    return None if start is None or end is None else f"{(end - start) / 1000:.1f}"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"
