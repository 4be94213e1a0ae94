"""R15: long work with faults, expiring tokens and server restarts loses and leaks nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest

from depotclient.sandbox import DepotSandbox, ReportShape
from tests.promises.candidates import (
    CHARGER,
    CONNECTOR,
    OURS,
    Access,
    Candidate,
    Depot,
    Limits,
    Thor,
)
from tests.support.clients import account_of
from tests.support.figures import Figures, Record
from thorclient.sandbox import ThorSandbox

SHAPE = ReportShape(meter_values=40, charge_parameters=4, detail_states=4, device_states=2)

MAX_POOLED = 16
"""Both ends of 8 connections: two walks that read ahead, two polls and two token requests."""

MAX_GROWTH = 16
"""Most MiB that the process may grow after the first third. It contains both servers."""


@attrs.frozen
class Usage:
    """Resources of the process."""

    mebibytes: float
    descriptors: int
    tasks: int

    @classmethod
    async def measure(cls) -> Usage:
        gc.collect()
        await asyncio.sleep(0.1)  # Sockets may be closing.
        statm = await asyncio.to_thread(Path("/proc/self/statm").read_text)
        descriptors = await asyncio.to_thread(os.listdir, "/proc/self/fd")
        mebibytes = int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        return cls(mebibytes, len(descriptors), len(asyncio.all_tasks()))


@attrs.define
class Counts:
    """Work done, and what went wrong."""

    walks: int = 0
    reports: int = 0
    calls: int = 0
    restarts: int = 0
    faults: int = 0
    given_up: int = 0
    undocumented_errors: int = 0
    lost: int = 0
    doubled: int = 0


def free_port() -> int:
    """Return a port on which a server can restart."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.frozen
class Soak:
    """Two servers that restart, and two clients that use them."""

    depot_server: DepotSandbox
    thor_server: ThorSandbox
    depot: Depot
    thor: Thor
    errors: tuple[type[Exception], ...]
    pause: float
    counts: Counts = attrs.field(factory=Counts)

    async def restart(self) -> None:
        """Stop both servers for a moment."""
        await asyncio.sleep(self.pause)
        for server in (self.depot_server, self.thor_server):
            await server.aclose()
        await asyncio.sleep(0.05)
        for server in (self.depot_server, self.thor_server):
            await server.start()
        self.counts.restarts += 1
        self.count_faults()

    def count_faults(self) -> None:
        """Count the faults played, and clear the servers' growing logs."""
        for server in (self.depot_server, self.thor_server):
            self.counts.faults += sum(request.fault is not None for request in server.requests)
            server.requests.clear()

    async def walk(self) -> None:
        """Collect all reports."""
        try:
            found = Counter(await self.depot.collect(50, restarts=10_000))
        except Exception:
            self.counts.given_up += 1
            return
        expected = set(self.depot_server.session_ids(CHARGER, CONNECTOR))
        self.counts.walks += 1
        self.counts.reports += found.total()
        self.counts.lost += len(expected - set(found))
        self.counts.doubled += found.total() - len(found)

    async def poll(self) -> None:
        """Request the analytics of one chargebox."""
        try:
            await self.thor.analytics(self.thor_server.chargebox_ids[0])
        except self.errors:
            pass
        except Exception:
            self.counts.undocumented_errors += 1
        self.counts.calls += 1
        await asyncio.sleep(0.01)

    async def work(self, seconds: float) -> Usage:
        """Repeat all jobs, and return the resources in use after them."""
        end = time.monotonic() + seconds

        async def repeat(job: Callable[[], Awaitable[None]]) -> None:
            while time.monotonic() < end:
                await job()

        async with asyncio.TaskGroup() as group:
            for job in (self.restart, self.walk, self.walk, self.poll, self.poll):
                group.create_task(repeat(job))
        self.count_faults()
        return await Usage.measure()


async def measure(candidate: Candidate, *, full: bool, seconds: float) -> Figures:
    """Work, and compare the resources after a third of the time and at the end."""
    lifetime, pause = (20.0, 10.0) if full else (1.0, 0.6)
    depot_server = DepotSandbox(
        port=free_port(),
        chargers={CHARGER: [CONNECTOR]},
        sessions=300,
        shape=SHAPE,
        fault_rate=0.05,
        token_lifetime=lifetime,
    )
    thor_server = ThorSandbox(port=free_port(), fault_rate=0.05)
    limits = Limits(total=5.0, read=2.0)
    async with depot_server, thor_server:
        thor_access = Access(base_url=thor_server.base_url, api_key=thor_server.api_key)
        async with (
            candidate.depot(Access(**account_of(depot_server)), limits) as depot,
            candidate.thor(thor_access, limits) as thor,
        ):
            soak = Soak(depot_server, thor_server, depot, thor, candidate.errors, pause)
            early = await soak.work(seconds / 3)
            late = await soak.work(seconds * 2 / 3)
    return {
        "seconds": seconds,
        **{name.replace("_", " "): count for name, count in attrs.asdict(soak.counts).items()},
        "MiB grown": round(late.mebibytes - early.mebibytes, 2),
        "descriptors grown": late.descriptors - early.descriptors,
        "tasks grown": late.tasks - early.tasks,
    }


async def test_long_work_loses_and_leaks_nothing(
    full: bool, record: Record, pytestconfig: pytest.Config
) -> None:
    seconds = pytestconfig.getoption("--soak") or (300.0 if full else 3.0)
    measured = await measure(OURS, full=full, seconds=seconds)
    record("R15", measured)
    assert measured["walks"] > 0
    assert measured["restarts"] > 0
    for name in ("given up", "undocumented errors", "lost", "doubled"):
        assert measured[name] == 0, name
    assert measured["descriptors grown"] <= MAX_POOLED
    assert measured["tasks grown"] <= MAX_POOLED
    assert measured["MiB grown"] < MAX_GROWTH
