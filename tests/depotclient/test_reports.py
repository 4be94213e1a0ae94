"""Walks over session reports: complete, in order, each report once, also after errors."""

from __future__ import annotations

import asyncio
import pickle
import time
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depotclient import (
    ApiError,
    Cursor,
    DepotClient,
    NotFoundError,
    RetryPolicy,
    SchemaError,
    SessionReport,
    SessionReports,
)
from depotclient.sandbox import DepotSandbox, Fault, ReportShape
from tests.support.clients import client_of
from tests.support.pages import PageTransport, page_of, query_of, served
from tests.support.wire import Received, Wire, reply

SMALL = ReportShape.small()
CHARGER, CONNECTOR = "CP-001", "1"


def transport_of(count: int) -> PageTransport:
    return PageTransport([{"sessionId": number} for number in range(count)])


def reports_of(transport: PageTransport, **options: Any) -> SessionReports[SessionReport]:
    return transport.client().session_reports("A", 1, **options)


async def ids_of(reports: SessionReports[SessionReport]) -> list[int]:
    return [report.session_id async for report in reports]


async def wait_for_idle(sandbox: DepotSandbox, tasks: set[asyncio.Task[Any]]) -> None:
    """Check that the client has left no task, and wait until the server is idle."""
    assert [task for task in asyncio.all_tasks() - tasks if "fetch" in repr(task)] == []
    while sandbox.in_flight:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("limit", "max_limit", "read_ahead"), [(None, 2000, 1), (50, 20, 0), (50, 2000, 3)]
)
async def test_a_walk_under_faults_is_complete_when_resumed_from_the_cursors_of_errors(
    limit: int | None, max_limit: int, read_ahead: int
) -> None:
    found: list[int] = []
    cursor: str | None = None
    async with (
        DepotSandbox(
            sessions=300, shape=SMALL, fault_rate=0.3, max_limit=max_limit, seed=7
        ) as sandbox,
        client_of(sandbox, retry=RetryPolicy(attempts=2)) as depot,
    ):
        while True:
            reports = depot.session_reports(
                CHARGER, CONNECTOR, limit=limit, resume=cursor, read_ahead=read_ahead
            )
            try:
                async for report in reports:
                    found.append(report.session_id)
                break
            except ApiError as error:
                cursor = str(error.cursor)

        assert any(request.fault for request in sandbox.requests)
        assert cursor is not None
        assert found == sandbox.session_ids(CHARGER, CONNECTOR)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    count=st.integers(0, 60),
    limit=st.none() | st.integers(1, 40),
    largest=st.integers(1, 40),
    smallest=st.integers(1, 20),
    start=st.integers(0, 60),
    read_ahead=st.integers(0, 4),
    stop=st.none() | st.integers(0, 60),
)
def test_any_walk_yields_exactly_the_expected_slice_and_leaves_nothing_open(
    count: int,
    limit: int | None,
    largest: int,
    smallest: int,
    start: int,
    read_ahead: int,
    stop: int | None,
) -> None:
    async def walk_twice() -> None:
        async with (
            DepotSandbox(
                sessions=count, shape=SMALL, max_limit=largest, min_limit=min(largest, smallest)
            ) as sandbox,
            client_of(sandbox) as depot,
        ):
            tasks = asyncio.all_tasks()
            async with depot.session_reports(CHARGER, CONNECTOR, limit=limit).walk() as walk:
                for _ in range(start):
                    await anext(walk, None)
            reports = depot.session_reports(
                CHARGER, CONNECTOR, limit=limit, read_ahead=read_ahead, resume=str(walk.cursor)
            )
            found: list[int] = []
            async with reports.walk() as walk:
                async for report in walk:
                    if len(found) == stop:
                        break
                    found.append(report.session_id)

            assert found == sandbox.session_ids(CHARGER, CONNECTOR)[start:][:stop]
            await wait_for_idle(sandbox, tasks)

    asyncio.run(walk_twice())


async def test_leaving_a_plain_loop_early_leaves_no_task() -> None:
    async with DepotSandbox(sessions=75, shape=SMALL) as sandbox, client_of(sandbox) as depot:
        tasks = asyncio.all_tasks()
        async for _ in depot.session_reports(CHARGER, CONNECTOR, limit=10, read_ahead=5):
            break

        for _ in range(10):
            await asyncio.sleep(0)
        await wait_for_idle(sandbox, tasks)


