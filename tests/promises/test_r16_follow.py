"""R16: in 30 simulated days, `follow` yields each session once, whatever happens to it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import get_args

import attrs
import pytest

from depotclient import ApiError, AuthError, ConnectionFailed, DepotClient, NotFoundError
from depotclient.sandbox import TimeFilter
from tests.support.figures import Record, tally
from tests.support.followed import MemoryState
from tests.support.polled import (
    BEGIN,
    CONNECTORS,
    DAY,
    HOUR,
    SINCE,
    Connector,
    Name,
    PolledDepot,
    seconds,
    true_time,
)
from tests.support.simulated import InProcessServer, run_simulated

FAILING: Connector = ("CP-404", "1")
"""Connector that the server does not know."""
OUTAGE = (8 * DAY, 8 * DAY + 7 * HOUR)
REVOKED = (15 * DAY - HOUR / 2, 15 * DAY + HOUR / 2)
YEAR = 365 * DAY
RECONCILE = 14 * DAY
"""Longer than any report is late, and short enough for a month to forget sessions."""
DAY_SECONDS = DAY.total_seconds()

# No single walk is complete on a server whose order changes between two requests.
ORDERS = ("ascending", "descending", "shuffled")

Clock = Callable[[timedelta], timedelta]
"""Function that returns the error of a clock for the time since `BEGIN`."""


class Killed(Exception):
    """The process of a poller ends."""


@attrs.define
class Seen:
    """Items that a poller has received.

    Attributes:
        new: Number of items for each new session.
        changed: Number of items for each changed session.
        errors: Error items, with the true time of each.
    """

    new: Counter[Name] = attrs.field(factory=Counter[Name])
    changed: Counter[Name] = attrs.field(factory=Counter[Name])
    errors: list[tuple[Connector, ApiError, timedelta, timedelta]] = attrs.field(factory=list)


@attrs.define
class Poller:
    """Poller of a depot, whose process may end and start again.

    Args:
        depot: The depot.
        every: Interval of the readings.
        changes: Whether changed sessions are items too.
        acknowledges: Whether each item is acknowledged by `done()`, or by the next item.
        rolls_back: Whether a run ends in order after a transaction that failed, instead of a kill.
        clock_error: Error of the client's clock.
    """

    depot: PolledDepot
    every: timedelta
    changes: bool = False
    acknowledges: bool = False
    rolls_back: bool = False
    clock_error: Clock = lambda elapsed: timedelta(0)
    connectors: tuple[Connector, ...] = CONNECTORS
    state: MemoryState = attrs.field(factory=MemoryState)
    seen: Seen = attrs.field(factory=Seen)
    server: InProcessServer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.server = InProcessServer(self.depot.sandbox, before=self.depot.advance)

    async def run(self, until: timedelta, is_killed: Callable[[], bool] = lambda: False) -> None:
        """Poll until a time, or until an item at which the process is killed."""
        self.state = MemoryState(self.state.content)
        try:
            async with self.server.client() as client, asyncio.timeout_at(until.total_seconds()):
                client.now = lambda: true_time() + self.clock_error(true_time() - BEGIN)
                await self._poll(client, is_killed)
        except (TimeoutError, Killed):
            pass

    async def _poll(self, client: DepotClient, is_killed: Callable[[], bool]) -> None:
        follow = client.follow(
            self.connectors,
            since=SINCE,
            every=self.every,
            state=self.state,
            changes=self.changes,
            reconcile=RECONCILE,
        )
        async with follow.run() as run:
            async for item in run:
                if is_killed():
                    if self.rolls_back:
                        saved = self.state.content
                        await item.done()
                        self.state.content = saved
                    else:
                        self.state.is_killed = True
                    raise Killed
                if item.report is None:
                    wait = item.next_attempt - client.now()
                    self.seen.errors.append((item.connector, item.error, true_time() - BEGIN, wait))
                    continue
                if self.acknowledges:
                    await item.done()
                name = item.connector, str(item.report.vehicle_id)
                (self.seen.new if item.is_new else self.seen.changed)[name] += 1


def differences(found: Counter[Name], expected: Counter[Name]) -> list[str]:
    """Return a line for each session that is lost or duplicated."""
    return [
        *(f"lost: {name}" for name in (expected - found).elements()),
        *(f"duplicated: {name}" for name in (found - expected).elements()),
    ]


@pytest.mark.parametrize("time_filter", get_args(TimeFilter))
@pytest.mark.parametrize("changes", [False, True])
def test_each_session_is_yielded_once_and_each_change_once(
    time_filter: TimeFilter, changes: bool, full: bool, record: Record
) -> None:
    if not full and changes != (time_filter == "overlap"):
        pytest.skip("needs --full")
    every = timedelta(hours=2) if full else timedelta(hours=12)
    poller = run_simulated(poll_for_a_month(time_filter, every, changes=changes))
    new, changed = poller.depot.expected(changes=changes)
    seen = poller.seen
    figures = tally("sessions", "changes", "requests", "lost", "duplicated")
    for expected, found in ((new, seen.new), (changed, seen.changed)):
        figures["lost"] += (expected - found).total()
        figures["duplicated"] += (found - expected).total()
    figures["sessions"], figures["changes"] = new.total(), changed.total()
    figures["requests"] = poller.server.pages
    record(f"R16 follow, {time_filter}{', changes' * changes}", figures)
    assert not differences(seen.new, new)
    assert not differences(seen.changed, changed)
    failing = [wait for connector, error, _, wait in seen.errors if connector == FAILING]
    assert len(failing) > 50
    assert all(wait >= every for wait in failing)
    kinds = {type(error) for _, error, _, _ in seen.errors}
    assert kinds >= {AuthError, ConnectionFailed, NotFoundError}


async def poll_for_a_month(time_filter: TimeFilter, every: timedelta, *, changes: bool) -> Poller:
    """Poll for 30 days with faults, an outage, a revoked token and a connector that fails."""
    depot = PolledDepot(time_filter, fault_rate=0.1)
    poller = Poller(depot, every, changes=changes, connectors=(*CONNECTORS, FAILING))

    def before_request() -> None:
        depot.advance()
        if REVOKED[0] <= true_time() - BEGIN < REVOKED[1]:
            depot.sandbox.revoke_tokens()

    poller.server.before = before_request
    poller.server.is_down = lambda: OUTAGE[0] <= true_time() - BEGIN < OUTAGE[1]
    await poller.run(30 * DAY)
    return poller


@pytest.mark.parametrize(
    ("acknowledges", "rolls_back"),
    [
        pytest.param(False, False, id="killed, acknowledged by the next item"),
        pytest.param(True, False, id="killed, acknowledged by done"),
        pytest.param(True, True, id="transactions that fail after done"),
    ],
)
def test_restarts_lose_nothing_and_acknowledged_sessions_do_not_come_again(
    acknowledges: bool, rolls_back: bool, full: bool, record: Record
) -> None:
    figures = tally("restarts", "sessions", "lost", "duplicated")
    for seed in range(20 if full else 1):
        poller = run_simulated(restart_at_random(seed, figures, acknowledges, rolls_back))
        expected = poller.depot.expected(changes=True)
        for wanted, found in zip(expected, (poller.seen.new, poller.seen.changed), strict=True):
            figures["sessions"] += wanted.total()
            figures["lost"] += (wanted - found).total()
            figures["duplicated"] += (found - wanted).total()
            found = found if acknowledges else found & wanted
            assert not differences(found, wanted), seed
    record(f"R16 follow, restarts{' with done' * acknowledges}{', failing' * rolls_back}", figures)


def kill_at(last: int) -> Callable[[], bool]:
    """Return a function that returns True at the item with this number, in the first 6.5 days."""
    items = count()
    return lambda: next(items) >= last and seconds() < 6.5 * DAY_SECONDS


async def restart_at_random(
    seed: int, figures: Counter[str], acknowledges: bool, rolls_back: bool
) -> Poller:
    """Poll for 8 days in processes that end at random items, with breaks of up to 6 hours."""
    draw = random.Random(seed)
    time_filter = draw.choice(get_args(TimeFilter))
    options = {"order": draw.choice(ORDERS), "max_limit": draw.choice((10, 15, 2000))}
    depot = PolledDepot(time_filter, seed=seed, days=8, special=3, fault_rate=0.1, options=options)
    poller = Poller(depot, 3 * HOUR, changes=True, acknowledges=acknowledges, rolls_back=rolls_back)
    while True:
        await poller.run(8 * DAY, kill_at(draw.randrange(5, 60)))
        if seconds() >= 8 * DAY_SECONDS:
            return poller
        figures["restarts"] += 1
        await asyncio.sleep(draw.choice((0, draw.uniform(0, DAY_SECONDS / 4))))


@pytest.mark.parametrize(
    ("begin", "days", "error", "restarts"),
    [
        pytest.param(3, 0.25, YEAR, True, id="a year ahead, with restarts"),
        pytest.param(3, 1, -2 * DAY, True, id="two days behind, with restarts"),
        pytest.param(0, 4, 2 * DAY, True, id="two days ahead from the start, with restarts"),
        pytest.param(3, 1, -YEAR, False, id="a year behind"),
    ],
)
def test_a_clock_that_is_wrong_for_some_time_loses_and_duplicates_nothing(
    begin: float, days: float, error: timedelta, restarts: bool
) -> None:
    def clock_error(elapsed: timedelta) -> timedelta:
        return error if 0 <= (elapsed / DAY) - begin < days else timedelta(0)

    async def poll() -> Poller:
        poller = Poller(PolledDepot(days=8, special=4), 3 * HOUR, changes=True)
        poller.clock_error = clock_error
        for stop in (3.1, 3.5, 4.1) if restarts else ():
            await poller.run(stop * DAY)
        await poller.run(8 * DAY)
        return poller

    poller = run_simulated(poll())
    new, changed = poller.depot.expected(changes=True)
    assert not differences(poller.seen.new, new)
    assert not differences(poller.seen.changed, changed)


def test_a_month_takes_two_requests_for_each_reading(full: bool) -> None:
    every = timedelta(hours=2 if full else 12)

    async def poll() -> Poller:
        poller = Poller(PolledDepot(special=0), every)
        await poller.run(30 * DAY)
        return poller

    poller = run_simulated(poll())
    assert not differences(poller.seen.new, poller.depot.expected(changes=False)[0])
    assert poller.server.pages == 2 * len(CONNECTORS) * (30 * DAY // every)
