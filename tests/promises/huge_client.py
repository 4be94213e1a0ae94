"""Make a call in a separate process, to measure the memory of that call alone."""

from __future__ import annotations

import asyncio
import resource
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import attrs

from tests.promises.candidates import Access, Candidate, DidNotEndError, Limits, result_of
from tests.support.retries import no_retry_delays

TIME_LIMIT = 20
"""Seconds after which a call counts as endless."""

MEMORY_LIMIT = 3 * 2**29
"""Bytes that the call may allocate."""


@attrs.frozen
class Outcome:
    """Result of a call: its error and its cost."""

    error: str
    documented: bool
    ended: bool
    seconds: float
    growth: int
    requests: int = 0
    left_open: int = 0


def memory(name: str, process: int | str = "self") -> int:
    """Return a field of a process's status in bytes. "VmHWM" is the peak of resident memory."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def run(
    pipe: Connection, candidate: Candidate, client: Literal["thor", "depot"], access: Access
) -> None:
    """Send the memory in use before the call, then the outcome."""
    with no_retry_delays():
        asyncio.run(_run(pipe, candidate, client, access))


async def _run(
    pipe: Connection, candidate: Candidate, client: Literal["thor", "depot"], access: Access
) -> None:
    async with candidate.call(client, access, Limits(total=30.0)) as call:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = memory("VmHWM")
        pipe.send(before)
        no_limit = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + MEMORY_LIMIT, no_limit[1]))
        started = time.monotonic()
        result = await result_of(call(), TIME_LIMIT)
        seconds, growth = time.monotonic() - started, memory("VmHWM") - before
        resource.setrlimit(resource.RLIMIT_AS, no_limit)
        documented = isinstance(result, candidate.errors)
        ended = not isinstance(result, DidNotEndError)
        pipe.send(Outcome(type(result).__name__, documented, ended, seconds, growth))
        await asyncio.to_thread(pipe.poll, None)  # The client stays open until the pipe closes.
