"""The command `depotclient export`: session reports into files, with a bar for each connector."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import attrs
import msgspec
import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from depotclient.cli.connection import connected
from depotclient.export.layout import FORMATS
from depotclient.export.runner import CONCURRENCY, ConnectorExport, Export, export_session_reports
from depotclient.partitions.calendar import MARGIN, WINDOWS, Connector
from depotclient.text import TIME, parse_connector, parse_days, parse_time, read_connectors
from evtransport.cli.base import (
    FAILED,
    JsonOption,
    SandboxOption,
    cell,
    clean,
    echo_error,
    format_error,
    live_display,
    output_console,
    plain_table,
    reporting,
    run,
    wants_json,
    write_json,
)
from evtransport.errors import ApiError, ResponseTooLarge, SchemaError, StatusError
from evtransport.retry import is_retryable

__all__ = ["export"]

T = TypeVar("T")

MEGABYTE = 1e6

MAX_NAMED = 5
"""Maximum number of connectors that a message names."""


def export(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Where the files go; made if missing.")
    ],
    connectors: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CHARGER/CONNECTOR",
            help="What to export, such as CP-001/1; the last slash is the one that counts.",
        ),
    ] = None,
    from_: Annotated[
        str, typer.Option("--from", metavar="T", help=f"Begin of the time span: {TIME}")
    ] = "",
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="T", help="End of the time span, likewise; by default now."),
    ] = None,
    listed: Annotated[
        str | None,
        typer.Option(
            "--connectors",
            metavar="FILE",
            help="More connectors: lines of CHARGER,CONNECTOR; - reads standard input.",
        ),
    ] = None,
    window: Annotated[
        str, typer.Option(metavar="W", help=f"One file for each {' or '.join(WINDOWS)} of UTC.")
    ] = "month",
    format_: Annotated[
        str, typer.Option("--format", metavar="F", help=f"{' or '.join(FORMATS)}.")
    ] = "parquet",
    margin: Annotated[
        float,
        typer.Option(
            metavar="DAYS",
            help="How much longer than its window to read on both sides, and how long after its"
            " end to read it again: the longest that a session lasts and its report takes.",
        ),
    ] = MARGIN / timedelta(days=1),
    concurrency: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many connectors to read side by side.")
    ] = CONCURRENCY,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Walk each window until nothing new comes: rows may move meanwhile."
        ),
    ] = False,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
) -> None:
    """Every session report of some connectors, one file for each month: run it again to go on.

    Files are named charger_id=.../connector_id=.../month=.../reports.parquet, and one that is there
    is whole. Those of windows that were over when they were read are not read again.
    """
    # Read before the event loop starts, so that a signal can end the wait for a pipe.
    with reporting():
        named = [parse_connector(text) for text in connectors or ()]
        named += [] if listed is None else _listed(listed)
    wanted = Wanted(
        folder, tuple(named), from_, to, window, format_, margin, concurrency, verify
    )  # fmt: skip
    run(wanted.export(as_json=wants_json(json), sandbox=sandbox))


def _listed(file: str) -> list[Connector]:
    path = Path("/dev/stdin" if file == "-" else file)
    connectors = read_connectors(path)
    if not connectors:
        raise ValueError(f"{path} names no connector: its lines must be CHARGER,CONNECTOR")
    return connectors


@attrs.frozen
class Wanted:
    """Arguments of the `export` command, most of them as they were typed."""

    folder: str
    connectors: tuple[Connector, ...]
    from_: str
    to: str | None
    window: str
    format: str
    margin: float
    concurrency: int
    verify: bool

    async def export(self, *, as_json: bool, sandbox: bool) -> int:
        """Export, and tell what has been done.

        Raises:
            ValueError: An argument is not usable.
            OSError: The folder is a file, or can't be written to.
        """
        from_ = parse_time("--from", self.from_ or None)
        if from_ is None:
            raise ValueError("--from is missing: the time at which to begin, such as 2026-01-01")
        to = parse_time("--to", self.to)
        async with connected(sandbox) as asked:
            connectors = self.connectors or asked.sandbox_connectors
            if not connectors:
                raise ValueError("name what to export, such as CP-001/1, or give --connectors FILE")
            try:
                with progress_bars(self.window) as shown:
                    export = await export_session_reports(
                        asked.client,
                        connectors,
                        self.folder,
                        from_=from_,
                        to=to,
                        window=_one_of("--window", self.window, WINDOWS),
                        format=_one_of("--format", self.format, FORMATS),
                        margin=parse_days("--margin", self.margin),
                        concurrency=self.concurrency,
                        verify=self.verify,
                        on_progress=shown.show,
                    )
            except asyncio.CancelledError:
                echo_error(f"what is in {self.folder} is whole; the same command again goes on")
                raise
        try:
            if as_json:
                write_json(*map(summary_json, export.connectors))
            else:
                output_console().print(summary_table(export))
        finally:  # also if the output can't be written
            for result in export.connectors:
                if result.error is not None:
                    echo_error(f"error: {_name(result)}: {format_error(result.error)}")
            for line in next_steps(export):
                echo_error(line)
        return FAILED if export.failed else 0


def next_steps(export: Export) -> Iterator[str]:
    """Yield lines that count the incomplete connectors and advise the next command."""
    failed = export.failed
    if not failed:
        return
    yield f"{len(failed)} of {len(export.connectors)} connectors not complete"
    to_correct = [_name(each) for each in failed if _needs_correction(each.error)]
    if to_correct:
        more = f" and {len(to_correct) - MAX_NAMED} more" if len(to_correct) > MAX_NAMED else ""
        names = f"{', '.join(to_correct[:MAX_NAMED])}{more}"
        yield f"the same command fails again for {names}: remove the cause of the error first"
    if len(to_correct) < len(failed):
        others = " for the others" if to_correct else ""
        yield f"the same command again reads what is missing{others}, and only that"


def _needs_correction(error: ApiError | OSError | None) -> bool:
    """Return True if the same command fails again until somebody corrects the cause."""
    if isinstance(error, StatusError):
        return not is_retryable(error)
    return isinstance(error, SchemaError | ResponseTooLarge | FileExistsError)


def _one_of(option: str, typed: str, known: tuple[T, ...]) -> T:
    for name in known:
        if name == typed:
            return name
    raise ValueError(f"{option} must be {' or '.join(map(str, known))}, not {typed!r}")


def summary_json(export: ConnectorExport) -> bytes:
    """Return the result of one connector as a JSON object."""
    error = None if export.error is None else clean(format_error(export.error))
    return msgspec.json.encode({**attrs.asdict(export, recurse=False), "error": error})


def summary_table(export: Export) -> Table:
    """What all connectors have come to, a row each."""
    table = plain_table()
    table.add_column("Connector", overflow="fold")
    for name in ("Written", "Skipped", "Failed", "Reports", "MB read"):
        table.add_column(name, justify="right")
    table.add_column("")
    for it in export.connectors:
        outcome = "complete" if it.error is None else "not complete"
        read = f"{it.bytes_read / MEGABYTE:,.1f}"
        numbers = (it.written, it.skipped, it.missing, f"{it.reports:,}", read)
        table.add_row(*map(cell, (_name(it), *numbers, outcome)))
    return table


def _name(export: ConnectorExport) -> str:
    return f"{export.charger_id}/{export.connector_id}"


@attrs.define(eq=False)
class ProgressBars:
    """A bar for each connector that is being read; without a display, nothing."""

    _unit: str
    _display: Progress | None = None
    _tasks: dict[str, TaskID] = attrs.field(factory=dict[str, TaskID])
    _begun: dict[str, float] = attrs.field(factory=dict[str, float])

    def show(self, export: ConnectorExport) -> None:
        """Show how far a connector has come; its bar goes away when it is over."""
        if self._display is None:
            return
        name = clean(_name(export))
        if name not in self._tasks:
            self._begun[name] = time.monotonic()
            self._tasks[name] = self._display.add_task(name, total=export.windows, so_far="")
        self._display.update(
            self._tasks[name],
            completed=export.written + export.skipped,
            so_far=so_far(export, time.monotonic() - self._begun[name], self._unit),
        )
        if export.is_over:
            # Of thousands only those under way fit on a terminal; the summary has them all.
            self._display.remove_task(self._tasks.pop(name))


def so_far(export: ConnectorExport, seconds: float, unit: str) -> str:
    """How far a connector has come, in words."""
    rate = export.bytes_read / MEGABYTE / max(seconds, 0.001)
    units = unit if export.left == 1 else f"{unit}s"
    return f"{export.reports:>7,} reports {rate:>6,.1f} MB/s {export.left:>4} {units} left"


@contextmanager
def progress_bars(unit: str) -> Generator[ProgressBars]:
    """Show bars on stderr until the block ends, where stderr is a terminal."""
    with live_display(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[so_far]}", markup=False),
    ) as display:
        yield ProgressBars(unit, display)
