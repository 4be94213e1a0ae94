"""The recipes for engines and schedulers work. A missing scheduler skips its recipe."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow.parquet

from depotclient.sandbox import DepotSandbox
from tests.support.examples import EXAMPLES, RunExample
from tests.support.fleet import fleet

RECIPES = EXAMPLES / "recipes"
COUNTS = {
    "CP-001/1/2026-01": 20,
    "CP-001/1/2026-02": 0,
    "CP-001/2/2026-01": 20,
    "CP-001/2/2026-02": 0,
}

allow_warnings = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DepotSandbox]:
    """Sandbox that the environment names. The working directory has a file with its connectors."""
    monkeypatch.chdir(tmp_path)
    text = "charger_id,connector_id\nCP-001,1\nCP-001,2\n"
    Path("connectors.csv").write_text(text, encoding="utf-8")
    with fleet(chargers=1, sessions=20) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield sandbox


Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(name: str, *arguments: str) -> str:
        result = RunExample(monkeypatch, capsys)(f"recipes/{name}.py", *arguments)
        assert result.status == 0, result.err
        return result.out

    return run


def run_as_program(name: str, *arguments: str) -> str:
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    environment.pop("COVERAGE_PROCESS_START", None)  # A killed worker leaves half a data file.
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(RECIPES / f"{name}.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,  # Each process imports its engine, which takes minutes on a busy machine.
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def load(name: str, lake: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.LAKE = str(lake)  # type: ignore[attr-defined]
    return module


def reports_of(sandbox: DepotSandbox) -> list[dict[str, Any]]:
    return [json.loads(text) for name in "12" for text in sandbox.reports("CP-001", name)]


def ids_in(lake: Path) -> list[Any]:
    files = map(pyarrow.parquet.ParquetFile, lake.glob("**/*.parquet"))
    ids: list[Any] = [n for file in files for n in file.read()["session_id"].to_pylist()]
    return sorted(ids)


def top_vehicles(printed: str) -> dict[str, float]:
    lines = [line.split() for line in printed.splitlines() if line.startswith("BUS-")]
    return {vehicle: float(number) for vehicle, number in lines}


@allow_warnings
def test_a_nightly_run_of_airflow_exports_new_reports(
    sandbox: DepotSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("AIRFLOW__CORE__UNIT_TEST_MODE", "true")
    pytest.importorskip("airflow.sdk", reason="Airflow is not installed")
    task = load("airflow_dag", tmp_path / "lake").dag_of_the_file.get_task("copy")
    end = datetime(2026, 1, 4, tzinfo=UTC)
    assert task.retries == 3
    assert task.python_callable(data_interval_end=end) == 40
    assert len(ids_in(tmp_path / "lake")) == 40
    requests = len(sandbox.requests)
    assert task.python_callable(data_interval_end=end) == 0
    assert len(sandbox.requests) == requests


@allow_warnings
def test_a_partition_of_the_dagster_asset_is_a_day_of_all_connectors(
    sandbox: DepotSandbox, tmp_path: Path
) -> None:
    dagster = pytest.importorskip("dagster", reason="Dagster is not installed")
    assets = load("dagster_assets", tmp_path)
    for _ in range(2):  # The second run replaces the file.
        run = dagster.materialize([assets.session_reports], partition_key="2026-01-02")
        assert run.success
    expected = [
        report["sessionId"]
        for report in reports_of(sandbox)
        if report["sessionTimeStart"].startswith("2026-01-02")
    ]
    assert expected
    assert ids_in(tmp_path) == sorted(expected)
    keys = assets.session_reports.partitions_def.get_partition_keys(
        current_time=datetime(2026, 1, 4, 0, 30, tzinfo=UTC)
    )
    assert keys == ["2026-01-01", "2026-01-02"]
    (event,) = run.get_asset_materialization_events()
    assert event.materialization.metadata["reports"].value == len(expected)


def check_any_engine(run: Run) -> None:
    lines = run("any_engine", "connectors.csv", "2026-01-01", "2026-03-01").splitlines()
    assert lines == [f"{key} {count} reports" for key, count in COUNTS.items()]


def test_a_pool_reads_the_partitions(
    sandbox: DepotSandbox, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    def pool(workers: int, **_: object) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(workers)

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", pool)
    check_any_engine(run)


def check_dask(run: Run, sandbox: DepotSandbox) -> None:
    energy: Counter[str] = Counter()
    for report in reports_of(sandbox):
        wh = report["energyChargeEnd"] - report["energyChargeStart"]
        energy[report["vehicleId"]] += wh / 1000
    found = top_vehicles(run("dask_energy", "connectors.csv", "2026-01-01"))
    assert found == pytest.approx(dict(energy.most_common(5)), rel=1e-5)
    assert list(found) == [vehicle for vehicle, _ in energy.most_common(5)]


def test_dask_prints_the_vehicles_with_the_most_energy(
    sandbox: DepotSandbox, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")

    class LocalClient(distributed.Client):  # type: ignore[name-defined, misc]
        """Client with a cluster in a thread of this process."""

        def __init__(self) -> None:
            super().__init__(processes=False, n_workers=1, dashboard_address=":0")

    monkeypatch.setattr(distributed, "Client", LocalClient)
    check_dask(run, sandbox)


@allow_warnings
@pytest.mark.usefixtures("dlt_settings")
def test_dlt_loads_each_report_once_in_two_runs(sandbox: DepotSandbox, run: Run) -> None:
    pytest.importorskip("dlt", reason="dlt is not installed")
    pytest.importorskip("duckdb", reason="DuckDB is not installed")
    vehicles = Counter(report["vehicleId"] for report in reports_of(sandbox))
    for _ in range(2):
        found = top_vehicles(run("dlt_pipeline", "2026-01-01"))
        assert sorted(found.values()) == sorted(count for _, count in vehicles.most_common(5))


@allow_warnings
@pytest.mark.usefixtures("dlt_settings")
def test_dlt_writes_a_delta_table_that_a_second_run_leaves_unchanged(
    sandbox: DepotSandbox, run: Run
) -> None:
    pytest.importorskip("dlt", reason="dlt is not installed")
    pytest.importorskip("deltalake", reason="deltalake is not installed")
    for _ in range(2):
        assert run("dlt_delta", "2026-01-01", "lake") == "40 sessions, version 0\n"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_recipes_run_as_programs_with_worker_processes(sandbox: DepotSandbox) -> None:
    check_any_engine(run_as_program)
    if importlib.util.find_spec("distributed"):
        check_dask(run_as_program, sandbox)
    assert sandbox.peak_in_flight <= 4


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_spark_copies_the_reports_into_a_folder(sandbox: DepotSandbox, tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    lake = tmp_path / "lake"
    printed = run_as_program("spark_table", "connectors.csv", "2026-01-01", str(lake))
    assert re.search(r"CP-001 *\| *40\|", printed)
    assert sandbox.peak_in_flight <= 4
    assert list(lake.glob("charger_id=CP-001/*.parquet"))
