"""A run: each new session once, whatever fails, in a loop with simulated time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import attrs
import pytest

from depotclient import (
    DepotClient,
    FollowedReport,
    FollowError,
    FollowRun,
    RateLimitedError,
    RetryPolicy,
    SchemaError,
)
from depotclient.follow.state import split_state
from depotclient.sandbox import DepotSandbox, Fault, ReportShape, make_report
from depotclient.sandbox.make import change_report
from tests.support.clients import client_of
from tests.support.polled import BEGIN, DAY, HOUR, SHAPE, seconds, times, true_time
from tests.support.simulated import ORIGIN, InProcessServer, run_simulated

A, B = ("A", "1"), ("B", "1")
MINUTE = timedelta(minutes=1)


@attrs.define
class MemoryState:
    """State in memory, which counts the saves and can refuse them."""

    content: bytes | None = None
    saves: int = 0
    is_full: bool = False

    async def load(self) -> bytes | None:
        return self.content

    async def save(self, state: bytes) -> None:
        self.saves += 1
        if self.is_full:
            raise OSError("the disk is full")
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


async def test_each_session_of_a_real_server_is_yielded_once() -> None:
    async with (
        DepotSandbox(sessions=12, shape=ReportShape.small()) as sandbox,
        client_of(sandbox, retry=RetryPolicy(base_delay=0)) as depot,
    ):
        connectors: list[tuple[str, str | int]] = [
            ("CP-001", 1),
            ("CP-002", "1"),
            ("CP-001", "1"),
            ("CP-404", 1),
        ]
        follow = depot.follow(
            connectors,
            since=datetime(2026, 1, 1, tzinfo=UTC),
            every=timedelta(seconds=0.1),
        )
        found = list[tuple[tuple[str, str], Any]]()
        async with follow.run() as run:
            async for item in run:
                found.append((item.connector, text_of(item)))
                if len(set(found)) == 25:
                    end = datetime.now(UTC) - HOUR
                    sandbox.add("CP-002", 1, make_report(7, shape=SHAPE, **times(end - HOUR, end)))
                if text_of(item) == 7:
                    break

    for charger in ("CP-001", "CP-002"):
        ids = [*sandbox.session_ids(charger, 1)]
        assert [number for connector, number in found if connector == (charger, "1")] == ids
    assert (("CP-404", "1"), "NotFoundError") in found
    assert asyncio.all_tasks() == {asyncio.current_task()}


@simulated
async def test_a_later_run_continues_after_the_acknowledged_items(world: World) -> None:
    world.add(1, 2, 3)
    async with world.run() as run:
        assert [text_of(await anext(run)) for _ in range(2)] == [1, 2]

    async with world.run(since=BEGIN) as run:
        assert await within(run, HOUR) == [2, 3]
        world.add(4)
        assert await within(run, HOUR) == [4]

    async with world.run() as run:
        assert await within(run, HOUR) == []


@simulated
async def test_done_saves_the_item_and_all_before_it(world: World) -> None:
    world.add(1, 2, 3)
    async with world.run() as run:
        first, second = await anext(run), await anext(run)
        await first.done()
        saves = world.state.saves
        await first.done()
        assert world.state.saves == saves
        await second.done()
        await anext(run)

        after_done = MemoryState(world.state.content)
        async with world.run(state=after_done) as other:
            assert await within(other, HOUR) == [3]


@simulated
async def test_an_item_whose_state_is_not_saved_is_not_acknowledged(world: World) -> None:
    world.add(1, 2)
    async with world.run() as run:
        first = await anext(run)
        world.state.is_full = True
        with pytest.raises(OSError, match="disk is full"):
            await first.done()
        world.state.is_full = False

    async with world.run() as run:
        assert text_of(await anext(run)) == 1
        assert text_of(await anext(run)) == 2
        world.state.is_full = True
        with pytest.raises(OSError, match="disk is full"):
            await anext(run)
        world.state.is_full = False
        assert await within(run, HOUR) == []


@simulated
async def test_a_place_that_cannot_be_written_fails_before_the_first_item(world: World) -> None:
    world.add(1)
    world.state.is_full = True
    async with world.run() as run:
        with pytest.raises(OSError, match="disk is full"):
            await anext(run)
        world.state.is_full = False
        assert text_of(await anext(run)) == 1
    assert world.server.pages == 1


@simulated
async def test_a_quiet_round_takes_two_requests_for_a_connector(world: World) -> None:
    world.add(*range(1, 31))
    world.add(*range(101, 104), connector=B)
    async with world.run(A, B) as run:
        assert len(await within(run, timedelta(seconds=170))) == 33
        pages, saves = world.server.pages, world.state.saves

        assert await within(run, 10 * MINUTE) == []

    assert world.server.pages - pages == 2 * 2 * 10
    assert world.state.saves - saves <= 11


@simulated
async def test_connectors_are_spread_over_the_interval(world: World) -> None:
    at = dict[str, list[float]]()
    async with world.run(("A", "1"), ("B", "1")) as run:
        await within(run, 3 * MINUTE)
    for request in world.sandbox.requests:
        time = datetime.fromisoformat(request.query["to"]) - BEGIN
        at.setdefault(request.query["chargerId"], []).append(time.total_seconds())

    assert at == {"A": [0, 60, 120], "B": [30, 90, 150]}


@pytest.mark.parametrize(("changes", "found"), [(False, []), (True, [-1])])
def test_a_changed_report_is_yielded_again_only_with_changes(
    changes: bool, found: list[int]
) -> None:
    @simulated
    async def test(world: World) -> None:
        world.add(1, 2)
        async with world.run(changes=changes) as run:
            assert await within(run, HOUR) == [1, 2]
            world.sandbox.correct(*A, 1, energy_soc_end=77.5)
            assert await within(run, HOUR) == found
        async with world.run(changes=True) as run:
            assert await within(run, HOUR) == []

    test()


@pytest.mark.parametrize(("changes", "found"), [(False, []), (True, [-1])])
@pytest.mark.parametrize("days", [0.1, 10.1])
def test_a_moved_session_has_changed_and_is_not_new(
    changes: bool, found: list[int], days: float
) -> None:
    @simulated
    async def test(world: World) -> None:
        world.add(1)
        async with world.run(changes=changes, every=HOUR) as run:
            assert await within(run, days * DAY) == [1]
            start = BEGIN + (days - 0.05) * DAY
            world.sandbox.correct(*A, 1, **times(start, start + HOUR))
            assert await within(run, 3 * HOUR) == found

    test()


@simulated
async def test_each_session_with_the_id_of_offline_chargers_is_new(world: World) -> None:
    world.add(-1)
    async with world.run(into=json.loads) as run:
        first = await anext(run)
        await asyncio.sleep(60)
        world.add(-1)
        second = await anext(run)

    for item in (first, second):
        assert isinstance(item, FollowedReport)
        assert (item.report["sessionId"], item.is_new) == (-1, True)


@simulated
async def test_a_session_later_than_the_lag_is_found_by_the_reconcile(world: World) -> None:
    async with world.run(every=HOUR) as run:
        assert await within(run, 10.2 * DAY) == []
        start = BEGIN + DAY
        world.sandbox.add(*A, make_report(1, shape=SHAPE, **times(start, start + HOUR)))
        assert await within(run, DAY / 2) == []
        assert await within(run, DAY / 2) == [1]


@simulated
async def test_an_invalid_report_is_an_error_once_and_is_tried_again_when_it_changes(
    world: World,
) -> None:
    world.add(1)
    world.sandbox.add(*A, change_report(make_report(2, shape=SHAPE), times(BEGIN - HOUR, BEGIN))
        .replace(b'"vehicleId":"', b'"vehicleId":7,"x":"'))  # fmt: skip
    async with world.run(every=timedelta(minutes=2)) as run:
        assert text_of(await anext(run)) == 1
        bad = await anext(run)
        assert isinstance(bad, FollowError)
        assert isinstance(bad.error, SchemaError)
        assert "vehicleId" in str(bad.error)
        assert b'"sessionId":2' in bad.raw
        assert bad.next_attempt == BEGIN + timedelta(minutes=2)
        assert (bad.report, bad.is_new) == (None, False)
        assert await within(run, HOUR) == []

        world.sandbox.remove(*A, 2)
        world.sandbox.add(*A, make_report(2, shape=SHAPE, **times(BEGIN - HOUR, BEGIN)))
        assert await within(run, HOUR) == [2]


@simulated
async def test_a_connector_that_fails_is_backed_off_and_the_others_go_on(world: World) -> None:
    async with world.run(("X", "1"), A) as run:
        errors = [await anext(run) for _ in range(8)]
        assert [e.next_attempt - BEGIN for e in errors if isinstance(e, FollowError)] == [
            timedelta(minutes=minutes) for minutes in (2, 6, 14, 30, 62, 122, 182, 242)
        ]
        world.add(1)
        world.sandbox.add("X", 1, make_report(2, shape=SHAPE, **times(BEGIN, BEGIN + HOUR)))
        assert await within(run, 2 * MINUTE) == [1]
        assert await within(run, HOUR) == [2]


@simulated
async def test_a_server_that_names_a_longer_wait_gets_it(world: World) -> None:
    world.faults.append(Fault.status(429, retry_after=1800))
    async with world.run() as run:
        error = await anext(run)
        assert isinstance(error, FollowError)
        assert isinstance(error.error, RateLimitedError)
        assert error.next_attempt == BEGIN + timedelta(minutes=30)
        await error.done()
        world.add(1)
        assert await within(run, 29 * MINUTE) == []
        assert await within(run, MINUTE * 2) == [1]


@simulated
async def test_a_reading_that_fails_continues_at_its_position(world: World) -> None:
    world.add(*range(1, 61))
    world.faults.extend([None, None, Fault.status(403)])
    async with world.run() as run:
        items = await within(run, HOUR)

    assert items.count("AuthError") == 1
    assert [item for item in items if item != "AuthError"] == list(range(1, 61))
    queries = [request.query for request in world.sandbox.requests]
    asked = [(query["to"], query["page"], query["limit"]) for query in queries]
    assert asked.count(asked[0]) == 1
    assert asked[2] == asked[3]


@simulated
async def test_pages_that_contradict_each_other_are_read_again_from_the_first(world: World) -> None:
    world.add(*range(1, 31))
    world.sandbox.ignore_page = True
    async with world.run(lag=timedelta()) as run:
        items = list[Any]()
        async for item in run:
            items.append(text_of(item))
            if item.error is not None:
                break
        world.sandbox.ignore_page = False
        items += await within(run, HOUR)

    assert items.count("PaginationError") == 1
    assert sorted(item for item in items if item != "PaginationError") == list(range(1, 31))


@simulated
async def test_a_call_that_is_cancelled_loses_no_item(world: World) -> None:
    world.add(1, 2, 3)
    found = list[Any]()
    async with world.run() as run:
        for iterations in range(1, 200):
            call = asyncio.ensure_future(anext(run))
            for _ in range(iterations % 7):
                await asyncio.sleep(0)
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                found.append(text_of(await call))

    assert found == [1, 2, 3]


@simulated
async def test_an_error_of_the_token_function_passes_and_the_run_goes_on(world: World) -> None:
    world.add(1)
    answers = iter([OSError("the vault is closed")])

    async def token() -> str:
        for error in answers:
            raise error
        return world.sandbox.token

    async with DepotClient(token=token, base_url=f"{ORIGIN}/v1") as world.depot:
        world.server.connect(world.depot)
        world.depot.now = true_time
        async with world.run() as run:
            with pytest.raises(OSError, match="vault is closed"):
                await anext(run)
            assert text_of(await anext(run)) == 1


@simulated
async def test_a_run_serves_one_task_and_ends_when_it_is_closed(world: World) -> None:
    world.add(1)
    async with world.run() as run:
        item = await anext(run)
        waiting = asyncio.ensure_future(anext(run))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task is waiting"):
            await anext(run)
        await run.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await waiting
        for call in (anext(run), item.done()):
            with pytest.raises(RuntimeError, match="the run is closed"):
                await call


@simulated
async def test_a_run_that_is_closed_before_its_first_item_saves_nothing(world: World) -> None:
    async with world.run() as run:
        pass

    assert world.state.saves == 0
    with pytest.raises(RuntimeError, match="the run is closed"):
        await anext(run)


@pytest.mark.parametrize("jump", [400 * DAY, -400 * DAY, -HOUR])
def test_a_clock_that_jumps_and_returns_loses_and_repeats_nothing(jump: timedelta) -> None:
    @simulated
    async def test(world: World) -> None:
        world.add(1)
        error = timedelta()
        world.depot.now = lambda: true_time() + error
        async with world.run(every=HOUR, since=BEGIN - DAY) as run:
            found = await within(run, DAY)
            error = jump
            world.add(2)
            found += await within(run, 2 * DAY)
            error = timedelta()
            world.add(3)
            found += await within(run, DAY)
        assert found == [1, 2, 3]

    test()


@simulated
async def test_no_more_pages_than_allowed_are_read_or_in_memory(world: World) -> None:
    connectors = [(f"C{number}", "1") for number in range(20)]
    for connector in connectors:
        world.add(*range(1, 26), connector=connector)
    world.sandbox.latency = 10.0
    async with world.run(*connectors, concurrency=3) as run:
        first = await anext(run)
        await asyncio.sleep(3600)
        assert world.server.pages == 3
        items = [first.connector, *[(await anext(run)).connector for _ in range(499)]]

    assert {items.count(connector) for connector in connectors} == {25}


@simulated
async def test_a_connector_that_takes_longer_than_the_interval_skips_times(world: World) -> None:
    world.add(1)
    async with world.run() as run:
        await anext(run)
        world.sandbox.latency = 45.0  # A reading takes two requests.
        await within(run, 10 * MINUTE)

    ends = dict.fromkeys(request.query["to"] for request in world.sandbox.requests)
    starts = [(datetime.fromisoformat(end) - BEGIN) / MINUTE for end in ends]
    assert starts == [0, 1, 3, 5, 7, 9]


@simulated
async def test_leaving_a_plain_loop_saves_the_acknowledged_items(world: World) -> None:
    world.add(1, 2)
    follow = world.depot.follow([A], since=BEGIN - DAY, state=world.state)
    async with contextlib.aclosing(follow.__aiter__()) as items:
        assert [text_of(await anext(items)) for _ in range(2)] == [1, 2]

    assert [*split_state(world.state.content or b"")] == [A]
    async with world.run() as run:
        assert await within(run, HOUR) == [2]


@simulated
async def test_a_run_without_a_state_remembers_in_memory(world: World) -> None:
    world.add(1)
    async with world.run(state=None) as run:
        item = await anext(run)
        await item.done()
        assert await within(run, HOUR) == []


@simulated
async def test_a_session_with_an_id_of_more_than_64_bits_is_yielded_once(world: World) -> None:
    report = make_report(1, shape=SHAPE, **times(BEGIN - HOUR, BEGIN))
    world.sandbox.add(*A, report.replace(b'"sessionId":1', b'"sessionId":%d' % 2**64))
    for expected in ([2**64], []):
        async with world.run() as run:
            assert await within(run, HOUR) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"connectors": []}, "connectors must not be empty"),
        ({"connectors": "CP-001"}, "a connector must be a pair"),
        ({"since": BEGIN + 2 * DAY}, "since=2026-03-03.* is in the future"),
        ({"state": "follow.json"}, r"state must have the async methods .*FileState.*, got str"),
        ({"into": int}, "into=int is neither an attrs class nor a dataclass"),
        ({"every": timedelta()}, "every must be longer than 0"),
    ],
)
def test_an_invalid_argument_is_an_error_at_once(arguments: dict[str, Any], message: str) -> None:
    depot = DepotClient(token="t0k3n")
    depot.now = lambda: BEGIN + DAY

    settings: dict[str, Any] = {"connectors": [A], "since": BEGIN} | arguments
    with pytest.raises(ValueError, match=message):
        depot.follow(**settings)
