"""R15: long work under faults, dying tokens and restarts loses nothing and leaks nothing."""

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
from tests.promises.contestants import (
    CHARGER,
    CONNECTOR,
    OURS,
    Access,
    Contestant,
    Depot,
    Patience,
    Thor,
)
from tests.support.figures import Figures, Record
from thorclient.sandbox import ThorSandbox

SESSIONS = 300
QUICK, FULL = 6.0, 300.0
SHAPE = ReportShape(meter_values=40, charge_parameters=4, detail_states=4, device_states=2)
POOLED = 16
"""Two walks that read ahead, two polls and a token request or two: 8 connections with two ends."""

GROWTH_MIB = 16
"""How much the whole process, with both servers, may grow after its first third."""


@attrs.frozen
class Held:
    """What the process holds at a moment of rest."""

    mebibytes: float
    descriptors: int
    tasks: int

    @classmethod
    async def now(cls) -> Held:
        """Read it off, outside of the loop."""
        pages = await asyncio.to_thread(Path("/proc/self/statm").read_text)
        descriptors = await asyncio.to_thread(os.listdir, "/proc/self/fd")
        mebibytes = int(pages.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        return cls(mebibytes, len(descriptors), len(asyncio.all_tasks()))


@attrs.define
class Toll:
    """What has come of the work so far."""

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
    """A port that a server can come back to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.frozen
class World:
    """Two servers that go away and come back, and two clients at work on them."""

    depot_server: DepotSandbox
    thor_server: ThorSandbox
    depot: Depot
    thor: Thor
    errors: tuple[type[Exception], ...]
    pause: float
    toll: Toll = attrs.field(factory=Toll)

    async def restart(self) -> None:
        """Take both servers away for a moment."""
        await asyncio.sleep(self.pause)
        for server in (self.depot_server, self.thor_server):
            await server.aclose()
        await asyncio.sleep(0.05)
        for server in (self.depot_server, self.thor_server):
            await server.start()
        self.toll.restarts += 1
        self.tally()

    def tally(self) -> None:
        """Count the faults played, and empty the servers' logs of what came: they grow."""
        for server in (self.depot_server, self.thor_server):
            self.toll.faults += sum(request.fault is not None for request in server.requests)
            server.requests.clear()

    async def walk(self) -> None:
        """Collect the whole window once."""
        try:
            found = Counter(await self.depot.collect(50, restarts=10_000))
        except Exception:  # of this library's documented errors, none outlives so many restarts
            self.toll.given_up += 1
            return
        truth = set(self.depot_server.session_ids(CHARGER, CONNECTOR))
        self.toll.walks += 1
        self.toll.reports += found.total()
        self.toll.lost += len(truth - set(found))
        self.toll.doubled += found.total() - len(found)

    async def poll(self) -> None:
        """Ask for one chargebox."""
        try:
            await self.thor.analytics(self.thor_server.chargebox_ids[0])
        except self.errors:
            pass
        except Exception:
            self.toll.undocumented_errors += 1
        self.toll.calls += 1
        await asyncio.sleep(0.01)

    async def work(self, seconds: float) -> Held:
        """Do all of it again and again; what is held when it rests."""
        until = time.monotonic() + seconds

        async def again(job: Callable[[], Awaitable[None]]) -> None:
            while time.monotonic() < until:
                await job()

        jobs = (self.restart, self.walk, self.walk, self.poll, self.poll)
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(again(job))
        self.tally()
        gc.collect()
        await asyncio.sleep(0.1)  # for sockets that are closing
        return await Held.now()


async def measure(contestant: Contestant, *, full: bool, seconds: float) -> Figures:
    """Walk and poll all the time; compare what is held after a third of it and in the end."""
    lifetime, pause = (20.0, 10.0) if full else (1.0, 1.2)
    depot_server = DepotSandbox(
        port=free_port(),
        chargers={CHARGER: [CONNECTOR]},
        sessions=SESSIONS,
        shape=SHAPE,
        fault_rate=0.05,
        token_lifetime=lifetime,
    )
    thor_server = ThorSandbox(port=free_port(), fault_rate=0.05)
    patience = Patience(total=5.0, read=2.0)
    async with depot_server, thor_server:
        access = Access(
            base_url=depot_server.base_url,
            client_id=depot_server.client_id,
            client_secret=depot_server.client_secret,
            token_url=depot_server.token_url,
        )
        thor_access = Access(base_url=thor_server.base_url, api_key=thor_server.api_key)
        async with (
            contestant.depot(access, patience) as depot,
            contestant.thor(thor_access, patience) as thor,
        ):
            world = World(depot_server, thor_server, depot, thor, contestant.errors, pause)
            early = await world.work(seconds / 3)
            late = await world.work(seconds * 2 / 3)
    return {
        "seconds": seconds,
        **{name.replace("_", " "): count for name, count in attrs.asdict(world.toll).items()},
        "MiB grown": round(late.mebibytes - early.mebibytes, 2),
        "descriptors grown": late.descriptors - early.descriptors,
        "tasks grown": late.tasks - early.tasks,
    }


async def test_long_work_loses_nothing_and_leaks_nothing(
    full: bool, record: Record, pytestconfig: pytest.Config
) -> None:
    seconds = pytestconfig.getoption("--soak") or (FULL if full else QUICK)
    measured = await measure(OURS, full=full, seconds=seconds)
    record("R15", measured)
    assert measured["walks"] > 0
    assert measured["restarts"] > 0
    for name in ("given up", "undocumented errors", "lost", "doubled"):
        assert measured[name] == 0, name
    # A pool may hold a connection more or less, and each has its task in the server.
    for name in ("descriptors grown", "tasks grown"):
        assert measured[name] <= POOLED, name
    assert measured["MiB grown"] < GROWTH_MIB
