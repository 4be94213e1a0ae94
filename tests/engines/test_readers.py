"""The documented ways to read exported files keep ids as strings."""

from __future__ import annotations

import ast
import asyncio
import importlib
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from depotclient import DepotClient
from depotclient.export import export_session_reports
from depotclient.partitions.calendar import Window
from tests.support.fleet import fleet

pytest.importorskip("pyarrow")

import pyarrow.dataset

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
NAMES = ["1", "01", "x/y"]
CHARGERS = dict.fromkeys(["0012", "12", "CP.", "ladesäule ⚡", "%2F", "a=b&c", "nul.txt"], NAMES)

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "export.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"^## Reading it\n\n```python\n(.*?)\n```$", PAGE, re.DOTALL | re.MULTILINE)
STATEMENTS = [ast.unparse(statement) for statement in ast.parse(BLOCK).body]


@pytest.fixture(scope="module", params=["month", "day"])
def lake(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Window]:
    """Export chargers with ids that differ as strings, but not as numbers."""
    window: Window = request.param
    folder = tmp_path_factory.mktemp(window)

    async def export() -> None:
        async with DepotClient(token=sandbox.token, base_url=sandbox.base_url) as depot:
            connectors = [(charger, name) for charger, names in CHARGERS.items() for name in names]
            done = await export_session_reports(
                depot, connectors, folder, from_=BEGIN, to=END, window=window
            )
            assert done.failed == ()

    with fleet(chargers=CHARGERS, sessions=8) as sandbox:
        asyncio.run(export())
    return folder, window


@pytest.fixture
def spark() -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.getOrCreate()
    yield session
    session.stop()
    importlib.import_module("tests.support.spark").end_java()


Rows = list[dict[str, Any]]

ROWS: dict[str, Callable[[Any], Rows]] = {
    "duckdb": lambda found: found.to_arrow_table().to_pylist(),
    "polars": lambda found: found.collect().to_dicts(),
    "pandas": lambda found: found.to_dict("records"),
    "pyarrow": lambda found: found.to_table().to_pylist(),
    "dask": lambda found: found.compute(scheduler="synchronous").to_dict("records"),
    "spark": lambda found: [row.asDict() for row in found.collect()],
}
SLOW = {"spark": [pytest.mark.slow, pytest.mark.timeout(600)]}


@pytest.mark.parametrize("name", [pytest.param(n, marks=SLOW.get(n, [])) for n in ROWS])
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_ids_that_look_like_numbers_stay_strings(
    lake: tuple[Path, Window], request: pytest.FixtureRequest, name: str
) -> None:
    folder, window = lake
    module = {"dask": "dask.dataframe"}.get(name, name)
    known: dict[str, Any] = {"pyarrow": pyarrow}
    if name == "spark":
        request.getfixturevalue("spark")
        known["SparkSession"] = importlib.import_module("pyspark.sql").SparkSession
    else:
        pytest.importorskip(module, reason=f"{name} is not installed")
    beginnings = (f"import {module}", name, "names =", "strings =")
    *statements, last = [s for s in STATEMENTS if s.startswith(beginnings)]
    for statement in statements:
        exec(statement.replace("'month'", f"'{window}'"), known)  # noqa: S102
    rows = ROWS[name](eval(last.replace("lake", str(folder), 1), known))  # noqa: S307

    sessions = {(row["charger_id"], row["connector_id"], row["session_id"]) for row in rows}
    assert len(sessions) == len(rows) > len(CHARGERS)
    assert {(charger, name) for charger, name, _ in sessions} == set(product(CHARGERS, NAMES))
    assert {row[window] for row in rows} <= {"2026-01", "2026-01-01", "2026-01-02"}
