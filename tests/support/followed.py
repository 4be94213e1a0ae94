"""A depot in simulated time, and runs of `follow` over it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

import attrs

from depotclient import DepotClient, FollowedReport, FollowError, FollowRun, RetryPolicy
from depotclient.sandbox import DepotSandbox, Fault, make_report
from tests.support.polled import BEGIN, DAY, HOUR, SHAPE, seconds, times, true_time
from tests.support.simulated import InProcessServer, run_simulated

A, B = ("A", "1"), ("B", "1")
MINUTE = timedelta(minutes=1)


@attrs.define
class MemoryState:
    """State in memory, which counts the saves.

    Attributes:
        content: Saved state.
        saves: Number of saves.
        is_full: True refuses each save.
        is_killed: True loses each save, as if the process had ended before.
        delay: Duration of a save in seconds.
    """

    content: bytes | None = None
    saves: int = 0
    is_full: bool = False
    is_killed: bool = False
    delay: float = 0.0

    async def load(self) -> bytes | None:
        return self.content

    async def save(self, state: bytes) -> None:
        self.saves += 1
        await asyncio.sleep(self.delay)
        if self.is_full:
            raise OSError("the disk is full")
        if not self.is_killed:
            self.content = state


@attrs.define(eq=False)
class World:
    """A depot with the connectors A/1 and B/1, at `BEGIN`."""

    faults: deque[Fault | None] = attrs.field(factory=deque["Fault | None"])
    state: MemoryState = attrs.field(factory=MemoryState)
    sandbox: DepotSandbox = attrs.field(init=False)
    server: InProcessServer = attrs.field(init=False)
    depot: DepotClient = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sandbox = DepotSandbox(
            chargers={"A": [1], "B": [1]},
            sessions=0,
            clock=seconds,
            faults=iter(lambda: self.faults.popleft() if self.faults else None, object()),
        )
        self.server = InProcessServer(self.sandbox)
        self.depot = self.server.client(retry=RetryPolicy(attempts=1))
        self.depot.now = true_time

    def add(self, *session_ids: int, connector: tuple[str, str] = A) -> None:
        """Add sessions that ended an hour ago."""
        for session_id in session_ids:
            start = true_time() - 2 * HOUR + timedelta(seconds=session_id % 1000)
            session = times(start, true_time() - HOUR)
            self.sandbox.add(*connector, make_report(session_id, shape=SHAPE, **session))

    @contextlib.asynccontextmanager
    async def run(
        self, *connectors: tuple[str, str], **options: Any
    ) -> AsyncIterator[FollowRun[Any]]:
        settings: dict[str, Any] = {"since": BEGIN - DAY, "state": self.state} | options
        follow = self.depot.follow(connectors or [A], **settings)
        async with follow.run() as run:
            yield run


Scenario: TypeAlias = Callable[[World], Awaitable[None]]


def simulated(scenario: Scenario) -> Callable[[], None]:
    """Return a test that runs a scenario in a simulated loop, and checks that no task is left."""

    async def main() -> None:
        world = World()
        async with world.depot:
            await scenario(world)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def test() -> None:
        run_simulated(main())

    return test


async def within(run: FollowRun[Any], period: timedelta) -> list[Any]:
    """Return the items of a period: session ids, and the names of errors."""
    found = list[Any]()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(period.total_seconds()):
            async for item in run:
                found.append(text_of(item))
    return found


def text_of(item: FollowedReport[Any] | FollowError) -> Any:
    if item.error is not None:
        return type(item.error).__name__
    return item.report.session_id if item.is_new else -item.report.session_id
