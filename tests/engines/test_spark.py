"""The Spark data source returns the rows of one process and limits its requests."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from depotclient.models import camel_case
from depotclient.partitions import Connector, plan
from depotclient.sandbox import DepotSandbox, RecordedRequest
from tests.support.clients import account_of
from tests.support.error_dump import dump_error
from tests.support.fleet import BEGIN, END, connectors_of, fleet, in_one_process, ordered

pytest.importorskip("pyspark", reason="pyspark is not installed")

import pyarrow as pa
from pyspark.errors import AnalysisException, PythonException
from pyspark.sql import SparkSession, datasource
from pyspark.sql.datasource import CaseInsensitiveDict, InputPartition
from pyspark.sql.types import StructType, TimestampType

from depotclient.arrow import FLEET_REPORTS
from depotclient.spark import OPTIONS, ROWS, SCHEMA, SessionReportsDataSource
from tests.support.spark import end_java

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# pyspark warns if pandas is installed, though nothing here uses it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:PySpark does not yet fully support pandas:FutureWarning"
)


def on_spark(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that starts Spark, which takes minutes on a busy machine."""
    marked: Callable[..., None] = pytest.mark.slow(pytest.mark.timeout(600)(test))
    return marked


needs_filters = pytest.mark.skipif(
    not hasattr(datasource, "Filter"), reason="Spark before 4.1 pushes no filters down"
)

PUSHDOWN = "spark.sql.python.filterPushdown.enabled"
SECRET = "s3cret-that-no-text-shows"
SPAN = {"from": BEGIN.isoformat(), "to": END.isoformat()}
ONE = {"connectors": "CP-001/1", **SPAN}
START = ("session_time_start",)
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[DepotSandbox]:
    with fleet(chargers=3, sessions=30) as running:
        yield running


def source(options: dict[str, str]) -> SessionReportsDataSource:
    return SessionReportsDataSource(CaseInsensitiveDict(options))


def options_of(sandbox: DepotSandbox, **options: str) -> dict[str, str]:
    """Return options for all connectors of a sandbox, with its credentials."""
    names = ",".join(f"{charger}/{name}" for charger, name in connectors_of(sandbox))
    account = {camel_case(name): value for name, value in account_of(sandbox).items()}
    return {**account, **SPAN, "connectors": names, **options}


def windows_of(options: dict[str, str]) -> list[Any]:
    return [task.value for task in source(options).reader(SCHEMA).partitions()]


@pytest.mark.parametrize("concurrency", ["1", "5", None])
def test_the_tasks_hold_the_rows_of_one_process(
    sandbox: DepotSandbox, concurrency: str | None
) -> None:
    given = options_of(sandbox) | ({"concurrency": concurrency} if concurrency else {})
    reader = source(given).reader(SCHEMA)
    tokens = len(sandbox.token_requests)

    tasks = reader.partitions()
    batches: list[Any] = [batch for task in tasks for batch in reader.read(task)]

    assert len(tasks) == len(sandbox.token_requests) - tokens == int(concurrency or 12)
    assert ordered(pa.Table.from_batches(batches, ROWS)).equals(in_one_process(sandbox))
    assert ROWS.names == FLEET_REPORTS.names


def test_an_empty_task_sends_no_request() -> None:
    assert list(source(ONE).reader(SCHEMA).read(InputPartition(None))) == []


def test_connectors_of_a_file_add_to_those_of_the_option(tmp_path: Path) -> None:
    file = tmp_path / "connectors.csv"
    file.write_text("charger_id,connector_id\nCP-002,1\nCP-002,2\n")
    windows = windows_of({**ONE, "path": str(file), "window": "month", "concurrency": "1"})[0]
    connectors: list[Connector] = [("CP-001", "1"), ("CP-002", "1"), ("CP-002", "2")]
    assert windows == plan(connectors, BEGIN, END)


