"""Sessions: their identity and times, and the time span that they belong to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, TypeAlias

import attrs
import msgspec

from depotclient.models import STRUCTURES
from evtransport.errors import ApiError

__all__ = ["Identity", "Session", "Span", "storable_id"]

_ID_BITS: Final = 64

Identity: TypeAlias = tuple[int | None, datetime | int]
"""Session id and start of a session. Without both, the id and the key of its report."""


@attrs.frozen
class _Times:
    """Times of a session. Skipping the other fields takes 4 % of the time to structure a report."""

    session_time_start: datetime | None = None
    session_time_end: datetime | None = None


_decode_times = STRUCTURES.of(_Times)


@attrs.frozen
class Session:
    """Identity and times of one report.

    Attributes:
        session_id: Session id, or None if the report has no valid id.
        start: Start of the session in UTC, or None.
        end: End of the session in UTC, or None.
        key: Key of the report, see `Page.keys`.

    Example:
        >>> Session(7, None, None, key=1).identity
        (7, 1)
    """

    session_id: int | None
    start: datetime | None
    end: datetime | None
    key: int

    @classmethod
    def read(cls, report: msgspec.Raw, session_id: int | None, key: int) -> Session:
        """Return the session of a report. If a time is invalid, it has no times.

        Args:
            report: JSON text of the report.
            session_id: Session id, or None if the report has no valid id.
            key: Key of the report, see `Page.keys`.
        """
        try:
            times = _decode_times(report)
        except ApiError:
            times = _Times()
        return cls(session_id, times.session_time_start, times.session_time_end, key)

    @property
    def identity(self) -> Identity:
        """Return the value that identifies the session of a connector.

        A start is truncated to milliseconds, as in the files and tables of a copy.
        """
        if self.session_id is None or self.start is None:
            return self.session_id, self.key
        return self.session_id, truncate(self.start)


def storable_id(session_id: int | None) -> int | None:
    """Return a session id that fits into 64 bits, or None. A report with a larger one is invalid.

    The key of the report depends on the whole id, so that it still identifies the session.
    """
    is_large = session_id is not None and session_id.bit_length() >= _ID_BITS
    return None if is_large else session_id


def truncate(time: datetime) -> datetime:
    """Return a time without the digits after its milliseconds."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


@attrs.frozen
class Span:
    """Time span to read, whichever time of a session the server filters on.

    A copy keeps each session that it `includes`. A single reading does not know what other readings
    returned, so it delivers only the sessions that it `accepts`.

    Attributes:
        start: Start of the span (inclusive, in UTC).
        end: End of the span (exclusive, in UTC).
        margin: Time that readings add on both sides of the span.

    Example:
        >>> from datetime import UTC
        >>> def month(number): return datetime(2026, number, 1, tzinfo=UTC)
        >>> spring = Span(month(3), month(6), timedelta(days=1))
        >>> parked = Session(7, month(1), month(4), key=1)
        >>> spring.time_of(parked) == parked.end
        True
    """

    start: datetime
    end: datetime
    margin: timedelta

    def times_of(self, session: Session) -> tuple[datetime, ...]:
        """Return the times of a session that lie in the span or within a margin of it.

        Other times tell nothing: the clock of the charger was not set, or the vehicle was parked
        for longer than the margin.
        """
        # The start minus the margin may be before the year 1.
        return tuple(
            time
            for time in (session.start, session.end)
            if time is not None
            and self.start - time <= self.margin
            and time - self.end < self.margin
        )

    def time_of(self, session: Session) -> datetime | None:
        """Return the time that decides where the copy keeps a session.

        Returns:
            The start, else the end, whichever lies within a margin of the span first. None if
            neither does: the session belongs to the reading that returned it.
        """
        return next(iter(self.times_of(session)), None)

    def includes(self, session: Session) -> bool:
        """Return False for a session that belongs before or after the span."""
        time = self.time_of(session)
        return time is None or self.start <= time < self.end

    def is_stray(self, session: Session) -> bool:
        """Return True if the start of a session is missing or more than a margin off the span."""
        return self.time_of(session) is None or self.time_of(session) != session.start

    def accepts(self, session: Session) -> bool:
        """Return True if a single reading delivers a session.

        The start decides, else the end. A session without a usable time is in each reading that
        returns it: it must not be lost, and structuring an invalid time raises the error.
        """
        time = session.start or session.end
        return time is None or self.start <= time < self.end
