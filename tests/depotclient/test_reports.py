"""Walking session reports over real sockets: complete, in order, once each, whatever happens."""

from __future__ import annotations

import asyncio
import json
import pickle
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depotclient import (
    ApiError,
    ConnectionFailed,
    Cursor,
    DecodeError,
    DepotClient,
    NotFoundError,
    PaginationError,
    ResponseError,
    ResponseTooLarge,
    RetryPolicy,
    SchemaError,
    ServerError,
    SessionReport,
    SessionReports,
    Timeout,
)
from depotclient.sandbox import DepotSandbox, Fault, ReportShape
from tests.support.clients import client_of
from tests.support.pages import query_of, served
from tests.support.wire import Received, Script, Wire, answer, hang_up, reset, stall

SMALL = ReportShape.small()
CHARGER, CONNECTOR = "CP-001", "1"


def client_to(wire: Wire, **options: Any) -> DepotClient:
    return DepotClient(token="t0k3n", base_url=wire.url, **options)


@pytest.fixture
async def sandbox() -> AsyncIterator[DepotSandbox]:
    async with DepotSandbox(sessions=75, shape=SMALL) as running:
        yield running


@pytest.fixture
async def depot(sandbox: DepotSandbox) -> AsyncIterator[DepotClient]:
    async with client_of(sandbox) as client:
        yield client


def page(*ids: object, charger: str | None = "A", connector: object = "1") -> bytes:
    echo = {"ChargerID": charger, "ConnectorID": connector}
    return json.dumps({"items": [{"sessionId": i} for i in ids], **echo}).encode()


async def ids_of(reports: SessionReports[SessionReport]) -> list[int]:
    return [report.session_id async for report in reports]


def pages_asked(wire: Wire) -> list[tuple[str, str]]:
    """Return `page` and `limit` of each request."""
    return [(query["page"], query["limit"]) for query in map(query_of, wire.received)]


@pytest.mark.parametrize("faulty", [False, True])
@pytest.mark.parametrize("max_limit", [2000, 20])
@pytest.mark.parametrize("limit", [None, 50])
async def test_2000_reports_come_complete_in_order_and_once_each(
    faulty: bool, max_limit: int, limit: int | None
) -> None:
    async with (
        DepotSandbox(
            sessions=2000,
            shape=SMALL,
            fault_rate=0.3 if faulty else 0.0,
            max_limit=max_limit,
            seed=7,
        ) as sandbox,
        client_of(sandbox, retry=RetryPolicy(attempts=10)) as depot,
    ):
        found = await ids_of(depot.session_reports(CHARGER, CONNECTOR, limit=limit))

        assert found == sandbox.session_ids(CHARGER, CONNECTOR)
        assert any(request.fault for request in sandbox.requests) == faulty


async def test_the_cursor_before_and_after_each_page_leads_to_exactly_the_rest() -> None:
    taken: list[int] = []
    async with DepotSandbox(sessions=60, shape=SMALL) as sandbox, client_of(sandbox) as depot:
        rows = sandbox.session_ids(CHARGER, CONNECTOR)

        async def rest(cursor: Cursor) -> list[int]:
            resume = Cursor.parse(str(cursor))
            return await ids_of(depot.session_reports(CHARGER, CONNECTOR, limit=10, resume=resume))

        reports = depot.session_reports(CHARGER, CONNECTOR, limit=10, read_ahead=2)
        async for page in reports.pages():
            assert [*taken, *await rest(page.cursor_at(0))] == rows
            taken += [report.session_id for report in page.reports]
            if taken == rows[:18]:
                # It pushes later rows onto pages that are in flight.
                early = {"sessionId": 1, "sessionTimeStart": "2025-06-01T00:00:00.000Z"}
                sandbox.insert(CHARGER, CONNECTOR, json.dumps(early).encode())
            assert [*taken, *await rest(page.cursor)] == rows

        assert len(sandbox.session_ids(CHARGER, CONNECTOR)) == 61
    assert taken == rows


async def test_a_cursor_counts_what_was_pushed_behind_a_report_as_delivered() -> None:
    rows = [{"sessionId": n} for n in (0, 1, 2, 3)]
    async with Wire(default=served(rows)) as wire, client_to(wire) as depot:
        async with depot.session_reports("A", 1, limit=3, read_ahead=0).walk() as walk:
            taken = [(await anext(walk)).session_id for _ in range(3)]
            rows.insert(2, {"sessionId": 10})
            taken.append((await anext(walk)).session_id)
        rest = depot.session_reports("A", 1, limit=3, resume=walk.cursor)

        assert [*taken, *await ids_of(rest)] == [0, 1, 2, 10, 3]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("max_limit", [2000, 20])
