"""Partition plans and window filters: no gap, no overlap, and each report in one window."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depotclient.partitions.calendar import MARGIN, Partition, Window, WindowFilter, plan

MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)
CONNECTOR = [("CP-001", "1")]
OCTOBER = Partition("CP-001", "1", "2026-10")
START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)

OFFSETS = st.builds(timezone, st.integers(-1439, 1439).map(lambda n: timedelta(minutes=n)))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9990, 1, 1), timezones=OFFSETS)  # noqa: DTZ001
IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)


@st.composite
def spans(draw: st.DrawFn) -> tuple[datetime, datetime, Window]:
    window: Window = draw(st.sampled_from(["month", "day"]))
    longest = timedelta(days=1000 if window == "month" else 70)
    from_ = draw(TIMES)
    to = (from_ + draw(st.timedeltas(MOMENT, longest))).astimezone(draw(OFFSETS))
    return from_, to, window


def windows(*span: Any) -> list[str]:
    return [partition.window for partition in plan(CONNECTOR, *span)]


# Plans.


@given(spans())
@example((START, END, "month"))
@example((START, END, "day"))
@example((START - MOMENT, START, "month"))
@example((END - MOMENT, END + MOMENT, "month"))
def test_the_windows_of_a_plan_cover_its_span_without_gap_or_overlap(
    span: tuple[datetime, datetime, Window],
) -> None:
    from_, to, kind = span
    planned = plan(CONNECTOR, *span)

    assert all(earlier.end == later.start for earlier, later in pairwise(planned))
    assert planned[0].start <= from_ < planned[0].end
    assert planned[-1].start <= to - MOMENT < planned[-1].end
    assert sorted(planned) == list(planned)
    for partition in planned:
        first, last = partition.start, partition.end - MOMENT
        assert partition.kind == kind
        assert first.utcoffset() == last.utcoffset() == timedelta(0)
        assert first == first.replace(hour=0, minute=0, second=0, microsecond=0)
        assert (first.year, first.month) == (last.year, last.month)
        assert (first.day == 1 and (last + MOMENT).day == 1) or kind == "day"
        assert first.date() == last.date() or kind == "month"


@given(spans())
@example((START, END, "month"))
@example((START + MOMENT, END - MOMENT, "month"))
@example((START + MOMENT, START + 2 * MOMENT, "day"))
def test_cut_windows_cover_exactly_the_span(span: tuple[datetime, datetime, Window]) -> None:
    from_, to, _ = span
    whole, cut = plan(CONNECTOR, *span), plan(CONNECTOR, *span, whole=False)

    assert (cut[0].start, cut[-1].end) == (from_, to)
    assert all(earlier.end == later.start for earlier, later in pairwise(cut))
    assert [part.window for part in cut] == [part.window for part in whole]
    assert cut[1:-1] == whole[1:-1]
    for part, window in zip(cut, whole, strict=True):
        is_whole = (part.start, part.end) == (window.start, window.end)
        assert (part == window) == (part.key == window.key) == is_whole


LATE = datetime(2026, 12, 31, 22, tzinfo=timezone(timedelta(hours=-3)))
LEAP = datetime(2028, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "names"),
    [
        ((START, END), ["2026-10"]),
        ((START - MOMENT, END + MOMENT), ["2026-09", "2026-10", "2026-11"]),
        ((START, START + DAY, "day"), ["2026-10-01"]),
        ((LATE, LATE + MOMENT), ["2027-01"]),
        ((LATE, LATE + MOMENT, "day"), ["2027-01-01"]),
        ((LEAP, LEAP + 3 * DAY, "day"), ["2028-02-28", "2028-02-29", "2028-03-01"]),
        ((LEAP.replace(year=33), LEAP.replace(year=33) + 2 * DAY), ["0033-02", "0033-03"]),
    ],
)
def test_windows_are_named_by_the_calendar_of_utc(span: Any, names: list[str]) -> None:
    assert windows(*span) == names


def test_a_plan_is_ordered_by_connector_and_then_by_time() -> None:
    connectors: list[tuple[str, str | int]] = [("B", "2"), ("A", 1), ("B", "1"), ("A", "1")]
    planned = plan(iter(connectors), START, END + DAY)

    pairs = [("B", "2"), ("A", "1"), ("B", "1")]
    names = ["2026-10", "2026-11"]
    assert planned == tuple(Partition(*pair, name) for pair, name in product(pairs, names))
    assert plan([], START, END) == ()


def test_times_of_subclasses_become_plain_times() -> None:
    class Odd(datetime):
        """May lose its zone in additions, as some subclasses do."""

    (cut,) = plan(
        CONNECTOR, Odd(2026, 10, 2, tzinfo=UTC), Odd(2026, 10, 3, tzinfo=UTC), whole=False
    )
    assert {type(time) for time in (cut.start, cut.end, cut.from_, cut.to)} == {datetime}


def test_a_connector_id_may_be_a_number_of_a_table() -> None:
    numbers = pytest.importorskip("numpy").arange(3)
    planned = plan([("A", number) for number in numbers], START, END)
    assert [partition.connector_id for partition in planned] == list("012")


NAIVE = START.replace(tzinfo=None)
OLDEST, NEWEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a naive start": (lambda: plan(CONNECTOR, NAIVE, END), "from_ must be aware"),
    "a naive end": (lambda: plan(CONNECTOR, START, NAIVE), "to must be aware"),
    "an empty span": (lambda: plan(CONNECTOR, START, START), "from_=.* must be before to="),
    "a reversed span": (lambda: plan(CONNECTOR, END, START), "from_=.* must be before to="),
    "a week": (lambda: plan(CONNECTOR, START, END, "week"), "window must be one of month, day"),  # type: ignore[arg-type]
    "an empty charger": (lambda: plan([("", 1)], START, END), "charger_id must not be empty"),
    "a flag": (lambda: plan([("A", True)], START, END), "connector_id must be a string"),
    "a text": (lambda: plan(["CP-001"], START, END), "connector must be a pair, .* got 'CP-001'"),  # type: ignore[list-item]
    "None": (lambda: plan(None, START, END), "connectors must be pairs, .* got None"),  # type: ignore[arg-type]
    "the first year": (lambda: plan(CONNECTOR, OLDEST, START), "from_ must be in the years 2 to"),
    "the last year": (lambda: plan(CONNECTOR, START, NEWEST), "to must be in the years 2 to 9998"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_an_invalid_plan_is_refused_with_the_reason(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call()


class Autumn(tzinfo):
    """Time zone in the hour that occurs twice: first 2 hours ahead of UTC, then 1."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        return timedelta(hours=2 - (dt.fold if dt else 0))

    def dst(self, dt: datetime | None) -> timedelta:
        return self.utcoffset(dt) - timedelta(hours=1)

    def tzname(self, dt: datetime | None) -> str:
        return "autumn"