async def test_a_suspect_response_is_dropped_and_the_next_connection_is_new() -> None:
    connections: list[int] = []

    async def play(request: Received, *streams: Any) -> None:
        connections.append(wire.connections)
        swapped = reply(page_of([101, 102, 103], "A"))
        await (swapped if len(connections) == 2 else serve)(request, *streams)

    serve = served([{"sessionId": number} for number in range(25)])
    async with (
        Wire(default=play) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        found = await ids_of(depot.session_reports("A", "1", limit=10, read_ahead=0))

        assert found == list(range(25))
        # The walk searches page 1 for known rows, and requests page 2 again after that.
        pages = [query_of(request)["page"] for request in wire.received]
        assert pages[:4] == ["1", "2", "1", "2"]
        assert connections[:3] == [1, 1, 2]


@pytest.mark.parametrize(
    ("fault", "is_retried"),
    [
        (Fault.status(408), True),
        (Fault.status(429), True),
        (Fault.status(503, retry_after=1), True),
        (Fault.status(503), False),
        (Fault.status(413), False),
        (Fault.disconnect(), False),
    ],
)
async def test_a_trial_is_retried_only_if_the_server_requests_a_wait(
    fault: Fault, is_retried: bool
) -> None:
    async with (
        DepotSandbox(sessions=60, shape=SMALL, faults=[None, fault]) as sandbox,
        client_of(sandbox) as depot,
    ):
        found = await ids_of(depot.session_reports(CHARGER, CONNECTOR))

        assert found == sandbox.session_ids(CHARGER, CONNECTOR)
        limits = [int(request.query["limit"]) for request in sandbox.requests]
        assert limits[:2] == [10, 80]
        assert (limits[2] == 80) == is_retried


async def test_the_walk_lowers_its_limit_if_a_page_is_larger_than_the_client_allows() -> None:
    async with (
        DepotSandbox(sessions=75, shape=SMALL) as sandbox,
        client_of(sandbox, max_response_bytes=12_000) as depot,
    ):
        found = await ids_of(depot.session_reports(CHARGER, CONNECTOR))

        assert found == sandbox.session_ids(CHARGER, CONNECTOR)


async def test_an_error_keeps_its_cursor_when_it_is_pickled() -> None:
    async with DepotSandbox(sessions=1, shape=SMALL) as sandbox, client_of(sandbox) as depot:
        with pytest.raises(NotFoundError) as raised:
            await ids_of(depot.session_reports("nowhere", CONNECTOR))

    unpickled = pickle.loads(pickle.dumps(raised.value))  # noqa: S301
    assert unpickled.cursor == raised.value.cursor
    assert unpickled.cursor.offset == 0
    assert (str(unpickled), unpickled.status) == (str(raised.value), 404)


# Without a server.


async def test_a_description_can_be_walked_again() -> None:
    reports = reports_of(transport_of(30))

    assert await ids_of(reports) == await ids_of(reports) == list(range(30))


async def test_collect_returns_at_most_max_items_reports() -> None:
    reports = reports_of(transport_of(30))

    for count in (12, 1000):
        found = await reports.collect(max_items=count)
        assert [report.session_id for report in found] == list(range(30))[:count]


@pytest.mark.parametrize("max_items", [None, 0, -1, True, 1.5])
async def test_collect_refuses_to_run_without_a_limit(max_items: Any) -> None:
    with pytest.raises(ValueError, match="max_items must be an int"):
        await reports_of(transport_of(1)).collect(max_items=max_items)
    with pytest.raises(TypeError):
        await reports_of(transport_of(1)).collect()  # type: ignore[call-arg]


@pytest.mark.parametrize("limit", [None, 3])
async def test_the_cursors_around_each_page_lead_to_exactly_the_other_reports(
    limit: int | None,
) -> None:
    transport, delivered = transport_of(20), list[int]()

    async def remaining(cursor: Cursor) -> list[int]:
        return await ids_of(reports_of(transport, limit=limit, resume=str(cursor)))

    async for page in reports_of(transport, limit=limit).pages():
        assert [*delivered, *await remaining(page.cursor_at(0))] == list(range(20))
        delivered += [report.session_id for report in page.reports]
        assert [*delivered, *await remaining(page.cursor)] == list(range(20))


async def test_a_report_inserted_before_the_position_counts_as_delivered() -> None:
    rows = [{"sessionId": number} for number in range(4)]
    transport = PageTransport(rows)
    async with reports_of(transport, limit=3, read_ahead=0).walk() as walk:
        found = [(await anext(walk)).session_id for _ in range(3)]
        rows.insert(2, {"sessionId": 10})
        found.append((await anext(walk)).session_id)
    rest = reports_of(transport, limit=3, resume=walk.cursor)

    assert [*found, *await ids_of(rest)] == [0, 1, 2, 10, 3]


async def test_a_walk_continues_after_an_error_and_a_closed_walk_raises() -> None:
    transport = transport_of(40)
    async with reports_of(transport, limit=10, read_ahead=0).walk() as walk:
        found = [(await anext(walk)).session_id for _ in range(10)]
        transport.body = b"no JSON"
        with pytest.raises(ApiError) as raised:
            await anext(walk)
        assert walk.cursor == raised.value.cursor
        transport.body = None
        found += [(await anext(walk)).session_id for _ in range(8)]
    assert found == list(range(18))
    with pytest.raises(RuntimeError, match="the walk is closed"):
        await anext(walk)


async def test_cancelling_a_walk_anywhere_loses_no_report() -> None:
    found: list[int] = []
    turns = 0
    async with reports_of(transport_of(75), limit=5).walk() as walk:
        while True:
            step = asyncio.ensure_future(anext(walk, None))
            for _ in range(turns % 12):
                await asyncio.sleep(0)
            turns += 1
            step.cancel()
            await asyncio.wait([step])
            if step.cancelled():
                continue
            if (report := step.result()) is None:
                break
            found.append(report.session_id)

    assert found == list(range(75))


async def test_a_second_task_can_not_wait_for_the_same_walk() -> None:
    async with reports_of(transport_of(1)).walk() as walk:
        waiting = asyncio.ensure_future(anext(walk))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task is waiting"):
            await anext(walk)
        assert (await waiting).session_id == 0


async def test_the_event_loop_runs_other_tasks_between_the_reports_of_a_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns, now = 0, time.perf_counter()

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def advance() -> float:  # Each reading of the clock finds 2 ms more of work done.
        nonlocal now
        now += 0.002
        return now

    async with reports_of(transport_of(60), limit=60, read_ahead=0).walk() as walk:
        await anext(walk)
        counter = asyncio.ensure_future(count_turns())
        monkeypatch.setattr(time, "perf_counter", advance)
        for _ in range(50):
            await anext(walk)
        counter.cancel()

    assert turns >= 10


@attrs.define
class Header:
    session_id: int
    vehicle_id: str | None = None
    session_time_start: datetime | None = None


async def test_into_parses_only_the_fields_of_its_class() -> None:
    start = "2026-01-01T00:00:00+01:00"
    item = {"sessionId": 1, "vehicleId": "v", "sessionTimeStart": start, "energySocStart": "none"}
    reports = PageTransport([item]).client().session_reports("A", 1, into=Header)

    assert reports.into is Header
    assert await reports.collect(max_items=9) == [
        Header(1, "v", datetime(2025, 12, 31, 23, tzinfo=UTC))
    ]


@pytest.mark.parametrize("raised", [StopAsyncIteration, KeyError])
async def test_an_error_of_the_users_class_is_a_schema_error_with_the_cursor(
    raised: type[Exception],
) -> None:
    def refuse(instance: object, attribute: object, value: int) -> None:
        if value == 3:
            raise raised("refused")

    cls = attrs.make_class("Picky", {"session_id": attrs.field(type=int, validator=refuse)})
    cls.__annotations__ = {"session_id": int}
    found = 0
    with pytest.raises(SchemaError, match=r"\$\.items\[\d\]") as caught:
        async for _ in transport_of(10).client().session_reports("A", 1, into=cls):
            found += 1

    assert caught.value.cursor is not None
    assert caught.value.cursor.offset == found == 3


OFFLINE: list[dict[str, object]] = [
    {"sessionId": -1, "sessionTimeStart": "2026-01-01T08:00:00.000Z"},
    {"sessionId": -1, "sessionTimeStart": "2026-01-02T08:00:00.000Z"},
    {"sessionId": -1, "sessionTimeStart": "2026-01-03T08:00:00.000Z"},
    {"sessionId": -1, "vehicleId": "v"},
    {"sessionId": -1, "vehicleId": "w"},
]
"""Sessions of a charger that was offline: all have the id -1."""


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("limit", [None, 1, 10])
async def test_sessions_that_share_an_id_are_all_delivered(limit: int | None, verify: bool) -> None:
    rows: list[dict[str, object]] = [{"sessionId": number} for number in range(33)]
    for place, session in zip((4, 5, 6, 27, 28), OFFLINE, strict=True):
        rows.insert(place, session)
    transport = PageTransport([*rows, OFFLINE[3]])  # The last row is the same report again.
    reports = reports_of(transport, limit=limit, verify=verify)
    ids, cursors = [row["sessionId"] for row in rows], list[str]()
    async with reports.walk() as walk:
        found = []
        async for report in walk:
            found.append(report.session_id)
            cursors.append(str(walk.cursor))

    assert found == ids
    for cut in (5, 6, 28):
        rest = reports_of(transport, limit=limit, verify=verify, resume=cursors[cut - 1])
        assert await ids_of(rest) == ids[cut:]
