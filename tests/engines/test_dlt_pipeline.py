"""A dlt pipeline into DuckDB stores the rows of one process, once each."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import (
    BEGIN,
    END,
    connectors_of,
    fleet,
    in_one_process,
    in_thread,
    insert_report,
    ordered,
    settings_of,
)
from tests.support.pages import served
from tests.support.wire import Wire

pytest.importorskip("dlt", reason="dlt is not installed")
pytest.importorskip("duckdb", reason="DuckDB is not installed")

import dlt
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from dlt.pipeline.exceptions import PipelineStepFailed

from depotclient import NotFoundError, RetryPolicy
from depotclient.arrow import FLEET_REPORTS
from depotclient.dlt import Rows, session_reports
from depotclient.partitions import Connector, ReadSettings
from depotclient.sandbox import DepotSandbox

ONE: Connector = ("CP-001", "1")
HOUR = timedelta(hours=1)
PATIENT = RetryPolicy(attempts=9, base_delay=0.02)


pytestmark = pytest.mark.usefixtures("dlt_settings")


@pytest.fixture
def sandbox() -> Iterator[DepotSandbox]:
    with fleet(chargers=1, sessions=20, fault_rate=0.2) as sandbox:
        yield sandbox


@pytest.fixture
def pipeline(tmp_path: Path) -> dlt.Pipeline:
    database, folder = str(tmp_path / "fleet.duckdb"), str(tmp_path / "pipelines")
    destination = dlt.destinations.duckdb(database)
    return dlt.pipeline("fleet", folder, destination=destination, dataset_name="depot")


def resource_of(sandbox: DepotSandbox, *connectors: Connector, **options: Any) -> Any:
    given = {"from_": BEGIN, "settings": settings_of(sandbox, retry=PATIENT), **options}
    return session_reports(connectors or connectors_of(sandbox), **given)


def query(text: str) -> list[tuple[Any, ...]]:
    with duckdb.connect("fleet.duckdb") as connection:
        connection.sql("set timezone = 'UTC'; use depot")
        return connection.sql(text).fetchall()


def loaded() -> pa.Table:
    """Return the table, with nested types in the place of JSON."""
    with duckdb.connect("fleet.duckdb") as connection:
        connection.sql("set timezone = 'UTC'")
        connection.register("fleet", FLEET_REPORTS.empty_table())
        columns = ", ".join(
            f"{name}::{kind} as {name}"
            for name, kind, *_ in connection.sql("describe fleet").fetchall()
        )
        text = f"select {columns} from depot.session_reports"  # noqa: S608
        return ordered(connection.sql(text).to_arrow_table())


STRANGE: list[dict[str, Any]] = [
    {"sessionMeterValues": [], "batteryAlignmentResults": None, "ocppStatus": None},
    {"vehicleId": None, "sessionTimeEnd": None, "energySocStart": None},
    {"vehicleId": "ladesäule ⚡ \"'\\\n", "energySocStart": 0.1 + 0.2},
    {"deviceStatus": [{"status": None, "deviceId": "", "eventTimestamp": None}]},
    {"energyChargeStart": 2**53 + 1, "energyChargeEnd": 5e-324},
]


def test_the_table_holds_the_rows_of_one_process_after_each_run(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    pipeline.run(resource_of(sandbox))
    assert loaded().equals(in_one_process(sandbox))
    for number, fields in enumerate(STRANGE):
        insert_report(sandbox, number, BEGIN + number * HOUR, **fields)
    tokens = len(sandbox.token_requests)
    pipeline.run(resource_of(sandbox))
    assert len(sandbox.token_requests) == tokens + 1
    assert len(loaded()) == 45
    assert loaded().equals(in_one_process(sandbox))
    assert any(request.fault for request in sandbox.requests)
    assert "WARNING" not in capfd.readouterr().err


@pytest.mark.parametrize("rows", ["arrow", "objects"])
def test_an_empty_run_creates_the_columns_of_a_full_run(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, rows: Rows
) -> None:
    pipeline.run(resource_of(sandbox, from_=BEGIN - 2 * HOUR, to=BEGIN, rows=rows))
    kinds = {name: kind for name, kind, *_ in query("describe session_reports")}
    plain = [field.name for field in FLEET_REPORTS if not pa.types.is_nested(field.type)]
    names = [name for name in kinds if not name.startswith("_dlt")]
    expected = FLEET_REPORTS.names if rows == "arrow" else plain
    assert names == [*expected, "session_key", "deleted"]
    assert kinds["session_id"] == "BIGINT"
    assert kinds["session_time_start"] == "TIMESTAMP WITH TIME ZONE"
    assert kinds["energy_charge_end"] == "DOUBLE"
    assert kinds.get("ocpp_status", "JSON") == "JSON"
    pipeline.run(resource_of(sandbox, rows=rows))
    after = {name: kind for name, kind, *_ in query("describe session_reports")}
    assert {name: after[name] for name in kinds} == kinds


def test_objects_create_child_tables_with_a_row_for_each_event(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline
) -> None:
    pipeline.run(resource_of(sandbox, ONE, rows="objects"))
    first, *_ = sandbox.session_ids(*ONE)
    sandbox.remove(*ONE, first)
    insert_report(sandbox, first, BEGIN, ocppStatus=[])
    pipeline.run(resource_of(sandbox, ONE, rows="objects"))
    expected = in_one_process(sandbox).slice(0, 20)
    for column in ("ocpp_status", "session_meter_values", "charge_parameters", "detail_status"):
        events = pc.sum(pc.list_value_length(expected[column])).as_py()
        text = f"select count(*) from session_reports__{column}"  # noqa: S608
        assert query(text) == [(events,)]
    found = query("select session_id, session_time_start from session_reports order by session_id")
    columns = (expected[name].to_pylist() for name in ("session_id", "session_time_start"))
    assert found == list(zip(*columns, strict=True))


@pytest.mark.parametrize("rows", ["arrow", pytest.param("objects", marks=pytest.mark.slow)])
def test_sessions_that_share_an_id_are_separate_rows_after_repeated_runs(
    pipeline: dlt.Pipeline, rows: Rows
) -> None:
    starts = ["2026-01-10T00:00:00Z", "2026-01-10T00:00:00.001Z", None]
    items = [{"sessionId": -1, "sessionTimeStart": start} for start in starts]
    with in_thread(Wire(default=served(items))) as wire:
        settings = ReadSettings(token="t0k3n", base_url=wire.url)
        connectors: list[Connector] = [("CP-001", 1), ("CP-001", 2)]
        for _ in range(2):
            pipeline.run(session_reports(connectors, BEGIN, END, settings=settings, rows=rows))
    found = query("select connector_id, session_key from session_reports order by all")
    keys = [key for connector, key in found if connector == "1"]
    assert keys[:2] == ["2026-01-10 00:00:00.000", "2026-01-10 00:00:00.001"]
    assert len(keys[2]) == 16
    assert found == [(connector, key) for connector in "12" for key in keys]


def test_a_failed_run_loads_nothing_and_names_the_partition_without_a_secret(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, tmp_path: Path
) -> None:
    with pytest.raises(PipelineStepFailed, match="unknown charger 'nowhere'") as failed:
        pipeline.run(resource_of(sandbox, ONE, ("nowhere", 1), to=END))
    with duckdb.connect("fleet.duckdb") as connection:
        text = "select table_name from information_schema.tables where table_name like 'session%'"
        assert connection.sql(text).fetchall() == []
    text = "".join(traceback.format_exception(failed.value))
    assert "partition nowhere/1/2026-01" in text
    cause: BaseException | None = failed.value
    while cause is not None and not isinstance(cause, NotFoundError):
        cause = cause.__cause__
    assert cause is not None
    pipeline.run(resource_of(sandbox))
    assert loaded().equals(in_one_process(sandbox))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {".duckdb"} < {path.suffix for path in files}
    content = b"".join(path.read_bytes() for path in files) + text.encode()
    for secret in (sandbox.client_secret, sandbox.token, *sandbox._tokens.expiry):
        assert secret.encode() not in content


def fail(batch: pa.RecordBatch) -> pa.RecordBatch:
    if batch.num_rows:
        raise ValueError("broken")
    return batch


@pytest.mark.parametrize("is_parallel", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_notebook_with_a_running_loop_loads_and_leaves_no_thread(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, *, is_parallel: bool
) -> None:
    async def cell(resource: Any) -> None:
        pipeline.run(resource.parallelize() if is_parallel else resource)

    with pytest.raises(PipelineStepFailed, match="caused an exception: broken"):
        asyncio.run(cell(resource_of(sandbox).add_map(fail)))
    asyncio.run(cell(resource_of(sandbox)))
    assert loaded().equals(in_one_process(sandbox))
    gc.collect()  # A resource that is not closed warns.
    assert not [thread for thread in threading.enumerate() if "session" in thread.name]