def test_a_span_without_an_end_ends_when_the_frame_is_made() -> None:
    reports = source({"connectors": "CP-001/1", "FROM": "2026-01-01"})
    before = datetime.now(UTC)
    schema = reports.schema()
    after = datetime.now(UTC)
    (*_, last) = reports.reader(schema).partitions()
    (*_, again) = pickle.loads(pickle.dumps(reports)).reader(schema).partitions()  # noqa: S301
    assert before <= last.value[-1].end <= after
    assert again.value == last.value


@pytest.mark.parametrize(
    ("concurrency", "sizes"), [("3", [2, 2, 2]), ("4", [2, 2, 1, 1]), ("9", [1] * 6)]
)
def test_windows_are_distributed_evenly(concurrency: str, sizes: list[int]) -> None:
    tasks = windows_of({**ONE, "connectors": "A/1, A/2, B/1", "concurrency": concurrency})
    assert [len(task) for task in tasks] == sizes
    windows = {window for task in tasks for window in task}
    assert windows == set(plan([("A", "1"), ("A", "2"), ("B", "1")], BEGIN, END))


ALL = {("A", "1"), ("A", "2"), ("B", "1")}


@needs_filters
@pytest.mark.parametrize(
    ("make", "connectors", "from_", "to"),
    [
        (lambda: datasource.EqualTo(START, NOON), ALL, NOON - MS, NOON + MS),
        (lambda: datasource.GreaterThan(START, NOON), ALL, NOON - MS, END),
        (lambda: datasource.GreaterThanOrEqual(START, NOON), ALL, NOON - MS, END),
        (lambda: datasource.LessThan(START, NOON), ALL, BEGIN, NOON + MS),
        (lambda: datasource.LessThanOrEqual(START, NOON), ALL, BEGIN, NOON + MS),
        (lambda: datasource.GreaterThan(START, BEGIN - MS), ALL, BEGIN, END),
        (lambda: datasource.LessThan(START, END + MS), ALL, BEGIN, END),
        # Only Spark knows the zone of a naive time.
        (lambda: datasource.EqualTo(START, NOON.replace(tzinfo=None)), ALL, BEGIN, END),
        (lambda: datasource.EqualTo(START, None), ALL, BEGIN, END),
        (lambda: datasource.Not(datasource.EqualTo(START, NOON)), ALL, BEGIN, END),
        (lambda: datasource.LessThan(("session_time_end",), NOON), ALL, BEGIN, END),
        (lambda: datasource.EqualTo(("vehicle_id",), "CP-001"), ALL, BEGIN, END),
        (lambda: datasource.EqualTo(("charger_id",), "B"), {("B", "1")}, BEGIN, END),
        (lambda: datasource.EqualTo(("connector_id",), "2"), {("A", "2")}, BEGIN, END),
        (lambda: datasource.In(("charger_id",), ("B", "C")), {("B", "1")}, BEGIN, END),
        (lambda: datasource.EqualTo(("charger_id",), "C"), set(), None, None),
        (lambda: datasource.LessThan(START, BEGIN - MS), set(), None, None),
    ],
)
def test_a_filter_narrows_the_scan_and_keeps_every_matching_row(
    make: Callable[[], datasource.Filter],
    connectors: set[Connector],
    from_: datetime | None,
    to: datetime | None,
) -> None:
    condition = make()
    options = {**ONE, "connectors": "A/1,A/2,B/1", "pushFilters": "true"}
    reader = source(options).reader(SCHEMA)
    assert list(reader.pushFilters([condition])) == [condition], "Spark applies the filter too"
    windows = [window for task in reader.partitions() for window in task.value]
    assert {(window.charger_id, window.connector_id) for window in windows} == connectors
    assert min((window.start for window in windows), default=None) == from_
    assert max((window.end for window in windows), default=None) == to


