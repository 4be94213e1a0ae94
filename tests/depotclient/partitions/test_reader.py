"""Partitions read where no event loop runs: all that belongs there, and by whose account."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.support.clients import client_of
from tests.support.pages import served
from tests.support.proxy import LoopbackProxy
from tests.support.shown import all_that_shows
from tests.support.waiting import until
from tests.support.wire import Wire

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.dataset

from depotclient import (
    AuthError,
    DeadlineExceeded,
    DepotClient,
    NotFoundError,
    RetryPolicy,
    SchemaError,
    ServerError,
    Timeout,
)
from depotclient.arrow import FLEET_REPORTS
from depotclient.export import export_session_reports
from depotclient.partitions import (
    Partition,
    ReadSettings,
    plan,
    read_batches,
    read_partition,
    read_table,
)
from depotclient.sandbox import DepotSandbox, Fault, running_in_thread
from evtransport.proxy import reveal_proxy
from tests.support.fleet import (
    BEGIN,
    END,
    connectors_of,
    fleet,
    in_one_process,
    ordered,
    settings_of,
)

SECRET = "s3cr3t-enough-to-be-found"
JANUARY = Partition("CP-001", "1", "2026-01")


@pytest.fixture
def sandbox() -> Iterator[DepotSandbox]:
    with fleet(chargers=2, sessions=60) as sandbox:
        yield sandbox


def ids_of(table: pa.Table) -> list[Any]:
    return table["session_id"].to_pylist()


def test_a_partition_holds_the_reports_that_begin_in_its_window(sandbox: DepotSandbox) -> None:
    days = plan([("CP-001", 1)], BEGIN, END, "day")
    tables = [read_partition(day, settings_of(sandbox)) for day in days]
    for day, table in zip(days, tables, strict=True):
        assert table.schema == FLEET_REPORTS
        assert all(day.start <= it < day.end for it in table["session_time_start"].to_pylist())  # type: ignore[operator]
    found = [it for table in tables for it in ids_of(table)]
    assert found == sandbox.session_ids("CP-001", "1")


def test_a_partition_says_whose_its_reports_are(sandbox: DepotSandbox) -> None:
    table = read_partition(Partition("CP-002", "2", "2026-01"), settings_of(sandbox))
    assert set(table["charger_id"].to_pylist()) == {"CP-002"}
    assert set(table["connector_id"].to_pylist()) == {"2"}


def test_a_window_without_sessions_is_an_empty_table(sandbox: DepotSandbox) -> None:
    table = read_partition(Partition("CP-001", "1", "2025-01"), settings_of(sandbox))
    assert table.schema == FLEET_REPORTS
    assert table.num_rows == 0


def test_an_export_writes_what_the_partitions_hold(sandbox: DepotSandbox, tmp_path: Path) -> None:
    async def export() -> None:
        async with client_of(sandbox) as depot:
            await export_session_reports(
                depot, connectors_of(sandbox), tmp_path, from_=BEGIN, to=END
            )

    asyncio.run(export())
    lake = pyarrow.dataset.dataset(
        tmp_path,
        partitioning=pyarrow.dataset.partitioning(
            pa.schema([(name, pa.string()) for name in ("charger_id", "connector_id", "month")]),
            flavor="hive",
        ),
    )
    assert ordered(lake.to_table()).equals(in_one_process(sandbox))


@pytest.mark.parametrize("time_filter", ["start", "end", "overlap"])
def test_no_session_is_lost_or_doubled_whichever_time_the_server_tests(time_filter: str) -> None:
    with fleet(chargers=1, sessions=60, time_filter=time_filter, inclusive=False) as sandbox:
        table = read_table(plan(connectors_of(sandbox), BEGIN, END, "day"), settings_of(sandbox))
        ids = [it for pair in connectors_of(sandbox) for it in sandbox.session_ids(*pair)]
    assert sorted(ids_of(table)) == ids


def test_one_token_and_one_request_at_a_time_serve_all_partitions(sandbox: DepotSandbox) -> None:
    read_table(plan(connectors_of(sandbox), BEGIN, END, "day"), settings_of(sandbox))
    assert len(sandbox.token_requests) == 1
    assert sandbox.peak_in_flight == 1


def test_nothing_is_asked_before_the_first_batch_nor_while_one_is_used(
    sandbox: DepotSandbox,
) -> None:
    batches = read_batches(plan(connectors_of(sandbox), BEGIN, END), settings_of(sandbox))
    assert sandbox.requests == []
    first = next(batches)
    asked = len(sandbox.requests)
    threading.Event().wait(0.05)
    assert len(sandbox.requests) == asked == 1
    assert first.num_rows == 10
    batches.close()


def test_batches_may_be_taken_from_several_threads_in_turn(sandbox: DepotSandbox) -> None:
    batches = read_batches(plan(connectors_of(sandbox), BEGIN, END), settings_of(sandbox))
    taken = []
    while True:
        with ThreadPoolExecutor(1) as thread:
            batch = thread.submit(next, batches, None).result()
        if batch is None:
            break
        taken.append(batch)
    assert ordered(pa.Table.from_batches(taken)).equals(in_one_process(sandbox))


def test_partitions_may_be_read_in_many_threads_at_once(sandbox: DepotSandbox) -> None:
    partitions = plan(connectors_of(sandbox), BEGIN, END, "day")
    settings = settings_of(sandbox)
    with ThreadPoolExecutor(8) as threads:
        tables = list(threads.map(lambda it: read_partition(it, settings), partitions))
    assert ordered(pa.concat_tables(tables)).equals(in_one_process(sandbox))


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "session-reports"]


def test_a_reading_that_is_left_ends_wherever_that_is_noticed(sandbox: DepotSandbox) -> None:
    def left() -> Generator[pa.RecordBatch, None, None]:
        batches = read_batches(plan(connectors_of(sandbox), BEGIN, END), settings_of(sandbox))
        next(batches)
        return batches

    async def in_a_loop(batches: Generator[pa.RecordBatch, None, None]) -> None:
        batches.close()

    left().close()
    asyncio.run(in_a_loop(left()))
    with ThreadPoolExecutor(1) as thread:
        thread.submit(left().close).result()
    circle: list[Any] = [left()]
    circle.append(circle)
    del circle
    gc.collect()
    until(lambda: not threads(), seconds=10)
    until(lambda: sandbox.in_flight == 0, seconds=10)


def test_a_batch_may_be_taken_where_a_loop_runs_by_now(sandbox: DepotSandbox) -> None:
    batches = read_batches(plan(connectors_of(sandbox), BEGIN, END), settings_of(sandbox))

    async def take() -> int:
        return sum(batch.num_rows for batch in batches)

    assert asyncio.run(take()) == 240


def test_an_interrupt_ends_a_page_that_is_under_way(sandbox: DepotSandbox) -> None:
    def interrupt() -> None:
        until(lambda: sandbox.in_flight == 1, seconds=10)
        os.kill(os.getpid(), signal.SIGINT)

    sandbox.latency = 60.0
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        read_partition(JANUARY, ReadSettings(token=sandbox.token, base_url=sandbox.base_url))
    until(lambda: sandbox.in_flight == 0, seconds=10)
    until(lambda: not threads(), seconds=10)


def test_what_lies_in_the_future_is_not_asked_for(sandbox: DepotSandbox) -> None:
    now = datetime.now(UTC)
    later = plan([("CP-001", 1)], now + timedelta(days=2), now + timedelta(days=40), "day")
    assert read_table(later, settings_of(sandbox)).num_rows == 0
    assert sandbox.requests == []


def test_times_of_other_makes_are_taken_for_what_they_are(sandbox: DepotSandbox) -> None:
    class Odd(datetime):
        """Loses its zone in additions, as some do with Python's own UTC."""

        def __add__(self, other: Any) -> Odd:
            return self.replace(tzinfo=None)

        __sub__ = __add__  # type: ignore[assignment]

    from_, to = Odd(2026, 1, 2, 5, tzinfo=UTC), Odd(2026, 1, 3, 7, tzinfo=UTC)
    cut = plan([("CP-001", 1)], from_, to, whole=False)
    starts: list[Any] = read_table(cut, settings_of(sandbox))["session_time_start"].to_pylist()
    assert starts
    assert all(
        datetime(2026, 1, 2, 5, tzinfo=UTC) <= start < datetime(2026, 1, 3, 7, tzinfo=UTC)
        for start in starts
    )


