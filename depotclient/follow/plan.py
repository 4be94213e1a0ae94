"""Plan of a run: its options, and what to read of a connector next."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from depotclient.follow.state import ConnectorState
from depotclient.query import is_before, require_aware, validate_duration
from depotclient.reading import Coverage, changed_from
from depotclient.reports import fitting_limit
from depotclient.sessions import truncate
from evtransport.validation import validate_bool, validate_int, validate_interval

__all__ = ["FollowOptions", "Reading", "plan_reading"]

_FIRST: Final = datetime(2, 1, 1, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class FollowOptions:
    """Options of `DepotClient.follow`, which documents them.

    Attributes:
        since: Time from which sessions are delivered.
        every: Time between two readings of a connector.
        lag: Time before the last reading that each reading reads again.
        changes: Whether sessions are delivered again when they have changed.
        reconcile: Time before the last reading that a reconcile reads again.
        reconcile_every: Time between two reconciles of a connector.
        concurrency: Number of connectors that are read at the same time.

    Raises:
        ValueError: A value is invalid.
    """

    since: datetime
    every: timedelta = timedelta(minutes=1)
    lag: timedelta = timedelta(days=3)
    changes: bool = False
    reconcile: timedelta = timedelta(days=31)
    reconcile_every: timedelta = timedelta(days=1)
    concurrency: int = 8

    def __attrs_post_init__(self) -> None:
        require_aware("since", self.since)
        if is_before(self.since, _FIRST):
            raise ValueError(f"since must be in the year 2 or later, got {self.since}")
        validate_interval("every", self.every)
        validate_duration("lag", self.lag)
        validate_bool("changes", self.changes)
        validate_duration("reconcile", self.reconcile)
        validate_interval("reconcile_every", self.reconcile_every)
        validate_int("concurrency", self.concurrency, minimum=1)
        if self.reconcile < self.lag:
            raise ValueError(
                f"reconcile={self.reconcile} must not be shorter than lag={self.lag}:"
                " it finds the sessions that are later than the lag"
            )


@attrs.frozen
class Reading:
    """One query of a connector.

    Attributes:
        from_: Start of the query.
        to: End of the query, which is the time at which the reading begins.
        limit: Limit of the first page request.
        is_reconcile: Whether the reading also looks for sessions that are later than the lag.
    """

    from_: datetime
    to: datetime
    limit: int
    is_reconcile: bool

    def coverage(self, state: ConnectorState) -> Coverage:
        """Return the sessions that the reading must return."""
        return Coverage(self.from_, self.to, state.span)


def plan_reading(
    state: ConnectorState, now: datetime, options: FollowOptions, phase: float
) -> Reading | None:
    """Return the next reading of a connector, or None if there is no time to read.

    Args:
        state: State of the connector.
        now: Time of the reading.
        options: Options of the run.
        phase: Part of `reconcile_every` after which the connector is reconciled, from 0 to 1. It
            spreads the reconciles of the connectors.

    Example:
        >>> def day(number): return datetime(2026, 1, number, tzinfo=UTC)
        >>> state = ConnectorState.starting_at(day(1))
        >>> state.read_at = state.reconciled_at = day(19)
        >>> options = FollowOptions(since=day(1), lag=timedelta(days=3))
        >>> plan_reading(state, day(19) + timedelta(minutes=1), options, 0.5).from_.day
        16
    """
    now = truncate(now)
    if state.read_at is None or state.read_at > now:
        # After the clock went back, the time of the last reading tells nothing.
        is_reconcile, from_ = True, state.floor
    else:
        is_reconcile = _is_due(state.reconciled_at, now, options.reconcile_every, phase)
        lag = options.reconcile if is_reconcile else options.lag
        from_ = changed_from(state.floor, state.read_at, lag)
    if from_ >= now:
        return None
    return Reading(from_, now, _first_limit(state, from_), is_reconcile)


def _is_due(last: datetime | None, now: datetime, period: timedelta, phase: float) -> bool:
    """Return True if the time of a reconcile lies between the last one and now."""
    if last is None:
        return True
    return _number_of(last, period, phase) != _number_of(now, period, phase)


def _number_of(time: datetime, period: timedelta, phase: float) -> int:
    return math.floor((time - _EPOCH) / period - phase)


def _first_limit(state: ConnectorState, from_: datetime) -> int:
    """Return a limit for all known reports of a reading and some more."""
    times = (state.last_time_of(known.session) for known in state.known.values())
    reports = sum(time is None or time >= from_ for time in times)
    return fitting_limit(reports, reports * state.report_bytes)
