"""Store of the sandbox: time ranges, order, and churn of one connector's reports."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from depotclient.sandbox.simulation import simulate_sessions
from depotclient.sandbox.store import (
    Churn,
    ConnectorStore,
    Order,
    StoredReport,
    TimeFilter,
    TimeRange,
    epoch_us,
)

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERYTHING = TimeRange(None, None, "start", inclusive=True)


def make_json(session_id: int, start: datetime | None, end: datetime | None = None) -> bytes:
    return msgspec.json.encode(
        {"sessionId": session_id, "sessionTimeStart": start, "sessionTimeEnd": end}
    )


def make_store(count: int = 0, order: Order = "ascending", seed: int = 0) -> ConnectorStore:
    plans = simulate_sessions(0, "CP-1", "1", count)
    [template] = simulate_sessions(0, "CP-1", "1", 1)
    reports = tuple(StoredReport.from_plan(plan) for plan in plans)
    return ConnectorStore(reports, order, seed, template, random.Random(seed))


def ids(store: ConnectorStore, time_range: TimeRange = EVERYTHING) -> list[int]:
    return [report.session_id for report in store.select(time_range)]


@pytest.mark.parametrize(
    ("time_filter", "inclusive", "expected"),
    [
        ("start", True, [2, 3]),
        ("start", False, []),
        ("end", True, [1, 2]),
        ("end", False, []),
        ("overlap", True, [1, 2, 3]),
        ("overlap", False, [2]),
    ],
)
def test_a_time_range_filters_by_the_chosen_time(
    time_filter: TimeFilter, inclusive: bool, expected: list[int]
) -> None:
    store = make_store()
    # Three sessions of an hour each. The range is the second one.
    for n in (1, 2, 3):
        start = NOON + n * HOUR
        store.insert(StoredReport.from_json(make_json(n, start, start + HOUR), 0))
    first, last = epoch_us(NOON + 2 * HOUR), epoch_us(NOON + 3 * HOUR)

    assert ids(store, TimeRange(first, last, time_filter, inclusive)) == expected


@pytest.mark.parametrize(
    ("start", "end", "inclusive", "expected"),
    [
        (2, None, True, [2, 3]),
        (None, 2, True, [1, 2]),
        (2, 2, True, [2]),
        (1, None, False, [2, 3]),
        (None, 3, False, [1, 2]),
    ],
)
def test_an_open_side_of_a_range_contains_everything(
    start: int | None, end: int | None, inclusive: bool, expected: list[int]
) -> None:
    store = make_store()
    for n in (1, 2, 3):
        store.insert(StoredReport(n, start=n, end=n, content=b""))

    assert ids(store, TimeRange(start, end, "start", inclusive)) == expected


@pytest.mark.parametrize("time_filter", ["start", "end", "overlap"])
def test_a_report_without_a_start_is_filtered_by_its_end(time_filter: TimeFilter) -> None:
    store = make_store()
    store.insert(StoredReport.from_json(make_json(7, None, NOON), 0))
    noon = epoch_us(NOON)

    assert ids(store, TimeRange(noon, noon, time_filter, inclusive=True)) == [7]
    assert ids(store, TimeRange(None, noon - 1, time_filter, inclusive=True)) == []


def test_a_report_without_times_sorts_last_and_is_in_every_range() -> None:
    store = make_store(2)
    store.insert(StoredReport.from_json(make_json(0, None), store.reports[-1].start))

    assert ids(store) == [1, 2, 0]
    assert ids(store, TimeRange(None, 0, "start", inclusive=True)) == [0]
    assert ids(store, TimeRange(10**18, None, "end", inclusive=False)) == [0]


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"[]",
        make_json("7", NOON),  # type: ignore[arg-type]
        b'{"sessionTimeStart": "2020-01-01T00:00:00Z"}',
        make_json(7, NOON.replace(tzinfo=None)),
    ],
)
def test_a_report_without_an_id_or_with_a_bad_time_is_refused(report: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be served"):
        StoredReport.from_json(report, 0)


def test_a_cut_surrogate_pair_does_not_prevent_serving() -> None:
    assert StoredReport.from_json(b'{"sessionId": 7, "vehicleId": "\\ud83d"}', 0).session_id == 7


def test_a_session_is_stored_once_and_can_be_inserted_again_after_a_deletion() -> None:
    store = make_store(3)
    report = store.reports[1]
    with pytest.raises(ValueError, match="session 2 exists already"):
        store.insert(report)
    store.delete(2)
    assert ids(store) == [1, 3]
    with pytest.raises(ValueError, match="session 2 does not exist"):
        store.delete(2)
    store.insert(report)
    assert ids(store) == [1, 2, 3]


def test_reports_can_be_descending() -> None:
    assert ids(make_store(4, "descending")) == [4, 3, 2, 1]


def test_a_shuffled_order_is_fixed_and_survives_a_deletion() -> None:
    store = make_store(10, "shuffled")
    shuffled = ids(store)

    assert sorted(shuffled) == list(range(1, 11)) != shuffled
    assert ids(make_store(10, "shuffled", seed=1)) != shuffled
    store.delete(shuffled.pop(4))
    assert ids(store) == shuffled


def test_inserted_sessions_are_the_newest_and_have_just_ended() -> None:
    store, before = make_store(10), datetime.now(UTC) - timedelta(milliseconds=1)

    assert store.apply_churn(Churn(inserts=2), itertools.count(50)) == ([50, 51], [])

    assert ids(store)[10:] == [50, 51]
    for report in store.reports[10:]:
        assert epoch_us(before) <= report.end <= epoch_us(datetime.now(UTC))


def test_late_sessions_appear_between_the_others() -> None:
    store = make_store(10)

    inserted, _ = store.apply_churn(Churn(late_inserts=20), itertools.count(50))

    assert len(inserted) == 20
    assert (ids(store)[0], ids(store)[-1]) == (1, 10)
    assert ids(store)[1:-1] != [*range(2, 10), *inserted]


def test_sessions_disappear_until_none_is_left() -> None:
    store = make_store(10)
    deleted = [store.apply_churn(Churn(deletes=3), itertools.count(50))[1] for _ in range(5)]

    assert [len(part) for part in deleted] == [3, 3, 3, 1, 0]
    assert sorted(itertools.chain(*deleted)) == list(range(1, 11))
    assert store.reports == ()


def test_an_empty_store_has_churn_too() -> None:
    churn = Churn(inserts=1, late_inserts=1, deletes=1)
    inserted, deleted = make_store().apply_churn(churn, itertools.count(50))
    assert (inserted, len(deleted)) == ([50, 51], 1)


def test_churn_stops_after_the_given_number_of_pages() -> None:
    store, new_ids = make_store(), itertools.count(50)
    results = [store.apply_churn(Churn(inserts=1, pages=2), new_ids) for _ in range(4)]

    assert results == [([50], []), ([51], []), ([], []), ([], [])]


def test_churn_skips_ids_that_are_in_use() -> None:
    assert make_store(3).apply_churn(Churn(inserts=1), itertools.count(2))[0] == [4]


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
def test_churn_out_of_range_is_refused_by_name(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        Churn(**setting)  # type: ignore[arg-type]