INVALID: list[tuple[dict[str, str | None], str]] = [
    ({"colour": "red", "client_id": "a"}, "unknown option client_id, colour"),
    ({"from": None}, "from is missing: the start of the span, such as 2026-01-31"),
    ({"from": "soon"}, "from must be a date or time in ISO 8601, such as .*'soon'"),
    ({"to": "2025-12-31"}, r"from=2026-01-01T.* must be before to=2025-12-31T"),
    ({"from": "9000-01-01", "to": None}, "must be before now, the default of to"),
    ({"connectors": None}, "connectors are missing: name them, such as CP-001/1,CP-001/2, or"),
    ({"connectors": "CP-001/1,"}, "CHARGER/CONNECTOR, such as CP-001/1"),
    ({"path": "/nowhere/ids.csv"}, "path='/nowhere/ids.csv' can't be read: No such file"),
    ({"margin": "a day"}, "margin must be a duration"),
    ({"verify": "yes"}, "verify must be true or false, got 'yes'"),
    ({"concurrency": "0"}, "concurrency must be an int >= 1, got '0'"),
    ({"token": SECRET, "clientId": "a"}, "exactly one kind of credentials: token, or"),
    ({"clientSecret": SECRET}, "clientId is missing"),
    ({"token": SECRET, "baseUrl": "here"}, "baseUrl"),
    ({"region": "eu"}, "region, baseUrl and tokenUrl"),
]


@pytest.mark.parametrize(("options", "message"), INVALID)
def test_an_invalid_option_is_rejected_without_a_secret(
    options: dict[str, str | None], message: str
) -> None:
    given = {name: text for name, text in {**ONE, **options}.items() if text is not None}
    with pytest.raises(ValueError, match=message) as caught:
        source(given).schema()
    assert f"(the options of depot_session_reports are {', '.join(OPTIONS)})" in str(caught.value)
    assert SECRET not in dump_error(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_other_columns_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"omit schema\(\.\.\.\)"):
        source(ONE).reader(StructType())


@needs_filters
def test_filters_require_a_spark_version_that_supports_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(datasource, "Filter")
    with pytest.raises(ValueError, match=r"pushFilters requires Spark 4\.1 or later"):
        source({**ONE, "pushFilters": "true"}).schema()


def test_no_text_shows_a_secret() -> None:
    reports = source({**ONE, "token": SECRET})
    reader = reports.reader(reports.schema())
    texts = [str(reports), repr(reports), repr(reader), repr(reader.partitions()[0])]
    assert SECRET not in "".join([*texts, repr(vars(reader))])
    received = pickle.loads(pickle.dumps(reader))  # noqa: S301
    assert received._scan.settings.token.reveal() == SECRET


@pytest.fixture(scope="module")
def spark(sandbox: DepotSandbox) -> Iterator[SparkSession]:
    """Local Spark with six cores, the credentials of the sandbox, and another time zone."""
    if not (shutil.which("java") or "JAVA_HOME" in os.environ):
        pytest.skip("Spark needs a Java runtime, 17 or later")
    settings: dict[str, bool | float | int | str | None] = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.session.timeZone": "Asia/Kathmandu",
        PUSHDOWN: "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**sandbox.environment, "PYSPARK_PYTHON": sys.executable}.items():
            patch.setenv(name, value)
        builder = SparkSession.builder.master("local[6,4]")
        session = builder.config(map=settings).getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        session.dataSource.register(SessionReportsDataSource)
        yield session
        session.stop()
        end_java()


def frame(spark: SparkSession, options: dict[str, str]) -> DataFrame:
    return spark.read.format("depot_session_reports").options(**options).load()


@on_spark
def test_spark_reads_the_rows_with_the_credentials_of_its_environment(
    spark: SparkSession, sandbox: DepotSandbox, tmp_path: Path
) -> None:
    file = tmp_path / "connectors.csv"
    file.write_text("".join(f"{charger},{name}\n" for charger, name in connectors_of(sandbox)))
    reports = spark.read.format("depot_session_reports").options(**SPAN).load(str(file))
    assert reports.schema == SCHEMA
    assert reports.schema["session_time_start"].dataType == TimestampType()
    assert ordered(reports.toArrow()).equals(in_one_process(sandbox))


