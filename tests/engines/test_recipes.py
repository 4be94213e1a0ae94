"""The recipes for schedulers do what they say; each is skipped where its scheduler is not there."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow.parquet

from depotclient.sandbox import DepotSandbox
from tests.support.fleet import fleet

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "recipes"
PAGE = (ROOT / "docs" / "more-than-one-machine.md").read_text(encoding="utf-8")

_BLOCK = re.compile(r"<!-- examples/(recipes/\w+)\.py -->\n```python\n(.*?)\n```\n", re.DOTALL)
_REGION = re.compile(r"^# region DOCS\n(.*?)\n# endregion$", re.DOTALL | re.MULTILINE)

NIGHT = datetime(2026, 1, 4, tzinfo=UTC)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[DepotSandbox]:
    with fleet(chargers={"CP-001": [1, 2]}, sessions=60) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield sandbox


def recipe(name: str, lake: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.LAKE = str(lake)  # type: ignore[attr-defined]
    return module


def ids_in(lake: Path) -> dict[str, list[Any]]:
    """The sessions of each day in a lake."""
    found: dict[str, list[Any]] = {}
    for file in sorted(lake.glob("**/*.parquet")):
        day = file.parent.name.removeprefix("day=")
        rows = pyarrow.parquet.ParquetFile(file).read(["session_id"])
        found.setdefault(day, []).extend(rows["session_id"].to_pylist())
    return found


def ids_of(sandbox: DepotSandbox, *days: int) -> dict[str, list[int]]:
    """The sessions that begin on some days of January."""
    found: dict[str, list[int]] = {}
    for day in days:
        stamp = f"2026-01-{day:02}"
        found[stamp] = [
            session_id
            for connector in ("1", "2")
            for session_id, report in zip(
                sandbox.session_ids("CP-001", connector),
                sandbox.reports("CP-001", connector),
                strict=True,
            )
            if f'"sessionTimeStart":"{stamp}T'.encode() in report
        ]
    return found


@pytest.mark.parametrize(("name", "block"), _BLOCK.findall(PAGE))
def test_a_block_of_the_page_is_the_region_of_its_recipe(name: str, block: str) -> None:
    (region,) = _REGION.findall((ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8"))
    assert block == region.strip()


def test_every_recipe_is_on_the_page() -> None:
    names = {f"recipes/{file.stem}" for file in RECIPES.glob("*.py")}
    assert names == {name for name, _ in _BLOCK.findall(PAGE)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_nightly_run_of_airflow_copies_what_has_come(
    sandbox: DepotSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("AIRFLOW__CORE__UNIT_TEST_MODE", "true")
    pytest.importorskip("airflow.sdk", reason="Airflow is not installed")
    task = recipe("airflow_dag", tmp_path / "lake").dag_of_the_file.get_task("copy")

    assert task.retries == 3
    assert task.python_callable(data_interval_end=NIGHT) == 120
    assert sum(map(len, ids_in(tmp_path / "lake").values())) == 120
    asked = len(sandbox.requests)
    assert task.python_callable(data_interval_end=NIGHT) == 0
    assert len(sandbox.requests) == asked


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_partition_of_the_dagster_asset_is_a_day_of_all_connectors(
    sandbox: DepotSandbox, tmp_path: Path
) -> None:
    dagster = pytest.importorskip("dagster", reason="Dagster is not installed")
    assets = recipe("dagster_assets", tmp_path)

    for _ in range(2):  # run again, it replaces what is there
        run = dagster.materialize([assets.session_reports], partition_key="2026-01-02")
        assert run.success
    expected = ids_of(sandbox, 2)
    assert expected["2026-01-02"]
    assert ids_in(tmp_path) == expected
    keys = assets.session_reports.partitions_def.get_partition_keys(
        current_time=datetime(2026, 1, 4, 0, 30, tzinfo=UTC)
    )
    assert keys == ["2026-01-01", "2026-01-02"]
    (event,) = run.get_asset_materialization_events()
    assert event.materialization.metadata["reports"].value == len(expected["2026-01-02"])


def output_of(name: str, *arguments: str, folder: Path, sandbox: DepotSandbox) -> str:
    """What a recipe prints as a program, in a folder of its own."""
    environment = {
        # Of workers that are killed half a file would be left of what was measured of them.
        **{name: text for name, text in os.environ.items() if name != "COVERAGE_PROCESS_START"},
        **sandbox.environment,
        "PYSPARK_PYTHON": sys.executable,
        "DLT_DATA_DIR": str(folder / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(RECIPES / f"{name}.py"), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def connectors(tmp_path: Path) -> str:
    file = tmp_path / "connectors.csv"
    file.write_text("charger_id,connector_id\nCP-001,1\nCP-001,2\n", encoding="utf-8")
    return str(file)


def test_a_pool_of_processes_reads_the_partitions(
    sandbox: DepotSandbox, tmp_path: Path, connectors: str
) -> None:
    printed = output_of(
        "any_engine", connectors, "2026-01-01", "2026-03-01", folder=tmp_path, sandbox=sandbox
    )
    assert printed.splitlines() == [
        "CP-001/1/2026-01 60 reports",
        "CP-001/1/2026-02 0 reports",
        "CP-001/2/2026-01 60 reports",
        "CP-001/2/2026-02 0 reports",
    ]
    assert sandbox.peak_in_flight <= 4


def test_dask_tells_which_vehicles_have_charged_most(
    sandbox: DepotSandbox, tmp_path: Path, connectors: str
) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    printed = output_of("dask_energy", connectors, "2026-01-01", folder=tmp_path, sandbox=sandbox)
    energy: Counter[str] = Counter()
    for connector in ("1", "2"):
        for report in map(json.loads, sandbox.reports("CP-001", connector)):
            wh = report["energyChargeEnd"] - report["energyChargeStart"]
            energy[report["vehicleId"]] += wh / 1000
    lines = [line.split() for line in printed.splitlines() if line.startswith("BUS-")]
    assert [name for name, _ in lines] == [name for name, _ in energy.most_common(5)]
    assert [float(kwh) for _, kwh in lines] == [
        pytest.approx(kwh, rel=1e-5) for _, kwh in energy.most_common(5)
    ]


def test_dlt_loads_and_loads_again_what_is_new(sandbox: DepotSandbox, tmp_path: Path) -> None:
    pytest.importorskip("dlt", reason="dlt is not installed")
    pytest.importorskip("duckdb", reason="DuckDB is not installed")
    for _ in range(2):
        printed = output_of("dlt_pipeline", "2026-01-01", folder=tmp_path, sandbox=sandbox)
        vehicles = Counter(
            json.loads(report)["vehicleId"]
            for connector in ("1", "2")
            for report in sandbox.reports("CP-001", connector)
        )
        counts = [int(line.split()[1]) for line in printed.splitlines() if line[:4] == "BUS-"]
        assert counts == [count for _, count in vehicles.most_common(5)]


@pytest.mark.skipif(shutil.which("java") is None, reason="no Java, which Spark runs on")
def test_spark_copies_the_reports_into_a_folder(
    sandbox: DepotSandbox, tmp_path: Path, connectors: str
) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    lake = tmp_path / "lake"
    printed = output_of(
        "spark_table", connectors, "2026-01-01", str(lake), folder=tmp_path, sandbox=sandbox
    )
    assert re.search(r"CP-001 *\| *120\|", printed)
    assert sandbox.peak_in_flight <= 4
    assert len(list(lake.glob("charger_id=CP-001/*.parquet"))) > 0
