"""Pauses in long work, so that the event loop runs other tasks and timers."""

from __future__ import annotations

import asyncio
import time
from typing import Final

__all__ = ["Pauses", "pause"]

WORK_SECONDS: Final = 0.001
"""Longest work without a pause, in seconds."""


async def pause() -> None:
    """Let the event loop run all ready tasks and expired timers.

    `asyncio.sleep(0)` returns before expired timers run. This timer is queued after them.
    """
    turn = asyncio.Event()
    asyncio.get_running_loop().call_later(0, turn.set)
    await turn.wait()


class Pauses:
    """Timer that pauses work after each millisecond."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    async def pause_if_needed(self) -> None:
        """Pause if the last pause ended more than a millisecond ago."""
        if time.perf_counter() - self._last > WORK_SECONDS:
            await pause()
            self._last = time.perf_counter()
