"""The times of a session decide where a copy keeps it, and which reading delivers it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from depotclient.sessions import Session, Span

DAY = timedelta(days=1)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
INSIDE = datetime(2026, 2, 1, tzinfo=UTC)
SPAN = Span(START, END, DAY)


AUGUST_3 = Span(datetime(2022, 8, 3, tzinfo=UTC), datetime(2022, 8, 4, tzinfo=UTC), DAY)
BEFORE, INSIDE_3, AFTER = "2022-08-02T23:59:59.999Z", "2022-08-03T12:00:00Z", "2022-08-04T00:00:00Z"


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


@pytest.mark.parametrize(
    ("report", "is_accepted"),
    [
        ({"sessionTimeStart": BEFORE, "sessionTimeEnd": INSIDE_3}, False),
        ({"sessionTimeStart": "2022-08-03T02:00:00+02:00", "sessionTimeEnd": AFTER}, True),
        ({"sessionTimeStart": "2022-08-03T01:59:59+02:00"}, False),
        ({"sessionTimeStart": "2022-08-03T23:59:59.999Z"}, True),
        ({"sessionTimeStart": AFTER}, False),
        # Without a start, the end decides.
        ({"sessionTimeStart": None, "sessionTimeEnd": INSIDE_3}, True),
        ({"sessionTimeStart": "", "sessionTimeEnd": AFTER}, False),
        ({"sessionId": 1}, True),
        # Structuring these raises the error.
        ({"sessionTimeStart": "yesterday"}, True),
        ({"sessionTimeStart": 5, "sessionTimeEnd": AFTER}, True),
        ({"sessionTimeEnd": "2022-08-02T00:00:00"}, True),
        (5, True),
        # Only the times of the session itself count.
        ({"other": {"inner": {}, "sessionTimeStart": INSIDE_3}, "sessionTimeStart": AFTER}, False),
        ({"other": "\ud83d", "sessionTimeStart": AFTER}, False),
        ({"other": "sessionTimeStart", "sessionTimeStart": AFTER}, False),
        ({"sessionTimeStart": AFTER, "other": {"sessionTimeStart": INSIDE_3}}, False),
    ],
)
def test_a_single_reading_delivers_the_sessions_that_start_in_its_span(
    report: Any, is_accepted: bool
) -> None:
    text = msgspec.Raw(json.dumps(report).encode())
    assert AUGUST_3.accepts(Session.read(text, session_id=1, key=1)) is is_accepted
