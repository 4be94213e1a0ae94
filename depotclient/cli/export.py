"""The command `depotclient export`: session reports into files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Final

import typer

from depotclient.cli.copying import Bar, CopyCommand
from depotclient.cli.options import (
    ACCEPT_DELETIONS,
    CONCURRENCY,
    CONNECTORS,
    FILE,
    FROM,
    TO,
    select_connectors,
)
from depotclient.cli.results import name_sessions
from depotclient.copying import options
from depotclient.copying.result import Copy
from depotclient.export import runner
from depotclient.export.formats import Format
from depotclient.export.quarantine import OnBadReport
from depotclient.export.result import ConnectorExport
from depotclient.partitions.calendar import MARGIN, Window
from evtransport.cli.app import JsonOption, SandboxOption, VerboseOption
from evtransport.cli.run import run
from evtransport.durations import parse_duration
from evtransport.errors import SchemaError

__all__ = ["advise", "export"]

_MANY_WINDOWS: Final = 10_000
"""Number of files from which on readers of the folder are slow."""

_FOLDER = typer.Argument(metavar="FOLDER", help="Folder for the files. Created if missing.")
_WINDOW = typer.Option(help="Time span of one file, in UTC.")
_FORMAT = typer.Option("--format", help="Format of the files.")
_MARGIN = typer.Option(
    metavar="DAYS",
    help="How long before and after each window to look for its sessions, such as 1d or 36h. The"
    " margin must cover the longest session and the longest time until its report arrives."
    " A window is read again until this long after its end.",
)
_LAG = typer.Option(
    metavar="DAYS",
    help="How long after the margin the server can still change a report, such as 3d. Each run"
    " reads from the margin and this time before the last one.",
)
_REFRESH = typer.Option("--refresh", help="Read all windows again, the closed ones too.")
_BAD_REPORT = typer.Option(
    help="Effect of a report that can't be read. fail: its windows are not written. quarantine: the"
    " other reports are written, and this one is kept in _rejected next to the folder."
)
_UNKNOWN = typer.Option(
    "--keep-unknown", help="Keep fields without a column in the column unknown_fields, as JSON."
)
_VERIFY = typer.Option(
    "--verify",
    help="Read each window until a pass finds no new report. Use this if reports move between"
    " pages.",
)


def export(
    folder: Annotated[str, _FOLDER],
    connectors: Annotated[list[str] | None, CONNECTORS] = None,
    *,
    from_: Annotated[datetime, FROM],
    to: Annotated[datetime | None, TO] = None,
    connector_file: Annotated[str | None, FILE] = None,
    window: Annotated[Window, _WINDOW] = "month",
    format_: Annotated[Format, _FORMAT] = "parquet",
    margin: Annotated[str, _MARGIN] = f"{MARGIN.days}d",
    concurrency: Annotated[int, CONCURRENCY] = options.CONCURRENCY,
    verify: Annotated[bool, _VERIFY] = False,
    lag: Annotated[str, _LAG] = "0d",
    refresh: Annotated[bool, _REFRESH] = False,
    accept_deletions: Annotated[bool, ACCEPT_DELETIONS] = False,
    on_bad_report: Annotated[OnBadReport, _BAD_REPORT] = "fail",
    keep_unknown: Annotated[bool, _UNKNOWN] = False,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Export session reports into files.

    All reports of a connector are exported, by default into one file for each month. Run the same
    command again to continue. Complete files of past windows are not read again. Files are named
    charger_id=.../connector_id=.../month=.../reports.parquet.
    """
    selected = select_connectors(connectors or (), connector_file)
    command = CopyCommand(
        partial(
            runner.export_session_reports,
            folder=folder,
            from_=from_,
            to=to,
            window=window,
            format=format_,
            margin=parse_duration("--margin", margin),
            concurrency=concurrency,
            verify=verify,
            lag=parse_duration("--lag", lag),
            refresh=refresh,
            accept_deletions=accept_deletions,
            on_bad_report=on_bad_report,
            keep_unknown=keep_unknown,
        ),
        kept=f"the files in {folder} are complete",
        columns=_COLUMNS,
        count=partial(_count_windows, window),
        bar=partial(_bar, window),
        advise=partial(advise, keeps_unknown=keep_unknown or format_ == "ndjson"),
        accept_deletions=accept_deletions,
    )
    run(command.run(selected, json=json, sandbox=sandbox))


_COLUMNS: Final[Mapping[str, Callable[[ConnectorExport], int]]] = {
    "Written": lambda export: export.written,
    "Skipped": lambda export: export.skipped,
    "Failed": lambda export: export.missing,
    "Reports": lambda export: export.reports + export.skipped_reports,
}
"""Numbers of windows, and of the reports in the written and skipped ones."""


def _count_windows(window: Window, exports: Iterable[ConnectorExport]) -> str:
    return _number(sum(export.written + export.skipped for export in exports), window)


def _bar(window: Window, export: ConnectorExport) -> Bar:
    left = f"{_number(export.left, window):>10} left"
    return Bar(export.written + export.skipped, export.windows, left)


def _number(count: int, window: Window) -> str:
    return f"{count:,} {window}{'' if count == 1 else 's'}"


def advise(result: Copy[ConnectorExport], *, keeps_unknown: bool) -> Iterator[str]:
    """Yield lines about reports in quarantine, and about options that help with this result.

    Args:
        result: Result of the export.
        keeps_unknown: Whether the files have the fields that the schema lacks.
    """
    yield from name_sessions(
        "with an invalid report, in quarantine",
        ((each.name, each.rejected) for each in result.connectors),
    )
    if any(isinstance(each.error, SchemaError) and each.missing for each in result.connectors):
        yield "--on-bad-report quarantine exports the other reports of a window"
    if not keeps_unknown and any(each.unknown_fields for each in result.connectors):
        yield "--keep-unknown keeps fields without a column"
    windows = sum(each.windows for each in result.connectors)
    if windows >= _MANY_WINDOWS:
        yield f"{windows:,} files are slow to read: depotclient load copies into one database"
