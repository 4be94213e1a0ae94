"""Repeated runs of the dlt resource read new reports and lose none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fleet import BEGIN, fleet, insert_report, settings_of

pytest.importorskip("dlt", reason="dlt is not installed")

import dlt

import depotclient.dlt.resource
from depotclient.dlt import LOOK_BACK, PRIMARY_KEY, session_reports
from depotclient.dlt.state import ConnectorRun, start_of_run
from depotclient.partitions import MARGIN, Connector
from depotclient.sandbox import DepotSandbox
from depotclient.sessions import Session, Span

ONE: Connector = ("CP-001", "1")
TWO: Connector = ("CP-001", "2")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


pytestmark = pytest.mark.usefixtures("dlt_settings")


@pytest.fixture
def sandbox() -> Iterator[DepotSandbox]:
    with fleet(chargers=1, sessions=60) as sandbox:
        yield sandbox


@attrs.define
class Destination:
    """Rows and state after some runs, merged as dlt merges them."""

    sandbox: DepotSandbox
    state: dict[str, Any] = attrs.field(factory=dict[str, Any])
    rows: dict[tuple[Any, ...], dict[str, Any]] = attrs.field(
        factory=dict[tuple[Any, ...], dict[str, Any]]
    )
    received: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])

    def load(
        self,
        connectors: tuple[Connector, ...] = (ONE, TWO),
        from_: datetime = BEGIN,
        to: datetime | None = None,
        **options: Any,
    ) -> None:
        options = {"settings": settings_of(self.sandbox), **options}
        self.run(session_reports(connectors, from_, to, **options))

    def run(self, resource: Any) -> None:
        # The state is JSON.
        self.state = json.loads(json.dumps(self.state))
        self.received = [row for item in resource for row in item.to_pylist()]
        for row in self.received:
            key = tuple(row[name] for name in PRIMARY_KEY)
            if row["deleted"]:
                del self.rows[key]
            else:
                self.rows[key] = row

    @property
    def ids(self) -> list[int]:
        return sorted(row["session_id"] for row in self.rows.values())

    def latest(self, connector: Connector = ONE) -> datetime:
        return datetime.fromisoformat(self.state["connectors"]["/".join(connector)]["latest"])  # type: ignore[arg-type]


@pytest.fixture
def destination(sandbox: DepotSandbox, monkeypatch: pytest.MonkeyPatch) -> Destination:
    destination = Destination(sandbox)
    monkeypatch.setattr(dlt.current, "resource_state", lambda: destination.state)
    return destination


def first_query(sandbox: DepotSandbox, connector: Connector = ONE) -> datetime:
    """Return the earliest time in the queries for a connector."""
    queries = [request.query for request in sandbox.requests]
    return min(
        datetime.fromisoformat(query["from"])
        for query in queries
        if (query["chargerId"], query["connectorId"]) == connector
    )


def ids_of(sandbox: DepotSandbox, *connectors: Connector) -> list[int]:
    return sorted(n for ids in connectors or (ONE, TWO) for n in sandbox.session_ids(*ids))


def starts_of(sandbox: DepotSandbox, connector: Connector = ONE) -> list[datetime]:
    reports = map(json.loads, sandbox.reports(*connector))
    return [datetime.fromisoformat(report["sessionTimeStart"]) for report in reports]


def test_a_run_without_new_reports_queries_the_look_back_and_loads_nothing(
    sandbox: DepotSandbox, destination: Destination
) -> None:
    destination.load()
    state = json.dumps(destination.state)
    sandbox.requests.clear()
    destination.load()
    assert json.dumps(destination.state) == state
    assert destination.received == []
    assert destination.ids == ids_of(sandbox)
    for connector in (ONE, TWO):
        latest = max(starts_of(sandbox, connector))
        assert destination.latest(connector) == latest
        assert first_query(sandbox, connector) == latest - LOOK_BACK - MARGIN


def test_a_resource_runs_again_and_finds_new_late_and_changed_reports(
    sandbox: DepotSandbox, destination: Destination
) -> None:
    resource = session_reports([ONE], BEGIN, settings=settings_of(sandbox))
    destination.run(resource)
    latest = max(starts_of(sandbox))
    insert_report(sandbox, 7, latest - LOOK_BACK + HOUR)
    insert_report(sandbox, 8, latest + HOUR)
    changed = sandbox.session_ids(*ONE)[-2]
    sandbox.remove(*ONE, changed)
    insert_report(sandbox, changed, latest, vehicleId="another")
    destination.run(resource)
    assert destination.ids == ids_of(sandbox, ONE)
    assert sorted(row["session_id"] for row in destination.received) == [7, 8, changed]
    (row,) = (row for row in destination.rows.values() if row["session_id"] == changed)
    assert row["vehicle_id"] == "another"
    assert destination.latest() == latest + HOUR


def test_a_limited_run_changes_no_state(sandbox: DepotSandbox, destination: Destination) -> None:
    settings = settings_of(sandbox, limit=5)
    resource = session_reports([ONE, TWO], BEGIN, settings=settings, name="sessions")
    destination.run(resource.add_limit(3))
    assert resource.name == "sessions"
    assert 0 < len(destination.ids) < 120
    assert destination.state == {"connectors": {}}


def test_a_new_connector_or_an_earlier_start_is_read_from_its_start(
    sandbox: DepotSandbox, destination: Destination
) -> None:
    starts = starts_of(sandbox)
    destination.load((ONE,), starts[10])
    assert destination.ids == sandbox.session_ids(*ONE)[10:]
    sandbox.requests.clear()
    destination.load((ONE, TWO), starts[10])
    assert first_query(sandbox, TWO) == starts[10] - MARGIN < first_query(sandbox, ONE)
    destination.load()
    assert destination.ids == ids_of(sandbox)


def test_the_span_is_exact_and_no_request_is_sent_for_a_known_one(
    sandbox: DepotSandbox, destination: Destination
) -> None:
    starts = starts_of(sandbox)
    span: dict[str, Any] = {"from_": starts[5], "window": "day", "look_back": timedelta()}
    destination.load((ONE,), to=starts[-5], **span)
    assert destination.ids == sandbox.session_ids(*ONE)[5:-5]
    sandbox.requests.clear()
    destination.load((ONE,), to=starts[10], **span)
    assert list(sandbox.requests) == []


def test_a_report_without_times_is_loaded_once_and_the_next_run_starts_at_from_(
    sandbox: DepotSandbox, destination: Destination
) -> None:
    for session_id in sandbox.session_ids(*ONE):
        sandbox.remove(*ONE, session_id)
    sandbox.add(*ONE, b'{"sessionId": 7}')
    destination.load((ONE,))
    assert destination.latest() == BEGIN
    destination.load((ONE,))
    assert destination.ids == [7]
    assert destination.received == []


def test_a_state_of_an_earlier_version_is_accepted(
    sandbox: DepotSandbox, destination: Destination
) -> None:
    destination.load((ONE,))
    del destination.state["connectors"]["CP-001/1"]["sessions"]
    destination.load((ONE,))
    assert destination.received != []
    destination.load((ONE,))
    assert destination.received == []


@pytest.mark.parametrize("to", [None, datetime.now(UTC) + 50 * DAY])
def test_a_session_in_the_future_is_loaded_after_its_start(
    monkeypatch: pytest.MonkeyPatch, destination: Destination, to: datetime | None
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Later:
            return cls.fromtimestamp(datetime.now(UTC).timestamp(), tz) + 40 * DAY

    # A server that filters by the end of a session returns it now.
    with fleet(chargers=1, sessions=20, time_filter="end") as destination.sandbox:
        sandbox, now = destination.sandbox, datetime.now(UTC)
        latest = max(starts_of(sandbox))
        insert_report(sandbox, 7, now + 30 * DAY, sessionTimeEnd=(now - DAY).isoformat())
        settings = settings_of(sandbox, margin=99 * DAY)
        destination.load((ONE,), to=to, settings=settings)
        assert 7 not in destination.ids
        assert len(destination.ids) == 20
        assert destination.latest() == latest
        monkeypatch.setattr(depotclient.dlt.resource, "datetime", Later)
        destination.load((ONE,), to=to, settings=settings)
        assert destination.ids == ids_of(sandbox, ONE)


def test_a_state_in_the_future_is_ignored(sandbox: DepotSandbox, destination: Destination) -> None:
    future = {"from": BEGIN.isoformat(), "latest": (datetime.now(UTC) + DAY).isoformat()}
    destination.state["connectors"] = {"CP-001/1": future}
    destination.load((ONE,))
    assert destination.ids == ids_of(sandbox, ONE)
    assert destination.latest() == max(starts_of(sandbox))


@given(
    st.sets(st.integers(0, 40)),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30), st.integers(0, 9)), max_size=8),
)
def test_no_order_of_spans_leaves_a_gap(days: set[int], runs: list[tuple[int, int, int]]) -> None:
    starts = {BEGIN + day * DAY for day in days}
    progress, read = None, set[datetime]()
    for first, length, back in runs:
        span = Span(BEGIN + first * DAY, BEGIN + (first + length) * DAY, timedelta())
        start = start_of_run(progress, span.start, back * DAY)
        if start < span.end:
            run = ConnectorRun(progress, span, start, span.end, back * DAY)
            found = {at for at in starts if start <= at < span.end}
            run.select(
                (Session(1, at, None, key=0) for at in found), [msgspec.Raw(b"{}")] * len(found)
            )
            read |= found
            progress = run.progress_after(run.moved())
        assert {at for at in starts if span.start <= at < span.end} <= read


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"connectors": []}, "connectors must not be empty: give pairs, such as"),
        ({"to": BEGIN.replace(tzinfo=None)}, "to must be aware"),
        ({"from_": datetime.now(UTC) + DAY}, "from_=.* must be before to="),
        ({"name": " "}, "name must be a non-empty string, got ' '"),
        ({"settings": 5}, "settings must be ReadSettings"),
        ({"look_back": -DAY}, "look_back must be"),
        ({"concurrency": 0}, "concurrency must be"),
        ({"rows": "frames"}, "rows must be one of arrow, objects, got 'frames'"),
    ],
)
def test_an_invalid_argument_is_rejected_before_any_run(
    offline: None, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        session_reports(**{"connectors": [ONE], "from_": BEGIN, **given})
