"""Synchronous reading of partitions, in any thread and next to any event loop."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from tests.support.error_dump import dump_error
from tests.support.pages import served
from tests.support.proxy import LoopbackProxy
from tests.support.waiting import until
from tests.support.wire import Wire

pytest.importorskip("pyarrow")

import pyarrow as pa

from depotclient import AuthError, DeadlineExceeded, RetryPolicy, SchemaError, ServerError, Timeout
from depotclient.arrow import FLEET_REPORTS
from depotclient.partitions import (
    Partition,
    ReadSettings,
    plan,
    read_batches,
    read_partition,
    read_table,
)
from depotclient.sandbox import DepotSandbox, Fault
from tests.support.fleet import (
    BEGIN,
    END,
    connectors_of,
    fleet,
    in_thread,
    settings_of,
)

JANUARY = Partition("CP-001", "1", "2026-01")
SESSIONS = 24


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """Allow blocking calls: Arrow imports pandas in the reader's own loop."""


@pytest.fixture
def sandbox() -> Iterator[DepotSandbox]:
    with fleet(chargers=2, sessions=SESSIONS) as sandbox:
        yield sandbox


@pytest.fixture
def proxy() -> Iterator[LoopbackProxy]:
    with in_thread(LoopbackProxy()) as proxy:
        yield proxy


def ids_of(table: pa.Table) -> list[Any]:
    return table["session_id"].to_pylist()


def batches_of(sandbox: DepotSandbox) -> Generator[pa.RecordBatch, None, None]:
    return read_batches(plan(connectors_of(sandbox), BEGIN, END), settings_of(sandbox))


# Tables.


def test_a_partition_holds_the_reports_that_start_in_its_window(sandbox: DepotSandbox) -> None:
    days = plan([("CP-002", 2)], BEGIN, BEGIN + timedelta(days=20), "day")
    tables = [read_partition(day, settings_of(sandbox)) for day in days]
    for day, table in zip(days, tables, strict=True):
        starts: list[Any] = table["session_time_start"].to_pylist()
        assert table.schema == FLEET_REPORTS
        assert all(day.start <= start < day.end for start in starts)
        assert set(table["charger_id"].to_pylist()) <= {"CP-002"}
        assert set(table["connector_id"].to_pylist()) <= {"2"}
    found = [session_id for table in tables for session_id in ids_of(table)]
    assert found == sandbox.session_ids("CP-002", "2")
    assert any(table.num_rows == 0 for table in tables)


def test_each_session_is_read_once_and_a_report_without_times_in_each_window() -> None:
    starts = ["2026-01-10T00:00:00Z", "2026-01-10T00:00:00.001Z", "2026-02-10T00:00:00Z", None]
    items: list[dict[str, object]] = [
        {"sessionId": session_id, "sessionTimeStart": start, "vehicleId": vehicle}
        for session_id in (-1, 0, 7)
        for start in starts
        for vehicle in (["A", "B"] if start is None else ["A"])
    ]
    items.append({"sessionId": 9, "sessionTimeEnd": starts[0]})
    with in_thread(Wire(default=served([*items, *items[:9]]))) as wire:
        settings = ReadSettings(token="t0k3n", base_url=wire.url)
        january, february = (
            ids_of(read_partition(Partition("CP-001", "1", window), settings))
            for window in ("2026-01", "2026-02")
        )
    assert sorted(january) == sorted([-1, 0, 7] * 4 + [9])
    assert sorted(february) == sorted([-1, 0, 7] * 3)


def test_each_partition_logs_the_reports_that_it_leaves_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    off, january, february = (
        f"{text}T00:00:00Z" for text in ("1970-01-01", "2026-01-20", "2026-02-20")
    )
    windows = [Partition("CP-001", "1", window) for window in ("2026-01", "2026-02", "2026-03")]
    with fleet(chargers=1, sessions=0, time_filter="overlap") as sandbox:
        for session_id, (start, end) in enumerate([(off, january), (january, february)]):
            times = {"sessionTimeStart": start, "sessionTimeEnd": end}
            report = json.dumps({"sessionId": session_id, **times}).encode()
            sandbox.add("CP-001", "1", report)
        table = read_table(windows, settings_of(sandbox))

    assert ids_of(table) == [1]
    assert [(vars(r)["from_"][:7], vars(r)["session_ids"]) for r in caplog.records] == [
        ("2026-01", [0]),
        ("2026-02", [1]),
    ]


def test_an_invalid_report_is_an_error_that_names_its_partition() -> None:
    with fleet(chargers=1, sessions=0) as sandbox:
        start = "2026-01-20T00:00:00Z"
        report = {"sessionId": 1, "sessionTimeStart": start, "vehicleId": 7}
        sandbox.add("CP-001", "1", json.dumps(report).encode())
        with pytest.raises(SchemaError, match="vehicleId") as invalid:
            read_partition(JANUARY, settings_of(sandbox))
    assert "partition CP-001/1/2026-01" in invalid.value.__notes__


