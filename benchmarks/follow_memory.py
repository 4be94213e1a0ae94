"""Memory and time of `follow` over a fleet, with the sessions of a month in its state.

    python -m benchmarks.follow_memory --connectors 1000 --sessions 120

The server runs in this process, and `follow` in a child process.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox, ReportShape
from evtransport.testing.sandbox import running_in_thread

SHAPE = ReportShape(meter_values=0, charge_parameters=0, detail_states=0, device_states=0)

DONE = 50
"""Number of items that are acknowledged by `done()`, the last ones."""


class Saved:
    """State in memory that adds up what it was given."""

    def __init__(self) -> None:
        self.size = self.saves = 0

    async def load(self) -> bytes | None:
        """Return no state."""
        return None

    async def save(self, state: bytes) -> None:
        """Count a save, and drop the state."""
        self.size, self.saves = len(state), self.saves + 1


def resident_mib() -> float:
    """Return the memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def follow(connectors: int, sessions: int) -> dict[str, float]:
    """Follow the fleet until all sessions have come. Return the figures."""
    names = [(f"CP-{1 + number // 2:03}", str(1 + number % 2)) for number in range(connectors)]
    begin, since = resident_mib(), datetime.now(UTC) - timedelta(days=31)
    state, started, left = Saved(), time.monotonic(), connectors * sessions
    acknowledging = 0.0
    async with DepotClient.from_env() as depot:
        follow = depot.follow(names, since=since, every=timedelta(seconds=5), state=state)
        async with follow.run() as run:
            async for item in run:
                if item.error is not None:
                    raise item.error
                left -= 1
                if left < DONE:
                    begun = time.perf_counter()
                    await item.done()
                    acknowledging += time.perf_counter() - begun
                if not left:
                    break
            size = resident_mib()
    return {
        "items": connectors * sessions,
        "seconds": round(time.monotonic() - started, 1),
        "ms per done": round(acknowledging / DONE * 1000, 2),
        "cpu seconds": round(time.process_time(), 1),
        "MiB before": round(begin, 1),
        "MiB grown": round(size - begin, 1),
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "state bytes": state.size,
        "saves": state.saves,
    }


def main() -> None:
    """Run the server, and print the figures of a child process that follows it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connectors", type=int, default=1000)
    parser.add_argument("--sessions", type=int, default=120)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(asyncio.run(follow(args.connectors, args.sessions))))
        return
    start = datetime.now(UTC) - timedelta(days=30)
    chargers = (args.connectors + 1) // 2
    sandbox = DepotSandbox(
        chargers=chargers, sessions=args.sessions, shape=SHAPE, start=start, latency=0.0
    )
    child = [sys.executable, "-m", "benchmarks.follow_memory", "--child"]
    child += ["--connectors", str(args.connectors), "--sessions", str(args.sessions)]
    with running_in_thread(sandbox):
        subprocess.run(child, check=True, env={**os.environ, **sandbox.environment})  # noqa: S603


if __name__ == "__main__":
    main()
