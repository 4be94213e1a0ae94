"""An event loop whose time is simulated.

Sockets don't fit such a loop: time passes as soon as no task can run, even if a packet is on its
way.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Event loop that jumps to its next timer when nothing else can run."""

    def __init__(self) -> None:
        self._time = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Return the simulated time in seconds."""
        return self._time

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._time += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Selector that lets time pass instead of waiting for it."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events: list[tuple[selectors.SelectorKey, int]] = super().select(timeout and 0)
        if timeout and not events:
            self._loop.jump(timeout)
        return events


def run_simulated(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new simulated loop."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)
