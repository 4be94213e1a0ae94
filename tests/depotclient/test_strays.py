"""Walks with a margin count and log the reports that they can't deliver to any window."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from depotclient import SessionReport, SessionReports
from tests.support.pages import PageTransport

DAY = timedelta(days=1)
MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
STRAYS = {1: (NEVER, MARCH), 2: (MARCH - 3 * DAY, MARCH), 3: (NEVER, NEVER), 4: (None, APRIL + DAY)}
ORDINARY = {
    # Neighbouring windows have these.
    11: (MARCH - DAY, MARCH),
    12: (APRIL, None),
    13: (MARCH - 2 * DAY, MARCH - DAY / 2),
    14: (None, APRIL),
    # The window delivers these.
    21: (MARCH, APRIL + 9 * DAY),
    22: (None, MARCH),
    23: (None, None),
}
DELIVERED = [21, 22, 23]


def items_of(sessions: Mapping[int, tuple[datetime | None, datetime | None]]) -> list[Any]:
    return [
        {
            "sessionId": session_id,
            "sessionTimeStart": start and start.isoformat(),
            "sessionTimeEnd": end and end.isoformat(),
        }
        for session_id, (start, end) in sessions.items()
    ]


def reports_of(items: list[Any], **options: Any) -> SessionReports[SessionReport]:
    window = {"from_": MARCH, "to": APRIL, "margin": DAY}
    return PageTransport(items).client().session_reports("CP-001", 1, **{**window, **options})


@pytest.mark.parametrize("options", [{}, {"limit": 2}, {"verify": True}])
async def test_a_walk_counts_and_logs_the_strays_that_it_leaves_out(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with reports_of(items_of(STRAYS | ORDINARY), **options).walk() as walk:
        assert [report.session_id async for report in walk] == DELIVERED
        assert await anext(walk, None) is None

    assert walk.strays == 4
    [record] = caplog.records
    assert (record.name, record.levelname) == ("evtransport", "WARNING")
    assert record.getMessage() == (
        "CP-001/1 from 2026-03-01T00:00:00.000Z to 2026-04-01T00:00:00.000Z: reports left out"
        " because their start is off by more than the margin: 4, such as sessions [1, 2, 3, 4]"
    )
    assert vars(record)["strays"] == 4


@pytest.mark.parametrize(
    ("items", "options"),
    [
        (items_of(ORDINARY), {}),
        (items_of(STRAYS | ORDINARY), {"from_": None, "margin": None}),
        ([{"sessionId": 1, "sessionTimeStart": "1970"}], {"into": bytes.decode}),
    ],
    ids=["ordinary neighbours", "no margin", "an invalid time"],
)
async def test_a_walk_without_strays_logs_nothing(
    items: list[Any], options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert [report async for report in reports_of(items, **options)]
    assert caplog.records == []


async def test_the_record_names_at_most_ten_sessions_with_valid_ids(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stray = {"sessionTimeStart": NEVER.isoformat(), "sessionTimeEnd": MARCH.isoformat()}
    items = [{"sessionId": number or None, **stray} for number in range(20)]

    assert [report async for report in reports_of(items)] == []

    [record] = caplog.records
    assert vars(record)["session_ids"] == list(range(1, 11))
    assert "margin: 20, such as" in record.getMessage()
