"""Walks over session reports: complete, in order, each report once, even after errors."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depotclient import ApiError, DepotClient, SchemaError, SessionReport, SessionReports
from depotclient.sandbox import DepotSandbox, Fault, ReportShape
from depotclient.sandbox.store import Order, TimeFilter
from tests.support.clients import client_of
from tests.support.pages import PageTransport, page_of, query_of, served
from tests.support.waiting import iterate_loop
from tests.support.wire import Received, Wire, reply

SMALL = ReportShape.small()
MOMENT = timedelta(milliseconds=1)


def transport_of(count: int) -> PageTransport:
    return PageTransport([{"sessionId": number} for number in range(count)])


def reports_of(transport: PageTransport, **options: Any) -> SessionReports[SessionReport]:
    return transport.client().session_reports("A", 1, **options)


async def ids_of(reports: SessionReports[SessionReport]) -> list[int]:
    return [report.session_id async for report in reports]


@pytest.mark.parametrize(("count", "size"), [(2000, 0), (1000, 20_000)])
async def test_a_walk_without_a_limit_needs_at_most_eight_additional_requests(
    count: int, size: int
) -> None:
    padding = "x" * size
    texts = [b'{"sessionId": %d, "padding": "%s"}' % (n, padding.encode()) for n in range(count)]
    adaptive, fixed = PageTransport(texts), PageTransport(texts)
    assert len(await ids_of(reports_of(adaptive))) == count
    largest = max(int(query["limit"]) for query in adaptive.queries)
    assert len(await ids_of(reports_of(fixed, limit=largest))) == count

    assert largest > 100
    assert len(adaptive.queries) <= len(fixed.queries) + 8


@settings(max_examples=50)
@given(
    count=st.integers(0, 60),
    limit=st.none() | st.integers(1, 40),
    start=st.integers(0, 60),
    read_ahead=st.integers(0, 4),
    stop=st.integers(1, 70),
)
def test_any_walk_yields_exactly_the_expected_slice(
    count: int, limit: int | None, start: int, read_ahead: int, stop: int
) -> None:
    async def collect() -> list[int]:
        transport = transport_of(count)
        async with reports_of(transport, limit=limit).walk() as walk:
            for _ in range(start):
                await anext(walk, None)
        cursor = str(walk.cursor)
        rest = reports_of(transport, limit=limit, read_ahead=read_ahead, resume=cursor)
        return [report.session_id for report in await rest.collect(max_items=stop)]

    assert asyncio.run(collect()) == list(range(count))[start:][:stop]


@pytest.mark.parametrize("max_items", [None, 0, True, 1.5])
async def test_collect_refuses_to_run_without_a_limit(max_items: Any) -> None:
    with pytest.raises(ValueError, match="max_items must be an int"):
        await reports_of(transport_of(1)).collect(max_items=max_items)
    with pytest.raises(TypeError):
        await reports_of(transport_of(1)).collect()  # type: ignore[call-arg]


@pytest.mark.parametrize("read_ahead", [0, 3])
async def test_leaving_a_plain_loop_cancels_prefetched_requests(read_ahead: int) -> None:
    transport = transport_of(60)
    transport.stalls = True
    async for _ in reports_of(transport, limit=10, read_ahead=read_ahead):
        await iterate_loop(3)
        assert len(transport.queries) == 1 + read_ahead
        break

    await iterate_loop(10)
    assert asyncio.all_tasks() == {asyncio.current_task()}


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
        (Fault.status(429), True),
        (Fault.status(503, retry_after=1), True),
        (Fault.status(503), False),
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
        found = await ids_of(depot.session_reports("CP-001", "1"))

        assert found == sandbox.session_ids("CP-001", "1")
        limits = [int(request.query["limit"]) for request in sandbox.requests]
        assert limits[:2] == [10, 80]
        assert (limits[2] == 80) == is_retried


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


async def test_a_second_task_cannot_wait_for_the_same_walk() -> None:
    async with reports_of(transport_of(1)).walk() as walk:
        waiting = asyncio.ensure_future(anext(walk))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task is waiting"):
            await anext(walk)
        assert (await waiting).session_id == 0


@pytest.mark.parametrize("is_many", [False, True])
async def test_the_event_loop_runs_other_tasks_between_the_reports_of_a_page(
    monkeypatch: pytest.MonkeyPatch, is_many: bool
) -> None:
    runs = 0

    def count_run() -> None:
        nonlocal runs
        runs += 1
        asyncio.get_running_loop().call_soon(count_run)

    client = transport_of(60).client()
    one: Any = client.session_reports("A", 1, limit=60, read_ahead=0)
    many: Any = client.session_reports_many([("A", 1)], limit=60)
    async with (many if is_many else one).walk() as walk:
        await anext(walk)
        # Each clock reading is 2 ms later, as if the walk had worked that long.
        clock = itertools.count(time.perf_counter(), 0.002)
        monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
        count_run()
        for _ in range(50):
            await anext(walk)

    assert runs >= 10


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


async def test_an_error_of_the_users_function_is_a_schema_error_with_the_cursor() -> None:
    def read(text: bytes) -> int:
        report = json.loads(text)
        if report["sessionId"] == 3:
            raise StopAsyncIteration("three")
        return int(report["sessionId"])

    found: list[int] = []
    with pytest.raises(SchemaError, match=r"\$\.items\[\d\]: StopAsyncIteration: three") as caught:
        async for session_id in transport_of(10).client().session_reports("A", 1, into=read):
            found.append(session_id)

    assert caught.value.cursor is not None
    assert caught.value.cursor.offset == len(found) == 3


async def test_an_error_of_the_users_class_is_a_schema_error_with_the_cursor() -> None:
    def refuse(instance: object, attribute: object, value: int) -> None:
        if value == 3:
            raise StopAsyncIteration  # This error must not look like the end of the walk.

    cls = attrs.make_class("Picky", {"session_id": attrs.field(type=int, validator=refuse)})
    cls.__annotations__ = {"session_id": int}
    found = 0
    with pytest.raises(SchemaError, match=r"\$\.items\[\d\]") as caught:
        async for _ in transport_of(10).client().session_reports("A", 1, into=cls):
            found += 1

    assert caught.value.cursor is not None
    assert caught.value.cursor.offset == found == 3
    assert str(caught.value).startswith("GET sessionReports A/1 page 1: $.items[3]")


async def test_an_error_of_the_users_function_does_not_show_a_token_that_the_server_repeats() -> (
    None
):
    def refuse(text: bytes) -> None:
        raise ValueError(text.decode())

    async with (
        Wire(default=served([{"sessionId": 1, "vehicleId": "t0k3n/1"}])) as wire,
        DepotClient(token="t0k3n/1", base_url=wire.url) as depot,
    ):
        with pytest.raises(SchemaError, match=r'"vehicleId": "\*{10}"') as caught:
            await depot.session_reports("A", "1", into=refuse).collect(max_items=1)

    assert "t0k3n" not in str(caught.value)


async def test_an_error_in_a_walk_names_the_connector_and_the_page() -> None:
    transport = PageTransport([{"sessionId": 1}, {"sessionId": "x"}])
    reports = transport.client().session_reports("A/B", "1", to=datetime(2026, 2, 1, tzinfo=UTC))
    with pytest.raises(SchemaError, match=r"^GET sessionReports A%2FB/1 page 1: ") as caught:
        await ids_of(reports)

    error = caught.value
    assert (error.method, error.path) == ("GET", "sessionReports")
    assert error.context == {
        "chargerId": "A/B",
        "connectorId": "1",
        "page": "1",
        "limit": "10",
        "to": "2026-02-01T00:00:00.000Z",
    }


OFFLINE: list[dict[str, object]] = [
    {"sessionId": -1, "sessionTimeStart": "2026-01-01T08:00:00.000Z"},
    {"sessionId": -1, "sessionTimeStart": "2026-01-02T08:00:00.000Z"},
    {"sessionId": -1, "vehicleId": "v"},
    {"sessionId": -1, "vehicleId": "w"},
]
"""Sessions of a charger that was offline: all have the id -1."""


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("limit", [None, 1, 10])
async def test_sessions_that_share_an_id_are_all_delivered(limit: int | None, verify: bool) -> None:
    rows: list[dict[str, object]] = [{"sessionId": number} for number in range(33)]
    for place, session in zip((4, 5, 26, 27), OFFLINE, strict=True):
        rows.insert(place, session)
    transport = PageTransport([*rows, OFFLINE[2]])  # The last row is the same report again.

    found = await ids_of(reports_of(transport, limit=limit, verify=verify))

    assert found == [row["sessionId"] for row in rows]


# Windows with a margin.


def session(session_id: int, start: str | None, end: str | None = None) -> bytes:
    times = {"sessionTimeStart": start, "sessionTimeEnd": end}
    return json.dumps({"sessionId": session_id, **times}).encode()


def window_of(sandbox: DepotSandbox) -> tuple[datetime, datetime, list[int]]:
    """Return a window of a sandbox with edges within sessions, and the ids of its sessions."""
    reports = [json.loads(report) for report in sandbox.reports("CP-001", "1")]
    from_, to = (datetime.fromisoformat(reports[n]["sessionTimeEnd"]) for n in (9, 39))
    from_, to = from_ - MOMENT, to - MOMENT
    starts = {report["sessionId"]: report["sessionTimeStart"] for report in reports}
    inside = [n for n, start in starts.items() if from_ <= datetime.fromisoformat(start) < to]
    for index, end in enumerate((from_ - MOMENT, from_, to - MOMENT, to), 1):
        inside += [index] if from_ <= end < to else []
        sandbox.add("CP-001", "1", session(index, None, end.isoformat()))
    sandbox.add("CP-001", "1", session(5, None))
    return from_, to, [*inside, 5]


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("order", ["ascending", "shuffled"])
@pytest.mark.parametrize("time_filter", ["start", "end", "overlap"])
async def test_with_a_margin_a_window_holds_the_sessions_that_start_in_it(
    time_filter: TimeFilter, order: Order, inclusive: bool
) -> None:
    async with (
        DepotSandbox(
            shape=SMALL, time_filter=time_filter, order=order, inclusive=inclusive
        ) as sandbox,
        client_of(sandbox) as depot,
    ):
        from_, to, expected = window_of(sandbox)
        day = timedelta(days=1)
        reports = depot.session_reports("CP-001", 1, from_=from_, to=to, margin=day)
        assert sorted(await ids_of(reports)) == sorted(expected)

        # Without a margin, the server decides, and a report is lost or one too many.
        plain = depot.session_reports("CP-001", 1, from_=from_, to=to)
        assert sorted(await ids_of(plain)) != sorted(expected) or time_filter == "start"


IN_AUGUST = [number for number in range(60) if number % 7 == 3 or 20 <= number < 25]


def august() -> tuple[PageTransport, SessionReports[SessionReport]]:
    """Return a transport with sessions in August and July, and those of August."""
    times = {True: "2022-08-03T00:00:00Z", False: "2022-07-03T00:00:00Z"}
    transport = PageTransport([session(n, times[n in IN_AUGUST]) for n in range(60)])
    from_, to = datetime(2022, 8, 1, tzinfo=UTC), datetime(2022, 9, 1, tzinfo=UTC)
    return transport, reports_of(transport, from_=from_, to=to, margin=timedelta(0), limit=10)


async def test_a_walk_with_a_margin_resumes_after_any_report() -> None:
    _, reports = august()
    async with reports.walk() as walk:
        for count in range(len(IN_AUGUST)):
            rest = attrs.evolve(reports, resume=walk.cursor)
            assert await ids_of(rest) == IN_AUGUST[count:]
            await anext(walk)
        assert await anext(walk, None) is None
        assert walk.cursor.offset == 60


async def test_pages_with_a_margin_have_only_the_reports_of_the_window() -> None:
    transport, reports = august()
    transport.items = [session(n, None, "2022-07-03T00:00:00Z") for n in range(90, 130)]
    assert [page async for page in reports.pages()] == []

    transport, reports = august()
    pages = [page async for page in reports.pages()]
    assert [n for page in pages for n in page.ids] == IN_AUGUST
    assert [json.loads(t)["sessionId"] for page in pages for t in page.raw_reports] == IN_AUGUST
    assert len({key for page in pages for key in page.keys}) == len(IN_AUGUST)
    for page in pages:
        for index, report in enumerate(page.reports):
            place = int(page.path_at(index).strip("$.items[]"))
            assert json.loads(page.raw)["items"][place]["sessionId"] == report.session_id
            rest = attrs.evolve(reports, resume=page.cursor_at(index))
            assert (await rest.collect(max_items=1)) == [report]


async def test_a_report_with_an_invalid_start_is_not_skipped() -> None:
    transport, reports = august()
    transport.items = [session(1, "2022-08-03"), *transport.items[4:]]
    async with reports.walk() as walk:
        with pytest.raises(SchemaError, match="sessionTimeStart"):
            await anext(walk)
        assert walk.cursor.offset == 0
