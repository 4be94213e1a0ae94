"""Changes between two readings of a connector: what can change, what has moved or vanished.

Export, load, the dlt resource and follow share these rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import attrs

from depotclient.sessions import Identity, Session, Span

__all__ = ["MARGIN", "Absent", "Coverage", "changed_from", "find_absent", "is_final", "is_unique"]

MARGIN: Final = timedelta(days=1)
"""Default time read on both sides of a window. It must cover the longest session and the longest
reporting delay."""


def changed_from(first: datetime, read_at: datetime, lag: timedelta) -> datetime:
    """Return the time from which a connector must be read again.

    A report can change until `lag` after the times of its session. So a reading has seen the final
    reports of all earlier sessions.

    Args:
        first: Time from which the earlier readings have read.
        read_at: Time at which the last complete reading began.
        lag: Time in which reports can still change.

    Example:
        >>> from datetime import UTC
        >>> def day(number): return datetime(2026, 1, number, tzinfo=UTC)
        >>> changed_from(day(1), day(19), timedelta(days=3)).day
        16
    """
    return max(first, read_at - lag)


def is_final(end: datetime, read_at: datetime, lag: timedelta) -> bool:
    """Return True if a reading has seen the final reports of all sessions before a time.

    Args:
        end: End of the sessions.
        read_at: Time at which the reading began.
        lag: Time in which reports can still change.
    """
    return read_at >= end + lag


@attrs.frozen
class Coverage:
    """Sessions that a complete reading of one connector must return.

    Attributes:
        from_: Start of the query, as it was sent.
        to: End of the query, as it was sent.
        span: Span of the copy.
        expected: Further sessions that the reading must return, such as those without a usable
            time that the same query has returned before.
    """

    from_: datetime
    to: datetime
    span: Span
    expected: Container[Identity] = frozenset[Identity]()

    def covers(self, session: Session) -> bool:
        """Return True if the server returns a session for the query, if the session still exists.

        The API doesn't document which time of a session the server filters on, and whether the ends
        of the query are inside. So all known times of the session must be inside the query.
        """
        times = self.span.times_of(session)
        is_inside = bool(times) and all(self.from_ < time < self.to for time in times)
        return is_inside or session.identity in self.expected


@attrs.frozen
class Absent:
    """Sessions that a copy holds, and that a reading should have returned but did not.

    Attributes:
        moved: Sessions that the reading returned with another start. The copy drops the old ones.
        vanished: Sessions that the server no longer has.
    """

    moved: tuple[Session, ...] = ()
    vanished: tuple[Session, ...] = ()


def find_absent(held: Iterable[Session], returned: Iterable[Session], coverage: Coverage) -> Absent:
    """Compare the sessions that a copy held before a reading with those that the reading returned.

    A session has moved if the reading lacks it and returns its id with another start. One start
    stands for one session. A start that the copy already held counts only for an id that the
    reading returns once: offline chargers send the id -1 for many sessions. A session without a
    usable time may have moved even if the reading does not cover it, but not one with the id -1.

    Args:
        held: Sessions of the connector before the reading, in any order.
        returned: All sessions that the reading returned, with those outside of the span.
        coverage: Coverage of the reading, which was read to its end.

    Example:
        >>> from datetime import UTC, timedelta
        >>> def day(number): return datetime(2026, 1, number, tzinfo=UTC)
        >>> coverage = Coverage(day(1), day(9), Span(day(1), day(31), timedelta(days=1)))
        >>> old, new = Session(7, day(2), None, key=1), Session(7, day(3), None, key=2)
        >>> find_absent([old], [new], coverage) == Absent(moved=(old,))
        True
    """
    known = {session.identity: session for session in held}
    found = {session.identity: session for session in returned}
    starts = _count_other_starts(found, known)
    moved, vanished = list[Session](), list[Session]()
    for identity in sorted(known.keys() - found.keys(), key=_order):
        session = known[identity]
        is_covered = coverage.covers(session)
        may_move = session.session_id is not None and starts[session.session_id] > 0
        is_timeless = coverage.span.time_of(session) is None and is_unique(session.session_id)
        if may_move and (is_covered or is_timeless):
            starts[session.session_id] -= 1
            moved.append(session)
        elif is_covered:
            vanished.append(session)
    return Absent(tuple(moved), tuple(vanished))


def _count_other_starts(
    found: Mapping[Identity, Session], known: Container[Identity]
) -> Counter[int | None]:
    """Return how many sessions with each id may be missing sessions with another start."""
    returned = Counter(session.session_id for session in found.values())
    return Counter(
        session.session_id
        for identity, session in found.items()
        if identity not in known
        or (returned[session.session_id] == 1 and is_unique(session.session_id))
    )


def is_unique(session_id: int | None) -> bool:
    """Return False for ids that chargers send for many sessions while they are offline."""
    return session_id is not None and session_id > 0


def _order(identity: Identity) -> tuple[bool, str]:
    """Return a sort key by start. Identities of different kinds can't be compared."""
    _, start = identity
    return isinstance(start, int), str(start)
