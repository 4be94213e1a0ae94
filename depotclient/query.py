"""Query of the Session Reports API: which connector and window to read."""

from __future__ import annotations

import operator
from contextlib import suppress
from datetime import UTC, datetime

import attrs

from evtransport.paging import Cursor, PageRequest
from evtransport.validation import validate_id

__all__ = [
    "Query",
    "format_time",
    "is_before",
    "require_aware",
    "to_utc",
    "validate_connector",
]


@attrs.frozen
class Query:
    """Session reports of one connector in one window.

    Attributes:
        charger_id: Charger id.
        connector_id: Connector id.
        from_: Start of the window (timezone-aware). None lets the server choose.
        to: End of the window (timezone-aware). None means the start time of each walk.
    """

    charger_id: str
    connector_id: str
    from_: datetime | None
    to: datetime | None

    @classmethod
    def validated(
        cls,
        charger_id: object,
        connector_id: object,
        from_: datetime | None,
        to: datetime | None,
        now: datetime,
    ) -> Query:
        """Return the query for a caller's arguments.

        Raises:
            ValueError: An argument is invalid.
        """
        for name, value in (("from_", from_), ("to", to)):
            if value is not None:
                require_aware(name, value)
        if from_ is not None and not is_before(from_, to or now):
            end = f"to={to.isoformat()}" if to else "now, the default of to"
            raise ValueError(f"from_={from_.isoformat()} must be before {end}")
        return cls(*validate_connector(charger_id, connector_id), from_, to)

    def identity(self) -> dict[str, str]:
        """Return the parameters that identify this query in a cursor."""
        parameters = {"chargerId": self.charger_id, "connectorId": self.connector_id}
        if self.from_ is not None:
            parameters["from"] = format_time(self.from_)
        if self.to is not None:
            parameters["to"] = format_time(self.to)
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

    def parameters(self, to: str, request: PageRequest) -> tuple[tuple[str, str], ...]:
        """Return the query string of one page, for the end of the window that the walk pinned."""
        start = () if self.from_ is None else (("from", format_time(self.from_)),)
        return (
            ("chargerId", self.charger_id),
            ("connectorId", self.connector_id),
            ("page", str(request.page)),
            ("limit", str(request.limit)),
            *start,
            ("to", to),
        )


def validate_connector(charger_id: object, connector_id: object) -> tuple[str, str]:
    """Return the ids of a connector as they are sent. An int is converted to its digits.

    Raises:
        ValueError: An id is invalid.
    """
    if not isinstance(connector_id, str | bool):
        with suppress(TypeError):  # Accept any kind of int, such as those of a table.
            connector_id = str(operator.index(connector_id))  # type: ignore[arg-type]
    return validate_id("charger_id", charger_id), validate_id("connector_id", connector_id)


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
