"""Partition plans: windows without a gap or an overlap, each connector once."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depotclient.partitions.calendar import Partition, Window, plan

MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)
CONNECTOR = [("CP-001", "1")]
OCTOBER = Partition("CP-001", "1", "2026-10")
START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
LATE = datetime(2026, 12, 31, 22, tzinfo=timezone(timedelta(hours=-3)))
LEAP = datetime(32, 2, 28, tzinfo=UTC)
(CUT,) = plan(CONNECTOR, START + DAY, END, whole=False)

OFFSETS = st.builds(timezone, st.integers(-1439, 1439).map(lambda n: timedelta(minutes=n)))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9990, 1, 1), timezones=OFFSETS)  # noqa: DTZ001


class Time(datetime):
    """Subclass, as of a data frame."""


@st.composite
def spans(draw: st.DrawFn) -> tuple[datetime, datetime, Window]:
    window: Window = draw(st.sampled_from(["month", "day"]))
    longest = timedelta(days=1000 if window == "month" else 70)
    from_ = Time.fromisoformat(draw(TIMES).isoformat())
    to = (from_ + draw(st.timedeltas(MOMENT, longest))).astimezone(draw(OFFSETS))
    return from_, to, window


# Plans.


@given(spans())
@example((START, END, "month"))
@example((START, END, "day"))
@example((START + MOMENT, END - MOMENT, "month"))
@example((START + MOMENT, START + 2 * MOMENT, "day"))
@example((END - MOMENT, END + MOMENT, "month"))
@example((LATE, LATE + MOMENT, "day"))
@example((LEAP, LEAP + 3 * DAY, "day"))
def test_the_windows_of_a_plan_cover_its_span_without_gap_or_overlap(
    span: tuple[datetime, datetime, Window],
) -> None:
    from_, to, kind = span
    whole, cut = plan(CONNECTOR, *span), plan(CONNECTOR, *span, whole=False)

    assert whole[0].start <= from_ < whole[0].end
    assert whole[-1].start <= to - MOMENT < whole[-1].end
    assert (cut[0].start, cut[-1].end) == (from_, to)
    assert type(cut[0].start) is type(cut[-1].end) is datetime
    for planned in (whole, cut):
        assert all(earlier.end == later.start for earlier, later in pairwise(planned))
    for part, window in zip(cut, whole, strict=True):
        assert part.window == window.window
        is_whole = (part.start, part.end) == (window.start, window.end)
        assert (part == window) == (part.key == window.key) == is_whole
        first, last = window.start, window.end - MOMENT
        assert window.kind == kind
        assert window.window == first.date().isoformat()[: 7 if kind == "month" else 10]
        assert first.utcoffset() == last.utcoffset() == timedelta(0)
        assert first == first.replace(hour=0, minute=0, second=0, microsecond=0)
        assert (first.year, first.month) == (last.year, last.month)
        assert (first.day == 1 and (last + MOMENT).day == 1) or kind == "day"
        assert first.date() == last.date() or kind == "month"


def test_a_plan_is_ordered_by_connector_and_then_by_time() -> None:
    number = pytest.importorskip("numpy").int64(1)  # Tables contain numpy integers.
    connectors: list[tuple[str, str | int]] = [("B", "2"), ("A", 1), ("B", number), ("A", "1")]
    planned = plan(iter(connectors), START, END + DAY)

    pairs = [("B", "2"), ("A", "1"), ("B", "1")]
    names = ["2026-10", "2026-11"]
    assert planned == tuple(Partition(*pair, name) for pair, name in product(pairs, names))
    assert plan([], START, END) == ()


class Autumn(tzinfo):
    """Time zone in the hour that occurs twice: first 2 hours ahead of UTC, then 1."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        return timedelta(hours=2 - (dt.fold if dt else 0))


AUTUMN = Autumn()  # type: ignore[abstract]
EARLY = datetime(2026, 10, 25, 2, 30, tzinfo=AUTUMN)  # 00:30 UTC
LATER = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=AUTUMN)  # 01:10 UTC


def test_a_span_within_the_hour_that_occurs_twice_is_measured_in_utc() -> None:
    assert plan(CONNECTOR, EARLY, LATER) == (OCTOBER,)


NAIVE = START.replace(tzinfo=None)
OLDEST, NEWEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((CONNECTOR, NAIVE, END), "from_ must be aware"),
        ((CONNECTOR, START, NAIVE), "to must be aware"),
        ((CONNECTOR, START, START), "from_=.* must be before to="),
        ((CONNECTOR, LATER, EARLY), "from_=.* must be before to="),
        ((CONNECTOR, OLDEST, START), "from_ must be in the years 2 to"),
        ((CONNECTOR, START, NEWEST), "to must be in the years 2 to 9998"),
        ((CONNECTOR, START, END, "week"), "window must be one of month, day, got 'week'"),
        (([("", 1)], START, END), "charger_id must not be empty"),
        ((["CP-001"], START, END), "connector must be a pair, .* got 'CP-001'"),
        ((None, START, END), "connectors must be pairs, .* got None"),
    ],
)
def test_an_invalid_plan_is_rejected_with_the_reason(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(*arguments)


# Partitions.


@pytest.mark.parametrize(
    ("partition", "key"),
    [
        (OCTOBER, "CP-001/1/2026-10"),
        (Partition("a/ä", "%2F", "2026-10-31"), "a%2F%C3%A4/%252F/2026-10-31"),
        (CUT, "CP-001/1/2026-10/2026-10-02T00:00:00+00:00--2026-11-01T00:00:00+00:00"),
    ],
)
def test_the_key_of_a_partition_is_readable_and_stable(partition: Partition, key: str) -> None:
    assert partition.key == key


@pytest.mark.parametrize("whole", [True, False])
def test_a_pickled_partition_takes_less_than_a_hundred_bytes(whole: bool) -> None:
    partitions = plan([("DEPOT-00001", 1)], START + DAY, START + 1000 * DAY, whole=whole)
    text = pickle.dumps(partitions)
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
def test_a_partition_rejects_a_window_that_is_not_a_month_or_day(window: Any) -> None:
    with pytest.raises(ValueError, match="window must be a month such as 2026-10 or a day"):
        Partition("CP-001", "1", window)
