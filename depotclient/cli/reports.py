"""The command `depotclient reports`: session reports of one connector as a table or NDJSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime
from itertools import islice
from typing import Annotated

import typer
from rich.table import Table

from depotclient.cli.options import CONNECTOR, FROM, TO, open_client, parse_one_connector
from depotclient.cli.summary import ReportSummary
from depotclient.pages import Page
from depotclient.reports import SessionReports
from evtransport.cli.app import JsonOption, SandboxOption, VerboseOption
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
from evtransport.durations import parse_duration

__all__ = ["reports"]


_MAX_ROWS = 50
"""Maximum number of reports on a terminal without `--all`."""

_LIMIT = typer.Option(
    metavar="N",
    help="Largest number of reports per request, 1 to 2000. It does not limit the output."
    " Default: as many as make up a few MB.",
)
_MARGIN = typer.Option(
    metavar="DAYS",
    help="Also search this long before and after the time span, such as 1d or 36h, and show the"
    " sessions that start in the span. The margin must cover the longest session. Without it, the"
    " server decides which sessions belong to the span.",
)
_RESUME = typer.Option(metavar="CURSOR", help="Continue a failed command with the same arguments.")
_ALL = typer.Option(
    "--all", help=f"Show all reports on a terminal. Default: the first {_MAX_ROWS}."
)


def reports(
    context: typer.Context,
    connector: Annotated[
        str, typer.Argument(metavar=CONNECTOR, help="Connector, such as CP-001/1.")
    ],
    from_: Annotated[datetime | None, FROM] = None,
    to: Annotated[datetime | None, TO] = None,
    margin: Annotated[str | None, _MARGIN] = None,
    limit: Annotated[int | None, _LIMIT] = None,
    resume: Annotated[str | None, _RESUME] = None,
    all_: Annotated[bool, _ALL] = False,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the session reports of one connector.

    A terminal gets a table with times in UTC. A pipe gets NDJSON: the vendor's own reports with all
    their fields.
    """
    charger, name = parse_one_connector(connector, context.args)

    async def command() -> int:
        async with open_client(sandbox) as (client, _):
            # Don't prefetch: the deadline of a page could pass while a pager blocks the output.
            session_reports = client.session_reports(
                charger,
                name,
                from_=from_,
                to=to,
                limit=limit,
                margin=None if margin is None else parse_duration("--margin", margin),
                read_ahead=0,
                into=ReportSummary,
                resume=resume,
            )
            as_json = prints_json(json)
            maximum = math.inf if all_ or as_json else _MAX_ROWS
            await _print(session_reports, as_json=as_json, maximum=maximum)
        return 0

    run(command())


async def _print(
    session_reports: SessionReports[ReportSummary], *, as_json: bool, maximum: float
) -> None:
    """Print the reports as JSON, or at most `maximum` of them as a table."""
    count = size = 0
    with progress_line("0 reports") as line:
        async with aclosing(session_reports.pages()) as pages:
            async for page in pages:
                with line.paused():
                    if as_json:
                        write_json(*page.raw_reports)
                    elif count < maximum:
                        rest = min(maximum - count, len(page.reports))
                        _print_table(page, int(rest), header=count == 0)
                count, size = count + len(page.reports), size + len(page.raw)
                if count > maximum:
                    break
                line.show(f"{count:,} reports, {size / 1e6:,.1f} MB")
    if not (count or as_json):
        echo_error("no session reports")
    elif count > maximum:
        echo_error(f"there are more than {maximum} reports: add --all, or use a pipe")


def _print_table(page: Page[ReportSummary], maximum: int, *, header: bool) -> None:
    console = output_console()
    rows: list[ReportSummary] = []
    try:
        rows.extend(islice(page.reports, maximum))
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
            cell(row.start),
            cell(row.end),
            cell(row.duration),
            cell(row.energy),
            cell(row.soc),
        )
    return table
