"""Progress of a command on stderr: live on a terminal, lines elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Final

import attrs
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

from evtransport.cli.output import echo_error, escape_controls, literal_console
from evtransport.cli.signals import SUSPENDING_SIGNALS, handling_signals

__all__ = ["ProgressLine", "live_display", "progress_line", "progress_log"]

_LOG_INTERVAL: Final = 30.0  # Seconds.

_SHOW_CURSOR, _HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"


@contextmanager
def live_display(*columns: ProgressColumn) -> Generator[Progress | None]:
    """Show progress on stderr until the block ends. Yield None if stderr is not a terminal.

    Lines that the block prints on stderr appear above the progress.
    """
    console = literal_console(sys.stderr)
    # Environment variables such as FORCE_COLOR make rich treat a pipe as a terminal.
    if not (sys.stderr.isatty() and console.is_interactive):
        yield None
        return
    display = Progress(*columns, console=console, transient=True, redirect_stdout=False)
    with display, handling_signals(_suspend, SUSPENDING_SIGNALS):
        yield display


def _suspend(number: int, _: FrameType | None) -> None:
    """Suspend the process, and show the cursor while the shell has the terminal."""
    os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    with handling_signals(signal.SIG_DFL, SUSPENDING_SIGNALS):
        signal.raise_signal(number)
    os.write(sys.stderr.fileno(), _HIDE_CURSOR)


@attrs.frozen
class ProgressLine:
    """Line on stderr that shows the progress of a command, or nothing without a display."""

    _display: Progress | None = None

    def show(self, text: str) -> None:
        """Replace the line's text."""
        if self._display is not None:
            self._display.update(self._display.task_ids[0], description=escape_controls(text))

    @contextmanager
    def paused(self) -> Generator[None]:
        """Hide the line while the block prints something else."""
        if self._display is None:
            yield
            return
        self._display.stop()
        # After an error, the line stays hidden: it would overwrite the output.
        yield
        self._display.start()


@contextmanager
def progress_line(text: str) -> Generator[ProgressLine]:
    """Show a `ProgressLine` on stderr until the block ends."""
    spinner, description = SpinnerColumn("line"), TextColumn("{task.description}", markup=False)
    with live_display(spinner, description, TimeElapsedColumn()) as display:
        if display is not None:
            display.add_task(escape_controls(text), total=None)
        yield ProgressLine(display)


@asynccontextmanager
async def progress_log(
    describe: Callable[[], str], *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> AsyncGenerator[None]:
    """Print a line on stderr every 30 seconds until the block ends.

    Args:
        describe: Function that returns the line.
        sleep: Async function that waits for some seconds.
    """

    async def repeat() -> None:
        while True:
            await sleep(_LOG_INTERVAL)
            echo_error(describe())

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