def test_limit_and_verify_are_those_of_the_settings(sandbox: DepotSandbox) -> None:
    def limits(**options: Any) -> list[str]:
        before = len(sandbox.requests)
        read_partition(JANUARY, settings_of(sandbox, **options))
        return [request.query["limit"] for request in sandbox.requests[before:]]

    assert limits(limit=100) == ["100", "100"]
    assert limits(limit=100, verify=True) == ["100", "100", "100", "100"]


def test_the_margin_is_that_of_the_settings(sandbox: DepotSandbox) -> None:
    read_partition(JANUARY, settings_of(sandbox, margin=timedelta(days=3)))
    query = sandbox.requests[0].query
    assert (query["from"], query["to"]) == ("2025-12-29T00:00:00.000Z", "2026-02-04T00:00:00.000Z")


def test_retries_and_timeouts_are_those_of_the_settings() -> None:
    with fleet(chargers=1, faults=[Fault.status(503)] * 4) as sandbox:
        with pytest.raises(ServerError) as failed:
            read_partition(JANUARY, settings_of(sandbox, retry=RetryPolicy(attempts=4)))
        assert failed.value.attempts == 4
        sandbox.latency = 30.0
        with pytest.raises(DeadlineExceeded):
            read_partition(JANUARY, settings_of(sandbox, timeout=Timeout(total=0.05)))


