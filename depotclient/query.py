"""Query of the Session Reports API: which connector and window to read."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from urllib.parse import quote

import attrs

from depotclient.sessions import Span
from evtransport.paging import Cursor, PageRequest
from evtransport.validation import validate_id

__all__ = ["Connector", "Query", "distinct_connectors", "format_time", "is_before"]
__all__ += ["require_aware", "to_utc", "validate_connector", "validate_duration", "validate_pair"]

Connector: TypeAlias = tuple[str, str | int]
"""Charger id and connector id."""

_MAX_DURATION: Final = timedelta(days=366)
_MIN_TIME: Final = datetime.min.replace(tzinfo=UTC)


@attrs.frozen
class Query:
    """Session reports of one connector in one window.

    Attributes:
        charger_id: Charger id.
        connector_id: Connector id.
        from_: Start of the window (timezone-aware). None lets the server choose.
        to: End of the window (timezone-aware). None means the start time of each walk.
        margin: Time to request on both sides of the window. The walk then delivers the sessions of
            the window only. None leaves the choice to the server.
    """

    charger_id: str
    connector_id: str
    from_: datetime | None
    to: datetime | None
    margin: timedelta | None = None

    @classmethod
    def validated(
        cls,
        charger_id: object,
        connector_id: object,
        from_: datetime | None,
        to: datetime | None,
        now: datetime,
        margin: timedelta | None = None,
    ) -> Query:
        """Return the query that the caller's arguments describe.

        Raises:
            ValueError: An argument is invalid.
        """
        for name, value in (("from_", from_), ("to", to)):
            if value is not None:
                require_aware(name, value)
        if from_ is not None and not is_before(from_, to or now):
            end = f"to={to.isoformat()}" if to else "now"
            raise ValueError(f"from_={from_.isoformat()} must be before {end}")
        if margin is not None:
            validate_duration("margin", margin)
            if from_ is None:
                raise ValueError("margin requires from_, the start of the window to deliver")
        return cls(*validate_connector(charger_id, connector_id), from_, to, margin)

    @property
    def label(self) -> str:
        """Both ids, percent-encoded, such as `CP-001/1`."""
        return f"{quote(self.charger_id, safe='')}/{quote(self.connector_id, safe='')}"

    def identity(self) -> dict[str, str]:
        """Return the parameters that identify this query in a cursor."""
        parameters = {"chargerId": self.charger_id, "connectorId": self.connector_id}
        if self.from_ is not None:
            parameters["from"] = format_time(self.from_)
        if self.to is not None:
            parameters["to"] = format_time(self.to)
        if self.margin is not None:
            parameters["margin"] = str(self.margin)
        return parameters

    def check_cursor(self, cursor: Cursor) -> None:
        """Check that a cursor belongs to this query.

        Raises:
            ValueError: The cursor belongs to another query.
        """
        own = self.identity()
        if cursor.query != own or "to" not in cursor.pinned:
            differences = ", ".join(
                f"{name} {cursor.query.get(name)!r} instead of {own.get(name)!r}"
                for name in sorted(cursor.query.keys() | own.keys())
                if cursor.query.get(name) != own.get(name)
            )
            raise ValueError(f"the cursor belongs to another query: {differences or 'no window'}")

    def end_at(self, now: datetime) -> str:
        """Return the `to` of the requests of a walk that starts now.

        With a margin, the result is at most `now`, unless the window ends later: only sessions that
        have ended are reported. A later end would include sessions that end during the walk, and
        pages would move.
        """
        if self.to is None:
            return format_time(now)
        to = to_utc(self.to)
        if self.margin is not None and to < now:
            to = min(to + self.margin, now)
        return format_time(to)

    def span(self, to: str) -> Span | None:
        """Return the span of the sessions to deliver. None means every session.

        Args:
            to: End of the requests, which the walk pinned.
        """
        if self.margin is None or self.from_ is None:
            return None
        end = datetime.fromisoformat(to) if self.to is None else to_utc(self.to)
        return Span(to_utc(self.from_), end, self.margin)

    def _start(self, from_: datetime) -> datetime:
        """Return the start of the requests: a margin before the window, but not before year 1."""
        start, margin = to_utc(from_), self.margin or timedelta()
        return start - margin if start - _MIN_TIME > margin else _MIN_TIME

    def parameters(self, to: str, request: PageRequest) -> tuple[tuple[str, str], ...]:
        """Return the query string of one page, for the end of the window that the walk pinned."""
        start = () if self.from_ is None else (("from", format_time(self._start(self.from_))),)
        return (
            ("chargerId", self.charger_id),
            ("connectorId", self.connector_id),
            ("page", str(request.page)),
            ("limit", str(request.limit)),
            *start,
            ("to", to),
        )


def validate_connector(charger_id: object, connector_id: object) -> tuple[str, str]:
    """Return the ids of a connector as strings to send. An int is converted to its digits.

    Raises:
        ValueError: An id is invalid.
    """
    if not isinstance(connector_id, str | bool):
        with suppress(TypeError):  # Accept any kind of int, such as numpy's.
            connector_id = str(operator.index(connector_id))  # type: ignore[arg-type]
    return validate_id("charger_id", charger_id), validate_id("connector_id", connector_id)


def distinct_connectors(connectors: Iterable[Connector]) -> tuple[tuple[str, str], ...]:
    """Return the ids of connectors as strings to send, each connector once, in the given order.

    Raises:
        ValueError: An id is invalid, or `connectors` are not pairs of ids.
    """
    if not isinstance(connectors, Iterable):
        raise ValueError(f"connectors must be pairs, such as [('CP-001', 1)], got {connectors!r}")
    return tuple(dict.fromkeys(validate_pair(connector) for connector in connectors))


def validate_pair(connector: object) -> tuple[str, str]:
    """Return a pair of ids as strings to send.

    Raises:
        ValueError: The connector is not a pair, or an id is invalid.
    """
    match connector:
        case (charger_id, connector_id):
            return validate_connector(charger_id, connector_id)
        case _:
            raise ValueError(
                f"a connector must be a pair, such as ('CP-001', 1), got {connector!r}"
            )


def validate_duration(name: str, value: object) -> None:
    """Check a margin or a similar duration.

    Raises:
        ValueError: The value is not a timedelta from 0 to 366 days.
    """
    if not (isinstance(value, timedelta) and timedelta() <= value <= _MAX_DURATION):
        raise ValueError(f"{name} must be from 0 to {_MAX_DURATION.days} days, got {value}")


def require_aware(name: str, value: object) -> None:
    """Check that a value is an aware datetime.

    Args:
        name: Name of the argument, used in the message.
        value: Value to check.

    Raises:
        ValueError: The value is not a datetime, is naive, or is out of range in UTC.
    """
    if not isinstance(value, datetime):
        raise ValueError(f"{name} must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise ValueError(f"{name} must be aware, such as {value!r} with tzinfo=UTC")
    try:
        format_time(value)
    except OverflowError:
        raise ValueError(f"{name} is out of range in UTC: {value}") from None


def is_before(earlier: datetime, later: datetime) -> bool:
    """Return True if a time is before another."""
    # Within one zone, Python compares clock times.
    return earlier.astimezone(UTC) < later.astimezone(UTC)


def to_utc(time: datetime) -> datetime:
    """Return the same time in UTC, as a plain `datetime`."""
    # The `astimezone` of a subclass may lose the zone.
    time = time.astimezone(UTC)
    fields = time.year, time.month, time.day, time.hour, time.minute, time.second
    return datetime(*fields, time.microsecond, tzinfo=UTC)


def format_time(time: datetime) -> str:
    """Return a time in the vendor's format, such as `2026-01-31T18:00:00.000Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