def test_a_span_within_the_hour_that_occurs_twice_is_measured_by_utc() -> None:
    early = datetime(2026, 10, 25, 2, 30, tzinfo=Autumn())  # 00:30 UTC
    late = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=Autumn())  # 01:10 UTC

    assert windows(early, late, "day") == ["2026-10-25"]
    with pytest.raises(ValueError, match="must be before"):
        plan(CONNECTOR, late, early)


# Partitions.


@pytest.mark.parametrize(
    ("partition", "key"),
    [
        (OCTOBER, "CP-001/1/2026-10"),
        (Partition("a/b", "%2F", "2026-10-31"), "a%2Fb/%252F/2026-10-31"),
        (Partition("🔌 ä", "..", "2026-10"), "%F0%9F%94%8C%20%C3%A4/../2026-10"),
        (
            plan(CONNECTOR, START + DAY, END, whole=False)[0],
            "CP-001/1/2026-10/2026-10-02T00:00:00+00:00--2026-11-01T00:00:00+00:00",
        ),
    ],
)
def test_the_key_of_a_partition_is_readable_and_stable(partition: Partition, key: str) -> None:
    assert partition.key == key


@given(st.tuples(IDS, IDS), st.tuples(IDS, IDS))
@example(("a/b", "c"), ("a", "b/c"))
@example(("a", "/"), ("a", "%2F"))
@example(("é", "1"), ("e\u0301", "1"))
def test_no_two_connectors_share_a_key(left: tuple[str, str], right: tuple[str, str]) -> None:
    keys = [plan([pair], START, END)[0].key for pair in (left, right)]

    assert (keys[0] == keys[1]) == (left == right)
    assert keys[0].isascii()
    assert keys[0].count("/") == 2


@pytest.mark.parametrize("whole", [True, False])
def test_a_pickled_partition_takes_less_than_a_hundred_bytes(whole: bool) -> None:
    connectors = [(f"DEPOT-{n:05}", number) for n in range(10) for number in (1, 2)]
    from_ = datetime(2023, 1, 1, 6, tzinfo=UTC)
    partitions = plan(connectors, from_, from_ + 1095 * DAY, whole=whole)

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        text = pickle.dumps(partitions, protocol)
        assert len(text) < 100 * len(partitions)
        assert pickle.loads(text) == partitions  # noqa: S301


