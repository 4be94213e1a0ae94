"""Calendar windows: no gap, no overlap, and each session in exactly one of them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise, product
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depotclient.partitions.calendar import MARGIN, Partition, Window, WindowFilter, plan

MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)
ONE = [("CP-001", "1")]
OCTOBER = Partition("CP-001", "1", "2026-10")
BEGIN, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)

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
    return [partition.window for partition in plan(ONE, *span)]


@given(spans())
@example((BEGIN, END, "month"))
@example((BEGIN, END, "day"))
@example((BEGIN - MOMENT, BEGIN, "month"))
@example((END - MOMENT, END + MOMENT, "month"))
def test_the_windows_of_a_plan_cover_its_span_without_gap_or_overlap(
    span: tuple[datetime, datetime, Window],
) -> None:
    from_, to, kind = span
    planned = plan(ONE, *span)

    assert all(earlier.end == later.start for earlier, later in pairwise(planned))
    assert planned[0].start <= from_ < planned[0].end
    assert planned[-1].start <= to - MOMENT < planned[-1].end
    assert {partition.kind for partition in planned} == {kind}
    for partition in planned:
        first, last = partition.start, partition.end - MOMENT
        assert first.utcoffset() == last.utcoffset() == timedelta(0)
        assert (first.hour, first.minute, first.second, first.microsecond) == (0, 0, 0, 0)
        assert (first.year, first.month) == (last.year, last.month)
        assert (first.day == 1 and (last + MOMENT).day == 1) or kind == "day"
        assert first.date() == last.date() or kind == "month"


def test_windows_are_named_as_the_calendar_of_utc_names_them() -> None:
    late = timezone(timedelta(hours=-3))
    new_year_there = datetime(2026, 12, 31, 22, tzinfo=late)

    assert windows(new_year_there, new_year_there + MOMENT) == ["2027-01"]
    assert windows(new_year_there, new_year_there + MOMENT, "day") == ["2027-01-01"]
    assert windows(BEGIN - MOMENT, END + MOMENT) == ["2026-09", "2026-10", "2026-11"]
    assert windows(BEGIN, BEGIN + DAY, "day") == ["2026-10-01"]
    leap = datetime(2028, 2, 28, tzinfo=UTC)
    assert windows(leap, leap + 3 * DAY, "day") == ["2028-02-28", "2028-02-29", "2028-03-01"]
    assert windows(datetime(33, 3, 3, tzinfo=UTC), datetime(33, 4, 4, tzinfo=UTC)) == [
        "0033-03",
        "0033-04",
    ]


def test_the_end_of_a_span_is_no_part_of_it() -> None:
    assert windows(BEGIN, END) == ["2026-10"]
    assert windows(BEGIN, END + MOMENT) == ["2026-10", "2026-11"]


def test_a_plan_has_the_windows_of_the_first_connector_and_then_those_of_the_next() -> None:
    planned = plan([("B", "2"), ("A", "1"), ("B", "1")], BEGIN, END + DAY)

    assert planned == tuple(
        Partition(*ids, window)
        for ids, window in product([("B", "2"), ("A", "1"), ("B", "1")], ["2026-10", "2026-11"])
    )


def test_a_connector_that_is_named_twice_is_planned_once() -> None:
    planned = plan([("A", "1"), ("B", "1"), ("A", "1"), ("A", 1)], BEGIN, END)

    assert [(it.charger_id, it.connector_id) for it in planned] == [("A", "1"), ("B", "1")]


def test_a_connector_id_may_be_a_number() -> None:
    assert plan([("A", 12)], BEGIN, END) == (Partition("A", "12", "2026-10"),)


def test_a_connector_id_may_be_a_number_of_a_table() -> None:
    numbers = pytest.importorskip("numpy").arange(3)
    assert [it.connector_id for it in plan([("A", n) for n in numbers], BEGIN, END)] == list("012")


def test_no_connectors_make_an_empty_plan() -> None:
    assert plan([], BEGIN, END) == ()


def test_connectors_may_be_an_iterator() -> None:
    assert len(plan(iter([("A", 1), ("A", 2)]), BEGIN, END + DAY)) == 4


NAIVE = BEGIN.replace(tzinfo=None)
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a naive begin": (lambda: plan(ONE, NAIVE, END), "from_ must be aware"),
    "a naive end": (lambda: plan(ONE, BEGIN, NAIVE), "to must be aware"),
    "a date": (lambda: plan(ONE, BEGIN.date(), END), "from_ must be a datetime, not date"),  # type: ignore[arg-type]
    "an empty span": (lambda: plan(ONE, BEGIN, BEGIN), "from_=.* must be before to="),
    "a span backwards": (lambda: plan(ONE, END, BEGIN), "from_=.* must be before to="),
    "a week": (lambda: plan(ONE, BEGIN, END, "week"), "window must be one of month, day"),  # type: ignore[arg-type]
    "an empty charger": (lambda: plan([("", 1)], BEGIN, END), "charger_id must not be empty"),
    "a blank connector": (lambda: plan([("A", " ")], BEGIN, END), "connector_id must not be empty"),
    "no connector": (lambda: plan([("A", None)], BEGIN, END), "connector_id must be a string"),  # type: ignore[list-item]
    "a flag": (lambda: plan([("A", True)], BEGIN, END), "connector_id must be a string"),
    "a number": (lambda: plan([(1, 1)], BEGIN, END), "charger_id must be a string"),  # type: ignore[list-item]
    "half a pair": (lambda: plan([("\ud800", 1)], BEGIN, END), "charger_id must be valid Unicode"),
    "None": (lambda: plan(None, BEGIN, END), "connectors must be pairs, .* got None"),  # type: ignore[arg-type]
    "5": (lambda: plan(5, BEGIN, END), "connectors must be pairs, such as .*, got 5"),  # type: ignore[arg-type]
    "before time": (
        lambda: plan(ONE, datetime(1, 1, 1, tzinfo=timezone(DAY / 2)), END),
        "from_ ",
    ),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_can_not_be_planned_is_a_value_error_that_says_why(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("window", ["month", "day"])
@pytest.mark.parametrize(
    ("from_", "to"),
    [
        (datetime.min.replace(tzinfo=UTC), datetime(2, 1, 1, tzinfo=UTC)),
        (datetime(9998, 12, 31, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_the_first_and_the_last_year_of_all_have_no_windows(
    from_: datetime, to: datetime, window: Window
) -> None:
    with pytest.raises(ValueError, match="must be in the years 2 to 9998"):
        plan(ONE, from_, to, window)


class Autumn(tzinfo):
    """A zone in the hour that it has twice: first 2 hours before UTC, then 1."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        return timedelta(hours=2 - (dt.fold if dt else 0))

    def dst(self, dt: datetime | None) -> timedelta:
        return self.utcoffset(dt) - timedelta(hours=1)

    def tzname(self, dt: datetime | None) -> str:
        return "autumn"