def test_without_settings_the_environment_has_the_credentials(
    sandbox: DepotSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="no credentials: set DEPOT_TOKEN"):
        read_partition(JANUARY)
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    assert read_partition(JANUARY).num_rows == 60
    assert read_partition(JANUARY, ReadSettings(limit=50)).num_rows == 60


def test_an_error_names_its_partition(sandbox: DepotSandbox) -> None:
    with pytest.raises(NotFoundError) as failed:
        read_partition(Partition("a/b", "1", "2026-01"), settings_of(sandbox))
    assert failed.value.__notes__ == ["partition a%2Fb/1/2026-01"]


def read_items(items: list[dict[str, object]], *windows: str) -> list[list[Any]]:
    """The ids that each of some windows of CP-001/1 has, of a server that gives always all."""

    async def read() -> list[list[Any]]:
        async with Wire(default=served(items)) as wire:
            settings = ReadSettings(token="t0k3n", base_url=wire.url)
            partitions = [Partition("CP-001", "1", window) for window in windows]
            tables = [
                await asyncio.to_thread(read_partition, partition, settings)
                for partition in partitions
            ]
        return [ids_of(table) for table in tables]

    return asyncio.run(read())


def test_a_report_without_a_start_comes_with_every_window_that_brings_it() -> None:
    items: list[dict[str, object]] = [
        {"sessionId": 1, "sessionTimeStart": "2026-01-10T00:00:00.000Z"},
        {"sessionId": 2},
        {"sessionId": 3, "sessionTimeStart": "2026-02-10T00:00:00.000Z"},
    ]
    assert read_items(items, "2026-01", "2026-02") == [[1, 2], [2, 3]]


