"""Session reports through a Dask cluster: the same rows, once each, and within the quota."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.fleet import (
    BEGIN,
    END,
    REPORTS,
    connectors_of,
    fleet,
    in_one_process,
    ordered,
    settings_of,
    sharing_an_id,
)
from tests.support.proxy import LoopbackProxy
from tests.support.waiting import until

pytest.importorskip("dask.dataframe", reason="Dask is not installed")
pytest.importorskip("distributed", reason="Dask's distributed is not installed")

import pandas as pd
import pyarrow as pa
from distributed import Client, LocalCluster, Semaphore

from depotclient import NotFoundError, RetryPolicy
from depotclient.arrow import FLEET_REPORTS
from depotclient.dask import read_session_reports
from depotclient.partitions import ReadSettings
from depotclient.sandbox import DepotSandbox, running_in_thread

pytestmark = pytest.mark.filterwarnings(
    # Some versions say so where the cluster of another test is still there.
    "ignore:Running on a single-machine scheduler:UserWarning"
)

PATIENT = RetryPolicy(attempts=6, base_delay=0.02)


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """The loops of Dask's scheduler and client are not ours."""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        # A worker that is killed would leave half a file of what was measured of it.
        patch.delenv("COVERAGE_PROCESS_START", raising=False)
        with (
            # Any free port: of the default one, another cluster on this machine may be in the way.
            LocalCluster(n_workers=2, threads_per_worker=4, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            yield client


@pytest.fixture
def sandbox() -> Iterator[DepotSandbox]:
    with fleet(chargers=3, sessions=30) as sandbox:
        yield sandbox


def table_of(frame: pd.DataFrame) -> pa.Table:
    return ordered(pa.Table.from_pandas(frame, preserve_index=False))


def test_partitions_are_read_through_the_proxy_of_the_environment(
    sandbox: DepotSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_in_thread(LoopbackProxy()) as proxy:  # type: ignore[type-var]
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        frame = read_session_reports([("CP-001", 1)], BEGIN, END, settings=settings_of(sandbox))

        assert len(frame.compute(scheduler="synchronous")) == 30
        assert len(proxy.heads) > len(sandbox.requests)  # with those for tokens


def set_environment(variables: dict[str, str]) -> None:
    os.environ.update(variables)


def test_two_worker_processes_read_the_rows_that_one_process_reads(client: Client) -> None:
    with fleet() as sandbox:
        expected = in_one_process(sandbox)
        frame = read_session_reports(
            connectors_of(sandbox), BEGIN, END, settings=settings_of(sandbox)
        )
        found = frame.compute()
    assert found.dtypes.equals(frame.dtypes)
    assert len(found) == REPORTS
    assert table_of(found).equals(expected)


def test_the_rows_are_the_same_when_answers_fail_and_a_worker_is_killed(client: Client) -> None:
    with fleet(fault_rate=0.1, latency=0.02) as sandbox, fleet() as faultless:
        expected = in_one_process(faultless)
        frame = read_session_reports(
            connectors_of(sandbox), BEGIN, END, settings=settings_of(sandbox, retry=PATIENT)
        )
        victim, *_ = client.run(os.getpid).values()
        future = client.compute(frame)
        until(lambda: len(sandbox.requests) > 100, seconds=60)
        os.kill(victim, signal.SIGKILL)
        killed_at = len(sandbox.requests)
        found = future.result(timeout=120)
        assert killed_at < len(sandbox.requests) - 50
        assert any(request.fault for request in sandbox.requests)
    assert victim not in client.run(os.getpid).values()
    assert table_of(found).equals(expected)


def test_sessions_that_share_an_id_are_separate_rows(client: Client) -> None:
    with sharing_an_id() as account:
        settings = ReadSettings(**account)
        frame = read_session_reports([("CP-001", 1)], BEGIN, END, settings=settings)
        assert sorted(frame.compute()["vehicle_id"]) == ["A", "B", "C"]


def test_a_semaphore_caps_the_requests_of_the_whole_cluster(client: Client) -> None:
    def peak(semaphore: Semaphore | None) -> int:
        with fleet(latency=0.05, chargers=10, sessions=20) as sandbox:
            frame = read_session_reports(
                connectors_of(sandbox),
                BEGIN,
                END,
                settings=settings_of(sandbox),
                semaphore=semaphore,
            )
            assert len(frame.compute()) == 400
            return sandbox.peak_in_flight

    client.wait_for_workers(2)
    assert peak(None) > 4
    assert 2 <= peak(Semaphore(max_leases=4, name="depot")) <= 4


def test_the_workers_take_credentials_from_their_environment(
    client: Client, sandbox: DepotSandbox
) -> None:
    client.run(set_environment, sandbox.environment)
    try:
        frame = read_session_reports(connectors_of(sandbox), BEGIN, END)
        assert len(frame.compute()) == 180
    finally:
        client.run(set_environment, dict.fromkeys(sandbox.environment, ""))


def test_each_partition_is_read_once_whatever_is_computed_of_it(
    client: Client, sandbox: DepotSandbox
) -> None:
    frame = read_session_reports(connectors_of(sandbox), BEGIN, END, settings=settings_of(sandbox))
    starts = frame["session_time_start"]
    late = frame[starts > starts.min()][["vehicle_id"]]
    whole = frame.persist()
    whole.count().compute()
    once = len(sandbox.requests)
    assert len(late.compute()) == 180 - len(connectors_of(sandbox))
    assert len(sandbox.requests) == 2 * once


def test_columns_that_are_not_asked_for_are_not_there(sandbox: DepotSandbox) -> None:
    frame = read_session_reports(
        connectors_of(sandbox),
        BEGIN,
        END,
        columns=["vehicle_id", "charger_id"],
        settings=settings_of(sandbox),
    )
    found = frame.compute(scheduler="threads")
    assert list(frame.columns) == list(found.columns) == ["vehicle_id", "charger_id"]
    assert found.dtypes.equals(frame.dtypes)
    assert len(found) == 180


@pytest.mark.parametrize("npartitions", [1, 4, 100])
def test_windows_may_share_a_partition_and_its_token(
    sandbox: DepotSandbox, npartitions: int
) -> None:
    frame = read_session_reports(
        connectors_of(sandbox),
        BEGIN,
        END,
        window="day",
        npartitions=npartitions,
        settings=settings_of(sandbox),
    )
    found = frame.compute(scheduler="threads")
    assert frame.npartitions == npartitions
    assert len(sandbox.token_requests) == npartitions
    assert table_of(found).equals(in_one_process(sandbox))


def test_the_span_is_exact(sandbox: DepotSandbox) -> None:
    whole = in_one_process(sandbox)
    starts: list[Any] = sorted(whole["session_time_start"].to_pylist())
    from_, to = starts[40], starts[-40]
    frame = read_session_reports(connectors_of(sandbox), from_, to, settings=settings_of(sandbox))
    found = frame.compute(scheduler="threads")["session_time_start"]
    assert sorted(found) == [start for start in starts if from_ <= start < to]


def test_what_goes_wrong_on_a_worker_says_in_which_partition(
    client: Client, sandbox: DepotSandbox
) -> None:
    one = BEGIN + timedelta(days=31)  # of two windows either may fail first
    frame = read_session_reports([("nowhere", 1)], BEGIN, one, settings=settings_of(sandbox))
    with pytest.raises(NotFoundError, match="unknown charger 'nowhere'") as failed:
        frame.compute()
    assert failed.value.__notes__ == ["partition nowhere/1/2026-01"]


def test_no_text_of_a_frame_shows_a_credential() -> None:
    secret = "s3cr3t-enough-to-be-found"
    settings = ReadSettings(client_id="me", client_secret=secret, base_url="https://depot.test/v1")
    frame = read_session_reports([("CP-001", 1)], BEGIN, END, settings=settings)
    graph = dict(frame.dask)
    assert secret not in "".join((repr(frame), repr(frame.expr), repr(graph), str(graph)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"connectors": []}, "there are no connectors to read: name some"),
        ({"connectors": ["CP-001/1"]}, "a connector is a pair, such as"),
        ({"from_": datetime(2026, 1, 1)}, "from_ must be aware"),  # noqa: DTZ001
        ({"from_": datetime.now(UTC) + timedelta(days=1)}, "must be before to="),
        ({"to": BEGIN}, "must be before to="),
        ({"window": "week"}, "window must be one of month, day, not 'week'"),
        ({"npartitions": 0}, "npartitions must be an int of at least 1: 0"),
        ({"columns": ["vehicle"]}, "columns must be some of charger_id, .*, not \\['vehicle'\\]"),
        ({"columns": "vehicle_id"}, "columns must be some of .*, not 'vehicle_id'"),
        ({"settings": 5}, "settings must be ReadSettings, not int"),
        ({"semaphore": "depot"}, "semaphore must be a distributed.Semaphore, not str"),
        ({"columns": []}, "columns must be some of .*, not \\[\\]"),
    ],
)
def test_what_is_not_usable_is_said_at_once(given: dict[str, Any], message: str) -> None:
    usable: dict[str, Any] = {"connectors": [("CP-001", 1)], "from_": BEGIN}
    with pytest.raises(ValueError, match=message):
        read_session_reports(**{**usable, **given})


def test_the_frame_declares_the_schema_of_a_fleet() -> None:
    frame = read_session_reports([("CP-001", 1)], BEGIN, END)
    assert list(frame.columns) == FLEET_REPORTS.names
    assert all(isinstance(kind, pd.ArrowDtype) for kind in frame.dtypes)
    assert [kind.pyarrow_dtype for kind in frame.dtypes] == FLEET_REPORTS.types
