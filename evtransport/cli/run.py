"""Run a command line: exit statuses, errors as messages, and signals that cancel a command."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from types import FrameType
from typing import NoReturn, TypeVar

import typer

from evtransport.cli.log import hidden_log
from evtransport.cli.output import echo_error, format_error
from evtransport.cli.signals import (
    Interrupted,
    handling_signals,
    interrupt,
    waking_on_signals,
)
from evtransport.cli.streams import discard_output, open_streams
from evtransport.errors import ApiError

__all__ = ["FAILED", "main", "run", "run_app", "run_async"]

T = TypeVar("T")

FAILED = 1
_WRONG_USAGE = 2
_BROKEN_PIPE = 128 + 13  # SIGPIPE. Windows lacks the name.


def main(app: typer.Typer, name: str) -> None:
    """Run a command line as the main program of this process.

    Raises:
        SystemExit: Always, with the exit status.
    """
    open_streams()
    run_app(app, name)


def run_app(app: typer.Typer, name: str, arguments: Sequence[str] | None = None) -> None:
    """Run a command line, and report a failure on stderr.

    Args:
        app: The command line.
        name: Name of the program in its messages.
        arguments: Arguments of the command line. None uses `sys.argv`.

    Raises:
        SystemExit: Always, with the exit status.
    """
    try:
        with handling_signals(interrupt), hidden_log():
            app(arguments, prog_name=name)
    except (Interrupted, ApiError, ValueError, OSError, ImportError) as error:
        if isinstance(error, Interrupted | OSError):
            discard_output()
        status, lines = _describe_failure(error)
        for line in lines:
            echo_error(line)
        raise SystemExit(status) from None


def _describe_failure(error: BaseException) -> tuple[int, list[str]]:
    """Return the exit status for an error and the lines to print on stderr."""
    match error:
        case Interrupted(signal=signal.SIGINT):
            return error.status, ["interrupted"]
        case Interrupted():
            return error.status, [f"ended by {error.signal.name}"]
        case BrokenPipeError():
            return _BROKEN_PIPE, []
    lines = [f"error: {format_error(error)}"]
    if isinstance(error, ApiError) and error.cursor is not None and error.cursor.offset:
        lines.append(f"continue with: --resume {error.cursor}")
    return _WRONG_USAGE if isinstance(error, ValueError) else FAILED, lines


def run(command: Coroutine[object, object, int]) -> NoReturn:
    """Run a command that returns its exit status.

    Raises:
        SystemExit: Always, with the exit status.
    """
    raise SystemExit(run_async(command))


def run_async(command: Coroutine[object, object, T]) -> T:
    """Run a coroutine and return its result.

    The first signal cancels the coroutine, which cleans up. A second signal ends it at once.

    Raises:
        Interrupted: A signal ended the coroutine.
    """
    received: list[int] = []
    try:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            task = loop.create_task(command)

            def cancel(number: int, frame: FrameType | None) -> None:
                received.append(number)
                if len(received) > 1:
                    interrupt(number, frame)
                task.cancel()

            with waking_on_signals(loop), handling_signals(cancel):
                result = loop.run_until_complete(task)
    except (asyncio.CancelledError, OSError):
        # A signal may cause the OSError: after SIGHUP, the terminal is gone.
        if received:
            raise Interrupted(received[0]) from None
        raise
    # Ctrl-C is the normal way to end some commands, such as `sandbox`.
    if received and received[0] != signal.SIGINT:
        raise Interrupted(received[0])
    return result
