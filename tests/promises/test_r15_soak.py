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
    result_of,
)
from tests.support.clients import account_of
from tests.support.figures import Figures, Record, tally
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
    figures: Counter[str]

    async def restart(self) -> None:
        """Stop both servers for a moment."""
        await asyncio.sleep(self.pause)
        for server in (self.depot_server, self.thor_server):
            await server.aclose()
        await asyncio.sleep(0.05)
        for server in (self.depot_server, self.thor_server):
            await server.start()
            # The servers' logs would grow.
            self.figures["faults"] += sum(request.fault is not None for request in server.requests)
            server.requests.clear()
        self.figures["restarts"] += 1

    async def walk(self) -> None:
        """Collect all reports."""
        found = await result_of(self.depot.collect(50, restarts=10_000))
        if isinstance(found, Exception):
            self.figures["given up"] += 1
            return
        expected = set(self.depot_server.session_ids(CHARGER, CONNECTOR))
        self.figures["walks"] += 1
        self.figures["reports"] += len(found)
        self.figures["lost"] += len(expected - set(found))
        self.figures["duplicated"] += len(found) - len(set(found))

    async def poll(self) -> None:
        """Request the analytics of one chargebox."""
        result = await result_of(self.thor.get_analytics(self.thor_server.chargebox_ids[0]))
        documented = isinstance(result, self.errors) or not isinstance(result, Exception)
        self.figures["calls"] += 1
        self.figures["undocumented errors"] += not documented
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
        return await Usage.measure()


async def measure(candidate: Candidate, *, full: bool, seconds: float = 6.0) -> Figures:
    """Work, and compare the resources after a third of the time and at the end."""
    figures = tally(
        *("walks", "reports", "calls", "restarts", "faults"),
        *("given up", "undocumented errors", "lost", "duplicated"),
    )
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
            errors = candidate.errors
            soak = Soak(depot_server, thor_server, depot, thor, errors, pause, figures)
            early = await soak.work(seconds / 3)
            late = await soak.work(seconds * 2 / 3)
    return {
        "seconds": seconds,
        **figures,
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
    for name in ("given up", "undocumented errors", "lost", "duplicated"):
        assert measured[name] == 0, name
    assert measured["descriptors grown"] <= MAX_POOLED
    assert measured["tasks grown"] <= MAX_POOLED
    assert measured["MiB grown"] < MAX_GROWTH
