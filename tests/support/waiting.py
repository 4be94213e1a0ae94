"""Waiting for a condition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


def until(condition: Callable[[], object], *, seconds: float) -> None:
    """Wait in a thread for a condition. Fail after this many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def loop_until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait in an event loop for a condition. Fail after this many seconds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0)


async def iterate_loop(count: int) -> None:
    """Let the event loop run this many times."""
    for _ in range(count):
        await asyncio.sleep(0)
