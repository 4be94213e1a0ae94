"""Metrics of an `async with` block: time, CPU time, memory growth, stalls of the event loop."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path
from types import TracebackType
from typing import Self

Figures = dict[str, float]
"""Results by the keys of the metrics, in SI units."""

TICK = 0.001
LONG_STALL = 0.01
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def read_memory(name: str) -> int:
    """Return `VmRSS` (resident now) or `VmHWM` (peak) in bytes."""
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def count_full_passes() -> int:
    """Return the number of full passes of the garbage collector since the start."""
    return int(gc.get_stats()[-1]["collections"])


def require_count(count: int, expected: int) -> None:
    """Raise RuntimeError if a candidate lost or duplicated items."""
    if count != expected:
        raise RuntimeError(f"expected {expected} items, got {count}")


class Metrics:
    """Metrics of an `async with` block, and the time until the first `count_item()`."""

    def __init__(self) -> None:
        self.items = 0
        self.figures: Figures = {}
        self._stalls: list[float] = []

    def count_item(self) -> None:
        """Count one item."""
        if not self.items:
            self.figures["first"] = time.perf_counter() - self._started
        self.items += 1

    async def __aenter__(self) -> Self:
        gc.collect()
        CLEAR_REFS.write_text("5")  # noqa: ASYNC240 - resets the peak of the memory
        self._ticker = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        self._full_passes = count_full_passes()
        self._resident = read_memory("VmRSS")
        self._cpu = time.process_time()
        self._started = time.perf_counter()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.figures |= {
            "seconds": time.perf_counter() - self._started,
            "cpu": time.process_time() - self._cpu,
            "growth": float(read_memory("VmHWM") - self._resident),
            "full_passes": float(count_full_passes() - self._full_passes),
        }
        await asyncio.sleep(2 * TICK)  # the next tick measures a stall in progress
        self._ticker.cancel()
        self.figures["stall"] = max(self._stalls, default=0.0)
        self.figures["long_stalls"] = float(sum(stall > LONG_STALL for stall in self._stalls))

    async def _tick(self) -> None:
        previous = time.perf_counter()
        while True:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            self._stalls.append(now - previous - TICK)
            previous = now
