"""Calendar windows of connectors: what to read one by one, and which session belongs where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar, get_args
from urllib.parse import quote

import attrs

from depotclient.query import is_before, require_aware, to_utc, validate_connector
from depotclient.reports import SessionReports

if TYPE_CHECKING:
    from depotclient.client import DepotClient

__all__ = ["MARGIN", "WINDOWS", "Connector", "Partition", "Window", "WindowFilter"]
__all__ += ["connector_key", "plan", "require_window", "validate_duration"]

T = TypeVar("T")

Window: TypeAlias = Literal["month", "day"]
"""The kinds of calendar windows, in UTC."""

Connector: TypeAlias = tuple[str, str | int]
"""The ids of a charger and of one of its connectors."""

WINDOWS: Final[tuple[Window, ...]] = get_args(Window)

MARGIN: Final = timedelta(days=1)
"""By how much more is asked for on both sides of a window: the longest that a session may last, and
the latest that its report may come."""

LONGEST: Final = timedelta(days=366)
"""The longest margin that is taken, and the longest look back."""


def validate_duration(name: str, span: object) -> None:
    """Check a margin, or what is like one.

    Raises:
        ValueError: It is no time span, negative, or longer than a year.
    """
    if not (isinstance(span, timedelta) and timedelta() <= span <= LONGEST):
        raise ValueError(f"{name} must be from 0 to {LONGEST.days} days, not {span}")


def require_window(window: str) -> None:
    """Check the name of a calendar window.

    Raises:
        ValueError: It is not a month or day.
    """
    try:
        first = date.fromisoformat(f"{window}-01"[:10])
        is_known = MINYEAR < first.year < MAXYEAR and window in (str(first)[:7], str(first))
    except ValueError:
        is_known = False
    if not is_known:
        raise ValueError(
            f"window must be a month such as 2026-10 or a day such as 2026-10-31, not {window!r}"
        )


@attrs.frozen(order=True)
class Partition:
    """One connector in one calendar window, or in a part of it.

    Attributes:
        charger_id: The charger.
        connector_id: The connector.
        window: A month such as `2026-10`, or a day such as `2026-10-31`, in UTC.
        from_: Where a span begins that cuts the window; None: before it.
        to: Where that ends; None: behind it.

    Raises:
        ValueError: `window` is not a month or day.
    """

    charger_id: str
    connector_id: str
    window: str = attrs.field(validator=lambda _, __, window: require_window(window))
    from_: datetime | None = attrs.field(default=None, order=False)
    to: datetime | None = attrs.field(default=None, order=False)

    @property
    def key(self) -> str:
        """A name that stays the same from run to run, such as `CP-001/1/2026-10`.

        That of a window which is cut tells where, too.
        """
        is_cut = self.from_ is not None or self.to is not None
        part = [f"{self.start.isoformat()}--{self.end.isoformat()}"] if is_cut else []
        return "/".join((connector_key(self.charger_id, self.connector_id), self.window, *part))

    @property
    def kind(self) -> Window:
        """Whether the window is a month or a day."""
        return "day" if self.window.count("-") == 2 else "month"

    @property
    def start(self) -> datetime:
        """The first moment inside."""
        return self._first if self.from_ is None else max(self._first, self.from_)

    @property
    def end(self) -> datetime:
        """The first moment behind."""
        end = _following(self._first, self.kind)
        return end if self.to is None else min(end, self.to)

    @property
    def _first(self) -> datetime:
        text = self.window if self.kind == "day" else f"{self.window}-01"
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    def reports(
        self,
        depot: DepotClient,
        now: datetime,
        *,
        into: type[T],
        margin: timedelta = MARGIN,
        verify: bool = False,
        limit: int | None = None,
        read_ahead: int = 0,
    ) -> SessionReports[T]:
        """The walk that brings all of it, and what is in the margins.

        Args:
            depot: Whom to ask.
            now: The time, aware: nothing is asked of the future.
            into: As in `DepotClient.session_reports`, as are the others.
            margin: By how much more is asked for on both sides.
            verify: Whether to walk until nothing new comes.
            limit: Reports a page.
            read_ahead: How many pages may be under way while one is consumed; see
                `DepotClient.session_reports`.
        """
        from_, to = self.query(now, margin)
        return depot.session_reports(
            self.charger_id,
            self.connector_id,
            from_=from_,
            to=to,
            into=into,
            limit=limit,
            read_ahead=read_ahead,
            verify=verify,
        )

    def query(self, now: datetime, margin: timedelta = MARGIN) -> tuple[datetime, datetime]:
        """What `from_` and `to` to ask for, so that no session of the window is missed.

        Which of a session's times the server tests is not known. So more is asked for on both
        sides, and `WindowFilter` tells what of it belongs here. Nothing is asked of the future.
        """
        from_, to = self.start - margin, min(self.end + margin, now)
        # A clock that was set back meanwhile must not end the whole export.
        return from_, to if from_ < to else from_ + timedelta(milliseconds=1)

    def is_closed(self, read_at: datetime, margin: timedelta = MARGIN) -> bool:
        """Whether what was read then is all that there will ever be."""
        return read_at >= self.end + margin

    def may_share_a_session(self, window: str, margin: timedelta = MARGIN) -> bool:
        """Return True if one session may be in the readings of this window and of another one.

        Args:
            window: The other one.
            margin: Time read on both sides of each.
        """
        other, both = Partition(self.charger_id, self.connector_id, window), 2 * margin
        return other.start <= self.end + both and self.start <= other.end + both

    def window_filter(self, elsewhere: Iterable[int] = ()) -> WindowFilter:
        """Return a new `WindowFilter` of this window, for one reading.

        Args:
            elsewhere: Keys of the reports without a start that other windows hold already.
        """
        return WindowFilter(self.start, self.end, frozenset(elsewhere))


@attrs.define(eq=False)
class WindowFilter:
    """Decides which of the reports that a reading has brought belong to its window.

    A report belongs to the window of its `session_time_start`. One without that time belongs to
    the first window whose reading brings it, so that it is in none twice and never dropped.

    Attributes:
        start: The first moment inside.
        end: The first moment behind.
        elsewhere: Keys of reports without a start that another window holds already.
        met: Keys of all reports in the reading so far.
        ids: Session ids of the reports that were taken.
        missing_start: Session ids of the taken reports without a start, by key.
    """

    start: datetime
    end: datetime
    elsewhere: frozenset[int] = frozenset()
    met: set[int] = attrs.field(factory=set[int])
    ids: set[int | None] = attrs.field(factory=set["int | None"])
    missing_start: dict[int, int | None] = attrs.field(factory=dict[int, "int | None"])

    def accept(self, key: int, session_id: int | None, start: datetime | None) -> bool:
        """Return True if a report belongs here and is new in this reading; remember it.

        Args:
            key: Number that identifies the session, such as one of `Page.keys`.
            session_id: Session id, None if the report has no valid one.
            start: Start of the session, aware, or None.
        """
        inside = key not in self.elsewhere if start is None else self.start <= start < self.end
        is_new = key not in self.met
        self.met.add(key)
        if not (inside and is_new):
            return False
        self.ids.add(session_id)
        if start is None:
            self.missing_start[key] = session_id
        return True


def connector_key(charger_id: str, connector_id: str) -> str:
    """A name of a connector that no other one has, such as `CP-001/1`."""
    return "/".join(quote(str(part), safe="") for part in (charger_id, connector_id))


def plan(
    connectors: Iterable[Connector],
    from_: datetime,
    to: datetime,
    window: Window = "month",
    *,
    whole: bool = True,
) -> tuple[Partition, ...]:
    """All windows of all connectors that hold a moment of a time span.

    Args:
        connectors: Charger and connector ids. One that is named twice counts once.
        from_: Begin of the span, aware.
        to: End of the span, aware; not a part of it.
        window: `month` or `day`, by the calendar of UTC.
        whole: Whether a span that begins or ends within a window has all of it, as a file for each
            window needs; otherwise the first and the last window are cut.

    Returns:
        The partitions of the first connector in the order of time, then those of the next.

    Raises:
        ValueError: An id is empty or no id, a time is naive, the span is empty, or there is no
            such kind of window.
    """
    if window not in WINDOWS:
        raise ValueError(f"window must be one of {', '.join(WINDOWS)}, not {window!r}")
    require_aware("from_", from_)
    require_aware("to", to)
    if not is_before(from_, to):
        raise ValueError(f"from_={from_.isoformat()} must be before to={to.isoformat()}")
    for name, time in (("from_", from_), ("to", to)):
        if not MINYEAR < time.year < MAXYEAR:
            raise ValueError(f"{name}={time.isoformat()} leaves no room for a window around it")
    if not isinstance(connectors, Iterable):
        raise ValueError(f"connectors must be pairs, such as [('CP-001', 1)], not {connectors!r}")
    checked = dict.fromkeys(_pair(connector) for connector in connectors)
    from_, to = to_utc(from_), to_utc(to)
    windows = [_cut(name, from_, to, whole=whole) for name in _windows(from_, to, window)]
    return tuple(
        Partition(charger_id, connector_id, *part)
        for charger_id, connector_id in checked
        for part in windows
    )


def _pair(connector: object) -> tuple[str, str]:
    match connector:
        case (charger_id, connector_id):
            return validate_connector(charger_id, connector_id)
        case _:
            raise ValueError(f"a connector is a pair, such as ('CP-001', 1), not {connector!r}")


def _windows(from_: datetime, to: datetime, kind: Window) -> Iterator[str]:
    begin = from_.replace(hour=0, minute=0, second=0, microsecond=0)
    begin = begin.replace(day=1) if kind == "month" else begin
    while begin < to:
        yield begin.date().isoformat()[: 7 if kind == "month" else 10]
        begin = _following(begin, kind)


def _cut(
    window: str, from_: datetime, to: datetime, *, whole: bool
) -> tuple[str, datetime | None, datetime | None]:
    """A window, and where a span begins and ends within it."""
    if whole:
        return window, None, None
    uncut = Partition("", "", window)
    return window, from_ if uncut.start < from_ else None, to if to < uncut.end else None


def _following(begin: datetime, kind: Window) -> datetime:
    if kind == "day":
        return begin + timedelta(days=1)
    return begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
