"""The state of a connector decides which reading brings it up to date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from depotclient.database.state import Loaded, Options, plan_reading

DAY = timedelta(days=1)


def day(number: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + number * DAY


def options(
    start: float = 10, end: float = 30, now: float = 30, lag: float = 3, *, events: bool = True
) -> Options:
    return Options(day(start), day(end), day(now), lag * DAY, events)


YESTERDAY = Loaded(day(10), day(29), day(29), events=True)
LONG_AGO = Loaded(day(10), day(12), day(20), events=True)


@pytest.mark.parametrize(
    ("loaded", "requested", "query"),
    [
        # The first run reads everything, with a margin but not the future.
        (None, options(), (9, 30)),
        (None, options(end=20), (9, 21)),
        # A later run reads what can have changed, and at least a margin.
        (YESTERDAY, options(), (26, 30)),
        (YESTERDAY, options(lag=0), (28, 30)),
        (YESTERDAY, options(lag=100), (9, 30)),
        # The span has no gap: another end continues at the old one, and a part reads what is old.
        (LONG_AGO, options(), (11, 30)),
        (LONG_AGO, options(start=25), (11, 30)),
        (YESTERDAY, options(end=12), (26, 30)),
        # An earlier start, or other events, read everything again.
        (YESTERDAY, options(start=5), (4, 30)),
        (YESTERDAY, options(events=False), (9, 30)),
        # Nothing can have changed.
        (LONG_AGO, options(end=12), None),
        (Loaded(day(10), day(30), day(30), events=True), options(), None),
    ],
)
def test_a_reading_covers_what_can_have_changed(
    loaded: Loaded | None, requested: Options, query: tuple[float, float] | None
) -> None:
    reading = plan_reading(loaded, requested)

    if query is None:
        assert reading is None
    else:
        assert reading is not None
        assert (reading.from_, reading.to) == tuple(map(day, query))
        assert reading.loaded.read_at == requested.now
        assert reading.loaded.start <= requested.start
        assert reading.loaded.end >= requested.end


def test_a_fast_clock_does_not_leave_a_session_out_of_a_span_that_ends_now() -> None:
    open_end, past_end = plan_reading(None, options()), plan_reading(None, options(end=20))

    assert open_end is not None
    assert past_end is not None
    assert open_end.coverage.span.end == day(31)
    assert past_end.coverage.span.end == day(20)