@on_spark
def test_spark_reads_no_more_windows_at_once_than_allowed(spark: SparkSession) -> None:
    peaks = {}
    for concurrency in (20, 4):
        with fleet(latency=0.4, fault_rate=0.1, chargers=5, sessions=30) as slow:
            options = options_of(slow, limit="2000", concurrency=str(concurrency))
            assert frame(spark, options).count() == 300
            peaks[concurrency] = slow.peak_in_flight
    assert peaks[20] > 4
    assert 2 <= peaks[4] <= 4


FIRST, LAST = "2025-12-31T00:00:00.000Z", "2026-03-02T00:00:00.000Z"
THREE = {**ONE, "connectors": "CP-001/1,CP-001/2,CP-002/1"}


def queried(requests: Sequence[RecordedRequest]) -> tuple[set[str], str, str]:
    """Return the connectors of requests, and the earliest and latest time."""
    queries = [request.query for request in requests]
    names = {f"{query['chargerId']}/{query['connectorId']}" for query in queries}
    return (
        names,
        min((query["from"] for query in queries), default=""),
        max((query["to"] for query in queries), default=""),
    )


@needs_filters
@on_spark
@pytest.mark.parametrize(
    ("condition", "names", "first", "last"),
    [
        ("connector_id = '1' and charger_id = 'CP-001'", {"CP-001/1"}, FIRST, LAST),
        # A time without an offset is in the time zone of the session, 5:45 h ahead of UTC.
        (
            "to_date(session_time_start) = '2026-01-02' and charger_id in ('CP-002', 'CP-007')",
            {"CP-002/1"},
            "2025-12-31T18:14:59.999Z",
            "2026-01-03T18:15:00.001Z",
        ),
        ("charger_id like '%2'", {"CP-001/1", "CP-001/2", "CP-002/1"}, FIRST, LAST),
        ("session_time_start < '0001-01-02'", set(), "", ""),
    ],
)
def test_a_pushed_filter_narrows_the_requests_and_keeps_the_rows(
    spark: SparkSession,
    sandbox: DepotSandbox,
    condition: str,
    names: set[str],
    first: str,
    last: str,
) -> None:
    expected = ordered(frame(spark, THREE).where(condition).toArrow())
    before = len(sandbox.requests)
    found = ordered(frame(spark, {**THREE, "pushFilters": "true"}).where(condition).toArrow())
    assert (found.num_rows > 0) == (names != set())
    assert found.equals(expected)
    assert queried(sandbox.requests[before:]) == (names, first, last)


@needs_filters
@on_spark
def test_spark_names_its_setting_if_it_pushes_no_filters(spark: SparkSession) -> None:
    spark.conf.set(PUSHDOWN, "false")
    try:
        with pytest.raises(AnalysisException, match=f"'{PUSHDOWN}' is false. Set it to true"):
            frame(spark, {**ONE, "pushFilters": "true"}).count()
    finally:
        spark.conf.set(PUSHDOWN, "true")


@on_spark
def test_errors_of_spark_name_the_cause_and_no_secret(
    spark: SparkSession, sandbox: DepotSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AnalysisException, match="ValueError: unknown option colour") as refused:
        frame(spark, {**ONE, "colour": "red", "token": SECRET})
    reports = frame(spark, {**options_of(sandbox, concurrency="1"), "clientSecret": SECRET})
    reports.explain(extended=True)
    with pytest.raises(PythonException) as failed:
        reports.count()
    assert "evtransport.errors.AuthError" in str(failed.value)
    assert "\npartition CP-001/1/2026-01" in str(failed.value)
    assert SECRET not in f"{refused.value}{failed.value}{capsys.readouterr().out}"
