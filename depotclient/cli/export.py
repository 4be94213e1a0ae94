"""The command `depotclient export`: session reports into files, with a bar for each connector."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import attrs
import msgspec
import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from depotclient.cli.options import CONNECTOR, FROM, TO, open_client, parse_connectors
from depotclient.export.layout import Format
from depotclient.export.result import ConnectorExport, Export
from depotclient.export.runner import CONCURRENCY, export_session_reports
from depotclient.partitions.calendar import MARGIN, Connector, Window, connector_key
from depotclient.text import parse_duration, read_connectors
from evtransport.cli.app import JsonOption, SandboxOption, VerboseOption
from evtransport.cli.output import (
    cell,
    echo_error,
    escape_controls,
    format_error,
    output_console,
    plain_table,
    prints_json,
    write_json,
)
from evtransport.cli.progress import live_display
from evtransport.cli.run import FAILED, run
from evtransport.errors import ApiError, ResponseTooLarge, SchemaError, StatusError
from evtransport.retry import is_retryable

__all__ = ["export"]

_MAX_NAMED = 5
"""Maximum number of connectors that a message names."""

_FOLDER = typer.Argument(metavar="FOLDER", help="Folder for the files. Created if missing.")
_CONNECTORS = typer.Argument(
    metavar=CONNECTOR,
    help="Connectors to export, such as CP-001/1. Write a slash in an id as %2F.",
    show_default=False,
)
_FILE = typer.Option(
    "--connectors",
    metavar="FILE",
    help="File with more connectors: CP-001/1 or CP-001,1 on each line. - is standard input.",
)
_WINDOW = typer.Option(help="Time span of one file, in UTC.")
_FORMAT = typer.Option("--format", help="Format of the files.")
_MARGIN = typer.Option(
    metavar="DAYS",
    help="How long before and after each window to look for its sessions, such as 1d or 36h. The"
    " margin must cover the longest session and the longest time until its report arrives."
    " Windows that ended less than this ago are read again.",
)
_CONCURRENCY = typer.Option(metavar="N", help="Number of connectors to read at once.")
_VERIFY = typer.Option(
    "--verify",
    help="Read each window until a pass finds no new report. Use this if reports move between"
    " pages.",
)


def export(
    folder: Annotated[str, _FOLDER],
    connectors: Annotated[list[str] | None, _CONNECTORS] = None,
    *,
    from_: Annotated[datetime, FROM],
    to: Annotated[datetime | None, TO] = None,
    connector_file: Annotated[str | None, _FILE] = None,
    window: Annotated[Window, _WINDOW] = "month",
    format_: Annotated[Format, _FORMAT] = "parquet",
    margin: Annotated[str, _MARGIN] = f"{MARGIN.days}d",
    concurrency: Annotated[int, _CONCURRENCY] = CONCURRENCY,
    verify: Annotated[bool, _VERIFY] = False,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Export session reports into files.

    All reports of a connector are exported, by default into one file for each month. Run the same
    command again to continue. Complete files of past windows are not read again. Files are named
    charger_id=.../connector_id=.../month=.../reports.parquet.
    """
    selected = parse_connectors(connectors or ())
    if connector_file is not None:
        # Read it outside the event loop, where a signal ends the wait for a pipe.
        selected += _read_connector_file(connector_file)
    start = partial(
        export_session_reports,
        folder=folder,
        from_=from_,
        to=to,
        window=window,
        format=format_,
        margin=parse_duration("--margin", margin),
        concurrency=concurrency,
        verify=verify,
    )
    run(_export(start, selected, folder, window, as_json=prints_json(json), sandbox=sandbox))


def _read_connector_file(file: str) -> list[Connector]:
    path = Path("/dev/stdin" if file == "-" else file)
    connectors = read_connectors(path)
    if not connectors:
        raise ValueError(f"{path} contains no connector: its lines must be CHARGER/CONNECTOR")
    return connectors


