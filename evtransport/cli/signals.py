"""Signals that end or suspend a command, and handlers for them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn, TypeAlias

__all__ = ["ENDING_SIGNALS", "SUSPENDING_SIGNALS", "Interrupted", "handling_signals", "interrupt"]

SignalHandler: TypeAlias = Callable[[int, FrameType | None], object] | signal.Handlers

_KNOWN: Final = signal.Signals.__members__  # Windows lacks some.
ENDING_SIGNALS: Final = tuple(
    _KNOWN[name] for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if name in _KNOWN
)
SUSPENDING_SIGNALS: Final = tuple(_KNOWN[name] for name in ("SIGTSTP",) if name in _KNOWN)
"""Signals that suspend a process: SIGTSTP (Ctrl-Z)."""


class Interrupted(SystemExit):
    """Exit of the process because of a signal.

    Neither typer nor asyncio handles a `SystemExit`. Typer handles a `KeyboardInterrupt`.
    """

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        self.status = 128 + number
        super().__init__(self.status)


def interrupt(number: int, _: FrameType | None) -> NoReturn:
    """Handle a signal: raise `Interrupted`."""
    raise Interrupted(number)


@contextmanager
def handling_signals(
    handler: SignalHandler, numbers: Sequence[int] = ENDING_SIGNALS
) -> Generator[None]:
    """Handle signals during the block, except those that the process ignores.

    A background job of a shell ignores Ctrl-C. A process under `nohup` ignores SIGHUP. In a thread
    other than the main thread, the handlers stay unchanged: Python can't set them there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in numbers}
    replaced = {number: old for number, old in previous.items() if old is not signal.SIG_IGN}
    for number in replaced:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in replaced.items():
            signal.signal(number, old)
