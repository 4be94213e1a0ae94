"""Partitions of connectors into calendar windows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import quote

import attrs

from depotclient.query import Connector, distinct_connectors, is_before, require_aware, to_utc
from depotclient.reading import MARGIN

__all__ = ["MARGIN", "WINDOWS", "Connector", "Partition", "Window"]
__all__ += ["connector_key", "next_start", "plan", "window_of", "window_start"]

Window: TypeAlias = Literal["month", "day"]
"""Kind of a calendar window, in UTC."""

WINDOWS: Final[tuple[Window, ...]] = get_args(Window)

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


def next_start(start: datetime, kind: Window) -> datetime:
    """Return the start of the window after the one that starts at `start`."""
    if kind == "day":
        return start + timedelta(days=1)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def window_of(time: datetime, kind: Window) -> str:
    """Return the calendar window that contains a time (timezone-aware).

    Example:
        >>> window_of(datetime(2026, 10, 31, tzinfo=UTC), "month")
        '2026-10'
    """
    return to_utc(time).date().isoformat()[: 7 if kind == "month" else 10]


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
        end = next_start(window_start(self.window), self.kind)
        return end if self.to is None else min(end, self.to)


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
        end = next_start(start, kind)
        yield (
            window_of(start, kind),
            from_ if start < from_ and not whole else None,
            to if to < end and not whole else None,
        )
        start = end
