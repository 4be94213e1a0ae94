"""Session reports through dlt: all rows, once each, and nothing lost from run to run."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import (
    BEGIN,
    END,
    REPORTS,
    connectors_of,
    fleet,
    in_one_process,
    in_thread,
    ordered,
    settings_of,
)
from tests.support.pages import served
from tests.support.proxy import LoopbackProxy
from tests.support.wire import Wire

pytest.importorskip("dlt", reason="dlt is not installed")
pytest.importorskip("duckdb", reason="DuckDB is not installed")

import dlt
import duckdb
import pyarrow as pa
from dlt.pipeline.exceptions import PipelineStepFailed
from hypothesis import given
from hypothesis import strategies as st

import depotclient.dlt
from depotclient import NotFoundError, RetryPolicy
from depotclient.arrow import FLEET_REPORTS
from depotclient.dlt import LOOK_BACK, PRIMARY_KEY, Rows, _after, _begin, session_reports
from depotclient.partitions import MARGIN, Connector, ReadSettings
from depotclient.sandbox import DepotSandbox

PATIENT = RetryPolicy(attempts=6, base_delay=0.02)
ONE: Connector = ("CP-001", "1")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """A loop that runs here is a notebook's, which dlt always blocks."""


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No telemetry, and no configuration but that of the test."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sandbox() -> Iterator[DepotSandbox]:
    with fleet(chargers=2, sessions=60) as sandbox:
        yield sandbox


@pytest.fixture
def pipeline(tmp_path: Path) -> dlt.Pipeline:
    return dlt.pipeline(
        "fleet",
        destination=dlt.destinations.duckdb(str(tmp_path / "fleet.duckdb")),
        dataset_name="depot",
        pipelines_dir=str(tmp_path / "pipelines"),
    )


@pytest.fixture(scope="module")
def whole_fleet() -> pa.Table:
    with fleet() as sandbox:
        return in_one_process(sandbox)


Load = Callable[..., None]


@pytest.fixture
def load(sandbox: DepotSandbox, pipeline: dlt.Pipeline) -> Load:
    """Runs the pipeline; without arguments for all connectors from the first session on."""

    def run(
        connectors: list[Connector] | None = None,
        from_: datetime = BEGIN,
        to: datetime | None = None,
        **options: Any,
    ) -> None:
        given = {"settings": settings_of(sandbox), **options}
        pipeline.run(session_reports(connectors or connectors_of(sandbox), from_, to, **given))

    return run


