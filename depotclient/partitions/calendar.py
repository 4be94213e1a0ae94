"""Partitions of connectors into calendar windows, and the filter for the reports of a window."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import quote

import attrs

from depotclient.query import Connector, distinct_connectors, is_before, require_aware, to_utc

__all__ = ["MARGIN", "WINDOWS", "Connector", "Partition", "Window", "WindowFilter"]
__all__ += ["connector_key", "plan", "window_start"]

Window: TypeAlias = Literal["month", "day"]
"""Kind of a calendar window, in UTC."""

WINDOWS: Final[tuple[Window, ...]] = get_args(Window)

MARGIN: Final = timedelta(days=1)
"""Default time read on both sides of a window. It must cover the longest session and the longest
reporting delay."""

_WINDOW: Final = re.compile(r"\d{4}-\d\d(-\d\d)?", re.ASCII)


def window_start(window: str) -> datetime:
    """Return the start of a calendar window.

    Raises:
        ValueError: `window` is not a month or a day of the years 2 to 9998.
    """
    if isinstance(window, str) and _WINDOW.fullmatch(window):
        with suppress(ValueError):
            start = datetime.fromisoformat(f"{window}-01"[:10]).replace(tzinfo=UTC)
            if MINYEAR < start.year < MAXYEAR:
                return start
    raise ValueError(
        f"window must be a month such as 2026-10 or a day such as 2026-10-31, got {window!r}"
    )


def _next_start(start: datetime, kind: Window) -> datetime:
    if kind == "day":
        return start + timedelta(days=1)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


@attrs.frozen(order=True)
class Partition:
    """One connector in one calendar window, or in a part of the window.

    Attributes:
        charger_id: Charger id.
        connector_id: Connector id.
        window: Month such as `2026-10`, or day such as `2026-10-31`, in UTC.
        from_: Start of the part, or None if the part starts with the window.
        to: End of the part, or None if the part ends with the window.

    Raises:
        ValueError: `window` is not a month or a day.

    Example:
        >>> Partition("CP-001", "1", "2026-01").key
        'CP-001/1/2026-01'
    """

    charger_id: str
    connector_id: str
    window: str = attrs.field(validator=lambda _, __, window: window_start(window))
    from_: datetime | None = attrs.field(default=None, order=False)
    to: datetime | None = attrs.field(default=None, order=False)

    @property
    def key(self) -> str:
        """Return a name that is the same in every run, such as `CP-001/1/2026-10`.

        The key of a part of a window also contains its start and its end.
        """
        key = f"{connector_key(self.charger_id, self.connector_id)}/{self.window}"
        if self.from_ is None and self.to is None:
            return key
        return f"{key}/{self.start.isoformat()}--{self.end.isoformat()}"

    @property
    def kind(self) -> Window:
        """Return `month` or `day`."""
        return "day" if self.window.count("-") == 2 else "month"

    @property
    def start(self) -> datetime:
        """Return the start of the partition (inclusive)."""
        start = window_start(self.window)
        return start if self.from_ is None else max(start, self.from_)

    @property
    def end(self) -> datetime:
        """Return the end of the partition (exclusive)."""
        end = _next_start(window_start(self.window), self.kind)
        return end if self.to is None else min(end, self.to)

    def query(self, now: datetime, margin: timedelta = MARGIN) -> tuple[datetime, datetime]:
        """Return the `from_` and `to` of a query that misses no report of the partition.

        The API doesn't document which session timestamp the window filters on. So the query adds
        a margin on both sides, and a `WindowFilter` drops the strays. The query ends at `now` or
        earlier.
        """
        from_, to = self.start - margin, min(self.end + margin, now)
        # If the clock was set back, keep the window non-empty instead of failing the export.
        return from_, to if from_ < to else from_ + timedelta(milliseconds=1)

    def is_closed(self, read_at: datetime, margin: timedelta = MARGIN) -> bool:
        """Return True if no report can arrive after a reading at `read_at`."""
        return read_at >= self.end + margin

    def may_share_sessions(self, window: str, margin: timedelta = MARGIN) -> bool:
        """Return True if readings of this window and of another window may share a session.

        Args:
            window: Another window of the same connector.
            margin: Time read on both sides of each window.
        """
        other = Partition(self.charger_id, self.connector_id, window)
        # Each reading extends a margin beyond its window.
        return other.start <= self.end + 2 * margin and self.start <= other.end + 2 * margin


@attrs.define(eq=False)
class WindowFilter:
    """Filter for the reports of one reading that belong to its window.

    A report belongs to the window of its `session_time_start`. A report without a start belongs to
    the first window that reads it. So each report is in exactly one window.

    Attributes:
        start: Start of the window (inclusive).
        end: End of the window (exclusive).
        excluded: Keys of reports without a start that other windows hold.
        seen: Keys of all reports of the reading so far.
        accepted_ids: Session ids of the accepted reports.
        missing_start: Session ids of the accepted reports without a start, by key.

    Example:
        >>> january = Partition("CP-001", "1", "2026-01")
        >>> window = WindowFilter(january.start, january.end)
        >>> window.accept(key=1, session_id=7, session_start=january.end)
        False
    """

    start: datetime
    end: datetime
    excluded: frozenset[int] = frozenset()
    seen: set[int] = attrs.field(factory=set[int])
    accepted_ids: set[int | None] = attrs.field(factory=set["int | None"])
    missing_start: dict[int, int | None] = attrs.field(factory=dict[int, "int | None"])

    def accept(self, key: int, session_id: int | None, session_start: datetime | None) -> bool:
        """Record a report. Return True if a report belongs to the window and was not seen before.

        Args:
            key: Number that identifies the session, see `Page.keys`.
            session_id: Session id, or None if the report has no valid id.
            session_start: Start of the session (timezone-aware), or None.
        """
        if session_start is None:
            belongs = key not in self.excluded
        else:
            belongs = self.start <= session_start < self.end
        is_new = key not in self.seen
        self.seen.add(key)
        if not (belongs and is_new):
            return False
        self.accepted_ids.add(session_id)
        if session_start is None:
            self.missing_start[key] = session_id
        return True


def connector_key(charger_id: str, connector_id: str) -> str:
    """Return the unique name of a connector, such as `CP-001/1`."""
    return "/".join(quote(part, safe="") for part in (charger_id, connector_id))


def plan(
    connectors: Iterable[Connector],
    from_: datetime,
    to: datetime,
    window: Window = "month",
    *,
    whole: bool = True,
) -> tuple[Partition, ...]:
    """Return the partitions of a time span: each connector in each calendar window.

    Args:
        connectors: Charger and connector ids. Duplicates count once.
        from_: Start of the span (inclusive, timezone-aware).
        to: End of the span (exclusive, timezone-aware).
        window: `month` or `day`, in UTC.
        whole: If True, the first and the last window are whole, even if the span covers only a
            part of them. If False, they are clipped to the span.

    Returns:
        The partitions of the first connector, ordered by time, then those of the next connector.

    Raises:
        ValueError: An id is invalid, a time is naive, the span is empty, or the kind of window is
            unknown.

    Example:
        >>> start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
        >>> [partition.key for partition in plan([("CP-001", 1)], start, end, "month")]
        ['CP-001/1/2026-01', 'CP-001/1/2026-02']
    """
    if window not in WINDOWS:
        raise ValueError(f"window must be one of {', '.join(WINDOWS)}, got {window!r}")
    require_aware("from_", from_)
    require_aware("to", to)
    if not is_before(from_, to):
        raise ValueError(f"from_={from_.isoformat()} must be before to={to.isoformat()}")
    for name, time in (("from_", from_), ("to", to)):
        if not MINYEAR < time.year < MAXYEAR:
            raise ValueError(f"{name} must be in the years 2 to 9998, got {time.isoformat()}")
    pairs = distinct_connectors(connectors)
    windows = list(_windows(to_utc(from_), to_utc(to), window, whole=whole))
    return tuple(
        Partition(charger_id, connector_id, *part)
        for charger_id, connector_id in pairs
        for part in windows
    )


def _windows(
    from_: datetime, to: datetime, kind: Window, *, whole: bool
) -> Iterator[tuple[str, datetime | None, datetime | None]]:
    """Yield the windows of a span, each with the times at which the span clips it."""
    start = from_.replace(hour=0, minute=0, second=0, microsecond=0)
    start = start.replace(day=1) if kind == "month" else start
    while start < to:
        end = _next_start(start, kind)
        yield (
            start.date().isoformat()[: 7 if kind == "month" else 10],
            from_ if start < from_ and not whole else None,
            to if to < end and not whole else None,
        )
        start = end
