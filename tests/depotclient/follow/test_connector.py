"""One connector of a run: what is new, what has changed, and readings that fail."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from depotclient import (
    FollowedReport,
    FollowError,
    SchemaError,
)
from depotclient.sandbox import Fault, make_report
from depotclient.sandbox.make import change_report
from tests.support.followed import A, World, simulated, text_of, within
from tests.support.polled import BEGIN, DAY, HOUR, SHAPE, times


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
async def test_a_session_that_moves_and_moves_back_has_changed_twice(world: World) -> None:
    world.add(1)
    async with world.run(changes=True) as run:
        start = BEGIN - 2 * HOUR + timedelta(seconds=1)
        assert await within(run, HOUR) == [1]
        world.sandbox.correct(*A, 1, session_time_start=BEGIN - HOUR)
        assert await within(run, HOUR) == [-1]
        world.sandbox.correct(*A, 1, session_time_start=start)
        assert await within(run, HOUR) == [-1]


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
async def test_a_reading_that_fails_begins_anew_and_yields_nothing_twice(world: World) -> None:
    world.add(*range(1, 61))
    world.faults.extend([None, None, Fault.status(403)])
    async with world.run() as run:
        items = await within(run, HOUR)

    assert items.count("AuthError") == 1
    assert [item for item in items if item != "AuthError"] == list(range(1, 61))
    queries = [request.query for request in world.sandbox.requests]
    assert queries[3]["page"] == "1"
    assert queries[3]["to"] != queries[2]["to"]


@simulated
async def test_a_session_with_an_id_of_more_than_64_bits_is_yielded_once(world: World) -> None:
    report = make_report(1, shape=SHAPE, **times(BEGIN - HOUR, BEGIN))
    world.sandbox.add(*A, report.replace(b'"sessionId":1', b'"sessionId":%d' % 2**64))
    for expected in ([2**64], []):
        async with world.run() as run:
            assert await within(run, HOUR) == expected