def test_reports_come_through_the_proxy_of_the_environment(
    sandbox: DepotSandbox, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_thread(LoopbackProxy()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        load([ONE])

        assert len(proxy.heads) == len(sandbox.requests) + 1  # and the request for the token


def database(pipeline: dlt.Pipeline) -> str:
    return str(Path(pipeline.working_dir).parents[1] / "fleet.duckdb")


def query(pipeline: dlt.Pipeline, text: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(database(pipeline)) as connection:
        connection.sql("set timezone = 'UTC'; use depot")
        return connection.sql(text).fetchall()


def loaded(pipeline: dlt.Pipeline) -> pa.Table:
    """The table with JSON as nested types again."""
    with duckdb.connect(database(pipeline)) as connection:
        connection.sql("set timezone = 'UTC'")
        connection.register("fleet", FLEET_REPORTS.empty_table())
        columns = ", ".join(
            f"{name}::{kind} as {name}"
            for name, kind, *_ in connection.sql("describe fleet").fetchall()
        )
        text = f"select {columns} from depot.session_reports"  # noqa: S608
        table = connection.sql(text).to_arrow_table()
    return ordered(table)


def states(pipeline: dlt.Pipeline) -> dict[str, Any]:
    held: Any = pipeline.state
    states: dict[str, Any] = held["sources"]["fleet"]["resources"]["session_reports"]["connectors"]
    return states


def asked(sandbox: DepotSandbox) -> dict[tuple[str, str], datetime]:
    """From when on each connector was asked for, at the earliest."""
    found: dict[tuple[str, str], datetime] = {}
    for request in sandbox.requests:
        ids = request.query["chargerId"], request.query["connectorId"]
        from_ = datetime.fromisoformat(request.query["from"])
        found[ids] = min(from_, found.get(ids, from_))
    return found


def starts_of(sandbox: DepotSandbox, connector: Connector = ONE) -> list[datetime]:
    reports = map(json.loads, sandbox.reports(*connector))
    return [datetime.fromisoformat(report["sessionTimeStart"]) for report in reports]


def report(sandbox: DepotSandbox, **fields: Any) -> bytes:
    """One that resembles the first one of the sandbox."""
    return json.dumps({**json.loads(sandbox.reports(*ONE)[0]), **fields}).encode()


def times(start: datetime, end: datetime | None = None) -> dict[str, str]:
    end = start + timedelta(minutes=20) if end is None else end
    return {"sessionTimeStart": start.isoformat(), "sessionTimeEnd": end.isoformat()}


def values(table: pa.Table, column: str) -> list[Any]:
    return table[column].to_pylist()


def ids(pipeline: dlt.Pipeline) -> list[int]:
    found = query(pipeline, "select session_id from session_reports order by session_id")
    return [session_id for (session_id,) in found]


def all_ids(sandbox: DepotSandbox, connectors: list[Connector] | None = None) -> list[int]:
    named = connectors or connectors_of(sandbox)
    return sorted(i for charger, name in named for i in sandbox.session_ids(charger, name))


# What is loaded.


@pytest.mark.parametrize("fault_rate", [0, 0.1])
def test_the_rows_in_the_database_are_those_that_one_process_reads(
    pipeline: dlt.Pipeline,
    whole_fleet: pa.Table,
    capfd: pytest.CaptureFixture[str],
    fault_rate: float,
) -> None:
    with fleet(fault_rate=fault_rate) as sandbox:
        settings = settings_of(sandbox, retry=PATIENT, limit=50)
        pipeline.run(session_reports(connectors_of(sandbox), BEGIN, END, settings=settings))
        assert any(request.fault for request in sandbox.requests) == (fault_rate > 0)
        assert len(sandbox.token_requests) == 1
    found = loaded(pipeline)
    assert len(found) == REPORTS
    assert found.equals(whole_fleet)
    assert "WARNING" not in capfd.readouterr().err


def test_what_is_missing_empty_or_strange_is_so_in_the_database(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    strange: list[dict[str, Any]] = [
        {"sessionMeterValues": [], "batteryAlignmentResults": None, "ocppStatus": None},
        {"vehicleId": None, "sessionTimeEnd": None, "energySocStart": None},
        {"vehicleId": "ladesäule ⚡ \"'\\\n", "energySocStart": 0.1 + 0.2},
        {"deviceStatus": [{"status": None, "deviceId": "", "eventTimestamp": None}]},
        {"energyChargeStart": 2**53 + 1, "energyChargeEnd": 5e-324},
    ]
    for number, fields in enumerate(strange):
        start = BEGIN + number * HOUR
        sandbox.insert(*ONE, report(sandbox, sessionId=number, **{**times(start), **fields}))
    load()
    found = loaded(pipeline)
    assert len(found) == 245
    assert found.equals(in_one_process(sandbox))


def test_a_session_id_that_two_connectors_have_is_two_reports(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    for connector in ("1", "2"):
        sandbox.insert("CP-001", connector, report(sandbox, sessionId=7))
    load()
    assert ids(pipeline)[:2] == [7, 7]
    assert len(ids(pipeline)) == 242


def test_objects_make_child_tables_with_as_many_rows(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    load([ONE], rows="objects")
    first, *_ = sandbox.session_ids(*ONE)
    replaced = report(sandbox, ocppStatus=[])
    sandbox.delete(*ONE, first)
    sandbox.insert(*ONE, replaced)
    load([ONE], rows="objects", look_back=366 * DAY)
    expected = in_one_process(sandbox).slice(0, 60)
    assert ids(pipeline) == values(expected, "session_id")
    for column in ("ocpp_status", "session_meter_values", "charge_parameters", "detail_status"):
        events = sum(map(len, values(expected, column)))
        text = f"select count(*) from session_reports__{column}"  # noqa: S608
        assert query(pipeline, text) == [(events,)]
    text = "select min(session_time_start), max(session_time_end) from session_reports"
    starts, ends = values(expected, "session_time_start"), values(expected, "session_time_end")
    assert query(pipeline, text) == [(min(starts), max(ends))]


def test_objects_may_be_rows_with_json(sandbox: DepotSandbox, pipeline: dlt.Pipeline) -> None:
    resource = session_reports([ONE], BEGIN, settings=settings_of(sandbox), rows="objects")
    resource.max_table_nesting = 0
    pipeline.run(resource)
    tables = query(
        pipeline, "select table_name from information_schema.tables where table_schema = 'depot'"
    )
    assert [name for (name,) in tables if not name.startswith("_dlt")] == ["session_reports"]
    expected = in_one_process(sandbox).slice(0, 60)
    total = "select sum(json_array_length(ocpp_status)) from session_reports"
    assert query(pipeline, total) == [(sum(map(len, values(expected, "ocpp_status"))),)]


@pytest.mark.parametrize("rows", ["arrow", "objects"])
def test_a_run_without_reports_makes_a_table_with_all_columns(
    pipeline: dlt.Pipeline, rows: Rows
) -> None:
    with fleet(chargers=1, sessions=0) as sandbox:
        settings = settings_of(sandbox)
        pipeline.run(session_reports(connectors_of(sandbox), BEGIN, settings=settings, rows=rows))
    kinds = {name: kind for name, kind, *_ in query(pipeline, "describe session_reports")}
    plain = [field.name for field in FLEET_REPORTS if not pa.types.is_nested(field.type)]
    assert [name for name in kinds if not name.startswith("_dlt")] == (
        [*(FLEET_REPORTS.names if rows == "arrow" else plain), "session_key"]
    )
    assert kinds["session_id"] == "BIGINT"
    assert kinds["session_time_start"] == "TIMESTAMP WITH TIME ZONE"
    assert kinds["energy_charge_end"] == "DOUBLE"
    assert kinds.get("ocpp_status", "JSON") == "JSON"
    assert ids(pipeline) == []


def test_one_column_type_serves_an_empty_run_and_a_full_one(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    load([ONE], BEGIN - DAY, BEGIN - HOUR)
    before = query(pipeline, "describe session_reports")
    load()
    assert query(pipeline, "describe session_reports") == before
    assert loaded(pipeline).equals(in_one_process(sandbox))


def test_the_span_is_exact(sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load) -> None:
    starts = starts_of(sandbox)
    load([ONE], starts[5], starts[-5], window="day")
    assert ids(pipeline) == sandbox.session_ids(*ONE)[5:-5]


def load_items(pipeline: dlt.Pipeline, items: list[dict[str, Any]], rows: Rows = "arrow") -> None:
    """Load January and February from a server that always returns all reports."""

    async def run() -> None:
        async with Wire(default=served(items)) as wire:
            settings = ReadSettings(token="t0k3n", base_url=wire.url)
            resource = session_reports([ONE], BEGIN, END, settings=settings, rows=rows)
            await asyncio.to_thread(pipeline.run, resource)

    asyncio.run(run())


def test_reports_without_a_start_are_loaded_and_move_no_state(pipeline: dlt.Pipeline) -> None:
    load_items(pipeline, [{"sessionId": number} for number in range(5)])
    assert ids(pipeline) == [0, 1, 2, 3, 4]
    assert states(pipeline) == {}


@pytest.mark.parametrize("rows", ["arrow", "objects"])
def test_each_session_that_shares_an_id_stays_one_row_after_repeated_loads(
    pipeline: dlt.Pipeline, rows: Rows
) -> None:
    starts = ["2026-01-10T00:00:00Z", "2026-01-10T00:00:00.001Z", "2026-02-10T00:00:00Z", None]
    items = [
        {"sessionId": session_id, "sessionTimeStart": start, "vehicleId": vehicle}
        for session_id in (-1, 0)
        for start in starts
        for vehicle in (["A", "B"] if start is None else ["A"])
    ]
    text = """
        select session_id, session_time_start is null, count(*) from session_reports group by all
    """
    for _ in range(2):
        load_items(pipeline, items, rows)
        found = sorted(query(pipeline, text))
        assert found == [(-1, False, 3), (-1, True, 2), (0, False, 3), (0, True, 2)]
    keys = query(pipeline, "select distinct session_key from session_reports where session_id = -1")
    assert sorted(key for (key,) in keys if "-" in key) == [
        *("2026-01-10 00:00:00.000", "2026-01-10 00:00:00.001", "2026-02-10 00:00:00.000")
    ]


# From run to run.


def test_a_second_run_without_news_changes_nothing_and_asks_for_the_look_back_alone(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    load()
    before, known = loaded(pipeline), states(pipeline)
    sandbox.requests.clear()
    load()
    assert loaded(pipeline).equals(before)
    assert states(pipeline) == known
    for connector in connectors_of(sandbox):
        latest = max(starts_of(sandbox, connector))
        charger, name = str(connector[0]), str(connector[1])
        assert known[f"{charger}/{name}"] == {
            "from": BEGIN.isoformat(),
            "latest": latest.isoformat(),
        }
        assert asked(sandbox)[charger, name] == latest - LOOK_BACK - MARGIN


def test_what_came_late_or_was_changed_is_found_by_the_next_run(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    load()
    latest = max(starts_of(sandbox))
    late = latest - LOOK_BACK + HOUR
    sandbox.insert(*ONE, report(sandbox, sessionId=7, **times(late)))
    changed = sandbox.session_ids(*ONE)[-1]
    body = report(sandbox, sessionId=changed, vehicleId="another", **times(latest))
    sandbox.delete(*ONE, changed)
    sandbox.insert(*ONE, body)
    load()
    found = loaded(pipeline)
    assert len(found) == 241
    assert found.equals(in_one_process(sandbox))
    assert states(pipeline)["CP-001/1"]["latest"] == latest.isoformat()


def test_what_a_charger_uploads_after_weeks_is_found_as_long_as_nothing_newer_came(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    load()
    start = max(starts_of(sandbox)) + HOUR
    for _ in range(2):
        load()
    sandbox.insert(*ONE, report(sandbox, sessionId=7, **times(start)))
    load()
    assert ids(pipeline) == all_ids(sandbox)
    assert states(pipeline)["CP-001/1"]["latest"] == start.isoformat()


@pytest.mark.parametrize("rows", ["arrow", "objects"])
def test_a_run_that_fails_in_the_middle_loses_nothing(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load, rows: Rows
) -> None:
    known: list[Connector] = connectors_of(sandbox)[:2]
    load([known[0]], rows=rows)
    before = states(pipeline)
    for number, (charger, name) in enumerate(known):
        start = max(starts_of(sandbox, (charger, name))) + 30 * DAY
        sandbox.insert(charger, name, report(sandbox, sessionId=number, **times(start)))
    with pytest.raises(PipelineStepFailed):
        load([*known, ("nowhere", 1)], rows=rows)
    assert states(pipeline) == before
    load(known, rows=rows)
    assert ids(pipeline) == all_ids(sandbox, known)


def test_a_run_that_is_limited_does_not_move_the_state(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    resource = session_reports(connectors_of(sandbox), BEGIN, settings=settings_of(sandbox))
    pipeline.run(resource.add_limit(3))
    assert 0 < len(ids(pipeline)) < 240
    load()
    assert ids(pipeline) == all_ids(sandbox)


def test_a_resource_may_run_again(sandbox: DepotSandbox, pipeline: dlt.Pipeline) -> None:
    resource = session_reports([ONE], BEGIN, settings=settings_of(sandbox))
    pipeline.run(resource)
    sandbox.insert(*ONE, report(sandbox, sessionId=7, **times(max(starts_of(sandbox)) + HOUR)))
    pipeline.run(resource)
    assert ids(pipeline) == all_ids(sandbox, [ONE])


def test_a_new_connector_is_read_from_the_begin(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    load([ONE])
    sandbox.requests.clear()
    load([ONE, ("CP-002", 1)])
    assert asked(sandbox)["CP-002", "1"] == BEGIN - MARGIN
    assert asked(sandbox)["CP-001", "1"] > BEGIN
    assert ids(pipeline) == all_ids(sandbox, [ONE, ("CP-002", "1")])


def test_an_earlier_begin_is_read_from_there(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    starts = starts_of(sandbox)
    load([ONE], starts[20])
    assert ids(pipeline) == sandbox.session_ids(*ONE)[20:]
    load([ONE], starts[0])
    assert ids(pipeline) == sandbox.session_ids(*ONE)


def test_no_order_of_spans_leaves_a_gap(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    at = starts_of(sandbox)
    (first, *_), numbers = at, sandbox.session_ids(*ONE)
    options = {"look_back": timedelta()}

    def spans(*given: tuple[datetime, datetime | None]) -> list[int]:
        for from_, to in given:
            load([ONE], from_, to, **options)
        return ids(pipeline)

    assert spans((at[10], at[15])) == numbers[10:15]
    # Apart from what has been read, before and behind it.
    assert spans((first, at[5])) == numbers[:5] + numbers[10:15]
    assert spans((at[20], at[25])) == numbers[:5] + numbers[10:15] + numbers[20:25]
    # Within what has been read.
    assert spans((at[20], at[22])) == numbers[:5] + numbers[10:15] + numbers[20:25]
    assert spans((first, None)) == numbers


@given(
    st.sets(st.integers(0, 40)),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30), st.integers(0, 9)), max_size=8),
)
def test_after_each_run_all_of_its_span_has_been_read(
    days: set[int], runs: list[tuple[int, int, int]]
) -> None:
    starts = {BEGIN + day * DAY for day in days}
    progress, read = None, set[datetime]()
    for first, length, back in runs:
        from_, end = BEGIN + first * DAY, BEGIN + (first + length) * DAY
        begin = _begin(progress, from_, back * DAY)
        if begin < end:
            found = {start for start in starts if begin <= start < end}
            read |= found
            progress = _after(progress, from_, end, max(found, default=None))
        assert {start for start in starts if from_ <= start < end} <= read


@pytest.mark.parametrize("to", [None, datetime.now(UTC) + 50 * DAY])
def test_a_session_in_the_future_is_loaded_when_that_has_come(
    pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch, to: datetime | None
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Later:
            return cls.fromtimestamp(datetime.now(UTC).timestamp(), tz) + 40 * DAY

    # It is returned all the same, by a server that tests when a session has ended.
    with fleet(chargers=1, sessions=30, time_filter="end") as sandbox:
        started, latest = datetime.now(UTC), max(starts_of(sandbox))
        ahead = times(started + 30 * DAY, started - DAY)
        sandbox.insert(*ONE, report(sandbox, sessionId=7, **ahead))
        settings = settings_of(sandbox, margin=99 * DAY)
        pipeline.run(session_reports([ONE], BEGIN, to, settings=settings))
        assert 7 not in ids(pipeline)
        assert len(ids(pipeline)) == 30
        assert states(pipeline)["CP-001/1"]["latest"] == latest.isoformat()
        monkeypatch.setattr(depotclient.dlt, "datetime", Later)
        pipeline.run(session_reports([ONE], BEGIN, to, settings=settings))
        assert ids(pipeline) == all_ids(sandbox, [ONE])


def test_a_state_that_a_clock_far_ahead_has_noted_is_not_believed(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    @dlt.resource(name="session_reports")
    def wrong() -> Iterator[Any]:
        later = {"from": BEGIN.isoformat(), "latest": (datetime.now(UTC) + DAY).isoformat()}
        dlt.current.resource_state()["connectors"] = {"CP-001/1": later}
        yield from ()

    pipeline.run(wrong)
    load([ONE])
    assert ids(pipeline) == all_ids(sandbox, [ONE])
    assert states(pipeline)["CP-001/1"]["latest"] == max(starts_of(sandbox)).isoformat()


def test_a_lost_working_directory_is_no_loss(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load, tmp_path: Path
) -> None:
    load()
    known = states(pipeline)
    fresh = dlt.pipeline(
        "fleet",
        destination=dlt.destinations.duckdb(str(tmp_path / "fleet.duckdb")),
        dataset_name="depot",
        pipelines_dir=str(tmp_path / "others"),
    )
    sandbox.requests.clear()
    fresh.run(session_reports(connectors_of(sandbox), BEGIN, settings=settings_of(sandbox)))
    assert states(fresh) == known
    assert min(asked(sandbox).values()) > BEGIN


def test_each_name_has_its_own_table_and_state(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    load([ONE])
    load([ONE], name="others")
    assert query(pipeline, "select count(*) from others") == [(60,)]


# What goes wrong.


def test_a_failure_names_the_partition_and_no_secret(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load
) -> None:
    with pytest.raises(PipelineStepFailed, match="unknown charger 'nowhere'") as failed:
        load([ONE, ("nowhere", 1)], to=END)
    text = "".join(traceback.format_exception(failed.value))
    assert "partition nowhere/1/2026-01" in text
    assert sandbox.client_secret not in text
    cause: BaseException | None = failed.value
    while cause is not None and not isinstance(cause, NotFoundError):
        cause = cause.__cause__
    assert cause is not None


def test_no_secret_is_in_the_files_of_the_pipeline(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, load: Load, tmp_path: Path
) -> None:
    with pytest.raises(PipelineStepFailed):
        load([("nowhere", 1)])
    load()
    secrets = [sandbox.client_secret, sandbox.token, *sandbox._expiry]
    assert len(secrets) > 3
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name.startswith("trace") for path in files)
    assert any(path.suffix == ".duckdb" for path in files)
    for path in files:
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in secrets)


def broken(batch: pa.RecordBatch) -> pa.RecordBatch:
    if batch.num_rows:
        raise ValueError("broken")
    return batch


@pytest.mark.parametrize("kind", ["plain", "parallel"])
def test_a_loop_that_runs_already_as_in_a_notebook_is_no_obstacle(
    sandbox: DepotSandbox, pipeline: dlt.Pipeline, kind: str
) -> None:
    def resource(*connectors: Connector) -> Any:
        made = session_reports(connectors, BEGIN, settings=settings_of(sandbox))
        return made.parallelize() if kind == "parallel" else made

    async def cell(resource: Any) -> None:
        pipeline.run(resource)

    with pytest.raises(PipelineStepFailed, match="caused an exception: broken"):
        asyncio.run(cell(resource(ONE).add_map(broken)))
    with pytest.raises(PipelineStepFailed, match="unknown charger 'nowhere'"):
        asyncio.run(cell(resource(ONE, ("nowhere", 1))))
    asyncio.run(cell(resource(ONE)))
    assert ids(pipeline) == all_ids(sandbox, [ONE])
    gc.collect()  # what was left open would warn
    assert not [thread for thread in threading.enumerate() if "session_reports" in thread.name]


NAIVE = BEGIN.replace(tzinfo=None)
TOMORROW = datetime.now(UTC) + DAY
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no connectors": ({"connectors": []}, r"there are no connectors: give pairs, such as"),
    "no pair": ({"connectors": ["CP-001"]}, "connector must be a pair"),
    "an empty id": ({"connectors": [("", 1)]}, "charger_id must not be empty"),
    "a naive begin": ({"from_": NAIVE}, "from_ must be aware"),
    "a naive end": ({"to": NAIVE}, "to must be aware"),
    "a begin in the future": ({"from_": TOMORROW}, "is in the future: there is nothing to load"),
    "a span backwards": ({"from_": END, "to": BEGIN}, "from_=.* must be before to="),
    "a week": ({"window": "week"}, "window must be one of month, day, got 'week'"),
    "no name": ({"name": ""}, "name must be a string that is not empty, not ''"),
    "other settings": ({"settings": 5}, "settings must be ReadSettings, got int"),
    "a number": ({"look_back": 3}, "look_back must be from 0 to 366 days, got 3"),
    "less than nothing": ({"look_back": -DAY}, "look_back must be from 0 to 366 days, got -1 day"),
    "years": ({"look_back": 367 * DAY}, "look_back must be from 0 to 366 days, got 367 days"),
    "frames": ({"rows": "frames"}, "rows must be one of arrow, objects, not 'frames'"),
}


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_can_not_be_loaded_is_refused_before_any_run(
    offline: None, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        session_reports(**{"connectors": [ONE], "from_": BEGIN, **given})


def test_a_resource_says_what_it_is_before_any_run(offline: None) -> None:
    resource = session_reports([ONE], BEGIN)
    schema = resource.compute_table_schema()
    assert (resource.name, schema["write_disposition"]) == ("session_reports", "merge")
    assert list(schema["columns"]) == [*FLEET_REPORTS.names, "session_key"]
    keys = [name for name, column in schema["columns"].items() if column.get("primary_key")]
    assert keys == list(PRIMARY_KEY)