@pytest.mark.parametrize(
    "window",
    [
        *("", "2026", "2026-1", "2026-13", "2026-1-1", "2026-02-30", "2026-10-31T00", "20261031"),
        *("2026-W40-1", " 2026-10", "2026-10\n", "2026-10-", "0001-01", "9999-12"),
        *("２026-10", None, 5, b"2026-10", ["2026-10"]),  # noqa: RUF001
    ],
)
def test_a_partition_refuses_a_window_that_is_not_a_month_or_day(window: Any) -> None:
    with pytest.raises(ValueError, match="window must be a month such as 2026-10 or a day"):
        Partition("CP-001", "1", window)


def test_a_query_adds_a_margin_on_both_sides_and_ends_at_the_present() -> None:
    later = END + 10 * DAY

    assert OCTOBER.query(later) == (START - MARGIN, END + MARGIN)
    assert OCTOBER.query(later, 3 * DAY) == (START - 3 * DAY, END + 3 * DAY)
    assert OCTOBER.query(START + DAY) == (START - MARGIN, START + DAY)
    cut = plan(CONNECTOR, START + DAY, END, whole=False)[0]
    assert cut.query(later) == (START, END + MARGIN)


def test_a_query_is_not_empty_if_the_clock_was_set_back() -> None:
    from_, to = OCTOBER.query(START - 9 * DAY)
    assert (from_, to) == (START - MARGIN, START - MARGIN + timedelta(milliseconds=1))


def test_a_window_is_closed_a_margin_after_its_end() -> None:
    assert OCTOBER.is_closed(END + MARGIN)
    assert not OCTOBER.is_closed(END + MARGIN - MOMENT)
    assert OCTOBER.is_closed(END, timedelta(0))
    assert OCTOBER.is_closed((END + MARGIN).astimezone(timezone(timedelta(hours=14))))


@pytest.mark.parametrize(
    ("window", "margin", "shares"),
    [
        ("2026-09", DAY, True),
        ("2026-11", timedelta(0), True),
        ("2026-08", 15 * DAY, True),
        ("2026-08", 14 * DAY, False),
        ("2026-12", 15 * DAY, True),
        ("2026-12", 14 * DAY, False),
    ],
)
def test_a_session_may_be_in_two_readings_that_touch(
    window: str, margin: timedelta, shares: bool
) -> None:
    assert OCTOBER.may_share_sessions(window, margin) is shares


# Window filters.


def filter_of(partition: Partition, *excluded: int) -> WindowFilter:
    return WindowFilter(partition.start, partition.end, frozenset(excluded))


@given(spans(), st.data())
def test_every_report_with_a_start_belongs_to_exactly_one_window_of_a_plan(
    span: tuple[datetime, datetime, Window], data: st.DataObject
) -> None:
    planned = plan(CONNECTOR, *span)
    first, end = planned[0].start, planned[-1].end
    edges = st.sampled_from([partition.start for partition in planned])
    anywhere = st.timedeltas(-DAY, end - first + DAY).map(lambda passed: first + passed)
    starts = data.draw(
        st.lists(edges | edges.map(lambda edge: edge - MOMENT) | anywhere, max_size=20)
    )
    zone = data.draw(OFFSETS)
    filters = [filter_of(partition) for partition in planned]

    for key, start in enumerate(starts):
        accepted = [each.accept(key, key, start.astimezone(zone)) for each in filters]
        assert sum(accepted) == (first <= start < end)
    assert all(each.missing_start == {} for each in filters)


@pytest.mark.parametrize("start", [START, None])
def test_a_report_that_is_read_twice_is_accepted_once(start: datetime | None) -> None:
    october = filter_of(OCTOBER)
    assert [october.accept(7, 7, start) for _ in range(3)] == [True, False, False]


def test_reports_with_one_session_id_and_different_keys_are_different_sessions() -> None:
    october = filter_of(OCTOBER)

    assert [october.accept(key, -1, START) for key in (1, 2)] == [True, True]
    assert [october.accept(key, -1, None) for key in (3, 4)] == [True, True]
    assert [october.accept(key, None, None) for key in (5, 5)] == [True, False]
    assert october.missing_start == {3: -1, 4: -1, 5: None}
    assert october.accepted_ids == {-1, None}


def test_a_filter_records_the_reports_that_it_rejects() -> None:
    october = filter_of(OCTOBER, 9, 8)

    assert not october.accept(7, 7, END)
    assert not october.accept(9, 9, None)
    assert (october.seen, october.accepted_ids) == ({7, 9}, set())
    assert october.accept(8, 8, START), "only reports without a start are excluded"
