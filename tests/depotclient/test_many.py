"""Walks over many connectors: each report once, whatever fails and whenever the walk is killed."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import attrs
import pytest

from depotclient import (
    ApiError,
    Cursor,
    DepotClient,
    NotFoundError,
    RetryPolicy,
    SchemaError,
    SessionReportsMany,
    WalkMany,
)
from depotclient.sandbox import DepotSandbox, ReportShape
from tests.support.clients import client_of
from tests.support.pages import PageTransport
from tests.support.waiting import iterate_loop

Ids: TypeAlias = tuple[str, str]

DAY = datetime(2022, 8, 3, tzinfo=UTC)
NOW = datetime(2026, 10, 31, tzinfo=UTC)
ABC = [("A", 1), ("B", 1), ("C", 1)]
UNKNOWN = ("CP-404", "1")


@pytest.fixture
async def sandbox() -> AsyncIterator[DepotSandbox]:
    async with DepotSandbox(sessions=12, shape=ReportShape.small()) as sandbox:
        yield sandbox
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def depot(sandbox: DepotSandbox) -> AsyncIterator[DepotClient]:
    async with client_of(sandbox, retry=RetryPolicy(base_delay=0)) as depot:
        yield depot


def connectors_of(sandbox: DepotSandbox) -> list[Ids]:
    return [(charger, connector) for charger, ids in sandbox.chargers.items() for connector in ids]


def sessions_of(sandbox: DepotSandbox) -> list[tuple[Ids, int]]:
    return [(ids, n) for ids in connectors_of(sandbox) for n in sandbox.session_ids(*ids)]


def transport_of(count: int) -> PageTransport:
    """Return a transport with this many reports for each connector."""
    return PageTransport([{"sessionId": number} for number in range(count)])


def many_of(transport: PageTransport, **options: Any) -> SessionReportsMany[Any]:
    return transport.client().session_reports_many(ABC, limit=10, **options)


def id_of(report: Any) -> int:
    session_id: int = report.session_id
    return session_id


def start_of(report: bytes) -> str:
    start: str = json.loads(report)["sessionTimeStart"]
    return start


def found_in(items: list[Any]) -> list[tuple[Ids, Any]]:
    return [(ids, item if isinstance(item, ApiError) else id_of(item)) for ids, item in items]


ALL_OF_40 = [((charger, "1"), n) for charger in "ABC" for n in range(40)]


# Reports.


async def test_each_report_is_yielded_once_with_its_connector_and_in_the_servers_order(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    twice: list[tuple[str, str | int]] = [*connectors_of(sandbox), ("CP-001", 1), ("CP-001", "1")]
    items = [item async for item in depot.session_reports_many(twice, limit=5)]

    found = found_in(items)
    assert sorted(found, key=lambda item: item[0]) == sessions_of(sandbox)
    assert len({ids for ids, _ in found[:15]}) == 3  # The walks run at the same time.


async def test_a_window_with_a_margin_and_a_function_for_reports_reach_each_walk(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    texts = [text for ids in connectors_of(sandbox) for text in sandbox.reports(*ids)]
    expected = sorted(datetime.fromisoformat(start_of(text)) for text in texts)
    many = depot.session_reports_many(
        connectors_of(sandbox),
        from_=expected[5],
        to=expected[25],
        margin=timedelta(days=1),
        into=start_of,
    )
    starts = [start async for _, start in many]

    assert sorted(datetime.fromisoformat(str(start)) for start in starts) == expected[5:25]


# Errors.


async def test_a_connector_that_fails_is_an_item_in_each_run_and_ends_no_other(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    connectors = [UNKNOWN, *connectors_of(sandbox)]
    async with depot.session_reports_many(connectors).walk() as walk:
        items = [item async for item in walk]

    [error] = [item for ids, item in items if ids == UNKNOWN]
    assert isinstance(error, NotFoundError)
    found = [item for item in found_in(items) if item[0] != UNKNOWN]
    assert sorted(found) == sessions_of(sandbox)

    requests = len(sandbox.requests)
    again = depot.session_reports_many(connectors, resume=walk.cursors)
    assert [ids async for ids, _ in again] == [UNKNOWN]
    assert len(sandbox.requests) == requests + 1


async def test_an_error_is_raised_on_request(sandbox: DepotSandbox, depot: DepotClient) -> None:
    connectors = [*connectors_of(sandbox), UNKNOWN]
    many = depot.session_reports_many(connectors, on_error="raise")
    with pytest.raises(NotFoundError, match="CP-404/1"):
        async for _ in many:
            pass
    with pytest.raises(NotFoundError):
        async for _ in many.pages():
            pass


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_walk_continues_after_an_error_that_is_not_an_api_error(
    sandbox: DepotSandbox, concurrency: int
) -> None:
    tokens = iter([LookupError("sealed"), LookupError("sealed")])

    async def read_token() -> str:
        if error := next(tokens, None):
            raise error
        return sandbox.token

    found, failures = list[tuple[Ids, Any]](), 0
    async with DepotClient(token=read_token, base_url=sandbox.base_url) as depot:
        many = depot.session_reports_many(connectors_of(sandbox), concurrency=concurrency)
        async with many.walk() as walk:
            while len(found) < len(sessions_of(sandbox)):
                try:
                    found += found_in([await anext(walk)])
                except LookupError:
                    failures += 1
            assert await anext(walk, None) is None

    assert failures == 2
    assert sorted(found) == sessions_of(sandbox)


async def test_an_invalid_report_is_an_item_and_the_reports_after_it_follow() -> None:
    transport = transport_of(40)
    transport.items = [*transport.items[:14], {"sessionId": "x"}, *transport.items[15:]]
    many = transport.client().session_reports_many([("A", 1)])
    async with many.walk() as walk:
        items = [(await anext(walk))[1] for _ in range(15)]
        resume = walk.cursors

    error = items.pop()
    assert isinstance(error, SchemaError)
    assert (error.cursor and error.cursor.offset, resume["A", "1"].offset) == (14, 15)
    rest = transport.client().session_reports_many([("A", 1)], resume=resume)
    ids = [id_of(report) for report in items] + [id_of(report) async for _, report in rest]
    assert ids == [n for n in range(40) if n != 14]


async def test_a_walk_that_raises_at_an_invalid_report_resumes_before_it() -> None:
    transport = transport_of(40)
    transport.items = [*transport.items[:14], {"sessionId": "x"}, *transport.items[15:]]
    many = transport.client().session_reports_many([("A", 1)], on_error="raise")
    async with many.walk() as walk:
        found = [id_of((await anext(walk))[1]) for _ in range(14)]
        for _ in range(2):
            with pytest.raises(SchemaError):
                await anext(walk)
    transport.items = transport_of(40).items  # The server has corrected it.
    rest = transport.client().session_reports_many([("A", 1)], resume=walk.cursors)

    assert found + [id_of(report) async for _, report in rest] == list(range(40))


# Pages, cursors and windows.


async def test_pages_come_with_their_connector_and_a_cursor_that_resumes_the_walk() -> None:
    transport = transport_of(40)
    found, cursors = list[tuple[Ids, int]](), dict[Ids, Cursor]()
    async for ids, page in many_of(transport).pages():
        assert not isinstance(page, ApiError)
        found += [(ids, report.session_id) for report in page.reports]
        cursors[ids] = page.cursor
        if len(found) > 60:
            break
    async for ids, page in many_of(transport, resume=cursors).pages():
        assert not isinstance(page, ApiError)
        found += [(ids, report.session_id) for report in page.reports]

    assert sorted(found) == ALL_OF_40


async def test_all_connectors_get_the_same_end_of_the_window_also_after_a_resume() -> None:
    transport = transport_of(3)
    client, clock = transport.client(), iter(NOW + n * timedelta(days=1) for n in range(99))
    client.now = lambda: next(clock)
    async with client.session_reports_many(ABC, from_=DAY, concurrency=1).walk() as walk:
        (ids, _) = await anext(walk)
    (saved,) = {ids: walk.cursors[ids]}.items()
    many = client.session_reports_many(ABC, from_=DAY, resume=dict([saved]))
    assert len([item async for item in many]) == 8

    assert len({query["to"] for query in transport.queries}) == 1
    assert {query["chargerId"] for query in transport.queries} == {"A", "B", "C"}


@pytest.mark.parametrize("concurrency", [1, 2, 3])
async def test_no_more_connectors_than_allowed_are_walked_or_held(concurrency: int) -> None:
    transport = transport_of(40)
    peaks = set[int]()
    async with many_of(transport, concurrency=concurrency).walk() as walk:
        for _ in range(10):
            await anext(walk)
            await iterate_loop(5)
            # While a page is consumed, no further page of its connector is requested.
            assert len(transport.queries) == concurrency
        async for _ in walk:
            finished = sum(cursor.finished for cursor in walk.cursors.values())
            peaks.add(len({query["chargerId"] for query in transport.queries}) - finished)
    assert max(peaks) == concurrency


# Cancellation and misuse.


@pytest.mark.parametrize("count", range(8))
async def test_a_cancelled_anext_loses_no_report(count: int) -> None:
    found = []
    async with many_of(transport_of(40)).walk() as walk:
        for wait in itertools.chain(range(count), itertools.repeat(count)):
            waiting = asyncio.ensure_future(anext(walk, None))
            await iterate_loop(wait)
            waiting.cancel()
            await asyncio.wait([waiting])
            item = None if waiting.cancelled() else waiting.result()
            item = await anext(walk, None) if waiting.cancelled() else item
            if item is None:
                break
            found += found_in([item])

    assert sorted(found) == ALL_OF_40


async def test_a_walk_is_for_one_task_and_ends_when_it_is_closed() -> None:
    walk = many_of(transport_of(40)).walk()
    waiting = asyncio.ensure_future(anext(walk))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task is waiting for this walk"):
        await anext(walk)
    assert id_of((await waiting)[1]) == 0
    await walk.aclose()
    await walk.aclose()

    # The page in memory is not lost.
    assert [id_of((await anext(walk))[1]) for _ in range(9)] == list(range(1, 10))
    with pytest.raises(RuntimeError, match="the walk is closed"):
        await anext(walk)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def leave_a_loop(many: SessionReportsMany[Any]) -> None:
    async for _ in many:
        break


async def close_while_another_task_waits(many: SessionReportsMany[Any]) -> None:
    walk = many.walk()
    waiting = asyncio.ensure_future(take_all(walk))
    await iterate_loop(10)
    await walk.aclose()
    with pytest.raises(RuntimeError, match="closed while another task was waiting"):
        await waiting


async def cancel_the_closing(many: SessionReportsMany[Any]) -> None:
    walk = many.walk()
    await anext(walk)
    await iterate_loop(5)
    closing = asyncio.ensure_future(walk.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])


async def take_all(walk: WalkMany[Any]) -> None:
    async for _ in walk:
        pass


@pytest.mark.parametrize("read_ahead", [0, 2])
@pytest.mark.parametrize(
    "leave", [leave_a_loop, close_while_another_task_waits, cancel_the_closing]
)
async def test_a_walk_that_ends_early_leaves_no_task(
    leave: Callable[[SessionReportsMany[Any]], Any], read_ahead: int
) -> None:
    transport = transport_of(60)
    transport.stalls = True
    await leave(many_of(transport, read_ahead=read_ahead))
    await iterate_loop(20)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_walk_over_no_connectors_is_empty() -> None:
    transport = transport_of(3)
    many = transport.client().session_reports_many([])
    assert [item async for item in many] == [page async for page in many.pages()] == []
    assert many.walk().cursors == {}
    assert transport.queries == []


# Arguments.


def raising() -> Iterator[Ids]:
    yield "A", "1"
    raise LookupError("no database")


CURSOR = Cursor(query={"chargerId": "A", "connectorId": "1"}, pinned={"to": "x"}, limit=10)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connectors": ["A/1"]}, "a connector must be a pair, such as ('CP-001', 1), got 'A/1'"),
        ({"connectors": None}, "connectors must be pairs"),
        ({"connectors": [("A", "")]}, "connector_id must not be empty"),
        ({"concurrency": 0}, "concurrency must be an int"),
        ({"on_error": "ignore"}, "on_error must be 'yield' or 'raise', got 'ignore'"),
        ({"limit": 0}, "limit must be an int"),
        ({"margin": timedelta(days=1)}, "margin requires from_"),
        ({"resume": "evc2."}, "resume must map connectors to cursors, such as walk.cursors"),
        ({"resume": {("A", "1"): "evc1."}}, "not a cursor of this library"),
        ({"resume": {("B", 1): CURSOR}}, "the cursor belongs to another query"),
        ({"resume": {("Z", "9"): CURSOR}}, "resume has cursors of other connectors: Z/9"),
        ({"resume": {"A": CURSOR}}, "a connector must be a pair"),
    ],
)
def test_an_invalid_argument_is_rejected_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        DepotClient(token="t0k3n").session_reports_many(**{"connectors": ABC, **options})


def test_an_error_of_the_callers_iterable_is_raised_unchanged() -> None:
    with pytest.raises(LookupError):
        DepotClient(token="t0k3n").session_reports_many(raising())


def test_a_description_of_many_walks_is_immutable() -> None:
    many = DepotClient(token="t0k3n").session_reports_many(ABC)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        many.concurrency = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        many.by_connector["D", "1"] = many.by_connector["A", "1"]  # type: ignore[index]
