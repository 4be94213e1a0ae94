"""Signals that end or suspend a command, and handlers for them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn, TypeAlias

__all__ = ["ENDING_SIGNALS", "SUSPENDING_SIGNALS", "Interrupted", "handling_signals", "interrupt"]
__all__ += ["waking_on_signals"]

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


@contextmanager
def waking_on_signals(loop: asyncio.AbstractEventLoop) -> Generator[None]:
    """Wake up an event loop at each signal during the block, so that Python runs the handler.

    A signal that arrives just before the loop waits, or in another thread, does not end the wait.
    On Windows, the loop does this itself.
    """
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        loop.add_reader(reader, reader.recv, 4096)
        previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous)
            loop.remove_reader(reader)