def test_a_span_within_the_hour_that_comes_twice_is_measured_by_utc() -> None:
    zone = Autumn()
    early = datetime(2026, 10, 25, 2, 30, tzinfo=zone)  # 00:30 UTC
    late = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=zone)  # 01:10 UTC

    assert windows(early, late, "day") == ["2026-10-25"]
    with pytest.raises(ValueError, match="must be before"):
        plan(ONE, late, early)


def test_the_key_of_a_partition_is_readable_and_stays_the_same() -> None:
    assert OCTOBER.key == "CP-001/1/2026-10"
    assert Partition("a/b", "%2F", "2026-10-31").key == "a%2Fb/%252F/2026-10-31"
    assert Partition("🔌 ä", "..", "2026-10").key == "%F0%9F%94%8C%20%C3%A4/../2026-10"


@given(st.tuples(IDS, IDS), st.tuples(IDS, IDS))
@example(("a/b", "c"), ("a", "b/c"))
@example(("a", "/"), ("a", "%2F"))
@example(("é", "1"), ("e\u0301", "1"))
def test_no_two_connectors_share_a_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    (left,), (right,) = plan([one], BEGIN, END), plan([other], BEGIN, END)

    assert (left.key == right.key) == (one == other)
    assert left.key.isascii()
    assert left.key.count("/") == 2


@given(spans())
@example((BEGIN, END, "month"))
@example((BEGIN + MOMENT, END - MOMENT, "month"))
@example((BEGIN + MOMENT, BEGIN + 2 * MOMENT, "day"))
def test_a_plan_whose_windows_are_cut_covers_exactly_its_span(
    span: tuple[datetime, datetime, Window],
) -> None:
    from_, to, _ = span
    whole, cut = plan(ONE, *span), plan(ONE, *span, whole=False)

    assert (cut[0].start, cut[-1].end) == (from_, to)
    assert all(earlier.end == later.start for earlier, later in pairwise(cut))
    assert [part.window for part in cut] == [part.window for part in whole]
    assert cut[1:-1] == whole[1:-1]
    for part, window in zip(cut, whole, strict=True):
        is_whole = (part.start, part.end) == (window.start, window.end)
        assert (part == window) == (part.key == window.key) == is_whole
        assert part.key.startswith(window.key)


