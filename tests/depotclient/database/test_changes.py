"""A later run brings the tables to what the depot has, and writes nothing else."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import msgspec
import pytest

from depotclient import DepotClient, DepotSandbox
from depotclient.database import ConnectorLoad, load_session_reports, transaction
from tests.support.tables import Tables

JANUARY, FEBRUARY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = ("CP-001", "1")
ONE, TWO, THREE = 100000001, 100000002, 100000003

Load: TypeAlias = Callable[..., Awaitable[ConnectorLoad]]


@pytest.fixture
def load(depot: DepotClient, tables: Tables) -> Load:
    """Return a function that loads January of one connector, a day later with each call."""
    nights = itertools.count()

    async def run(**options: Any) -> ConnectorLoad:
        now = FEBRUARY + 30 * DAY + next(nights) * DAY
        depot.now = lambda: now
        given = {"from_": JANUARY, "to": FEBRUARY, "lag": 300 * DAY, **options}
        done = await load_session_reports(depot, [FIRST], tables.target, **given)
        [connector] = done.connectors
        assert connector.error is None
        return connector

    return run


async def select(tables: Tables, column: str, table: str = "session_reports") -> list[object]:
    """Return a column, sorted by session."""
    query = f"SELECT {column} FROM {table} ORDER BY session_id, session_key"  # noqa: S608
    return [value for (value,) in await asyncio.to_thread(tables.select, query)]


async def test_only_a_changed_report_is_written(
    sandbox: DepotSandbox, load: Load, tables: Tables
) -> None:
    await load()
    before = await select(tables, "loaded_at")
    sandbox.correct(*FIRST, TWO, vehicle_id="BUS-999", session_meter_values=[])

    second, third = await load(), await load()

    assert (second.new, second.changed, second.unchanged) == (0, 1, 59)
    assert (third.new, third.changed, third.unchanged) == (0, 0, 60)
    after = await select(tables, "loaded_at")
    assert [old == new for old, new in zip(before, after, strict=True)].index(False) == 1
    assert (await select(tables, "vehicle_id"))[1] == "BUS-999"
    values = "(SELECT count(*) FROM meter_values m WHERE m.session_key = r.session_key) > 0"
    assert (await select(tables, values, "session_reports r")).count(False) == 1


async def test_a_page_may_need_several_statements_for_its_keys(
    sandbox: DepotSandbox, load: Load, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "KEYS_PER_STATEMENT", 4)
    await load()
    for session in range(ONE, ONE + 6):
        sandbox.correct(*FIRST, session, vehicle_id="BUS-999")

    second = await load()

    assert (second.new, second.changed, second.unchanged) == (0, 6, 54)
    assert (await select(tables, "vehicle_id")).count("BUS-999") == 6


async def test_the_character_nul_is_replaced_where_a_database_refuses_it(
    sandbox: DepotSandbox, load: Load, tables: Tables
) -> None:
    sandbox.correct(*FIRST, TWO, vehicle_id="a\0b")

    first, second = await load(), await load()

    assert (first.new, second.unchanged) == (60, 60)
    expected = "a\ufffdb" if tables.kind == "postgresql" else "a\0b"
    assert (await select(tables, "vehicle_id"))[1] == expected


async def test_a_larger_id_outside_of_the_span_is_left_out(
    sandbox: DepotSandbox, load: Load, tables: Tables
) -> None:
    await load()
    sandbox.add(
        *FIRST,
        b'{"sessionId": 18446744073709551616, "sessionTimeStart": "2025-12-31T12:00:00Z",'
        b' "sessionTimeEnd": "2025-12-31T13:00:00Z"}',
    )

    second = await load()

    assert (second.unchanged, second.vanished) == (60, ())


async def test_many_sessions_without_an_end_do_not_hide_the_ends_of_others(
    sandbox: DepotSandbox, load: Load
) -> None:
    for number in range(1100):  # They start before all others, in the margin.
        time = JANUARY - DAY / 2 + timedelta(seconds=number)
        report = {"sessionId": number + 1, "sessionTimeStart": time}
        sandbox.add(*FIRST, msgspec.json.encode(report))
    await load()
    sandbox.remove(*FIRST, TWO)

    assert (await load()).vanished == (TWO,)


async def test_a_corrected_start_leaves_one_row(
    sandbox: DepotSandbox, load: Load, tables: Tables
) -> None:
    await load()
    sandbox.correct(*FIRST, TWO, session_time_start=datetime(2026, 1, 1, 1, tzinfo=UTC))

    second = await load()

    assert (second.new, second.moved, second.vanished) == (1, (TWO,), ())
    assert (await select(tables, "session_id")).count(TWO) == 1


async def test_a_vanished_session_is_marked_once_and_comes_back(
    sandbox: DepotSandbox, load: Load, tables: Tables
) -> None:
    await load()
    [report, *_] = sandbox.reports(*FIRST)
    sandbox.remove(*FIRST, ONE)

    second, third = await load(), await load()

    assert (second.vanished, third.vanished) == ((ONE,), ())
    assert (await select(tables, "vanished_at IS NULL")).count(False) == 1
    assert len(await select(tables, "session_id", "sessions")) == 59
    sandbox.add(*FIRST, report)
    fourth = await load()
    assert (fourth.new, fourth.changed, fourth.unchanged) == (0, 1, 59)
    assert (await select(tables, "vanished_at IS NULL")).count(False) == 0


async def test_accepted_deletions_delete_marked_sessions_too(
    sandbox: DepotSandbox, load: Load, tables: Tables
) -> None:
    await load()
    sandbox.remove(*FIRST, ONE)
    await load()
    sandbox.remove(*FIRST, TWO)

    third = await load(accept_deletions=True)

    assert third.vanished == (TWO,)
    assert (await select(tables, "session_id"))[0] == THREE
    keys = "count(DISTINCT session_key)"
    events = f"SELECT {keys} FROM meter_values"  # noqa: S608
    assert await asyncio.to_thread(tables.select, events) == [(58,)]


async def test_a_session_before_the_query_has_not_vanished(
    sandbox: DepotSandbox, load: Load
) -> None:
    await load(to=None)
    sandbox.remove(*FIRST, ONE)

    second = await load(to=None, lag=DAY)

    assert second.vanished == ()


async def test_a_run_that_can_find_nothing_new_sends_no_request(
    sandbox: DepotSandbox, load: Load
) -> None:
    await load(lag=DAY)
    requests = len(sandbox.requests)

    second = await load(lag=DAY)

    assert (second.is_over, second.reports) == (True, 0)
    assert len(sandbox.requests) == requests


async def test_an_earlier_start_loads_what_is_before(load: Load, tables: Tables) -> None:
    middle = datetime(2026, 1, 2, tzinfo=UTC)
    first = await load(from_=middle)
    second = await load()

    assert 0 < first.new < 60
    assert first.new + second.new == 60
    assert len(set(await select(tables, "session_key"))) == 60


async def test_events_can_be_left_out_and_loaded_later(load: Load, tables: Tables) -> None:
    count = "SELECT count(DISTINCT session_key) FROM meter_values"
    found = []
    for events in (False, True, False):
        await load(events=events, lag=DAY)
        found += await asyncio.to_thread(tables.select, count)

    assert found == [(0,), (60,), (0,)]


async def test_two_texts_of_one_start_are_one_session(
    sandbox: DepotSandbox, load: Load, tables: Tables
) -> None:
    for vehicle, start in (("A", "2026-01-05T10:00:00Z"), ("B", "2026-01-05T10:00:00.0001Z")):
        report = {"sessionId": -1, "sessionTimeStart": start, "vehicleId": vehicle}
        sandbox.add(*FIRST, msgspec.json.encode(report))

    first, second = await load(), await load()

    assert (first.new, second.changed, second.unchanged) == (61, 0, 61)
    assert (await select(tables, "vehicle_id"))[0] == "B"
