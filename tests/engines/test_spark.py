"""Session reports through Spark: the same rows, no more requests at once than allowed."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from depotclient.models import camel_case
from depotclient.partitions import Connector, plan
from depotclient.sandbox import DepotSandbox, RecordedRequest
from tests.support.clients import account_of
from tests.support.fleet import (
    BEGIN,
    END,
    REPORTS,
    connectors_of,
    fleet,
    in_one_process,
    ordered,
    sharing_an_id,
)
from tests.support.shown import all_that_shows

pytest.importorskip("pyarrow")
pytest.importorskip("pyspark", reason="pyspark is not installed")
if not (shutil.which("java") or "JAVA_HOME" in os.environ):
    pytest.skip("no Java: Spark's tests need a Java runtime, 17 or later", allow_module_level=True)

import pyarrow.compute as pc
from pyspark.errors import AnalysisException, PythonException
from pyspark.sql import SparkSession, datasource
from pyspark.sql.datasource import CaseInsensitiveDict, InputPartition
from pyspark.sql.types import StructType, TimestampType

from depotclient.arrow import FLEET_REPORTS
from depotclient.spark import OPTIONS, ROWS, SCHEMA, SessionReportsDataSource
from tests.support.spark import end_java

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# pyspark says so wherever pandas is installed, though nothing here uses it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:PySpark does not yet fully support pandas:FutureWarning"
)

of_filters = pytest.mark.skipif(
    not hasattr(datasource, "Filter"), reason="before 4.1 Spark pushes no filters down"
)

T = TypeVar("T")

PUSHING = "spark.sql.python.filterPushdown.enabled"
SECRET = "s3cret-that-nobody-shows"
SPAN = {"from": BEGIN.isoformat(), "to": END.isoformat()}
ONE = {"connectors": "CP-001/1", **SPAN}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[DepotSandbox]:
    """The server of the environment that Spark runs in."""
    with fleet() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        yield running
        end_java()


@pytest.fixture(scope="module")
def spark(sandbox: DepotSandbox, request: pytest.FixtureRequest) -> Iterator[SparkSession]:
    """Local Spark with two cores unless the test says otherwise; a task may fail three times."""
    settings: dict[str, Any] = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.session.timeZone": "Asia/Kathmandu",
    }
    builder = SparkSession.builder.master(getattr(request, "param", "local[2,4]"))
    session = builder.config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    session.dataSource.register(SessionReportsDataSource)
    yield session
    session.stop()


@pytest.fixture(scope="module")
def expected(sandbox: DepotSandbox) -> Any:
    """All reports in order, as one process reads them; every fleet has the same."""
    return in_one_process(sandbox)


def frame(spark: SparkSession, options: dict[str, str]) -> DataFrame:
    return spark.read.format("depot_session_reports").options(**options).load()


def sent(this: T) -> T:
    """As it comes to another process."""
    again: T = pickle.loads(pickle.dumps(this))  # noqa: S301
    return again


def starts_in(table: Any) -> list[datetime]:
    return [start for start in table["session_time_start"].to_pylist() if start is not None]


def named(connectors: Sequence[Connector]) -> str:
    return ",".join(f"{charger}/{connector}" for charger, connector in connectors)


def whole(sandbox: DepotSandbox) -> dict[str, str]:
    """Options for all that a sandbox has, with its credentials."""
    return {**account(sandbox), **SPAN, "connectors": named(connectors_of(sandbox))}


def account(sandbox: DepotSandbox) -> dict[str, str]:
    return {camel_case(name): value for name, value in account_of(sandbox).items()}


def source(options: dict[str, str]) -> SessionReportsDataSource:
    return SessionReportsDataSource(CaseInsensitiveDict(options))


# The rows.


def test_the_rows_are_those_of_one_process(
    spark: SparkSession, sandbox: DepotSandbox, expected: Any
) -> None:
    options = {**SPAN, "connectors": named(connectors_of(sandbox))}
    reports = frame(spark, options)  # by the account of the environment
    assert reports.rdd.getNumPartitions() == 80
    assert reports.schema == SCHEMA
    assert reports.schema["session_time_start"].dataType == TimestampType()
    table = ordered(reports.toArrow())
    assert table.num_rows == REPORTS
    assert table.equals(expected)


def test_the_rows_are_the_same_where_one_request_in_ten_fails(
    spark: SparkSession, expected: Any
) -> None:
    with fleet(fault_rate=0.1) as shaky:
        table = ordered(frame(spark, {**whole(shaky), "concurrency": "8"}).toArrow())
        assert any(request.fault for request in shaky.requests)
    assert table.equals(expected)


def test_sessions_that_share_an_id_are_separate_rows(spark: SparkSession) -> None:
    with sharing_an_id() as account:
        options = {camel_case(name): value for name, value in account.items()}
        reports = frame(spark, {**options, **SPAN, "connectors": "CP-001/1"})
        found = reports.select("session_id", "vehicle_id").collect()
    assert sorted(map(tuple, found)) == [(-1, "A"), (-1, "B"), (-1, "C")]


def test_a_span_is_exact_and_in_utc_whatever_the_session_says(
    spark: SparkSession, expected: Any
) -> None:
    of_one = starts_in(expected.filter(pc.field("charger_id") == "CP-001"))
    options = {
        "connectors": "CP-001/1,CP-001/2",
        "from": "2026-01-03",
        "to": "2026-01-05T12:00+01:00",
        "window": "day",
    }
    table = ordered(frame(spark, options).toArrow())
    starts = starts_in(table)
    first, end = datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 5, 11, tzinfo=UTC)
    assert starts
    assert all(first <= start < end for start in starts)
    assert len(starts) == sum(first <= start < end for start in of_one)


def test_connectors_come_from_a_file_too(
    spark: SparkSession, sandbox: DepotSandbox, tmp_path: Path
) -> None:
    file = tmp_path / "connectors.csv"
    file.write_text("charger_id,connector_id\nCP-002,1\nCP-002,2\n")
    reader = spark.read.format("depot_session_reports").options(**ONE)
    found = reader.load(str(file)).groupBy("charger_id", "connector_id").count().collect()
    assert sorted(map(tuple, found)) == [
        ("CP-001", "1", 125),
        ("CP-002", "1", 125),
        ("CP-002", "2", 125),
    ]


def test_a_span_without_an_end_ends_when_the_frame_is_made() -> None:
    reports = source({"connectors": "CP-001/1", "FROM": "2026-01-01"})
    before = datetime.now(UTC)
    schema = reports.schema()
    after = datetime.now(UTC)
    (*_, last) = reports.reader(schema).partitions()
    (*_, again) = sent(reports).reader(schema).partitions()
    assert before <= last.value[-1].end <= after
    assert again.value == last.value


# How much at once.


@pytest.mark.parametrize(
    ("concurrency", "sizes"), [("3", [2, 2, 2]), ("4", [2, 2, 1, 1]), ("9", [1] * 6)]
)
def test_windows_are_dealt_out_evenly(concurrency: str, sizes: list[int]) -> None:
    options = {**ONE, "connectors": "A/1, A/2, B/1", "concurrency": concurrency}
    tasks = [task.value for task in source(options).reader(SCHEMA).partitions()]
    assert [len(task) for task in tasks] == sizes
    dealt = {window for task in tasks for window in task}
    assert dealt == set(plan([("A", "1"), ("A", "2"), ("B", "1")], BEGIN, END))


def test_a_task_asks_for_one_page_after_another_by_one_token() -> None:
    with fleet(latency=0.01) as slow:
        reader = source({**whole(slow), "connectors": "CP-001/1,CP-001/2", "concurrency": "1"})
        (task,) = reader.reader(SCHEMA).partitions()
        batches: list[Any] = list(reader.reader(SCHEMA).read(task))
        assert (slow.peak_in_flight, len(slow.token_requests)) == (1, 1)
    assert sum(batch.num_rows for batch in batches) == 250
    assert all(batch.schema.equals(ROWS) for batch in batches)
    assert ROWS.names == FLEET_REPORTS.names


def test_where_nothing_is_to_be_read_nothing_is_asked() -> None:
    reader = source(ONE).reader(SCHEMA)
    assert list(reader.read(InputPartition(None))) == []


# Filters.


def asked(requests: Sequence[RecordedRequest]) -> tuple[set[str], str, str]:
    """Which connectors have been asked for, and the earliest and the latest time."""
    names = {f"{it.query['chargerId']}/{it.query['connectorId']}" for it in requests}
    times = [it.query["from"] for it in requests], [it.query["to"] for it in requests]
    return names, min(times[0]), max(times[1])


@pytest.fixture
def pushing(spark: SparkSession) -> Iterator[SparkSession]:
    spark.conf.set(PUSHING, "true")
    yield spark
    spark.conf.unset(PUSHING)


FIRST, LAST = "2025-12-31T00:00:00.000Z", "2026-03-02T00:00:00.000Z"
THREE = {**ONE, "connectors": "CP-001/1,CP-001/2,CP-002/1"}


@of_filters
@pytest.mark.parametrize(
    ("condition", "names", "first", "last"),
    [
        ("charger_id = 'CP-002'", {"CP-002/1"}, FIRST, LAST),
        ("charger_id in ('CP-002', 'CP-007')", {"CP-002/1"}, FIRST, LAST),
        ("connector_id = '2'", {"CP-001/2"}, FIRST, LAST),
        ("connector_id = '1' and charger_id = 'CP-001'", {"CP-001/1"}, FIRST, LAST),
        # A time without an offset is in the time zone of the session, which is 5:45 h ahead of UTC.
        (
            "session_time_start >= '2026-01-05' and charger_id = 'CP-002'",
            {"CP-002/1"},
            "2026-01-03T18:14:59.999Z",
            LAST,
        ),
        (
            "session_time_start < timestamp'2026-01-05 12:00:00Z' and charger_id = 'CP-002'",
            {"CP-002/1"},
            FIRST,
            "2026-01-06T12:00:00.001Z",
        ),
        (
            "to_date(session_time_start) = '2026-01-05' and charger_id = 'CP-002'",
            {"CP-002/1"},
            "2026-01-03T18:14:59.999Z",
            "2026-01-06T18:15:00.001Z",
        ),
        # What is not understood narrows nothing.
        ("connector_id = 2", {"CP-001/1", "CP-001/2", "CP-002/1"}, FIRST, LAST),
        ("charger_id like '%2'", {"CP-001/1", "CP-001/2", "CP-002/1"}, FIRST, LAST),
    ],
)
def test_a_filter_narrows_what_is_asked_for_and_leaves_the_rows_as_they_are(
    pushing: SparkSession,
    sandbox: DepotSandbox,
    condition: str,
    names: set[str],
    first: str,
    last: str,
) -> None:
    expected = ordered(frame(pushing, THREE).where(condition).toArrow())
    before = len(sandbox.requests)
    found = ordered(frame(pushing, {**THREE, "pushFilters": "true"}).where(condition).toArrow())
    assert found.num_rows > 0
    assert found.equals(expected)
    assert asked(sandbox.requests[before:]) == (names, first, last)


@of_filters
@pytest.mark.parametrize(
    "condition",
    [
        "session_time_start >= '2027-01-01'",
        "session_time_start < '0001-01-02'",
        "session_time_start > '2026-01-20' and session_time_start < '2026-01-10'",
        "charger_id = 'CP-003'",
        "charger_id = 'CP-001' and charger_id = 'CP-002'",
    ],
)
def test_a_filter_that_leaves_nothing_asks_for_nothing(
    pushing: SparkSession, sandbox: DepotSandbox, condition: str
) -> None:
    before = len(sandbox.requests)
    reports = frame(pushing, {**THREE, "pushFilters": "true"}).where(condition)
    assert reports.collect() == []
    assert len(sandbox.requests) == before


@of_filters
def test_without_the_option_no_filter_is_pushed_even_if_spark_would(
    pushing: SparkSession, sandbox: DepotSandbox
) -> None:
    before = len(sandbox.requests)
    assert frame(pushing, THREE).where("charger_id = 'CP-002'").count() == 125
    assert asked(sandbox.requests[before:])[0] == {"CP-001/1", "CP-001/2", "CP-002/1"}


@of_filters
def test_to_push_filters_that_spark_does_not_push_says_what_to_set(spark: SparkSession) -> None:
    with pytest.raises(AnalysisException, match=f"'{PUSHING}' is false. Set it to true"):
        frame(spark, {**ONE, "pushFilters": "true"}).count()


START = ("session_time_start",)
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)


@of_filters
@pytest.mark.parametrize(
    ("make", "from_", "to"),
    [
        (lambda: datasource.EqualTo(START, NOON), NOON - MS, NOON + MS),
        (lambda: datasource.GreaterThan(START, NOON), NOON - MS, END),
        (lambda: datasource.GreaterThanOrEqual(START, NOON), NOON - MS, END),
        (lambda: datasource.LessThan(START, NOON), BEGIN, NOON + MS),
        (lambda: datasource.LessThanOrEqual(START, NOON), BEGIN, NOON + MS),
        (lambda: datasource.GreaterThan(START, BEGIN - MS), BEGIN, END),
        (lambda: datasource.LessThan(START, END + MS), BEGIN, END),
        # Only Spark knows whose noon that is.
        (lambda: datasource.GreaterThan(START, NOON.replace(tzinfo=None)), BEGIN, END),
        (lambda: datasource.LessThan(START, NOON.replace(tzinfo=None)), BEGIN, END),
        (lambda: datasource.EqualTo(START, None), BEGIN, END),
        (lambda: datasource.Not(datasource.EqualTo(START, NOON)), BEGIN, END),
        (lambda: datasource.LessThan(("session_time_end",), NOON), BEGIN, END),
        (lambda: datasource.EqualTo(("vehicle_id",), "CP-001"), BEGIN, END),
        (lambda: datasource.IsNotNull(START), BEGIN, END),
    ],
)
def test_a_filter_leaves_every_row_that_it_could_keep(
    make: Callable[[], datasource.Filter], from_: datetime, to: datetime
) -> None:
    it = make()
    reader = source({**ONE, "pushFilters": "true"}).reader(SCHEMA)
    assert list(reader.pushFilters([it])) == [it], "Spark applies it itself"
    tasks = [task.value[0] for task in reader.partitions()]
    assert (tasks[0].start, tasks[-1].end) == (from_, to)


# Wrong options.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red", "client_id": "a"}, "there is no option client_id, colour"),
        ({"from": None}, "from is missing: the begin of the time span, such as 2026-01-31"),
        ({"from": "soon"}, "from must be a date or time in ISO 8601, such as .*, not 'soon'"),
        ({"to": ""}, "to must be a date or time in ISO 8601"),
        ({"to": "2025-12-31"}, r"from=2026-01-01T.* must be before to=2025-12-31T"),
        ({"from": "9000-01-01", "to": None}, "must be before now, where the span ends without to"),
        ({"connectors": None}, "connectors are missing: name them, such as CP-001/1,CP-001/2, or"),
        ({"connectors": "CP-001"}, "named as CHARGER/CONNECTOR, such as CP-001/1: 'CP-001'"),
        ({"connectors": "CP-001/1,"}, "named as CHARGER/CONNECTOR, such as CP-001/1: ''"),
        ({"path": "/nowhere/it.csv"}, "path='/nowhere/it.csv' can't be read: No such file"),
        ({"window": "week"}, "window must be one of month, day, got 'week'"),
        ({"margin": "a day"}, "margin must be a number of days, such as 1, not a day"),
        ({"margin": "nan"}, "margin must be a number of days, such as 1, not nan"),
        ({"margin": "1e300"}, "margin must be a number of days, such as 1, not 1e300"),
        ({"margin": "-1"}, "margin must be from 0 to 366 days"),
        ({"verify": "yes"}, "verify must be true or false, not 'yes'"),
        ({"pushFilters": "1"}, "pushFilters must be true or false, not '1'"),
        ({"limit": "all"}, "limit must be a whole number of at least 1, not 'all'"),
        ({"limit": "9999"}, "limit must be an int from 1 to 2000"),
        ({"concurrency": "0"}, "concurrency must be a whole number of at least 1, not '0'"),
        ({"concurrency": "2.5"}, "concurrency must be a whole number of at least 1, not '2.5'"),
        ({"token": SECRET, "clientId": "a"}, "give exactly one kind of credentials: token, or"),
        ({"clientSecret": SECRET}, "clientId is missing: client credentials are a pair"),
        ({"token": f"{SECRET}\n"}, "token "),
        ({"token": SECRET, "region": "moon"}, "the addresses of region 'moon' are not published"),
        ({"token": SECRET, "baseUrl": "here"}, "baseUrl"),
        ({"region": "eu"}, "region, baseUrl and tokenUrl go with credentials"),
    ],
)
def test_a_wrong_option_is_refused_with_what_would_be_right(
    options: dict[str, str | None], message: str
) -> None:
    given = {name: text for name, text in {**ONE, **options}.items() if text is not None}
    with pytest.raises(ValueError, match=message) as caught:
        source(given).schema()
    assert f"(the options of depot_session_reports are {', '.join(OPTIONS)})" in str(caught.value)
    assert SECRET not in all_that_shows(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_wrong_line_of_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "connectors.csv"
    file.write_text("CP-001,1\nCP-002\n")
    with pytest.raises(ValueError, match=r"connectors.csv, line 2: a line is CHARGER,CONNECTOR"):
        source({**ONE, "path": str(file)}).schema()


def test_a_wrong_option_is_refused_when_the_frame_is_made(spark: SparkSession) -> None:
    with pytest.raises(AnalysisException, match="ValueError: there is no option colour") as caught:
        frame(spark, {**ONE, "colour": "red", "token": SECRET})
    assert SECRET not in str(caught.value)


def test_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match=r"leave schema\(\.\.\.\) out"):
        source(ONE).reader(StructType())


@of_filters
def test_spark_without_filter_classes_can_not_push_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(datasource, "Filter")
    source(ONE).schema()
    with pytest.raises(ValueError, match=r"pushFilters needs Spark 4\.1 or later"):
        source({**ONE, "pushFilters": "true"}).schema()


# Errors and secrets.


def test_wrong_credentials_are_told_with_the_window_and_without_the_secret(
    spark: SparkSession, sandbox: DepotSandbox
) -> None:
    reports = frame(spark, {**ONE, **account(sandbox), "clientSecret": SECRET, "concurrency": "1"})
    with pytest.raises(PythonException) as caught:
        reports.count()
    assert "evtransport.errors.AuthError: the token URL answered" in str(caught.value)
    assert "\npartition CP-001/1/2026-01" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_connector_that_is_unknown_is_told_with_the_window(spark: SparkSession) -> None:
    reports = frame(spark, {**ONE, "connectors": "CP-999/7", "concurrency": "1"})
    with pytest.raises(PythonException) as caught:
        reports.count()
    assert "evtransport.errors.NotFoundError: the server answered 404" in str(caught.value)
    assert "\npartition CP-999/7/2026-01" in str(caught.value)


def test_no_text_shows_a_secret(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    options = {**ONE, "token": SECRET}
    reports = source(options)
    reader = reports.reader(reports.schema())
    (task, *_) = reader.partitions()
    frame(spark, options).explain(extended=True)
    shown = [str(reports), repr(reports), repr(reader), repr(task), repr(vars(reader))]
    assert SECRET not in "".join([*shown, capsys.readouterr().out])
    again: Any = sent(reader)
    assert again._scan.settings.token.reveal() == SECRET


# At the end, since it takes another Spark.


@pytest.mark.parametrize("spark", ["local[6,4]"], indirect=True)
def test_no_more_windows_are_read_at_once_than_allowed(spark: SparkSession) -> None:
    peaks = {}
    for concurrency in (None, 4):
        with fleet(latency=0.4) as slow:
            options = {**whole(slow), "connectors": named(connectors_of(slow)[:10])}
            options |= {"limit": "2000"} | (
                {"concurrency": str(concurrency)} if concurrency else {}
            )
            reports = frame(spark, options)
            assert reports.rdd.getNumPartitions() == (concurrency or 20)
            assert reports.count() == 10 * 125
            peaks[concurrency] = slow.peak_in_flight
    assert peaks[None] > 4
    assert 2 <= peaks[4] <= 4
