"""The command `depotclient reports`: session reports of one connector as a table or NDJSON."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Annotated

import attrs
import typer
from rich.table import Table

from depotclient.cli.options import FROM, TO, open_client
from depotclient.pages import Page
from depotclient.reports import SessionReports
from evtransport.cli.app import JsonOption, SandboxOption
from evtransport.cli.output import (
    cell,
    echo_error,
    output_console,
    plain_table,
    prints_json,
    write_json,
)
from evtransport.cli.progress import progress_line
from evtransport.cli.run import run

__all__ = ["reports"]


def reports(
    charger: Annotated[str, typer.Argument(metavar="CHARGER", help="Id of the charger.")],
    connector: Annotated[str, typer.Argument(metavar="CONNECTOR", help="Id of the connector.")],
    from_: Annotated[datetime | None, FROM] = None,
    to: Annotated[datetime | None, TO] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=2000, help="Reports per page. Default: adapted to their size."
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="CURSOR", help="Continue a failed command with the same arguments."),
    ] = None,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
) -> None:
    """Show the session reports of one connector.

    A terminal gets a table with times in UTC. A pipe gets NDJSON: the vendor's own reports with all
    their fields.
    """

    async def command() -> int:
        async with open_client(sandbox) as (client, _):
            # Don't prefetch: the deadline of a page could pass while a pager blocks the output.
            session_reports = client.session_reports(
                charger,
                connector,
                from_=from_,
                to=to,
                limit=limit,
                read_ahead=0,
                into=ReportSummary,
                resume=resume,
            )
            await _print(session_reports, as_json=prints_json(json))
        return 0

    run(command())


@attrs.frozen
class ReportSummary:
    """Fields of a session report that the table shows. The other fields are not parsed."""

    session_id: int
    vehicle_id: str | None = None
    session_time_start: datetime | None = None
    session_time_end: datetime | None = None
    energy_soc_start: float | None = None
    energy_soc_end: float | None = None
    energy_charge_start: float | None = None
    energy_charge_end: float | None = None


async def _print(session_reports: SessionReports[ReportSummary], *, as_json: bool) -> None:
    count = size = 0
    with progress_line("0 reports") as line:
        async with aclosing(session_reports.pages()) as pages:
            async for page in pages:
                with line.paused():
                    if as_json:
                        write_json(*page.raw_reports)
                    else:
                        _print_table(page, header=count == 0)
                count, size = count + len(page.reports), size + len(page.raw)
                line.show(f"{count:,} reports, {size / 1e6:,.1f} MB")
    if not (count or as_json):
        echo_error("no session reports")


def _print_table(page: Page[ReportSummary], *, header: bool) -> None:
    console = output_console()
    rows: list[ReportSummary] = []
    try:
        rows.extend(page.reports)
    finally:
        # Print the reports before an invalid one: `--resume` with its cursor skips them.
        console.print(report_table(rows, console.width, header=header))


def report_table(rows: Iterable[ReportSummary], width: int, *, header: bool = True) -> Table:
    """Return a table of one page. All pages have the same column widths.

    Args:
        rows: The reports.
        width: Width of the terminal. From 80 columns on, a report fits on one line unless its ids
            are long.
        header: Show the names of the columns.
    """
    wide = width >= 100
    table = plain_table(header=header, gap=2 if wide else 1)
    table.add_column("Session", width=12 if wide else 10, overflow="fold")
    table.add_column("Vehicle", width=20 if wide else 10, overflow="fold")
    for name in ("Start (UTC)", "End (UTC)"):
        table.add_column(name, width=16)
    for name, size in (("h:min", 6), ("kWh", 7), ("SoC %", 10)):
        table.add_column(name, width=size, overflow="fold", justify="right")
    for row in rows:
        table.add_row(
            cell(row.session_id),
            cell(row.vehicle_id),
            cell(_format_time(row.session_time_start)),
            cell(_format_time(row.session_time_end)),
            cell(_format_duration(row.session_time_start, row.session_time_end)),
            cell(_format_energy(row.energy_charge_start, row.energy_charge_end)),
            cell(f"{_format_soc(row.energy_soc_start)} -> {_format_soc(row.energy_soc_end)}"),
        )
    return table


def _format_time(time: datetime | None) -> str | None:
    return None if time is None else f"{time:%Y-%m-%d %H:%M}"


def _format_duration(start: datetime | None, end: datetime | None) -> str | None:
    if start is None or end is None:
        return None
    minutes = (end - start) // timedelta(minutes=1)
    sign = "-" if minutes < 0 else ""
    return f"{sign}{abs(minutes) // 60}:{abs(minutes) % 60:02}"


def _format_energy(start: float | None, end: float | None) -> str | None:
    return None if start is None or end is None else f"{(end - start) / 1000:.1f}"


def _format_soc(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"
