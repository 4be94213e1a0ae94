"""The documented ways to read exported files keep ids as strings, and join old and new files."""

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
from depotclient.arrow import SESSION_REPORTS
from depotclient.export import export_session_reports
from depotclient.export.parquet import ParquetFormat
from depotclient.partitions.calendar import Window
from depotclient.sandbox import make_report
from tests.support.fleet import fleet

pytest.importorskip("pyarrow")

import pyarrow.dataset
import pyarrow.parquet

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
NAMES = ["1", "01", "x/y"]
CHARGERS = dict.fromkeys(["0012", "12", "CP.", "ladesäule ⚡", "%2F", "a=b&c", "nul.txt"], NAMES)

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "export.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"^## Reading it\n\n```python\n(.*?)\n```$", PAGE, re.DOTALL | re.MULTILINE)
STATEMENTS = [ast.unparse(statement) for statement in ast.parse(BLOCK).body]

Rows = list[dict[str, Any]]

ROWS: dict[str, Callable[[Any], Rows]] = {
    "duckdb": lambda found: found.to_arrow_table().to_pylist(),
    "polars": lambda found: found.collect().to_dicts(),
    "pandas": lambda found: found.to_dict("records"),
    "pyarrow": lambda found: found.to_table().to_pylist(),
    "dask": lambda found: found.compute(scheduler="synchronous").to_dict("records"),
    "spark": lambda found: [row.asDict(recursive=True) for row in found.collect()],
}
SHARED = ("from pathlib", "import pyarrow.parquet", "names =", "strings =", "files =", "schema =")
PREPARATIONS = {"polars": ("options =", "union =")}
SLOW = {"spark": [pytest.mark.slow, pytest.mark.timeout(600)]}

each_reader = pytest.mark.parametrize(
    "reader", [pytest.param(name, marks=SLOW.get(name, [])) for name in ROWS]
)
quietly = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


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


def read(reader: str, folder: Path, window: Window, request: pytest.FixtureRequest) -> list[Rows]:
    """Run the documented lines of a reader. Return the rows that each of them reads."""
    module = {"dask": "dask.dataframe"}.get(reader, reader)
    known: dict[str, Any] = {"pyarrow": pyarrow}
    if reader == "spark":
        request.getfixturevalue("spark")
        known["SparkSession"] = importlib.import_module("pyspark.sql").SparkSession
    else:
        pytest.importorskip(module, reason=f"{reader} is not installed")
    beginnings = (*SHARED, f"import {module}", *PREPARATIONS.get(reader, ()), f"{reader} =")
    results: list[Rows] = []
    for statement in STATEMENTS:
        text = statement.replace("'month'", f"'{window}'").replace("lake", str(folder), 1)
        if statement.startswith((*beginnings, f"{reader}.conf")):
            exec(text, known)  # noqa: S102
        elif statement.startswith(f"{reader}."):
            results.append(ROWS[reader](eval(text, known)))  # noqa: S307
    assert results
    return results


@each_reader
@quietly
def test_ids_that_look_like_numbers_stay_strings(
    lake: tuple[Path, Window], request: pytest.FixtureRequest, reader: str
) -> None:
    folder, window = lake
    for rows in read(reader, folder, window, request):
        sessions = {(row["charger_id"], row["connector_id"], row["session_id"]) for row in rows}
        assert len(sessions) == len(rows) > len(CHARGERS)
        # Spark reads each percent-encoded byte of a folder's name as one character.
        encoding = "latin-1" if reader == "spark" else "utf-8"
        found = {(charger.encode(encoding).decode(), name) for charger, name, _ in sessions}
        assert found == set(product(CHARGERS, NAMES))
        assert {row[window] for row in rows} <= {"2026-01", "2026-01-01", "2026-01-02"}


def later_schema(counter: pyarrow.DataType) -> pyarrow.Schema:
    """Return the schema of a later version: one more column, and one more field of an event.

    Args:
        counter: Type of a number that is an integer in this version.
    """
    values, statuses = SESSION_REPORTS.field("session_meter_values"), "device_status"
    events = [*values.type.value_type, pyarrow.field("unit", pyarrow.string())]
    (status, device, codes, time) = SESSION_REPORTS.field(statuses).type.value_type
    errors = [
        field.with_type(counter) if field.name == "error_counter" else field
        for field in codes.type.value_type
    ]
    changed = {
        values.name: pyarrow.list_(pyarrow.struct(events)),
        statuses: pyarrow.list_(
            pyarrow.struct(
                [status, device, codes.with_type(pyarrow.list_(pyarrow.struct(errors))), time]
            )
        ),
    }
    fields = [
        field.with_type(changed[field.name]) if field.name in changed else field
        for field in SESSION_REPORTS
    ]
    return pyarrow.schema([*fields, pyarrow.field("tariff", pyarrow.string())])


def write_file(lake: Path, month: str, rows: pyarrow.Table) -> None:
    path = lake / "charger_id=0012" / "connector_id=01" / f"month={month}" / "reports.parquet"
    path.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(rows, path)


def write_mixed_lake(lake: Path, counter: float) -> None:
    """Write a file of this version, one with unknown fields, and one of a later version."""
    for number, keeps in ((1, False), (2, True)):
        report = b'{"tariff":1,' + make_report(number)[1:]
        row, _ = ParquetFormat(keeps).decode_report(report)
        write_file(lake, f"2026-0{number}", pyarrow.Table.from_batches([row]))
    row, _ = ParquetFormat().decode_report(make_report(3))
    (values,) = row.to_pylist()
    values["tariff"] = "T"
    values["session_meter_values"][0]["unit"] = "A"
    values["device_status"] = [{"error_codes": [{"error_counter": counter}]}]
    schema = later_schema(pyarrow.int64() if isinstance(counter, int) else pyarrow.float64())
    write_file(lake, "2026-03", pyarrow.Table.from_pylist([values], schema))


@pytest.mark.skipif(int(pyarrow.__version__.split(".")[0]) < 20, reason="needs pyarrow 20")
@each_reader
@quietly
def test_old_and_new_files_are_read_together(
    request: pytest.FixtureRequest, tmp_path: Path, reader: str
) -> None:
    counter = 1 if reader == "spark" else 0.5  # Spark can't merge an integer with a float.
    write_mixed_lake(tmp_path, counter)
    for rows in read(reader, tmp_path, "month", request):
        old, unknown, new = sorted(rows, key=lambda row: row["month"])
        assert [row["session_id"] for row in (old, unknown, new)] == [1, 2, 3]
        assert {(row["charger_id"], row["connector_id"]) for row in rows} == {("0012", "01")}
        assert (unknown["unknown_fields"], new["tariff"]) == ('{"tariff":1}', "T")
        missing = (old["tariff"], old["unknown_fields"], new["unknown_fields"])
        assert all(value is None or value != value for value in missing)
        units = [row["session_meter_values"][0]["unit"] for row in (old, new)]
        assert units == [None, "A"]
        assert new["device_status"][0]["error_codes"][0]["error_counter"] == counter
