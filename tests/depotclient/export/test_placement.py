"""Homes of the sessions of one reading."""

from __future__ import annotations

from depotclient.export.placement import Homes, Placement
from depotclient.export.plan import CalendarWindow, Reading
from depotclient.sessions import Session, Span
from tests.support.exported_nights import DAY

JANUARY = CalendarWindow.of("2026-01", "month")
READING = Reading((JANUARY,), JANUARY.start - DAY, JANUARY.end + DAY)
SPAN = Span(JANUARY.start, JANUARY.end, DAY)
FIRST, SECOND = (Session(number, JANUARY.start, None, key=number) for number in (7, 8))


def test_a_report_that_a_reading_returns_twice_is_kept_once() -> None:
    placement = Placement(Homes.of(SPAN, "month", READING, {}))
    assert placement.reject(FIRST) == "2026-01"
    assert placement.reject(FIRST) is None
    assert placement.place([FIRST, SECOND, SECOND]) == {"2026-01": [1]}
    assert placement.place([SECOND]) == {}