def test_the_key_of_a_window_that_is_cut_tells_where() -> None:
    (cut,) = plan(ONE, BEGIN + DAY, END, whole=False)
    assert cut.key == "CP-001/1/2026-10/2026-10-02T00:00:00+00:00--2026-11-01T00:00:00+00:00"
    assert cut.query(END + DAY) == (BEGIN, END + DAY)
    assert not WindowFilter(cut.start, cut.end).accept(1, 1, BEGIN + DAY - MOMENT)
    assert WindowFilter(cut.start, cut.end).accept(1, 1, BEGIN + DAY)


@pytest.mark.parametrize("whole", [True, False])
def test_a_hundred_thousand_partitions_take_less_than_a_hundred_bytes_each(whole: bool) -> None:
    connectors = [(f"DEPOT-{n:05}", number) for n in range(1389) for number in (1, 2)]
    from_ = datetime(2023, 1, 1, 6, tzinfo=UTC)
    partitions = plan(connectors, from_, from_ + 1095 * DAY, whole=whole)

    assert len(partitions) > 100_000
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        text = pickle.dumps(partitions, protocol)
        assert len(text) < 100 * len(partitions)
        assert pickle.loads(text) == partitions  # noqa: S301


def test_partitions_are_values() -> None:
    twin = Partition("CP-001", "1", "2026-10")
    assert twin == OCTOBER
    assert len({twin, OCTOBER, Partition("CP-001", "2", "2026-10")}) == 2
    assert pickle.loads(pickle.dumps(OCTOBER)) == OCTOBER  # noqa: S301
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        OCTOBER.window = "2026-11"  # type: ignore[misc]


@given(spans())
def test_partitions_of_a_connector_sort_by_time(span: tuple[datetime, datetime, Window]) -> None:
    planned = plan(ONE, *span)

    assert sorted(planned) == list(planned)
    assert sorted(planned, key=lambda partition: partition.start) == list(planned)


@pytest.mark.parametrize(
    "window",
    [
        *("", "2026", "2026-1", "2026-13", "2026-1-1", "2026-02-30", "2026-10-31T00", "20261031"),
        *("2026-W40-1", " 2026-10", "2026-10\n", "2026-10-", "0001-01", "9999-12"),
        *("２026-10",),  # noqa: RUF001
        *(None, 5, b"2026-10", ["2026-10"]),
    ],
)
def test_a_window_that_is_not_a_month_or_day_is_refused_at_once(window: Any) -> None:
    with pytest.raises(ValueError, match="window must be a month such as 2026-10 or a day"):
        Partition("CP-001", "1", window)