def test_each_session_that_shares_an_id_is_read_once() -> None:
    starts = ["2026-01-10T00:00:00Z", "2026-01-10T00:00:00.001Z", "2026-02-10T00:00:00Z", None]
    items: list[dict[str, object]] = [
        {"sessionId": session_id, "sessionTimeStart": start, "vehicleId": vehicle}
        for session_id in (-1, 0, 7)
        for start in starts
        for vehicle in (["A", "B"] if start is None else ["A"])
    ]
    january, february = read_items([*items, *items[:9]], "2026-01", "2026-02")
    assert sorted(january) == sorted([-1, 0, 7] * 4)
    assert sorted(february) == sorted([-1, 0, 7] * 3)


def test_a_session_that_comes_twice_is_there_once() -> None:
    items: list[dict[str, object]] = [
        {"sessionId": n, "sessionTimeStart": "2026-01-10T00:00:00.000Z"} for n in range(40)
    ]
    assert read_items([*items, *items[:3]], "2026-01") == [[*range(40)]]


def test_a_value_of_the_wrong_type_names_path_session_and_partition() -> None:
    with pytest.raises(SchemaError) as failed:
        read_items([{"sessionId": 7, "energySocEnd": "80"}], "2026-01")
    assert failed.value.problems == ("$.items[0].energySocEnd: expected float, got str",)
    assert failed.value.__notes__ == ["session 7", "partition CP-001/1/2026-01"]


def test_in_a_running_loop_it_says_what_to_do_instead() -> None:
    async def read() -> None:
        read_partition(JANUARY, ReadSettings(token="t0k3n"))

    with pytest.raises(RuntimeError, match=r"use asyncio[.]to_thread[(]read_partition"):
        asyncio.run(read())


async def test_beside_a_running_loop_a_thread_reads(sandbox: DepotSandbox) -> None:
    table = await asyncio.to_thread(read_partition, JANUARY, settings_of(sandbox))
    assert table.num_rows == 60


def test_the_loop_of_the_thread_is_left_alone(sandbox: DepotSandbox) -> None:
    own = asyncio.new_event_loop()

    def read() -> bool:
        asyncio.set_event_loop(own)
        read_partition(JANUARY, settings_of(sandbox))
        return asyncio.get_event_loop() is own and not own.is_closed()

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(read).result()
    own.close()


# Settings.

