"""Store of the sandbox: time ranges, order, and churn of one connector's reports."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest

from depotclient.sandbox.simulation import plan_sessions, simulate_sessions
from depotclient.sandbox.store import (
    Churn,
    ConnectorStore,
    Order,
    StoredReport,
    TimeFilter,
    TimeRange,
    epoch_us,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
EVERYTHING = TimeRange(None, None, "start")


def make_store(count: int = 0, order: Order = "ascending", seed: int = 0) -> ConnectorStore:
    plans = simulate_sessions(0, "CP-1", "1", count)
    [template] = simulate_sessions(0, "CP-1", "1", 1)
    reports = tuple(StoredReport.from_plan(plan) for plan in plans)
    upcoming = plan_sessions(0, "CP-1", "1", START, 900)
    return ConnectorStore(reports, order, seed, template, random.Random(seed), upcoming)


def ids(store: ConnectorStore, time_range: TimeRange = EVERYTHING) -> list[int]:
    return [report.session_id for report in store.select(time_range)]


@pytest.mark.parametrize(
    ("time_filter", "start", "end", "inclusive", "exclusive"),
    [
        ("start", 20, 30, [2, 3], []),
        ("end", 20, 30, [1, 2], []),
        ("overlap", 20, 30, [1, 2, 3], [2]),
        ("start", 20, None, [2, 3], [3]),
        ("start", None, 20, [1, 2], [1]),
        ("start", 19, 21, [2], [2]),
        ("start", None, None, [1, 2, 3], [1, 2, 3]),
    ],
)
def test_a_time_range_filters_by_the_chosen_time(
    time_filter: TimeFilter,
    start: int | None,
    end: int | None,
    inclusive: list[int],
    exclusive: list[int],
) -> None:
    store = make_store()
    for n in (1, 2, 3):
        store.add([StoredReport(n, start=10 * n, end=10 * n + 10, content=b"")])
    assert ids(store, TimeRange(start, end, time_filter)) == inclusive
    assert (
        ids(store, TimeRange(start, end, time_filter, includes_start=False, includes_end=False))
        == exclusive
    )


@pytest.mark.parametrize(
    ("times", "span"),
    [
        ('"sessionTimeStart": "1970-01-01T00:00:01Z", "sessionTimeEnd": null', (10**6, 10**6)),
        ('"sessionTimeEnd": "1970-01-01T00:00:02Z"', (2 * 10**6, 2 * 10**6)),
        # Half of a surrogate pair.
        ('"vehicleId": "\\ud83d"', None),
    ],
)
def test_a_missing_time_is_replaced_by_the_other_or_by_the_default(
    times: str, span: tuple[int, int] | None
) -> None:
    report = StoredReport.from_json(f'{{"sessionId": 7, {times}}}'.encode(), 5)
    assert (report.session_id, report.has_times) == (7, span is not None)
    assert (report.start, report.end) == (span or (5, 5))


def test_a_report_without_times_sorts_last_and_is_in_every_range() -> None:
    store = make_store(2)
    store.add([StoredReport.from_json(b'{"sessionId": 0}', store.reports[-1].start)])
    assert ids(store) == [1, 2, 0]
    assert ids(store, TimeRange(10**18, None, "end", includes_start=False, includes_end=False)) == [
        0
    ]


@pytest.mark.parametrize(
    "report",
    [
        b"[]",
        b'{"sessionId": "7"}',
        b'{"sessionTimeStart": "2020-01-01T00:00:00Z"}',
        b'{"sessionId": 7, "sessionTimeStart": "2020-01-01T00:00:00"}',
    ],
)
def test_a_report_without_an_id_or_with_a_bad_time_is_rejected(report: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be served"):
        StoredReport.from_json(report, 0)


def test_a_session_is_stored_once_and_can_be_added_again_after_its_removal() -> None:
    store = make_store(3)
    report = store.reports[1]
    with pytest.raises(ValueError, match="session 2 already exists"):
        store.add([report])
    store.remove(2)
    assert ids(store) == [1, 3]
    with pytest.raises(ValueError, match="session 2 does not exist"):
        store.remove(2)
    store.add([report])
    assert ids(store) == [1, 2, 3]


def test_several_sessions_may_have_the_id_of_a_charger_that_was_offline() -> None:
    store = make_store()
    for start in (20, 10, 30):
        store.add([StoredReport(-1, start=start, end=start, content=b"")])
    store.remove(-1)
    assert [report.start for report in store.select(EVERYTHING)] == [20, 30]


def test_a_shuffled_order_is_fixed_and_survives_a_removal() -> None:
    store = make_store(10, "shuffled")
    shuffled = ids(store)
    assert sorted(shuffled) == list(range(1, 11)) != shuffled
    assert ids(make_store(10, "shuffled", seed=1)) != shuffled
    store.remove(shuffled.pop(4))
    assert ids(store) == shuffled


def test_inserted_sessions_are_the_newest_and_have_just_ended() -> None:
    store, before = make_store(10), datetime.now(UTC) - timedelta(milliseconds=1)
    assert store.apply_churn(Churn(inserts=2), itertools.count(50)) == ([50, 51], [])
    assert ids(store)[10:] == [50, 51]
    for report in store.reports[10:]:
        assert epoch_us(before) <= report.end <= epoch_us(datetime.now(UTC))


def test_late_sessions_appear_between_the_others_with_unused_ids() -> None:
    store = make_store(10)
    inserted, _ = store.apply_churn(Churn(late_inserts=20), itertools.count(10))
    assert inserted == [*range(11, 31)]
    assert (ids(store)[0], ids(store)[-1]) == (1, 10)
    assert ids(store)[1:-1] != [*range(2, 10), *inserted]


def test_sessions_disappear_until_none_is_left() -> None:
    store = make_store(10)
    deleted = [store.apply_churn(Churn(deletes=3), itertools.count(50))[1] for _ in range(5)]
    assert [len(part) for part in deleted] == [3, 3, 3, 1, 0]
    assert sorted(itertools.chain(*deleted)) == list(range(1, 11))
    assert store.reports == ()


def test_churn_stops_after_the_given_number_of_pages() -> None:
    store, new_ids = make_store(), itertools.count(50)
    churn = Churn(inserts=1, late_inserts=1, pages=2)
    results = [store.apply_churn(churn, new_ids) for _ in range(3)]
    assert results == [([50, 51], []), ([52, 53], []), ([], [])]


def test_the_seed_determines_churn() -> None:
    def run(seed: int) -> list[tuple[list[int], list[int]]]:
        store, new_ids = make_store(60, seed=seed), itertools.count(100)
        rates = Churn(inserts=0.2, late_inserts=0.5, deletes=0.5)
        return [store.apply_churn(rates, new_ids) for _ in range(40)]

    assert run(3) == run(3) != run(4)
    inserted, deleted = zip(*run(3), strict=True)
    assert 10 < len([*itertools.chain(*inserted)]) < 50
    assert 5 < len([*itertools.chain(*deleted)]) < 35


@pytest.mark.parametrize(
    "setting", [{"inserts": -1}, {"late_inserts": -0.1}, {"deletes": "1"}, {"pages": 0.5}]
)
def test_churn_out_of_range_is_rejected_by_name(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        Churn(**setting)  # type: ignore[arg-type]
