"""State of a connector in the database, and the reading that brings it up to date."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from depotclient.reading import MARGIN, Coverage, changed_from
from depotclient.sessions import Span

__all__ = ["ConnectorState", "Loaded", "Options", "Reading", "plan_reading"]


@attrs.frozen
class Options:
    """Span and options of a load, which decide what a run must read.

    Attributes:
        start: Start of the span (in UTC).
        end: End of the span (in UTC), at most `now`.
        now: Time of the run.
        lag: Time in which reports can still change.
        events: Whether to load the events.
    """

    start: datetime
    end: datetime
    now: datetime
    lag: timedelta
    events: bool


@attrs.frozen
class Loaded:
    """Sessions that complete readings have loaded.

    Attributes:
        start: Start of the span.
        end: End of the span.
        read_at: Time at which the last complete reading began.
        events: Whether the events are loaded.
    """

    start: datetime
    end: datetime
    read_at: datetime
    events: bool


@attrs.frozen
class Reading:
    """One reading of a connector.

    Attributes:
        loaded: Sessions that are loaded when the reading is complete.
        from_: Start of the query.
        to: End of the query.
        cursor: Position of the reading, or None at its start.
    """

    loaded: Loaded
    from_: datetime
    to: datetime
    cursor: str | None = None

    @property
    def coverage(self) -> Coverage:
        """Return the sessions that the reading must return."""
        end = self.loaded.end
        if end == self.loaded.read_at:
            # No window follows: a session of a fast clock has no other home.
            end += MARGIN
        return Coverage(self.from_, self.to, Span(self.loaded.start, end, MARGIN))


@attrs.frozen
class ConnectorState:
    """State of a connector in the database.

    Attributes:
        loaded: Sessions that are loaded, or None before the first complete reading.
        reading: Reading in progress, or None.
    """

    loaded: Loaded | None = None
    reading: Reading | None = None


def plan_reading(loaded: Loaded | None, options: Options) -> Reading | None:
    """Return the reading that brings a connector up to date, or None if nothing can have changed.

    The span of a connector only grows, and has no gap: a run loads all between the sessions that
    the database holds and those that are requested.

    Example:
        >>> from datetime import UTC
        >>> def day(number): return datetime(2026, 1, number, tzinfo=UTC)
        >>> options = Options(day(1), day(20), day(20), timedelta(days=3), events=True)
        >>> plan_reading(Loaded(day(1), day(19), day(19), events=True), options).from_.day
        16
    """
    if loaded is None:
        start, end = options.start, options.end
    else:
        start, end = min(loaded.start, options.start), max(loaded.end, options.end)
    first, last = start - MARGIN, min(end + MARGIN, options.now)
    from_ = first
    if loaded is not None and start == loaded.start and loaded.events == options.events:
        from_ = changed_from(first, loaded.read_at, options.lag)
        if end > loaded.end:
            from_ = max(first, min(from_, loaded.end - MARGIN))
    after = Loaded(start, end, options.now, options.events)
    return None if after == loaded or from_ >= last else Reading(after, from_, last)
