"""Frame of the commands that copy reports: run, progress, results and next steps."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Generic, TypeVar

import attrs
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from depotclient.cli.options import open_client
from depotclient.cli.results import describe_changes, encode_result, next_steps, result_table
from depotclient.copying.result import ConnectorCopy, Copy
from depotclient.partitions.calendar import Connector
from evtransport.cli.output import (
    echo_error,
    escape_controls,
    format_error,
    output_console,
    prints_json,
    write_json,
)
from evtransport.cli.progress import live_display, progress_log
from evtransport.cli.run import FAILED

__all__ = ["Bar", "CopyCommand", "CopyProgress"]

C = TypeVar("C", bound=ConnectorCopy)


@attrs.frozen
class Bar:
    """Progress of one connector for its bar.

    Attributes:
        completed: Completed part of the total.
        total: Total, or None if it is unknown.
        left: Description of the rest, such as `3 months left`.
    """

    completed: int = 0
    total: int | None = None
    left: str = ""


@attrs.frozen
class CopyCommand(Generic[C]):
    """Command that copies reports to one target.

    Attributes:
        start: Function that copies. Its arguments are a client, connectors and `on_progress`.
        kept: Sentence about the state of the target after an interruption.
        columns: Values of the table for a connector, by the title of their column.
        count: Function that counts results in a unit other than reports, such as `12 months`.
        bar: Function that returns the bar of a connector.
        advise: Function that yields further lines about the result for stderr.
        accept_deletions: Whether vanished sessions are removed.
    """

    start: Callable[..., Awaitable[Copy[C]]]
    kept: str
    columns: Mapping[str, Callable[[C], int]]
    count: Callable[[Iterable[C]], str] = lambda _: ""
    bar: Callable[[C], Bar] = lambda _: Bar()
    advise: Callable[[Copy[C]], Iterable[str]] = lambda _: ()
    accept_deletions: bool = False

    async def run(self, connectors: Sequence[Connector], *, json: bool, sandbox: bool) -> int:
        """Copy, and print the result of each connector. Return the exit status.

        Args:
            connectors: Connectors. An empty sequence means those of the sandbox.
            json: Print JSON on a terminal too.
            sandbox: Use a built-in sandbox.
        """
        async with open_client(sandbox) as (client, sandbox_connectors):
            connectors = connectors or sandbox_connectors
            if not connectors:
                raise ValueError("no connector: add one, such as CP-001/1, or --connectors FILE")
            async with copy_progress(self, len({*connectors})) as progress:
                try:
                    result = await self.start(client, connectors, on_progress=progress.show)
                except (asyncio.CancelledError, OSError) as error:
                    # An OSError before the first progress means that nothing was copied.
                    if progress.has_begun or not isinstance(error, OSError):
                        echo_error(f"stopped {progress.summary()}")
                        echo_error(f"{self.kept}; run the same command again to continue")
                    raise
        try:
            if prints_json(json):
                write_json(*map(encode_result, result.connectors))
            else:
                output_console().print(result_table(result, self.columns))
        finally:
            # Report the failures even if writing the output fails.
            self._report(result)
        return FAILED if result.failed else 0

    def _report(self, result: Copy[C]) -> None:
        for line in describe_changes(result, accept_deletions=self.accept_deletions):
            echo_error(line)
        for each in result.failed:
            if each.error is not None:
                echo_error(f"error: {each.name}: {format_error(each.error)}")
        for line in (*next_steps(result), *self.advise(result)):
            echo_error(line)


@attrs.define(eq=False)
class CopyProgress(Generic[C]):
    """Progress of a copy: bars for all connectors and for each in progress, and totals.

    Attributes:
        command: Command that copies.
        total: Number of connectors.
        display: Display of the bars, or None if stderr is not a terminal.
        clock: Function that returns a time in seconds.
    """

    command: CopyCommand[C]
    total: int
    display: Progress | None = None
    clock: Callable[[], float] = time.monotonic
    _results: dict[str, C] = attrs.field(init=False, factory=dict[str, C])
    _totals: Counter[str] = attrs.field(init=False, factory=Counter[str])
    _bars: dict[str, tuple[TaskID, float]] = attrs.field(
        init=False, factory=dict[str, tuple[TaskID, float]]
    )
    _started: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._started = self.clock()

    @property
    def has_begun(self) -> bool:
        """Return True if a connector has made progress."""
        return bool(self._results)

    def show(self, result: C) -> None:
        """Show the progress of a connector. Remove its bar at the end."""
        # Adding up all results at each call takes 7 s for 4,000 connectors with nothing to do.
        if result.name in self._results:
            self._totals.subtract(_measure(self._results[result.name]))
        self._totals.update(_measure(result))
        self._results[result.name] = result
        if self.display is None:
            return
        if self.total > 1:
            over = self._totals["over"]
            bar = Bar(over, self.total, f"{over:,} of {self.total:,} connectors")
            self._show_bar(self.display, "all", bar, self._totals)
        name = escape_controls(result.name)
        self._show_bar(self.display, name, self.command.bar(result), _measure(result))
        if result.is_over:
            # Thousands of bars don't fit on a terminal. The summary has all connectors.
            self.display.remove_task(self._bars.pop(name)[0])

    def _show_bar(
        self, display: Progress, name: str, bar: Bar, measured: Mapping[str, int]
    ) -> None:
        if name not in self._bars:
            self._bars[name] = display.add_task(name, total=bar.total, progress=""), self.clock()
        task, started = self._bars[name]
        rate = _rate(measured["bytes"], self.clock() - started)
        text = f"{measured['reports']:>7,} reports {rate:>10} {bar.left}"
        display.update(task, completed=bar.completed, progress=text)

    def summary(self) -> str:
        """Return the time since the start, and what is done in all connectors."""
        results, seconds = self._results.values(), self.clock() - self._started
        complete = sum(each.is_over and each.is_complete for each in results)
        failed = sum(each.is_over and not each.is_complete for each in results)
        size, reports = self._totals["bytes"], self._totals["reports"]
        counts = (
            f"{complete:,} of {self.total:,} connectors complete",
            f"{failed:,} failed" if failed else "",
            self.command.count(results),
            f"{reports:,} reports",
            f"{size / 1e6:,.1f} MB",
            _rate(size, seconds),
        )
        return f"after {timedelta(seconds=int(seconds))}: {', '.join(filter(None, counts))}"


def _measure(result: ConnectorCopy) -> dict[str, int]:
    """Return the bytes and reports that were read, and 1 as `over` at the end of a connector."""
    return {"bytes": result.bytes_read, "reports": result.reports, "over": result.is_over}


def _rate(size: int, seconds: float) -> str:
    return f"{size / 1e6 / max(seconds, 0.001):,.1f} MB/s"


@asynccontextmanager
async def copy_progress(command: CopyCommand[C], total: int) -> AsyncGenerator[CopyProgress[C]]:
    """Show `CopyProgress` on stderr until the block ends: bars on a terminal, lines elsewhere."""
    with live_display(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[progress]}", markup=False),
    ) as display:
        progress = CopyProgress(command, total, display)
        if display is not None:
            yield progress
            return
        async with progress_log(progress.summary):
            yield progress
    echo_error(f"ended {progress.summary()}")
