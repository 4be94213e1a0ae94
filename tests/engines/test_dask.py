"""A Dask frame holds the rows that one process reads, and sends no more requests than allowed."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.fleet import (
    BEGIN,
    END,
    connectors_of,
    fleet,
    in_one_process,
    ordered,
    settings_of,
)
from tests.support.waiting import until

pytest.importorskip("dask.dataframe", reason="Dask is not installed")

import dask
import pandas as pd
import pyarrow as pa

from depotclient import RetryPolicy
from depotclient.arrow import FLEET_REPORTS
from depotclient.dask import read_session_reports
from depotclient.partitions import ReadSettings
from depotclient.sandbox import DepotSandbox

PATIENT = RetryPolicy(attempts=9, base_delay=0.02)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    with dask.config.set(scheduler="threads"):
        yield


@pytest.fixture
def sandbox() -> Iterator[DepotSandbox]:
    with fleet(chargers=2, sessions=20) as sandbox:
        yield sandbox


def frame_of(sandbox: DepotSandbox, **options: Any) -> Any:
    options = {"from_": BEGIN, "to": END, "settings": settings_of(sandbox), **options}
    return read_session_reports(connectors_of(sandbox), **options)


def table_of(frame: pd.DataFrame) -> pa.Table:
    return ordered(pa.Table.from_pandas(frame, preserve_index=False))


def test_a_frame_sent_to_a_worker_holds_the_rows_of_one_process() -> None:
    options = {"chargers": 2, "sessions": 20}
    with fleet(fault_rate=0.3, **options) as sandbox, fleet(**options) as faultless:
        frame = frame_of(sandbox, settings=settings_of(sandbox, retry=PATIENT))
        received = pickle.loads(pickle.dumps(frame))  # noqa: S301
        found = received.compute()
        assert table_of(found).equals(in_one_process(faultless))
    assert found.dtypes.equals(frame.dtypes)
    assert list(frame.columns) == FLEET_REPORTS.names
    assert [kind.pyarrow_dtype for kind in frame.dtypes] == FLEET_REPORTS.types
    assert any(request.fault for request in sandbox.requests)


def test_columns_select_the_columns_of_the_frame(sandbox: DepotSandbox) -> None:
    names = ["vehicle_id", "charger_id"]
    frame = frame_of(sandbox, columns=names)
    found = frame.compute()
    assert list(frame.columns) == list(found.columns) == names
    assert found.dtypes.equals(frame.dtypes)
    assert len(found) == 80


@pytest.mark.parametrize(("npartitions", "expected"), [(1, 1), (3, 3), (100, 8), (None, 8)])
def test_windows_of_a_partition_share_a_token(
    sandbox: DepotSandbox, npartitions: int | None, expected: int
) -> None:
    frame = frame_of(sandbox, npartitions=npartitions)
    found = frame.compute()
    assert frame.npartitions == len(sandbox.token_requests) == expected
    assert table_of(found).equals(in_one_process(sandbox))


def test_the_span_is_exact(sandbox: DepotSandbox) -> None:
    starts = sorted(in_one_process(sandbox)["session_time_start"].to_pylist())  # type: ignore[type-var]
    from_, to = starts[20], starts[-20]
    found = frame_of(sandbox, from_=from_, to=to, window="day").compute()["session_time_start"]
    assert sorted(found) == starts[20:-20]


def test_each_partition_is_read_once_for_several_columns(sandbox: DepotSandbox) -> None:
    frame = frame_of(sandbox)
    frame.persist()
    once = len(sandbox.requests)
    starts = frame["session_time_start"]
    frame[starts > BEGIN][["vehicle_id"]].compute()
    assert len(sandbox.requests) == 2 * once


class LocalSemaphore(threading.Semaphore):
    """Stand-in for a `distributed.Semaphore`, within one process."""

    def __dask_tokenize__(self) -> str:
        return "leases"


def test_a_semaphore_limits_the_partitions_that_are_read_at_once() -> None:
    def peak(**options: Any) -> int:
        with fleet(latency=0.05, chargers=4, sessions=5) as sandbox:
            frame_of(sandbox, **options).compute(num_workers=8)
            return sandbox.peak_in_flight

    assert peak() > 2
    assert peak(semaphore=LocalSemaphore(2)) <= 2


def test_no_text_of_a_frame_shows_a_credential() -> None:
    secret = "s3cr3t-enough-to-be-found"
    settings = ReadSettings(client_id="me", client_secret=secret, base_url="https://depot.test/v1")
    frame = read_session_reports([("CP-001", 1)], BEGIN, END, settings=settings)
    graph = dict(frame.dask)
    assert secret not in "".join((repr(frame), repr(frame.expr), repr(graph), str(graph)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"connectors": []}, "connectors must not be empty: give pairs, such as"),
        ({"from_": datetime.now(UTC) + timedelta(days=1)}, "must be before to="),
        ({"npartitions": 0}, "npartitions must be an int"),
        ({"columns": ["vehicle"]}, r"columns must be some of charger_id, .*, got \['vehicle'\]"),
        ({"columns": "vehicle_id"}, "columns must be some of .*, got 'vehicle_id'"),
        ({"columns": []}, r"columns must be some of .*, got \[\]"),
        ({"settings": 5}, "settings must be ReadSettings"),
        ({"semaphore": "depot"}, "semaphore must be a distributed.Semaphore, got str"),
    ],
)
def test_an_invalid_argument_is_rejected_at_once(given: dict[str, Any], message: str) -> None:
    usable: dict[str, Any] = {"connectors": [("CP-001", 1)], "from_": BEGIN}
    with pytest.raises(ValueError, match=message):
        read_session_reports(**{**usable, **given})


@pytest.mark.slow
@pytest.mark.timeout(600)  # Each process imports Dask, which takes minutes on a busy machine.
@pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler:UserWarning")
def test_a_cluster_loses_no_row_when_a_worker_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")
    # A killed worker leaves half a file of coverage data.
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)
    options = {"chargers": 10, "sessions": 20}
    with (
        fleet(**options) as faultless,
        fleet(fault_rate=0.1, latency=0.05, **options) as sandbox,
        # On any free port: another cluster of this machine may use the default one.
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=4, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        semaphore = distributed.Semaphore(max_leases=4, name="depot")
        settings = settings_of(sandbox, retry=PATIENT)
        future = client.compute(frame_of(sandbox, settings=settings, semaphore=semaphore))
        until(lambda: len(sandbox.requests) > 20, seconds=300)
        victim, *_ = client.run(os.getpid).values()
        os.kill(victim, signal.SIGKILL)
        found = future.result(timeout=300)
        assert victim not in client.run(os.getpid).values()
        assert table_of(found).equals(in_one_process(faultless))
        assert sandbox.peak_in_flight <= 4
