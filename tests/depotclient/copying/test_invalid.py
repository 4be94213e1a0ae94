"""Sessions of reports that may be invalid: valid ids and times count, others are missing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from depotclient.copying.invalid import session_of

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("report", "session_id", "start", "end"),
    [
        (b'{"sessionId":7,"sessionTimeStart":"2026-01-01T00:00:00Z"}', 7, JANUARY, None),
        (
            b'{"sessionTimeStart":5,"sessionTimeEnd":"2026-01-01T01:00:00+01:00"}',
            None,
            None,
            JANUARY,
        ),
        (b'{"sessionId":"7","sessionTimeStart":"2026-01-01T00:00:00"}', None, None, None),
        (b'{"sessionId":7,"sessionTimeStart":"0001-01-01T00:00:00+01:00"}', 7, None, None),
        (b'{"sessionId":7,"sessionTimeEnd":"","vehicleId":"\\ud83d"}', 7, None, None),
        (b'{"sessionId":7,"sessionTimeEnd":"\\ud83d"}', 7, None, None),
        (b"[7]", None, None, None),
    ],
)
def test_a_session_has_the_valid_values_of_its_report(
    report: bytes, session_id: int | None, start: datetime | None, end: datetime | None
) -> None:
    session = session_of(report)
    assert (session.session_id, session.start, session.end) == (session_id, start, end)
