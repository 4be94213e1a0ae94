"""The instruments inside a measured process: time, CPU, memory, stalls of the event loop."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.protocol import Figures

TICK = 0.001
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory(name: str) -> int:
    """Bytes: "VmRSS" are resident now, "VmHWM" were at the most."""
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def forget_the_peak() -> None:
    """Let VmHWM begin anew at what is resident now."""
    CLEAR_REFS.write_text("5")


class Gauges:
    """Measures an `async with` block, and how long it takes until the first `item()`."""

    def __init__(self) -> None:
        self.items = 0
        self.figures: Figures = {}
        self._first: float | None = None
        self._longest_gap = 0.0

    def item(self) -> None:
        """Count one item that has arrived."""
        if self._first is None:
            self._first = time.perf_counter() - self._started
        self.items += 1

    async def __aenter__(self) -> Self:
        gc.collect()
        forget_the_peak()
        self._ticker = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        self._resident = memory("VmRSS")
        self._cpu = time.process_time()
        self._started = time.perf_counter()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._started
        cpu = time.process_time() - self._cpu
        growth = memory("VmHWM") - self._resident
        await asyncio.sleep(2 * TICK)  # a stall that is not over yet shows at the next tick
        self._ticker.cancel()
        self.figures = {
            "seconds": seconds,
            "cpu": cpu,
            "growth": float(growth),
            "stall": max(0.0, self._longest_gap - TICK),
        }
        if self._first is not None:
            self.figures["first"] = self._first

    async def _tick(self) -> None:
        """Note the longest time between two turns that should be one tick apart."""
        before = time.perf_counter()
        while True:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            self._longest_gap = max(self._longest_gap, now - before)
            before = now
