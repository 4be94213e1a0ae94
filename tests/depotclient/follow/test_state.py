"""The state of a run: what is remembered, and its form between two runs."""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime, timedelta

import pytest

from depotclient.follow.state import ConnectorState, Known, join_state, split_state
from depotclient.sessions import Session

DAY = timedelta(days=1)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
IDS = ("CP/1", "ä")


def day(number: float) -> datetime:
    return SINCE + number * DAY


def known(session_id: int | None, start: datetime | None, end: datetime | None) -> Known:
    return Known(Session(session_id, start, end, key=2**64 - 1), b"12345678")


def state_with(*sessions: Known) -> ConnectorState:
    state = ConnectorState.starting_at(SINCE)
    state.apply({each.session.identity: each for each in sessions})
    return state


def test_a_saved_state_is_the_same_when_it_is_loaded() -> None:
    state = state_with(
        known(1, day(1.00000123), day(2)),
        known(-1, None, day(-99999)),
        known(None, None, None),
        Known(Session(2**62, day(3), None, key=0), bytes(8), is_delivered=False),
    )
    state.read_at, state.reconciled_at, state.report_bytes = day(5), day(4), 2000
    parts = split_state(join_state([state.encode(IDS), state.encode(("CP-2", "1"))]))

    loaded = ConnectorState.decode(parts[IDS])

    assert list(parts) == [IDS, ("CP-2", "1")]
    for name in ("since", "floor", "read_at", "reconciled_at", "report_bytes", "known"):
        assert getattr(loaded, name) == getattr(state, name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a state of follow: pass one that an earlier run saved"),
        (b"[1]", "not a state of follow"),
        (b'{"x":' + b"[" * 100_000, "not a state of follow"),
        (b'{"kind":"\xff"}', "not a state of follow"),
        (b'{"kind":"depotclient.profile","version":1}', "is a 'depotclient.profile', not a state"),
        (b'{"kind":"depotclient.follow","version":2}', "version 2, but this release reads version"),
        (b'{"kind":"depotclient.follow","version":1}', "damaged: .*`connectors`"),
        (b'{"kind":"depotclient.follow","version":1,"connectors":[{}]}', "damaged"),
        ("text", "must return bytes or None, got str"),
    ],
)
def test_bytes_that_are_no_state_are_an_error_that_says_what_they_are(
    content: bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        split_state(content)


IN_THE_YEAR_148000 = base64.b64encode(struct.pack(">BqqqQ8s", 15, 7, 2**62, 0, 1, b""))


@pytest.mark.parametrize(
    "change",
    [
        (b'"since":"2026', b'"since":"20x6'),
        (b'"sessions":"', b'"sessions":"!'),
        (b'"sessions":"', b'"sessions":"AAAA'),
        (b'"sessions":"', b'"sessions":"' + IN_THE_YEAR_148000),
    ],
)
def test_a_damaged_connector_is_an_error(change: tuple[bytes, bytes]) -> None:
    part = state_with().encode(IDS).replace(*change)

    with pytest.raises(ValueError, match=r"it is damaged: .*pass one that an earlier run saved"):
        ConnectorState.decode(part)


def test_changes_can_be_undone() -> None:
    first, second = known(1, day(1), None), known(2, day(2), None)
    state = state_with(first)

    undo = state.apply({first.session.identity: None, second.session.identity: second})
    assert [*state.known.values()] == [second]

    state.apply(undo)
    assert [*state.known.values()] == [first]


@pytest.mark.parametrize(
    ("start", "end", "is_expected"),
    [
        (day(0), None, True),
        (day(-0.1), day(0.1), False),
        (day(-2), day(0.1), True),
        (day(-2), day(-0.1), False),
        (None, day(0.1), True),
        (None, day(-0.1), False),
        (None, None, True),
        (datetime(1970, 1, 1, tzinfo=UTC), None, True),
        (datetime(2036, 1, 1, tzinfo=UTC), None, True),
    ],
)
def test_the_start_or_else_the_end_decides_if_a_session_is_delivered(
    start: datetime | None, end: datetime | None, is_expected: bool
) -> None:
    assert ConnectorState.starting_at(SINCE).expects(Session(1, start, end, key=1)) == is_expected


def test_sessions_long_before_the_last_one_are_forgotten_and_not_expected_again() -> None:
    old, running, timeless = (
        known(1, day(1), day(2)),
        known(2, day(2), day(20)),
        known(3, None, None),
    )
    state = state_with(old, running, timeless, known(4, day(45), day(46)))

    state.forget_before(day(100), 31 * DAY)

    assert old.session.identity not in state.known
    assert len(state.known) == 3
    assert state.floor == day(15)
    assert not state.expects(old.session)


def test_a_period_that_begins_before_the_year_1_forgets_nothing() -> None:
    state = ConnectorState.starting_at(datetime(2, 1, 1, tzinfo=UTC))
    floor = state.floor

    state.forget_before(day(1), 366 * DAY)

    assert state.floor == floor


def test_a_wrong_clock_makes_no_session_forgotten() -> None:
    state = state_with(known(1, day(1), day(2)), known(2, day(3650), None))

    state.forget_before(day(3000), 31 * DAY)
    state.forget_before(day(1), 31 * DAY)

    assert len(state.known) == 2
    assert state.floor < SINCE