def test_partitions_share_a_token_and_no_request_is_sent_while_a_batch_is_used(
    sandbox: DepotSandbox,
) -> None:
    batches = batches_of(sandbox)
    assert sandbox.requests == []
    assert next(batches).num_rows == 10
    # This gives an unexpected request of the first reading time to arrive.
    read_partition(Partition("CP-002", "2", "2026-01"), settings_of(sandbox))
    chargers = [request.query["chargerId"] for request in sandbox.requests]
    assert chargers.count("CP-001") == 1
    assert sum(batch.num_rows for batch in batches) == 4 * SESSIONS - 10
    assert len(sandbox.token_requests) == 2
    assert sandbox.peak_in_flight == 1


def test_a_partition_in_the_future_is_not_requested(sandbox: DepotSandbox) -> None:
    now = datetime.now(UTC)
    later = plan([("CP-001", 1)], now + timedelta(days=2), now + timedelta(days=4), "day")
    assert read_table(later, settings_of(sandbox)).num_rows == 0
    assert sandbox.requests == []


# Settings and errors.


def test_limit_verify_margin_and_proxy_reach_the_requests(
    sandbox: DepotSandbox, proxy: LoopbackProxy
) -> None:
    options = {"limit": 100, "verify": True, "margin": timedelta(days=3), "proxy": proxy.url}
    read_partition(JANUARY, settings_of(sandbox, **options))
    queries = [request.query for request in sandbox.requests]
    assert [query["limit"] for query in queries] == ["100"] * 4
    assert {(query["from"], query["to"]) for query in queries} == {
        ("2025-12-29T00:00:00.000Z", "2026-02-04T00:00:00.000Z")
    }
    assert len(proxy.heads) == 5  # with the request for the token


def test_retry_and_timeout_reach_the_requests() -> None:
    with fleet(chargers=1, faults=[Fault.status(503)] * 4) as sandbox:
        with pytest.raises(ServerError) as failed:
            read_partition(JANUARY, settings_of(sandbox, retry=RetryPolicy(attempts=4)))
        assert failed.value.attempts == 4
        sandbox.latency = 30.0
        with pytest.raises(DeadlineExceeded):
            read_partition(JANUARY, settings_of(sandbox, timeout=Timeout(total=0.05)))


def test_settings_without_credentials_use_the_environment(
    sandbox: DepotSandbox, proxy: LoopbackProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="no credentials: set DEPOT_TOKEN"):
        read_partition(JANUARY)
    for name, value in {**sandbox.environment, "HTTP_PROXY": proxy.url}.items():
        monkeypatch.setenv(name, value)
    assert read_partition(JANUARY).num_rows == SESSIONS
    assert read_partition(JANUARY, ReadSettings(limit=50)).num_rows == SESSIONS
    through_proxy = len(proxy.heads)
    assert through_proxy == len(sandbox.requests) + len(sandbox.token_requests)

    read_partition(JANUARY, ReadSettings(proxy=False))
    assert len(proxy.heads) == through_proxy


def test_an_error_names_its_partition_and_shows_no_secret(sandbox: DepotSandbox) -> None:
    secret = "s3cr3t-enough-to-be-found"
    with pytest.raises(AuthError) as refused:
        read_partition(JANUARY, attrs.evolve(settings_of(sandbox), client_secret=secret))
    assert refused.value.__notes__ == ["partition CP-001/1/2026-01"]
    assert secret not in dump_error(refused.value)


# Threads and event loops.


def reader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "session-reports"]


def test_any_thread_may_receive_batches_and_an_abandoned_reading_ends_its_thread(
    sandbox: DepotSandbox,
) -> None:
    def abandoned() -> Generator[pa.RecordBatch, None, None]:
        batches = batches_of(sandbox)
        next(batches)
        return batches

    def receive_and_close(batches: Generator[pa.RecordBatch, None, None]) -> int:
        try:
            return next(batches).num_rows
        finally:
            batches.close()

    async def in_a_running_loop(batches: Generator[pa.RecordBatch, None, None]) -> int:
        return receive_and_close(batches)

    assert asyncio.run(in_a_running_loop(abandoned())) > 0
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(receive_and_close, abandoned()).result() > 0
    cycle: list[Any] = [abandoned()]
    cycle.append(cycle)
    del cycle
    gc.collect()
    until(lambda: not reader_threads() and sandbox.in_flight == 0, seconds=10)


def test_an_interrupt_cancels_a_request_in_flight(sandbox: DepotSandbox) -> None:
    def interrupt() -> None:
        until(lambda: sandbox.in_flight == 1, seconds=10)
        os.kill(os.getpid(), signal.SIGINT)

    sandbox.latency = 60.0
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        read_partition(JANUARY, ReadSettings(token=sandbox.token, base_url=sandbox.base_url))
    until(lambda: sandbox.in_flight == 0 and not reader_threads(), seconds=10)


async def test_a_call_in_a_running_loop_is_rejected_and_names_the_alternative(
    sandbox: DepotSandbox,
) -> None:
    with pytest.raises(RuntimeError, match="call the function with asyncio"):
        read_partition(JANUARY, ReadSettings(token="t0k3n"))
    table = await asyncio.to_thread(read_partition, JANUARY, settings_of(sandbox))
    assert table.num_rows == SESSIONS
