"""Homes of the sessions of one reading."""

from __future__ import annotations

from depotclient.export.placement import Homes, Router
from depotclient.export.plan import CalendarWindow, Reading
from depotclient.sessions import Session, Span
from tests.support.exported_nights import DAY

JANUARY = CalendarWindow.of("2026-01", "month")
READING = Reading((JANUARY,), JANUARY.start - DAY, JANUARY.end + DAY)
SPAN = Span(JANUARY.start, JANUARY.end, DAY)
FIRST, SECOND = (Session(number, JANUARY.start, None, key=number) for number in (7, 8))


def test_a_report_that_a_reading_returns_twice_is_kept_once() -> None:
    router = Router(Homes.of(SPAN, "month", READING, {}))
    assert router.reject(FIRST) == "2026-01"
    assert router.reject(FIRST) is None
    assert router.route([FIRST, SECOND, SECOND]) == {"2026-01": [1]}
    assert router.route([SECOND]) == {}