@pytest.mark.parametrize("read_ahead", [0, 3])
async def test_2000_reports_are_complete_when_resumed_from_the_cursors_of_errors(
    seed: int, max_limit: int, read_ahead: int
) -> None:
    found: list[int] = []
    cursor: str | None = None
    errors = 0
    async with (
        DepotSandbox(
            sessions=2000, shape=SMALL, fault_rate=0.3, max_limit=max_limit, seed=seed
        ) as sandbox,
        client_of(sandbox, retry=RetryPolicy(attempts=1)) as depot,
    ):
        while True:
            reports = depot.session_reports(
                CHARGER, CONNECTOR, limit=100, resume=cursor, read_ahead=read_ahead
            )
            try:
                async for report in reports:
                    found.append(report.session_id)
                break
            except ApiError as error:
                errors += 1
                cursor = str(error.cursor)

        assert errors > 0
        assert found == sandbox.session_ids(CHARGER, CONNECTOR)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    count=st.integers(0, 60),
    limit=st.none() | st.integers(1, 40),
    served=st.integers(1, 40),
    least=st.integers(1, 20),
    start=st.integers(0, 60),
    read_ahead=st.integers(0, 4),
    stop=st.none() | st.integers(0, 60),
)
def test_any_walk_brings_exactly_the_reports_that_were_due_and_leaves_nothing_behind(
    count: int,
    limit: int | None,
    served: int,
    least: int,
    start: int,
    read_ahead: int,
    stop: int | None,
) -> None:
    async def scenario() -> None:
        async with (
            DepotSandbox(
                sessions=count, shape=SMALL, max_limit=served, min_limit=min(served, least)
            ) as sandbox,
            client_of(sandbox) as depot,
        ):
            before = asyncio.all_tasks()
            cursor = None
            async with depot.session_reports(CHARGER, CONNECTOR, limit=limit).walk() as walk:
                for _ in range(start):
                    await anext(walk, None)
                cursor = Cursor.parse(str(walk.cursor))
            reports = depot.session_reports(
                CHARGER, CONNECTOR, limit=limit, read_ahead=read_ahead, resume=cursor
            )
            found: list[int] = []
            async with reports.walk() as walk:
                async for report in walk:
                    if len(found) == stop:
                        break
                    found.append(report.session_id)

            assert found == sandbox.session_ids(CHARGER, CONNECTOR)[start:][:stop]
            await settled(sandbox, before)

    asyncio.run(scenario())


async def settled(sandbox: DepotSandbox, tasks: set[asyncio.Task[Any]]) -> None:
    """Wait for the server to notice what the client has dropped; the client's own is gone."""
    left = [t for t in asyncio.all_tasks() - tasks if "fetch" in repr(t)]
    assert left == []
    while sandbox.in_flight:
        await asyncio.sleep(0)


