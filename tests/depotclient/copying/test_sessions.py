"""The times of a session decide where a copy keeps it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from depotclient.copying.sessions import Session, Span

DAY = timedelta(days=1)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
INSIDE = datetime(2026, 2, 1, tzinfo=UTC)
SPAN = Span(START, END, DAY)


def session(start: datetime | None, end: datetime | None) -> Session:
    return Session(7, start, end, key=1)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (INSIDE, END, INSIDE),
        (START, None, START),
        (None, INSIDE, INSIDE),
        (START - 40 * DAY, INSIDE, INSIDE),
        (datetime(1970, 1, 1, tzinfo=UTC), INSIDE, INSIDE),
        (datetime(2036, 1, 1, tzinfo=UTC), INSIDE, INSIDE),
    ],
)
def test_a_session_in_the_span_is_kept_at_its_start_or_else_at_its_end(
    start: datetime | None, end: datetime | None, expected: datetime
) -> None:
    assert SPAN.time_of(session(start, end)) == expected
    assert SPAN.includes(session(start, end))


@pytest.mark.parametrize(
    ("start", "end"),
    [(None, None), (datetime(1970, 1, 1, tzinfo=UTC), None), (START - 9 * DAY, END + 9 * DAY)],
)
def test_a_session_without_a_time_near_the_span_belongs_to_the_reading(
    start: datetime | None, end: datetime | None
) -> None:
    assert SPAN.time_of(session(start, end)) is None
    assert SPAN.includes(session(start, end))
    assert SPAN.is_stray(session(start, end))


@pytest.mark.parametrize(
    ("start", "end"),
    [(START - DAY / 2, INSIDE), (END, END + DAY), (START - 2 * DAY, START - DAY / 2)],
)
def test_a_session_just_before_or_after_the_span_is_left_out(
    start: datetime, end: datetime
) -> None:
    assert not SPAN.includes(session(start, end))


def test_a_start_with_microseconds_is_the_same_session_as_its_milliseconds() -> None:
    exact = session(INSIDE.replace(microsecond=123_456), None)
    rounded = session(INSIDE.replace(microsecond=123_000), None)

    assert exact.identity == rounded.identity