@pytest.mark.parametrize(
    ("window", "kind", "begin", "end"),
    [
        ("2026-10", "month", BEGIN, END),
        ("2026-12", "month", datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-10-31", "day", END - DAY, END),
        ("2028-02", "month", datetime(2028, 2, 1, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_partition_knows_its_first_moment_and_the_first_one_behind(
    window: str, kind: str, begin: datetime, end: datetime
) -> None:
    partition = Partition("A", "1", window)

    assert (partition.kind, partition.start, partition.end) == (kind, begin, end)


def test_a_query_asks_for_a_margin_more_on_both_sides() -> None:
    later = datetime(2027, 1, 1, tzinfo=UTC)

    assert OCTOBER.query(later) == (BEGIN - MARGIN, END + MARGIN)
    assert OCTOBER.query(later, timedelta(hours=3)) == (
        BEGIN - timedelta(hours=3),
        END + timedelta(hours=3),
    )
    assert OCTOBER.query(later, timedelta(0)) == (BEGIN, END)


@given(st.timedeltas(MOMENT, timedelta(days=60)), st.timedeltas(timedelta(0), 7 * DAY), OFFSETS)
def test_a_query_never_asks_the_future(
    passed: timedelta, margin: timedelta, offset: timezone
) -> None:
    now = (BEGIN + passed).astimezone(offset)

    from_, to = OCTOBER.query(now, margin)

    assert from_ == BEGIN - margin
    assert to == min(now, END + margin)


def test_a_window_is_settled_once_it_was_read_a_margin_after_its_end() -> None:
    assert OCTOBER.is_closed(END + MARGIN)
    assert not OCTOBER.is_closed(END + MARGIN - MOMENT)
    assert not OCTOBER.is_closed(END)
    assert OCTOBER.is_closed(END, timedelta(0))
    there = timezone(timedelta(hours=14))
    assert OCTOBER.is_closed((END + MARGIN).astimezone(there))


@given(spans(), st.data())
def test_every_report_with_a_start_belongs_to_exactly_one_window_of_a_plan(
    span: tuple[datetime, datetime, Window], data: st.DataObject
) -> None:
    planned = plan(ONE, *span)
    first, end = planned[0].start, planned[-1].end
    edges = [partition.start for partition in planned]
    starts = data.draw(
        st.lists(
            st.sampled_from(edges)
            | st.sampled_from(edges).map(lambda edge: edge - MOMENT)
            | st.timedeltas(-DAY, end - first + DAY).map(lambda passed: first + passed),
            max_size=20,
        )
    )
    zone = data.draw(OFFSETS)
    judges = [WindowFilter(partition.start, partition.end) for partition in planned]

    for number, start in enumerate(starts):
        takers = [judge.accept(number, number, start.astimezone(zone)) for judge in judges]

        assert sum(takers) == (first <= start < end)
    assert all(judge.missing_start == {} for judge in judges)


def test_the_first_moment_of_a_window_is_inside_and_the_end_is_not() -> None:
    judge = WindowFilter(OCTOBER.start, OCTOBER.end)

    assert not judge.accept(1, 1, BEGIN - MOMENT)
    assert judge.accept(2, 2, BEGIN)
    assert judge.accept(3, 3, END - MOMENT)
    assert not judge.accept(4, 4, END)


@pytest.mark.parametrize("start", [BEGIN, None])
def test_a_report_that_comes_twice_is_taken_once_a_reading(start: datetime | None) -> None:
    judge = WindowFilter(OCTOBER.start, OCTOBER.end)

    assert [judge.accept(7, 7, start) for _ in range(3)] == [True, False, False]
    assert WindowFilter(OCTOBER.start, OCTOBER.end).accept(7, 7, start)


def test_reports_with_one_session_id_and_different_keys_are_different_sessions() -> None:
    judge = WindowFilter(OCTOBER.start, OCTOBER.end)

    assert [judge.accept(key, -1, BEGIN) for key in (1, 2)] == [True, True]
    assert [judge.accept(key, -1, None) for key in (3, 4)] == [True, True]
    assert [judge.accept(key, None, None) for key in (5, 5)] == [True, False]
    assert judge.missing_start == {3: -1, 4: -1, 5: None}
    assert judge.accepted_ids == {-1, None}


def test_a_membership_records_reports_that_it_does_not_take() -> None:
    judge = WindowFilter(OCTOBER.start, OCTOBER.end, frozenset([9]))

    assert not judge.accept(7, 7, END)
    assert not judge.accept(9, 9, None)
    assert (judge.seen, judge.accepted_ids) == ({7, 9}, set())


def test_a_report_without_a_start_is_taken_by_the_first_window_of_which_the_others_are_told() -> (
    None
):
    september, october = plan(ONE, BEGIN - DAY, END)
    first = WindowFilter(september.start, september.end)
    assert first.accept(7, 7, None)
    assert first.accept(9, 9, None)
    assert first.accept(8, 8, BEGIN - DAY)

    told = WindowFilter(october.start, october.end, frozenset(first.missing_start))
    assert [told.accept(number, number, None) for number in (7, 9, 10)] == [False, False, True]
    untold = WindowFilter(october.start, october.end)
    assert untold.accept(7, 7, None)

    assert (first.missing_start, told.missing_start, untold.missing_start) == (
        {7: 7, 9: 9},
        {10: 10},
        {7: 7},
    )


def test_a_report_that_has_a_start_does_not_care_who_has_taken_one_without() -> None:
    judge = WindowFilter(OCTOBER.start, OCTOBER.end, frozenset([7]))

    assert not judge.accept(7, 1, None)
    assert judge.accept(8, 1, BEGIN)
    assert judge.missing_start == {}


def test_a_judge_of_ones_own_has_any_ends() -> None:
    judge = WindowFilter(BEGIN + MOMENT, BEGIN + 2 * MOMENT)

    assert [judge.accept(n, n, BEGIN + n * MOMENT) for n in range(4)] == [False, True, False, False]