async def test_leaving_a_plain_loop_early_leaves_no_task_behind(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    before = asyncio.all_tasks()

    async for _ in depot.session_reports(CHARGER, CONNECTOR, limit=10, read_ahead=5):
        break

    for _ in range(10):
        await asyncio.sleep(0)
    await settled(sandbox, before)


async def test_a_description_can_be_walked_again_and_is_not_changed_by_it(
    depot: DepotClient,
) -> None:
    reports = depot.session_reports(CHARGER, CONNECTOR)

    assert await ids_of(reports) == await ids_of(reports)


async def test_limit_is_always_sent_and_the_window_is_pinned_in_utc(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    from_ = datetime(2025, 1, 1, 2, tzinfo=UTC).astimezone()
    started = datetime.now(UTC)

    await ids_of(depot.session_reports(CHARGER, 1, from_=from_))

    queries = [request.query for request in sandbox.requests]
    assert {query["from"] for query in queries} == {"2025-01-01T02:00:00.000Z"}
    (to,) = {query["to"] for query in queries}
    assert abs(datetime.fromisoformat(to) - started) < timedelta(seconds=5)
    assert all(query["limit"] for query in queries)
    assert queries[0] == {
        "chargerId": CHARGER,
        "connectorId": "1",
        "page": "1",
        "limit": "10",
        "from": "2025-01-01T02:00:00.000Z",
        "to": to,
    }


async def test_a_resumed_walk_keeps_the_window_that_was_pinned(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    async with depot.session_reports(CHARGER, CONNECTOR).walk() as walk:
        await anext(walk)
        text = str(walk.cursor)
    await asyncio.sleep(0.002)

    await ids_of(depot.session_reports(CHARGER, CONNECTOR, resume=text))

    assert len({request.query["to"] for request in sandbox.requests}) == 1


async def test_the_windows_ends_select_the_reports(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    starts = [
        datetime.fromisoformat(json.loads(r)["sessionTimeStart"])
        for r in sandbox.reports(CHARGER, CONNECTOR)
    ]

    found = await ids_of(depot.session_reports(CHARGER, CONNECTOR, from_=starts[10], to=starts[19]))

    assert found == sandbox.session_ids(CHARGER, CONNECTOR)[10:20]


async def test_an_unknown_charger_is_not_found_and_the_error_has_a_cursor(
    depot: DepotClient,
) -> None:
    with pytest.raises(NotFoundError) as caught:
        await ids_of(depot.session_reports("nowhere", CONNECTOR))

    assert caught.value.cursor is not None
    assert caught.value.cursor.offset == 0


async def test_pages_hold_their_reports_unstructured_until_they_are_taken(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    numbers, ids = [], []
    raw_reports: list[bytes] = []
    paths: list[str] = []
    pages = (range(20), range(1, 19), range(2, 18), range(3, 17), range(4, 11))
    async for one in depot.session_reports(CHARGER, CONNECTOR, limit=20).pages():
        numbers.append((one.number, one.limit, len(one.reports)))
        raw_reports += one.raw_reports
        paths += [one.path_at(n) for n in range(len(one.reports))]
        assert one.ids == tuple(report.session_id for report in one.reports)
        ids += [report.session_id for report in one.reports]
        assert json.loads(one.raw)["ChargerID"] == CHARGER
        assert one.reports[-1] == one.reports[len(one.reports) - 1]
        assert one.reports[:2] == [one.reports[0], one.reports[1]]
        assert "structured on access" in repr(one)

    # Each page but the first begins with rows of the page before, which are cut out.
    assert numbers == [(1, 20, 20), (2, 19, 18), (3, 18, 16), (4, 17, 14), (5, 16, 7)]
    assert paths == [f"$.items[{row}]" for page in pages for row in page]
    assert raw_reports == sandbox.reports(CHARGER, CONNECTOR)
    assert ids == sandbox.session_ids(CHARGER, CONNECTOR)


async def test_a_pages_cursor_resumes_at_the_next_page(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    pages = depot.session_reports(CHARGER, CONNECTOR, limit=20).pages()
    first = await anext(pages)
    await pages.aclose()

    rest = await ids_of(depot.session_reports(CHARGER, CONNECTOR, limit=20, resume=first.cursor))

    assert rest == sandbox.session_ids(CHARGER, CONNECTOR)[20:]


async def test_collect_takes_no_more_than_its_bound(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    reports = depot.session_reports(CHARGER, CONNECTOR)
    truth = sandbox.session_ids(CHARGER, CONNECTOR)

    assert [r.session_id for r in await reports.collect(max_items=12)] == truth[:12]
    assert [r.session_id for r in await reports.collect(max_items=1000)] == truth


@pytest.mark.parametrize("bound", [None, 0, -1, True, 1.5])
async def test_collect_refuses_to_run_without_a_bound(depot: DepotClient, bound: Any) -> None:
    with pytest.raises(ValueError, match="max_items must be an int of at least 1"):
        await depot.session_reports(CHARGER, CONNECTOR).collect(max_items=bound)


@attrs.define
class Header:
    session_id: int
    vehicle_id: str | None
    session_time_start: datetime | None = None


async def test_a_page_without_a_known_row_is_dropped_and_the_next_connection_is_new() -> None:
    serve, swapped = served([{"sessionId": n} for n in range(25)]), answer(page(101, 102, 103))
    connections = []

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connections.append(wire.connections)
        script = swapped if len(connections) == 2 else serve
        await script(request, reader, writer)

    async with Wire(default=play) as wire, client_to(wire) as depot:
        found = await ids_of(depot.session_reports("A", "1", limit=10, read_ahead=0))

        assert found == list(range(25))
        # Known rows are looked for on page 1, and page 2 is refetched after that.
        assert pages_asked(wire)[:4] == [("1", "10"), ("2", "9"), ("1", "10"), ("2", "9")]
        assert connections[:3] == [1, 1, 2]


async def test_into_parses_only_the_fields_of_its_class() -> None:
    body = (
        b'{"items": [{"sessionId": 1, "vehicleId": "v", "sessionTimeStart": '
        b'"2026-01-01T00:00:00+01:00", "energySocStart": "not even a number"}]}'
    )
    async with Wire(answer(body), answer(page())) as wire, client_to(wire) as depot:
        found = [r async for r in depot.session_reports("A", 1, into=Header)]

    assert found == [Header(1, "v", datetime(2025, 12, 31, 23, tzinfo=UTC))]


@pytest.mark.parametrize("read_ahead", [0, 2])
async def test_a_report_of_another_shape_is_an_error_at_its_place_with_the_cursor_before_it(
    read_ahead: int,
) -> None:
    items: list[dict[str, Any]] = [{"sessionId": i} for i in range(5)]
    items[3]["sessionMeterValues"] = [{"value": 1}, {"value": "x"}]
    body = json.dumps({"items": items}).encode()
    async with Wire(default=answer(body)) as wire, client_to(wire) as depot:
        reports = depot.session_reports("A", 1, limit=5, read_ahead=read_ahead)
        async with reports.walk() as walk:
            found = [await anext(walk) for _ in range(3)]
            with pytest.raises(SchemaError) as caught:
                await anext(walk)
        first = await anext(reports.pages())
        assert first.reports[4].session_id == 4
        with pytest.raises(SchemaError) as caught_lazily:
            first.reports[3]
        with pytest.raises(SchemaError) as caught_from_the_end:
            first.reports[-2]

    assert [report.session_id for report in found] == [0, 1, 2]
    for error in (caught.value, caught_lazily.value, caught_from_the_end.value):
        assert error.problems == (
            "$.items[3].sessionMeterValues[1].value: expected float, got str",
        )
        assert error.cursor is not None
        assert error.cursor.offset == 3
        assert error.cursor.recent == first.cursor.recent[:3]


async def test_the_cursor_of_a_bad_first_report_of_a_page_stands_behind_the_page_before() -> None:
    rows: list[dict[str, object]] = [{"sessionId": 1}, {"sessionId": 2}]
    rows.append({"sessionId": 3, "vehicleId": 3})
    async with Wire(default=served(rows)) as wire, client_to(wire) as depot:
        async with depot.session_reports("A", 1, limit=2, read_ahead=0).walk() as walk:
            assert [(await anext(walk)).session_id for _ in range(2)] == [1, 2]
            behind_page_1 = walk.cursor
            with pytest.raises(SchemaError, match="vehicleId: expected str, got int") as caught:
                await anext(walk)

        assert caught.value.cursor == walk.cursor
    assert (walk.cursor.offset, len(walk.cursor.recent)) == (2, 2)
    assert walk.cursor.recent == behind_page_1.recent


@pytest.mark.parametrize("raised", [StopAsyncIteration, KeyError, ZeroDivisionError, TypeError])
async def test_an_error_of_the_users_own_class_is_a_schema_error_with_the_cursor(
    depot: DepotClient, raised: type[Exception]
) -> None:
    def refuse(instance: object, attribute: object, value: int) -> None:
        if value % 10 == 4:
            raise raised("not this one")

    cls = attrs.make_class("Picky", {"session_id": attrs.field(type=int, validator=refuse)})
    cls.__annotations__ = {"session_id": int}
    found = 0
    with pytest.raises(SchemaError, match=r"\$\.items\[\d\]") as caught:
        async for _ in depot.session_reports(CHARGER, CONNECTOR, into=cls):
            found += 1

    assert caught.value.cursor is not None
    assert caught.value.cursor.offset == found == 3


NO_PAGES = {
    "an empty object": b"{}",
    "null": b"null",
    "a list": b"[]",
    "null items": b'{"items": null}',
    "no list": b'{"items": {}}',
    "no object": b'{"items": [1]}',
    "a report without an id": b'{"items": [{}]}',
    "an id that is no int": b'{"items": [{"sessionId": "1"}]}',
    "HTML": b"<html></html>",
    "nothing": b"",
}


@pytest.mark.parametrize("body", NO_PAGES.values(), ids=NO_PAGES.keys())
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_what_is_no_page_is_an_error_and_never_the_end(body: bytes, place: int) -> None:
    pages = [answer(page(1, 2)), answer(page(3, 4))][:place]
    async with Wire(*pages, default=answer(body)) as wire, client_to(wire) as depot:
        found = []
        with pytest.raises((SchemaError, DecodeError)) as caught:
            async for report in depot.session_reports("A", 1, limit=2, read_ahead=0):
                found.append(report.session_id)

    assert found == [1, 2, 3, 4][: 2 * place]
    assert caught.value.cursor is not None
    assert caught.value.cursor.offset == len(found)


async def test_a_204_is_an_error_and_never_the_end() -> None:
    async with Wire(answer(b"", status=204)) as wire, client_to(wire) as depot:
        with pytest.raises(ApiError, match="204: a 200 with a JSON body was due"):
            await ids_of(depot.session_reports("A", 1))


@pytest.mark.parametrize("echo", [{"charger": "B"}, {"connector": "2"}, {"connector": 2}])
async def test_the_answer_to_another_query_is_an_error(echo: dict[str, Any]) -> None:
    async with Wire(answer(page(1, **echo))) as wire, client_to(wire) as depot:
        with pytest.raises(ResponseError, match="the answer belongs to another request"):
            await ids_of(depot.session_reports("A", 1))


@pytest.mark.parametrize("connector", ["1", "01", 1, None])
@pytest.mark.parametrize("asked", [1, "01"])
async def test_the_echoed_connector_may_be_a_number_or_missing(
    asked: str | int, connector: object
) -> None:
    pages = (answer(page(1, connector=connector)), answer(page(connector=connector)))
    async with Wire(*pages) as wire, client_to(wire) as depot:
        assert await ids_of(depot.session_reports("A", asked)) == [1]


@pytest.mark.parametrize("echo", [{"charger": "cp-a"}, {"charger": None}, {"connector": "LEFT"}])
async def test_ids_may_be_echoed_in_another_case_or_not_at_all(echo: dict[str, Any]) -> None:
    echoed = {"charger": "CP-A", "connector": "left"} | echo
    async with Wire(answer(page(1, **echoed)), answer(page(**echoed))) as wire:
        async with client_to(wire) as depot:
            assert await ids_of(depot.session_reports("CP-A", "left")) == [1]


BAD_REPORTS: dict[bytes, str | None] = {
    b'{"sessionId": "7c1d"}': "sessionId: expected int, got str",
    b'{"sessionId": null}': "sessionId: expected int, got null",
    b'{"sessionId": 5.0}': "sessionId: expected int, got float",
    b'{"sessionId": 3, "vehicleId": "BUS-\\ud83d"}': "half of a surrogate pair in a string",
    b'{"vehicleId": "BUS-\\ude00", "sessionId": "x"}': "sessionId: expected int, got str",
    b'{"sessionId": 3, "x": "\\ud83d", "\\ud83d": 1}': None,
    b'{"x": "\\ud83d"}': "sessionId: required field missing",
    b"5": "expected object, got int",
}


@pytest.mark.parametrize("bad", BAD_REPORTS)
async def test_a_bad_report_does_not_lose_the_others(bad: bytes) -> None:
    problem = BAD_REPORTS[bad]
    items = [b'{"sessionId": 1, "vehicleId": "\\ud83d\\ude00"}', bad, b'{"sessionId": 2}']
    first = b'{"page": 5, "items": [%s]}' % b", ".join(items)

    async def play(request: Received, *streams: Any) -> None:
        body = first if "page=1&" in request.target else b'{"items": []}'
        await answer(body)(request, *streams)

    async with Wire(default=play) as wire, client_to(wire) as depot:
        reports, found = depot.session_reports("A", 1, limit=20), list[SessionReport]()
        (page,) = [page async for page in reports.pages()]
        error = None
        try:
            async for report in reports:
                found.append(report)
        except SchemaError as caught:
            error = caught

    if problem is None:
        assert error is None
    else:
        assert error is not None
        assert [line.endswith(problem) for line in error.problems] == [True]
        assert error.cursor is not None
        assert (error.cursor.offset, error.cursor.recent) == (1, page.cursor_at(1).recent)
    assert page.ids == (1, None, 2)
    assert list(page.raw_reports) == items
    assert page.raw == first
    assert found[0].vehicle_id == "\U0001f600"
    assert [report.session_id for report in found] == ([1] if problem else [1, 3, 2])


async def test_a_server_that_ignores_the_page_number_is_an_error_with_a_cursor() -> None:
    async with DepotSandbox(shape=SMALL, ignore_page=True) as sandbox, client_of(sandbox) as depot:
        found = []
        with pytest.raises(PaginationError, match="ignore the page number") as caught:
            async for report in depot.session_reports(CHARGER, CONNECTOR, limit=10):
                found.append(report.session_id)

    assert len(found) == 10
    assert caught.value.cursor is not None
    assert caught.value.cursor.offset == 10


async def test_a_page_over_the_cap_lowers_the_adaptive_limit(sandbox: DepotSandbox) -> None:
    async with client_of(sandbox, max_response_bytes=12_000) as depot:
        found = await ids_of(depot.session_reports(CHARGER, CONNECTOR))

    assert found == sandbox.session_ids(CHARGER, CONNECTOR)


async def test_a_page_over_the_cap_ends_a_walk_with_a_fixed_limit_to_be_resumed_with_a_lower_one(
    sandbox: DepotSandbox,
) -> None:
    async with client_of(sandbox, max_response_bytes=12_000) as depot:
        with pytest.raises(ResponseTooLarge) as caught:
            await ids_of(depot.session_reports(CHARGER, CONNECTOR, limit=50))
        found = await ids_of(
            depot.session_reports(CHARGER, CONNECTOR, limit=4, resume=caught.value.cursor)
        )

    assert found == sandbox.session_ids(CHARGER, CONNECTOR)


async def test_verify_finds_what_deletes_have_pulled_past_the_walk() -> None:
    async with DepotSandbox(sessions=60, shape=SMALL) as sandbox, client_of(sandbox) as depot:
        truth = sandbox.session_ids(CHARGER, CONNECTOR)
        found = []
        reports = depot.session_reports(CHARGER, CONNECTOR, limit=10, read_ahead=0, verify=True)
        async for report in reports:
            found.append(report.session_id)
            if len(found) == 15:
                for session_id in truth[:3]:
                    sandbox.delete(CHARGER, CONNECTOR, session_id)

    assert sorted(found) == truth


async def test_a_plain_walk_does_not_double_what_late_inserts_push_on() -> None:
    async with (
        DepotSandbox(sessions=60, shape=SMALL, order="descending") as sandbox,
        client_of(sandbox) as depot,
    ):
        truth = sandbox.session_ids(CHARGER, CONNECTOR)
        donor = json.loads(sandbox.reports(CHARGER, CONNECTOR)[-1])
        found = []
        async for report in depot.session_reports(CHARGER, CONNECTOR, limit=10, read_ahead=0):
            found.append(report.session_id)
            if len(found) in {10, 20}:
                donor["sessionId"] = 10**9 + len(found)
                sandbox.insert(CHARGER, CONNECTOR, json.dumps(donor).encode())

    assert found == truth[::-1]


async def test_a_verifying_walk_can_be_resumed_and_doubles_nothing(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    async with depot.session_reports(CHARGER, CONNECTOR, verify=True).walk() as walk:
        first = [(await anext(walk)).session_id for _ in range(33)]
        text = str(walk.cursor)

    rest = await ids_of(depot.session_reports(CHARGER, CONNECTOR, verify=True, resume=text))

    assert first + rest == sandbox.session_ids(CHARGER, CONNECTOR)


async def test_the_cursor_after_the_last_report_resumes_to_nothing(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    async with depot.session_reports(CHARGER, CONNECTOR).walk() as walk:
        start = walk.cursor
        async for _ in walk:
            pass
        end = walk.cursor

    assert (start.offset, end.offset) == (0, 75)
    assert await ids_of(depot.session_reports(CHARGER, CONNECTOR, resume=end)) == []
    assert len(await ids_of(depot.session_reports(CHARGER, CONNECTOR, resume=start))) == 75


async def test_a_walk_can_be_iterated_on_after_an_error() -> None:
    faults = [None, Fault.status(500)]
    async with (
        DepotSandbox(sessions=40, shape=SMALL, faults=faults) as sandbox,
        client_of(sandbox, retry=RetryPolicy(attempts=1)) as depot,
    ):
        reports = depot.session_reports(CHARGER, CONNECTOR, limit=10, read_ahead=0)
        found = []
        async with reports.walk() as walk:
            with pytest.raises(ServerError) as caught:
                async for report in walk:
                    found.append(report.session_id)
            assert (len(found), walk.cursor) == (10, caught.value.cursor)
            async for report in walk:
                found.append(report.session_id)

    assert found == sandbox.session_ids(CHARGER, CONNECTOR)


async def test_cancelling_at_any_point_loses_no_report_of_a_walk_that_goes_on(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    found: list[int] = []
    turns = 0
    async with depot.session_reports(CHARGER, CONNECTOR, limit=5).walk() as walk:
        while True:
            step = asyncio.ensure_future(anext(walk, None))
            for _ in range(turns % 40):
                await asyncio.sleep(0)
            turns += 1
            step.cancel()
            await asyncio.wait([step])
            if step.cancelled():
                continue
            if (report := step.result()) is None:
                break
            found.append(report.session_id)

    assert found == sandbox.session_ids(CHARGER, CONNECTOR)


async def test_a_walk_that_two_tasks_wait_for_says_so() -> None:
    async with Wire(stall()) as wire, client_to(wire) as depot:
        async with depot.session_reports("A", 1).walk() as walk:
            waiting = asyncio.ensure_future(anext(walk))
            while not wire.received:
                await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task"):
                await anext(walk)
            waiting.cancel()
            await asyncio.wait([waiting])


async def test_the_event_loop_gets_its_turn_between_reports_of_a_page(
    depot: DepotClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    work = time.perf_counter()

    def clock() -> float:  # each look at it finds 2 ms more of work done
        nonlocal work
        work += 0.002
        return work

    async with depot.session_reports(CHARGER, CONNECTOR, limit=60, read_ahead=0).walk() as walk:
        await anext(walk)
        counter = asyncio.ensure_future(count_turns())
        monkeypatch.setattr(time, "perf_counter", clock)
        for _ in range(50):
            await anext(walk)
        counter.cancel()

    assert turns >= 50 * 2 // 5 // 2


async def test_errors_of_a_walk_survive_pickling_with_their_cursor(depot: DepotClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        await ids_of(depot.session_reports("nowhere", CONNECTOR))

    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301

    assert again.cursor == caught.value.cursor
    assert (str(again), again.status, again.attempts) == (str(caught.value), 404, 1)


async def test_the_deadline_is_each_pages_own() -> None:
    async with (
        DepotSandbox(sessions=40, shape=SMALL, latency=0.02) as sandbox,
        client_of(sandbox, timeout=Timeout(total=1)) as depot,
    ):
        found = await ids_of(depot.session_reports(CHARGER, CONNECTOR, limit=1))

    assert len(found) == 40


async def test_a_server_that_goes_away_in_the_middle_leaves_a_cursor_to_go_on_from() -> None:
    sandbox = DepotSandbox(sessions=40, shape=SMALL)
    await sandbox.start()
    found = []
    async with client_of(sandbox, retry=RetryPolicy(attempts=2)) as depot:
        reports = depot.session_reports(CHARGER, CONNECTOR, limit=10, read_ahead=0)
        with pytest.raises(ConnectionFailed) as caught:
            async for report in reports:
                found.append(report.session_id)
                if len(found) == 20:
                    await sandbox.aclose()
    async with sandbox, client_of(sandbox) as depot:
        reports = depot.session_reports(CHARGER, CONNECTOR, resume=caught.value.cursor)
        found += await ids_of(reports)

    assert found == sandbox.session_ids(CHARGER, CONNECTOR)


@attrs.define
class Start:
    session_id: int
    session_time_start: str | None = None


OFFLINE = [
    {"sessionId": -1, "sessionTimeStart": f"2026-01-0{day}T08:00:00.000Z"} for day in (1, 2, 3)
]
"""Sessions of a charger that was offline: all have the id -1."""


@pytest.mark.parametrize("read_ahead", [0, 3])
@pytest.mark.parametrize("limit", [None, 2, 10])
async def test_two_sessions_with_one_id_and_different_starts_on_one_page_are_both_delivered(
    limit: int | None, read_ahead: int
) -> None:
    async with Wire(default=served(OFFLINE[:2])) as wire, client_to(wire) as depot:
        reports = depot.session_reports("A", 1, limit=limit, read_ahead=read_ahead)
        (first,) = [page async for page in reports.pages()]

    assert first.ids == (-1, -1)
    assert [r.session_time_start for r in first.reports] == [
        datetime(2026, 1, day, 8, tzinfo=UTC) for day in (1, 2)
    ]


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("read_ahead", [0, 3])
@pytest.mark.parametrize("limit", [1, 10])
async def test_sessions_with_one_id_and_different_starts_on_several_pages_are_all_delivered(
    limit: int, read_ahead: int, verify: bool
) -> None:
    rows: list[dict[str, object]] = [{"sessionId": n} for n in range(33)]
    for place, session in zip((4, 5, 27), OFFLINE, strict=True):
        rows.insert(place, session)
    expected = [(row["sessionId"], row.get("sessionTimeStart")) for row in rows]
    async with Wire(default=served(rows)) as wire, client_to(wire) as depot:
        reports = depot.session_reports(
            "A", 1, limit=limit, read_ahead=read_ahead, verify=verify, into=Start
        )
        taken, cursors = [], []
        async with reports.walk() as walk:
            async for report in walk:
                taken.append((report.session_id, report.session_time_start))
                cursors.append(str(walk.cursor))
        assert taken == expected
        for cut in (5, 6, 28):
            resumed = depot.session_reports(
                "A", 1, limit=limit, verify=verify, resume=cursors[cut - 1], into=Start
            )
            rest = [(r.session_id, r.session_time_start) async for r in resumed]
            assert rest == expected[cut:]


@pytest.mark.parametrize("limit", [None, 1, 2, 10])
async def test_reports_with_one_id_and_without_start_are_told_apart_by_their_bytes(
    limit: int | None,
) -> None:
    offline: dict[str, object] = {"sessionId": -1, "vehicleId": "v"}
    rows: list[dict[str, object]] = [
        {"sessionId": 1},
        offline,
        offline,
        {"sessionId": -1, "vehicleId": "w"},
    ]
    async with Wire(default=served(rows)) as wire, client_to(wire) as depot:
        reports = depot.session_reports("A", 1, limit=limit)
        found = [(report.session_id, report.vehicle_id) async for report in reports]

    assert found == [(1, None), (-1, "v"), (-1, "w")]


BAD_IDS: dict[str, dict[str, object]] = {
    "a string": {"sessionId": "x"},
    "digits in a string": {"sessionId": "4"},
    "null": {"sessionId": None},
    "a fraction": {"sessionId": 4.5},
    "true": {"sessionId": True},
    "missing": {},
}


@pytest.mark.parametrize("bad", BAD_IDS.values(), ids=BAD_IDS.keys())
@pytest.mark.parametrize("read_ahead", [0, 2])
@pytest.mark.parametrize(("limit", "before"), [(None, 3), (10, 3), (10, 13), (2, 5), (1, 3)])
async def test_a_bad_id_is_an_error_after_the_good_reports_before_it(
    limit: int | None, before: int, read_ahead: int, bad: dict[str, object]
) -> None:
    rows: list[dict[str, object]] = [{"sessionId": n} for n in range(before + 5)]
    rows[before] = bad
    async with Wire(default=served(rows)) as wire, client_to(wire) as depot:
        reports = depot.session_reports("A", 1, limit=limit, read_ahead=read_ahead)
        found = []
        async with reports.walk() as walk:
            with pytest.raises(SchemaError, match=r"\$\.items\[\d\]\.sessionId: ") as caught:
                async for report in walk:
                    found.append(report.session_id)
            assert walk.cursor == caught.value.cursor
        assert found == list(range(before))
        assert caught.value.cursor is not None
        assert caught.value.cursor.offset == before

        resumed = depot.session_reports("A", 1, limit=limit, resume=str(caught.value.cursor))
        with pytest.raises(SchemaError) as again:
            await resumed.collect(max_items=1)
        assert again.value.cursor is not None
        assert again.value.cursor.recent == caught.value.cursor.recent

        rows[before] = {"sessionId": before}  # The server has mended it.
        assert await ids_of(resumed) == list(range(before, before + 5))


@pytest.mark.parametrize("bad", BAD_IDS.values(), ids=BAD_IDS.keys())
async def test_a_page_raises_the_error_of_a_bad_id_when_that_report_is_taken(
    bad: dict[str, object],
) -> None:
    rows: list[dict[str, object]] = [{"sessionId": n} for n in range(5)]
    rows[3] = bad
    async with Wire(default=served(rows)) as wire, client_to(wire) as depot:
        reports = depot.session_reports("A", 1, limit=10)
        (first,) = [page async for page in reports.pages()]
        assert first.ids == (0, 1, 2, None, 4)
        assert [first.reports[place].session_id for place in (0, 1, 2, 4)] == [0, 1, 2, 4]
        with pytest.raises(SchemaError, match=r"\$\.items\[3\]\.sessionId: ") as caught:
            first.reports[3]
        with pytest.raises(SchemaError):
            first.reports[2:]

        rows[3] = {"sessionId": 3}  # The server has mended it.
        rest = depot.session_reports("A", 1, limit=10, resume=caught.value.cursor)
        assert await ids_of(rest) == [3, 4]


REFUSALS = {
    **{str(status): answer(status=status) for status in (400, 413, 422, 500, 502, 503, 504)},
    "a closed connection": hang_up(),
    "a reset connection": reset(),
}


def refusing(rows: list[dict[str, object]], most: int, refusal: Script) -> Script:
    """Serve pages of these rows, and refuse larger limits than `most`."""
    serve = served(rows)

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        script = serve if int(query_of(request)["limit"]) <= most else refusal
        await script(request, reader, writer)

    return play


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("read_ahead", [0, 3])
async def test_a_server_that_refuses_large_limits_is_walked_without_an_error(
    refusal: Script, read_ahead: int
) -> None:
    rows: list[dict[str, object]] = [{"sessionId": n} for n in range(300)]
    async with Wire(default=refusing(rows, 20, refusal)) as wire, client_to(wire) as depot:
        reports = depot.session_reports("A", 1, read_ahead=read_ahead)
        found, cursors = [], []
        async with reports.walk() as walk:
            async for report in walk:
                found.append(report.session_id)
                cursors.append(str(walk.cursor))
        limits = [int(limit) for _, limit in pages_asked(wire)]
        assert found == list(range(300))
        assert sum(limit > 20 for limit in limits) <= 4
        assert max(limits[-10:]) <= 20

        for cut in (1, 10, 55, 300):
            resumed = depot.session_reports("A", 1, read_ahead=read_ahead, resume=cursors[cut - 1])
            assert await ids_of(resumed) == list(range(cut, 300))


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_server_that_begins_to_refuse_large_limits_is_walked_on_from_a_cursor(
    refusal: Script,
) -> None:
    rows: list[dict[str, object]] = [{"sessionId": n} for n in range(300)]
    async with Wire(default=served(rows)) as wire, client_to(wire) as depot:
        async with depot.session_reports("A", 1, read_ahead=0).walk() as walk:
            found = [(await anext(walk)).session_id for _ in range(10)]
            cursor = walk.cursor
    async with Wire(default=refusing(rows, 20, refusal)) as wire, client_to(wire) as depot:
        found += await ids_of(depot.session_reports("A", 1, resume=cursor))

    assert found == list(range(300))


@pytest.mark.parametrize(
    ("limit", "read_ahead", "asked"),
    [
        (20, 0, [("1", "20")]),
        (20, 1, [("1", "20")]),
        (20, 2, [("1", "20"), ("2", "19")]),
        (20, 3, [("1", "20"), ("2", "19"), ("3", "18")]),
        (None, 3, [("1", "10")]),
    ],
)
async def test_pages_are_prefetched_together_with_page_1_if_the_limit_is_told(
    limit: int | None, read_ahead: int, asked: list[tuple[str, str]]
) -> None:
    async with Wire(default=stall()) as wire, client_to(wire) as depot:
        reports = depot.session_reports("A", 1, limit=limit, read_ahead=read_ahead)
        async with reports.walk() as walk:
            waiting = asyncio.ensure_future(anext(walk))
            async with asyncio.timeout(5):
                while len(wire.received) < len(asked):
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)  # A further request arrives within this time.
            waiting.cancel()
            await asyncio.wait([waiting])

        assert sorted(pages_asked(wire)) == asked


@pytest.mark.parametrize(
    ("fault", "is_repeated"),
    [
        (Fault.status(408), True),
        (Fault.status(429), True),
        (Fault.status(429, retry_after=1), True),
        (Fault.status(503, retry_after=1), True),
        (Fault.status(503), False),
        (Fault.status(413), False),
    ],
)
async def test_a_larger_limit_is_tried_again_only_if_the_server_asks_to_wait(
    fault: Fault, is_repeated: bool
) -> None:
    async with (
        DepotSandbox(sessions=60, shape=SMALL, faults=[None, fault]) as sandbox,
        client_of(sandbox) as depot,
    ):
        found = await ids_of(depot.session_reports(CHARGER, CONNECTOR))

        assert found == sandbox.session_ids(CHARGER, CONNECTOR)
        limits = [int(request.query["limit"]) for request in sandbox.requests]
        assert limits[:2] == [10, 80]
        assert (limits[2] == 80) == is_repeated


async def test_a_page_of_more_than_100000_reports_is_an_error() -> None:
    for count in (100_000, 100_001):
        rows = {"items": [{"sessionId": 1}] * count, "ChargerID": "A", "ConnectorID": "1"}
        body = json.dumps(rows).encode()
        async with Wire(default=answer(body)) as wire, client_to(wire) as depot:
            async with depot.session_reports("A", "1").walk() as walk:
                if count == 100_000:
                    assert (await anext(walk)).session_id == 1
                    continue
                with pytest.raises(SchemaError, match="100,001 reports, at most"):
                    await anext(walk)
