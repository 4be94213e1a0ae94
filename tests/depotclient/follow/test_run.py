"""A run: each new session once, whatever fails, in a loop with simulated time."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from depotclient import (
    DepotClient,
    FollowError,
    RateLimitedError,
    RetryPolicy,
)
from depotclient.follow.state import split_state
from depotclient.sandbox import DepotSandbox, Fault, ReportShape, make_report
from tests.support.clients import client_of
from tests.support.followed import MINUTE, A, B, MemoryState, World, simulated, text_of, within
from tests.support.polled import BEGIN, DAY, HOUR, SHAPE, times, true_time
from tests.support.simulated import ORIGIN


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
async def test_acknowledged_items_are_saved_before_the_run_waits(world: World) -> None:
    world.add(1)
    async with world.run() as run:
        assert await within(run, MINUTE / 2) == [1]
        after_a_kill = MemoryState(world.state.content)

    async with world.run(state=after_a_kill) as run:
        assert await within(run, 2 * MINUTE) == []


@simulated
async def test_an_item_whose_state_is_not_saved_is_not_acknowledged(world: World) -> None:
    world.add(1, 2)
    async with world.run() as run:
        await anext(run)
        second = await anext(run)
        world.state.is_full = True
        with pytest.raises(OSError, match="disk is full"):
            await second.done()
        world.state.is_full = False

    async with world.run() as run:
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
    assert 9 <= world.state.saves - saves <= 11


@simulated
async def test_connectors_are_spread_over_the_interval(world: World) -> None:
    at = dict[str, list[float]]()
    async with world.run(("A", "1"), ("B", "1")) as run:
        await within(run, 3 * MINUTE)
    for request in world.sandbox.requests:
        time = datetime.fromisoformat(request.query["to"]) - BEGIN
        at.setdefault(request.query["chargerId"], []).append(time.total_seconds())

    assert at == {"A": [0, 60, 120], "B": [30, 90, 150]}


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


@pytest.mark.parametrize("moment", [0.5, 1.5], ids=["first save", "second save"])
def test_a_run_that_is_closed_while_it_saves_leaves_no_task(moment: float) -> None:
    @simulated
    async def test(world: World) -> None:
        world.add(1)
        world.state.delay = 1.0
        async with world.run(A, B) as run:
            waiting = asyncio.ensure_future(within(run, HOUR))
            await asyncio.sleep(moment)
        with pytest.raises(RuntimeError, match="closed"):
            await waiting

    test()


@simulated
async def test_an_item_that_is_taken_while_another_task_saves_is_acknowledged(world: World) -> None:
    world.add(1, 2)
    world.state.delay = 1.0
    async with world.run() as run:
        saving = asyncio.ensure_future((await anext(run)).done())
        await asyncio.sleep(0.5)
        assert text_of(await anext(run)) == 2
        await saving
        assert await within(run, HOUR) == []


@simulated
async def test_a_run_saves_at_its_end_what_was_acknowledged_during_a_save(world: World) -> None:
    world.add(1, 2, 3)
    world.state.delay = 1.0
    async with world.run() as run:
        saving = asyncio.ensure_future((await anext(run)).done())
        await asyncio.sleep(0.5)
        assert [text_of(await anext(run)) for _ in range(2)] == [2, 3]
        await saving

    async with world.run() as run:
        assert await within(run, HOUR) == [3]


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
async def test_no_more_connectors_than_allowed_are_read_or_in_memory(world: World) -> None:
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
    readings = dict[tuple[str, str], list[int]]()
    for number, request in enumerate(world.sandbox.requests):
        reading = request.query["chargerId"], request.query["to"]
        readings.setdefault(reading, []).append(number)
    assert min(map(len, readings.values())) > 1
    begun = [
        sum(numbers[0] <= number <= numbers[-1] for numbers in readings.values())
        for number in range(len(world.sandbox.requests))
    ]
    assert max(begun) == 3


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"connectors": []}, "connectors must not be empty"),
        ({"connectors": "CP-001"}, "a connector must be a pair"),
        ({"since": BEGIN + 2 * DAY}, "since=2026-03-03.* is in the future"),
        ({"state": "follow.json"}, r"state must have the async methods .*FileState.*, got str"),
        ({"into": int}, "into=int is neither an attrs class nor a dataclass"),
        ({"every": timedelta()}, "every must be a timedelta greater than 0"),
    ],
)
def test_an_invalid_argument_is_an_error_at_once(arguments: dict[str, Any], message: str) -> None:
    depot = DepotClient(token="t0k3n")
    depot.now = lambda: BEGIN + DAY

    settings: dict[str, Any] = {"connectors": [A], "since": BEGIN} | arguments
    with pytest.raises(ValueError, match=message):
        depot.follow(**settings)
