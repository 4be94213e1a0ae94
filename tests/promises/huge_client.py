"""One call in a fresh process, whose memory is then its own: `python -m promises.huge_client`.

Reads what to do from standard input. Prints, in JSON, how much memory there is in use before the
call, and then how the call went.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import resource
import sys
import time
import urllib.request
from contextlib import AsyncExitStack
from pathlib import Path

import stamina

from tests.promises.contestants import CHARGEBOX, Access, Contestant, Patience

SECONDS = 20
MEMORY = 3 * 2**29
"""Bytes that the process may take beyond those it starts with, so that no machine is eaten up."""

TOTAL = 30.0

Task = tuple[Contestant, str, Access, str]
"""Who is measured, by which client ("thor" or "depot"), where, and the server's teller."""


def memory(name: str, process: str = "self") -> int:
    """A line of a process's status, in bytes: "VmHWM" is the most that has been resident."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def forget_the_peak() -> None:
    """Let VmHWM begin anew at what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def seen(teller: str) -> dict[str, int]:
    """What the server tells of requests and open connections."""
    with urllib.request.urlopen(teller, timeout=5) as told:  # noqa: S310 - http on loopback
        numbers: dict[str, int] = json.load(told)
    return numbers


async def call(contestant: Contestant, client: str, access: Access, teller: str) -> None:
    requests_before = seen(teller)["requests"]
    patience = Patience(total=TOTAL)
    async with AsyncExitStack() as stack:
        if client == "thor":
            thor = await stack.enter_async_context(contestant.thor(access, patience))
            asking = thor.analytics(CHARGEBOX)
        else:
            depot = await stack.enter_async_context(contestant.depot(access, patience))
            asking = depot.collect(100)
        forget_the_peak()
        before = memory("VmHWM")
        print(json.dumps(before), flush=True)
        no_limit = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + MEMORY, no_limit[1]))
        error: Exception | None = None
        started = time.monotonic()
        scope = asyncio.timeout(SECONDS)
        try:
            async with scope:
                await asking
        except Exception as raised:
            error = raised
        seconds, growth = time.monotonic() - started, memory("VmHWM") - before
        resource.setrlimit(resource.RLIMIT_AS, no_limit)
        # The client is still open: whether its connection stays so is its own decision.
        while (now := await asyncio.to_thread(seen, teller))["open"]:
            if time.monotonic() > started + seconds + 2:
                break
            await asyncio.sleep(0.02)
        print(
            json.dumps(
                {
                    "error": type(error).__name__,
                    "documented": isinstance(error, contestant.errors),
                    "ended": not scope.expired(),
                    "seconds": seconds,
                    "growth": growth,
                    "requests": now["requests"] - requests_before,
                    "left_open": now["open"],
                }
            ),
            flush=True,
        )


def main() -> None:
    task: Task = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the test that started this
    stamina.set_testing(True, attempts=1_000_000, cap=True)
    asyncio.run(call(*task))


if __name__ == "__main__":
    main()
