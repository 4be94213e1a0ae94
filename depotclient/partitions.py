"""Calendar windows of connectors: what to read one by one, and which session belongs where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import quote

import attrs

from depotclient.reports import connector_of, is_before, require_aware

__all__ = ["MARGIN", "WINDOWS", "Connector", "Membership", "Partition", "Window", "plan"]

Window: TypeAlias = Literal["month", "day"]
"""The kinds of calendar windows, in UTC."""

Connector: TypeAlias = tuple[str, str | int]
"""The ids of a charger and of one of its connectors."""

WINDOWS: Final[tuple[Window, ...]] = get_args(Window)

MARGIN: Final = timedelta(days=1)
"""By how much more is asked for on both sides of a window: the longest that a session may last, and
the latest that its report may come."""


@attrs.frozen(order=True)
class Partition:
    """One connector in one calendar window.

    Attributes:
        charger_id: The charger.
        connector_id: The connector.
        window: A month such as `2026-10`, or a day such as `2026-10-31`, in UTC.
    """

    charger_id: str
    connector_id: str
    window: str

    @property
    def key(self) -> str:
        """A name that stays the same from run to run, such as `CP-001/1/2026-10`."""
        ids = (quote(part, safe="") for part in (self.charger_id, self.connector_id))
        return "/".join((*ids, self.window))

    @property
    def kind(self) -> Window:
        """Whether the window is a month or a day."""
        return "day" if self.window.count("-") == 2 else "month"

    @property
    def begin(self) -> datetime:
        """The first moment inside."""
        text = self.window if self.kind == "day" else f"{self.window}-01"
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment behind."""
        return _following(self.begin, self.kind)

    def query(self, now: datetime, margin: timedelta = MARGIN) -> tuple[datetime, datetime]:
        """What `from_` and `to` to ask for, so that no session of the window is missed.

        Which of a session's times the server tests is not known. So more is asked for on both
        sides, and `Membership` tells what of it belongs here. Nothing is asked of the future.
        """
        from_, to = self.begin - margin, min(self.end + margin, now)
        # A clock that was set back meanwhile must not end the whole export.
        return from_, to if from_ < to else from_ + timedelta(milliseconds=1)

    def is_settled(self, read_at: datetime, margin: timedelta = MARGIN) -> bool:
        """Whether what was read then is all that there will ever be."""
        return read_at >= self.end + margin

    def membership(self, elsewhere: Iterable[int] = ()) -> Membership:
        """A fresh judge of which reports belong here, for one reading."""
        return Membership(self.begin, self.end, frozenset(elsewhere))


@attrs.define(eq=False)
class Membership:
    """Decides which of the reports that a reading has brought belong to its window.

    A report belongs to the window of its `session_time_start`. One without that time belongs to
    the first window whose reading brings it, so that it is in none twice and never dropped. When
    it is given a start later, it belongs to the window of that.

    Attributes:
        begin: The first moment inside.
        end: The first moment behind.
        elsewhere: The ids of reports without a start that another window has already.
        untimed: The ids of those that this one has.
        moved: The ids of those that have got a start which belongs here.
    """

    begin: datetime
    end: datetime
    elsewhere: frozenset[int] = frozenset()
    untimed: list[int] = attrs.field(factory=list[int])
    moved: list[int] = attrs.field(factory=list[int])
    _seen: set[int] = attrs.field(factory=set[int])

    def takes(self, session_id: int, start: datetime | None) -> bool:
        """Whether a report belongs here and has not been taken yet; it has been then."""
        if start is None:
            inside = session_id not in self.elsewhere
        else:
            inside = self.begin <= start < self.end
        if not inside or session_id in self._seen:
            return False
        self._seen.add(session_id)
        if start is None:
            self.untimed.append(session_id)
        elif session_id in self.elsewhere:
            self.moved.append(session_id)
        return True


def plan(
    connectors: Iterable[Connector], from_: datetime, to: datetime, window: Window = "month"
) -> tuple[Partition, ...]:
    """All windows of all connectors that hold a moment of a time span.

    Windows are whole: a span that begins or ends within one has all of it.

    Args:
        connectors: Charger and connector ids. One that is named twice counts once.
        from_: Begin of the span, aware.
        to: End of the span, aware; not a part of it.
        window: `month` or `day`, by the calendar of UTC.

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
    checked = dict.fromkeys(_pair(connector) for connector in connectors)
    names = tuple(_windows(from_.astimezone(UTC), to.astimezone(UTC), window))
    return tuple(Partition(*connector, name) for connector in checked for name in names)


def _pair(connector: object) -> tuple[str, str]:
    match connector:
        case (charger_id, connector_id):
            return connector_of(charger_id, connector_id)
        case _:
            raise ValueError(f"a connector is a pair, such as ('CP-001', 1), not {connector!r}")


def _windows(from_: datetime, to: datetime, kind: Window) -> Iterator[str]:
    begin = from_.replace(hour=0, minute=0, second=0, microsecond=0)
    begin = begin.replace(day=1) if kind == "month" else begin
    while begin < to:
        yield begin.date().isoformat()[: 7 if kind == "month" else 10]
        begin = _following(begin, kind)


def _following(begin: datetime, kind: Window) -> datetime:
    if kind == "day":
        return begin + timedelta(days=1)
    return begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
