"""The plan of a run: what is read of a connector next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from depotclient.follow.plan import FollowOptions, plan_reading
from depotclient.follow.state import ConnectorState, Known
from depotclient.sessions import Session

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
FLOOR = SINCE - timedelta(milliseconds=1)
OPTIONS = FollowOptions(since=SINCE)


def day(number: float) -> datetime:
    return SINCE + number * DAY


def state_at(read_at: datetime | None, reconciled_at: datetime | None) -> ConnectorState:
    state = ConnectorState.starting_at(SINCE)
    state.read_at, state.reconciled_at = read_at, reconciled_at
    return state


@pytest.mark.parametrize(
    ("read_at", "reconciled_at", "now", "from_", "is_reconcile"),
    [
        pytest.param(None, None, day(50), FLOOR, True, id="first"),
        pytest.param(day(50.2), day(50), day(50.3), day(47.2), False, id="later"),
        pytest.param(day(1), day(1), day(1.2), FLOOR, False, id="soon after since"),
        pytest.param(day(50.4), day(50), day(50.6), day(19.4), True, id="reconcile once a day"),
        pytest.param(day(50.2), None, day(50.3), day(19.2), True, id="reconcile for a move"),
        pytest.param(day(100), day(100), day(200), day(69), True, id="after a long stop"),
        pytest.param(day(50), day(50), day(49.9), FLOOR, True, id="the clock went back"),
    ],
)
def test_a_reading_begins_at_the_last_one_less_lag_or_the_reconciled_time(
    read_at: datetime | None,
    reconciled_at: datetime | None,
    now: datetime,
    from_: datetime,
    is_reconcile: bool,
) -> None:
    reading = plan_reading(state_at(read_at, reconciled_at), now, OPTIONS, phase=0.5)

    assert reading is not None
    assert (reading.from_, reading.to, reading.is_reconcile) == (from_, now, is_reconcile)


def test_nothing_is_read_while_the_clock_is_before_since() -> None:
    assert plan_reading(state_at(None, None), FLOOR, OPTIONS, phase=0) is None


def test_reconciles_of_connectors_are_spread_over_their_period() -> None:
    def hour_of(phase: float) -> int:
        """Return the hour after which a connector with hourly readings is reconciled."""
        for hour in range(1, 25):
            read_at = day(50) + hour * HOUR
            reading = plan_reading(state_at(read_at - HOUR, day(50)), read_at, OPTIONS, phase)
            if reading is not None and reading.is_reconcile:
                return hour
        raise AssertionError

    assert [hour_of(phase) for phase in (0.25, 0.5, 0.75)] == [6, 12, 18]


@pytest.mark.parametrize(
    ("known", "size", "limit"), [(0, 0, 10), (40, 1000, 60), (40, 10**6, 10), (40, 0, 10)]
)
def test_the_first_limit_fits_the_known_reports_of_the_reading(
    known: int, size: int, limit: int
) -> None:
    state = state_at(day(50), day(50))
    state.report_bytes = size
    sessions = [Session(n, day(49), day(49.1), key=n) for n in range(known)]
    sessions.append(Session(1000, day(40), day(40.1), key=1000))
    for session in sessions:
        state.apply({session.identity: Known(session, bytes(8))})

    reading = plan_reading(state, day(50.1), OPTIONS, phase=0)

    assert reading is not None
    assert reading.limit == limit


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"since": datetime(2026, 1, 1)}, "since must be aware"),  # noqa: DTZ001
        ({"since": datetime(1, 1, 1, tzinfo=UTC)}, "since must be in the year 2 or later"),
        ({"every": timedelta()}, "every must be a timedelta greater than 0"),
        ({"every": 60}, "every must be a timedelta greater than 0"),
        ({"lag": -DAY}, "lag must be from 0 to 366 days"),
        ({"reconcile": DAY}, "reconcile=1 day, 0:00:00 must not be shorter than lag=3 days"),
        ({"reconcile_every": timedelta()}, "reconcile_every must be a timedelta"),
        ({"changes": 1}, "changes must be True or False, got 1"),
        ({"concurrency": 0}, "concurrency must be an int >= 1, got 0"),
    ],
)
def test_an_invalid_option_is_an_error_that_names_it(
    argument: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        attrs.evolve(OPTIONS, **argument)
