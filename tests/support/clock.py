"""An event loop whose clock jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context


class JumpingLoop(asyncio.SelectorEventLoop):
    """Time stands still while anything can run.

    Attributes:
        timers: How many were set.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self.timers = 0
        super().__init__(_Impatient(self._jump))

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer."""
        self.timers += 1
        return super().call_at(when, callback, *args, context=context)


class _Impatient(selectors.SelectSelector):
    """Has the clock jump wherever it would wait."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self._jump(timeout)
        return super().select(0)
