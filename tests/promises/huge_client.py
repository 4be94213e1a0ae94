"""Call in a fresh process, which has its memory to itself: `python -m tests.promises.huge_client`.

Reads a pickled task from standard input. Prints the memory in use before the call, then the
outcome. Keeps the client open until standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import resource
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

import stamina

from tests.promises.candidates import CHARGEBOX, Access, Candidate, Limits

TIME_LIMIT = 20
"""Seconds after which a call counts as endless."""

MEMORY_LIMIT = 3 * 2**29
"""Bytes that the call may allocate."""

Task = tuple[Candidate, Literal["thor", "depot"], Access]


def memory(name: str, process: str = "self") -> int:
    """Return a field of a process's status in bytes. "VmHWM" is the peak of resident memory."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


async def run(task: Task) -> None:
    """Run the task and print its outcome."""
    candidate, client, access = task
    limits = Limits(total=30.0)
    async with AsyncExitStack() as stack:
        if client == "thor":
            thor = await stack.enter_async_context(candidate.thor(access, limits))
            call = thor.analytics(CHARGEBOX)
        else:
            depot = await stack.enter_async_context(candidate.depot(access, limits))
            call = depot.collect(100)
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = memory("VmHWM")
        print(before, flush=True)
        no_limit = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + MEMORY_LIMIT, no_limit[1]))
        error: Exception | None = None
        started = time.monotonic()
        scope = asyncio.timeout(TIME_LIMIT)
        try:
            async with scope:
                await call
        except Exception as raised:
            error = raised
        seconds, growth = time.monotonic() - started, memory("VmHWM") - before
        resource.setrlimit(resource.RLIMIT_AS, no_limit)
        outcome = {
            "error": type(error).__name__,
            "documented": isinstance(error, candidate.errors),
            "ended": not scope.expired(),
            "seconds": seconds,
            "growth": growth,
        }
        print(json.dumps(outcome), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    stamina.set_testing(True, attempts=1_000_000, cap=True)
    asyncio.run(run(pickle.load(sys.stdin.buffer)))  # noqa: S301 - from the test