COPIES: dict[str, Callable[[ReadSettings], ReadSettings]] = {
    **{
        f"pickle {protocol}": lambda it, protocol=protocol: pickle.loads(  # type: ignore[misc]  # noqa: S301
            pickle.dumps(it, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "evolve": attrs.evolve,
}
GIVEN: dict[str, dict[str, Any]] = {
    "of the environment": {},
    "a token": {"token": SECRET, "margin": timedelta(hours=3), "limit": 7},
    "client credentials": {
        "client_id": "me",
        "client_secret": SECRET,
        "base_url": "https://depot.test/v1",
        "token_url": "https://depot.test/token",
        "verify": True,
        "retry": RetryPolicy(attempts=9),
        "timeout": Timeout(total=5),
        "proxy": False,
    },
    "a proxy with a password": {"proxy": f"http://me:{SECRET}@proxy:3128"},
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("way", COPIES)
def test_settings_travel_and_stay_what_they_are(way: str, given: str) -> None:
    settings = ReadSettings(**GIVEN[given])
    other = COPIES[way](settings)
    assert other == settings
    assert hash(other) == hash(settings)
    assert SECRET not in repr(other) + str(other)
    secrets = {secret.reveal() for secret in (other.token, other.client_secret) if secret}
    assert secrets == ({SECRET} & set(GIVEN[given].values()))
    assert reveal_proxy(other.proxy) == GIVEN[given].get("proxy")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"token": ""}, "token must not be empty"),
        ({"token": 5}, "token must be a string, not int"),
        ({"token": SECRET, "client_id": "me"}, "give exactly one kind of credentials"),
        ({"client_secret": SECRET}, "client_id is missing"),
        ({"token": SECRET, "region": "us"}, "addresses of region 'us' are not published"),
        ({"token": SECRET, "base_url": "http://depot.test"}, "https"),
        ({"token": SECRET + "\n"}, "control characters"),
        ({"base_url": "https://depot.test"}, "go with credentials; without"),
        ({"region": "eu"}, "go with credentials"),
        ({"margin": timedelta(days=-1)}, "margin must be from 0 to 366 days"),
        ({"margin": 1}, "margin must be from 0 to 366 days"),
        ({"limit": 2001}, "limit must be an int from 1 to 2000: 2001"),
        ({"verify": "yes", "token": SECRET}, "verify must be a bool, got 'yes'"),
        ({"retry": 5}, "retry must be a RetryPolicy, got 5"),
        ({"timeout": None}, "timeout must be a Timeout, got None"),
        ({"proxy": f"socks5://{SECRET}@proxy"}, "proxy must be the URL of an http or https proxy"),
        ({"proxy": f"http://{SECRET}@", "token": SECRET}, "proxy must be the URL of an http"),
    ],
)
def test_settings_that_are_not_usable_say_so_at_once(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as failed:
        ReadSettings(**given)
    assert SECRET not in all_that_shows(failed.value)


def test_settings_of_another_version_are_refused_without_a_word_of_what_they_hold() -> None:
    settings = ReadSettings(token=SECRET)
    state = settings.__getstate__() | {"patience": 3}
    with pytest.raises(ValueError, match="pickled by another version of this library") as failed:
        settings.__setstate__(state)
    del state
    assert SECRET not in all_that_shows(failed.value)


def test_a_message_about_wrong_settings_does_not_quote_them() -> None:
    with pytest.raises(ValueError, match="settings must be ReadSettings, got str") as failed:
        read_batches([JANUARY], SECRET)  # type: ignore[arg-type]
    assert SECRET not in str(failed.value)


def test_a_refused_account_shows_no_secret(sandbox: DepotSandbox) -> None:
    settings = attrs.evolve(settings_of(sandbox), client_secret=SECRET)
    with pytest.raises(AuthError) as failed:
        read_partition(JANUARY, settings)
    assert SECRET not in all_that_shows(failed.value)
    assert failed.value.__notes__ == ["partition CP-001/1/2026-01"]


async def test_an_export_reads_the_windows_by_the_same_queries(
    sandbox: DepotSandbox, tmp_path: Path
) -> None:
    def queries(since: int) -> list[tuple[str, str]]:
        asked = [request.query for request in sandbox.requests[since:]]
        return [(query["from"], query["to"]) for query in asked if query["page"] == "1"]

    async with client_of(sandbox) as depot:
        now = datetime.now(UTC)
        depot.now = lambda: now
        await export_session_reports(depot, [("CP-001", 1)], tmp_path, from_=BEGIN, to=END)
    count = len(sandbox.requests)
    for month in plan([("CP-001", 1)], BEGIN, END):
        await asyncio.to_thread(read_partition, month, settings_of(sandbox))
    assert queries(0)[: len(queries(count))] == queries(count)


@pytest.mark.parametrize("by_environment", [False, True])
def test_a_partition_is_read_through_a_proxy(
    sandbox: DepotSandbox, monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    with running_in_thread(LoopbackProxy()) as proxy:  # type: ignore[type-var]
        if by_environment:
            for name, value in sandbox.environment.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
        settings = ReadSettings() if by_environment else settings_of(sandbox, proxy=proxy.url)
        assert read_partition(JANUARY, settings).num_rows == 60

        through_it = len(proxy.heads)
        assert through_it == len(sandbox.requests) + 1  # and the request for the token
        read_partition(JANUARY, settings_of(sandbox, proxy=False))
        assert len(proxy.heads) == through_it


def test_reading_needs_no_client_of_the_caller() -> None:
    assert isinstance(ReadSettings(token=SECRET).client(), DepotClient)