async def _export(
    start: Callable[..., Coroutine[object, object, Export]],
    connectors: Sequence[Connector],
    folder: str,
    window: Window,
    *,
    as_json: bool,
    sandbox: bool,
) -> int:
    """Export, and print the result of each connector. Return the exit status."""
    async with open_client(sandbox) as (client, sandbox_connectors):
        connectors = connectors or sandbox_connectors
        if not connectors:
            raise ValueError("no connector to export: add one, such as CP-001/1, or --connectors")
        try:
            with progress_bars(window) as bars:
                result = await start(client, connectors, on_progress=bars.show)
        except asyncio.CancelledError:
            echo_error(
                f"the files in {folder} are complete; run the same command again to continue"
            )
            raise
    try:
        if as_json:
            write_json(*map(encode_export, result.connectors))
        else:
            output_console().print(export_table(result))
    finally:
        # Report the failures even if writing the output fails.
        for each in result.failed:
            if each.error is not None:
                echo_error(f"error: {_format_name(each)}: {format_error(each.error)}")
        for line in next_steps(result):
            echo_error(line)
    return FAILED if result.failed else 0


def next_steps(export: Export) -> Iterator[str]:
    """Yield lines that count the incomplete connectors and advise the next command."""
    failed = export.failed
    if not failed:
        return
    yield f"{len(failed)} of {len(export.connectors)} connectors are not complete"
    permanent = [_format_name(each) for each in failed if _is_permanent(each.error)]
    if permanent:
        more = len(permanent) - _MAX_NAMED
        names = ", ".join(permanent[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
        yield f"the same command fails again for {names}: correct the cause first"
    if len(permanent) < len(failed):
        others = " of the others" if permanent else ""
        yield f"run the same command again to read the missing windows{others}"


def _is_permanent(error: ApiError | OSError | None) -> bool:
    """Return True if the same command fails again until the user corrects the cause."""
    if isinstance(error, StatusError):
        return not is_retryable(error)
    return isinstance(error, SchemaError | ResponseTooLarge | FileExistsError)


def encode_export(export: ConnectorExport) -> bytes:
    """Return the result of one connector as a JSON object."""
    error = None if export.error is None else escape_controls(format_error(export.error))
    return msgspec.json.encode({**attrs.asdict(export, recurse=False), "error": error})


def export_table(export: Export) -> Table:
    """Return a table with one row for the result of each connector.

    It has the number of windows that were written, skipped and failed, and the number of reports in
    the written and skipped ones.
    """
    table = plain_table()
    table.add_column("Connector", overflow="fold")
    for name in ("Written", "Skipped", "Failed", "Reports", "MB read"):
        table.add_column(name, justify="right")
    table.add_column("")
    for each in export.connectors:
        table.add_row(
            cell(_format_name(each)),
            cell(each.written),
            cell(each.skipped),
            cell(each.missing),
            cell(f"{each.reports + each.skipped_reports:,}"),
            cell(f"{each.bytes_read / 1e6:,.1f}"),
            cell("complete" if each.error is None else "not complete"),
        )
    return table


def _format_name(export: ConnectorExport) -> str:
    return connector_key(export.charger_id, export.connector_id)


@attrs.define(eq=False)
class ProgressBars:
    """Bars on stderr, one for each connector in progress, or nothing without a display."""

    _window: Window
    _display: Progress | None = None
    _tasks: dict[str, tuple[TaskID, float]] = attrs.field(factory=dict[str, tuple[TaskID, float]])

    def show(self, export: ConnectorExport) -> None:
        """Show the progress of a connector. Remove its bar at the end."""
        if self._display is None:
            return
        name = escape_controls(_format_name(export))
        if name not in self._tasks:
            task = self._display.add_task(name, total=export.windows, progress="")
            self._tasks[name] = task, time.monotonic()
        task, started = self._tasks[name]
        self._display.update(
            task,
            completed=export.written + export.skipped,
            progress=format_progress(export, time.monotonic() - started, self._window),
        )
        if export.is_over:
            # Thousands of bars don't fit on a terminal. The summary has all connectors.
            self._display.remove_task(task)
            del self._tasks[name]


def format_progress(export: ConnectorExport, seconds: float, window: Window) -> str:
    """Return the progress of a connector that has been read for some seconds."""
    rate = export.bytes_read / 1e6 / max(seconds, 0.001)
    windows = window if export.left == 1 else f"{window}s"
    return f"{export.reports:>7,} reports {rate:>6,.1f} MB/s {export.left:>4} {windows} left"


@contextmanager
def progress_bars(window: Window) -> Generator[ProgressBars]:
    """Show `ProgressBars` on stderr until the block ends."""
    with live_display(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[progress]}", markup=False),
    ) as display:
        yield ProgressBars(window, display)
