"""Query of the Session Reports API: which connector and window to read."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

import attrs
import msgspec

from evtransport.errors import DecodeError, SchemaError
from evtransport.http import check_echo
from evtransport.paging.cursor import Cursor
from evtransport.paging.sizes import PageRequest
from evtransport.structure import decode
from evtransport.surrogates import without_lone_surrogates
from evtransport.validation import connector_number, identifier

__all__ = [
    "Query",
    "SplitPage",
    "connector_of",
    "in_utc",
    "is_before",
    "require_aware",
    "wire_time",
]


MAX_REPORTS = 100_000
"""Reports on one page; the vendor documents at most 2,000. More would block the event loop."""


class _Envelope(msgspec.Struct):
    """An answer whose reports are not decoded yet."""

    items: list[msgspec.Raw]
    charger_id: str | None = msgspec.field(name="ChargerID", default=None)
    connector_id: str | int | None = msgspec.field(name="ConnectorID", default=None)


_ENVELOPE_DECODER = msgspec.json.Decoder(_Envelope)


class SplitPage(NamedTuple):
    """Answer with its reports, not decoded yet.

    Attributes:
        body: The whole answer.
        items: JSON texts of the reports.
        lone_surrogates: Indexes of the reports with lone surrogates.
    """

    body: bytes
    items: Sequence[msgspec.Raw]
    lone_surrogates: frozenset[int] = frozenset()


@attrs.frozen
class Query:
    """Session reports of one connector in one window.

    Attributes:
        charger_id: The charger.
        connector_id: The connector.
        from_: Start of the window, aware. None leaves it to the server.
        to: End of the window, aware. None means the start of each walk.
    """

    charger_id: str
    connector_id: str
    from_: datetime | None
    to: datetime | None

    @classmethod
    def checked(
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
            end = f"to={to.isoformat()}" if to else "now, where the window ends without to"
            raise ValueError(f"from_={from_.isoformat()} must be before {end}")
        return cls(*connector_of(charger_id, connector_id), from_, to)

    def identity(self) -> dict[str, str]:
        """Return the parameters that identify this query in a cursor."""
        times = {"from": self.from_, "to": self.to}
        return {
            "chargerId": self.charger_id,
            "connectorId": self.connector_id,
            **{name: wire_time(at) for name, at in times.items() if at is not None},
        }

    def check_cursor(self, cursor: Cursor) -> None:
        """Check that a cursor belongs to this query.

        Raises:
            ValueError: It belongs to another one.
        """
        asked = self.identity()
        if cursor.query != asked or "to" not in cursor.pinned:
            differences = ", ".join(
                f"{name} {cursor.query.get(name)!r} instead of {asked.get(name)!r}"
                for name in sorted(cursor.query.keys() | asked.keys())
                if cursor.query.get(name) != asked.get(name)
            )
            raise ValueError(f"the cursor belongs to another query: {differences or 'no window'}")

    def parameters(self, to: str, request: PageRequest) -> tuple[tuple[str, str], ...]:
        """Return the query string of one page. The walk has pinned the end of the window."""
        start = () if self.from_ is None else (("from", wire_time(self.from_)),)
        return (
            ("chargerId", self.charger_id),
            ("connectorId", self.connector_id),
            ("page", str(request.page)),
            ("limit", str(request.limit)),
            *start,
            ("to", to),
        )

    def split(self, body: bytes) -> SplitPage:
        """Return an answer and its reports, which are not decoded yet.

        Raises:
            DecodeError: The answer is not JSON in UTF-8.
            SchemaError: It has no list of reports, or more than 100,000.
            MisdirectedResponse: It answers a query for another connector.
        """
        envelope, text = _envelope(body)
        if envelope.charger_id is not None:
            check_echo("ChargerID", self.charger_id, envelope.charger_id)
        if envelope.connector_id is not None:
            asked, echoed = map(connector_number, (self.connector_id, str(envelope.connector_id)))
            check_echo("ConnectorID", asked, echoed)
        if (count := len(envelope.items)) > MAX_REPORTS:
            raise SchemaError((f"$.items: {count:,} reports, at most {MAX_REPORTS:,} are read",))
        if text is body:
            return SplitPage(body, envelope.items)
        return SplitPage(body, *_originals(body, text, envelope.items))


def _envelope(body: bytes) -> tuple[_Envelope, bytes]:
    """Return a decoded answer, and the text that it was decoded from.

    If the answer has lone surrogates, the text has other characters in their place. So one bad
    report does not make the whole page an error.
    """
    try:
        return decode(body, _ENVELOPE_DECODER), body
    except DecodeError:
        text = without_lone_surrogates(body)
        if text == body:
            raise
    return decode(text, _ENVELOPE_DECODER), text


def _originals(
    body: bytes, text: bytes, items: Sequence[msgspec.Raw]
) -> tuple[list[msgspec.Raw], frozenset[int]]:
    """Return the texts of reports as received, and the indexes of those with lone surrogates.

    Args:
        body: The answer.
        text: The answer without lone surrogates, of the same length.
        items: The reports in `text`.
    """
    originals, end = list[msgspec.Raw](), 0
    for item in map(bytes, items):
        begin = text.index(item, end)
        end = begin + len(item)
        originals.append(msgspec.Raw(body[begin:end]))
    pairs = enumerate(zip(items, originals, strict=True))
    return originals, frozenset(index for index, (item, original) in pairs if item != original)


def connector_of(charger_id: object, connector_id: object) -> tuple[str, str]:
    """Return the ids of a connector as they are sent. A number stands for its digits.

    Raises:
        ValueError: An id is invalid.
    """
    if not isinstance(connector_id, str | bool):
        with suppress(TypeError):  # any kind of int, such as those of a table
            connector_id = str(operator.index(connector_id))  # type: ignore[arg-type]
    return identifier("charger_id", charger_id), identifier("connector_id", connector_id)


def require_aware(name: str, value: object) -> None:
    """Check a time.

    Raises:
        ValueError: It is no datetime, is naive, or is out of range in UTC.
    """
    if not isinstance(value, datetime):
        raise ValueError(f"{name} must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise ValueError(f"{name} must be aware, such as {value!r} with tzinfo=UTC")
    try:
        wire_time(value)
    except OverflowError:
        raise ValueError(f"{name} is a time that UTC can't hold: {value}") from None


def is_before(earlier: datetime, later: datetime) -> bool:
    """Return True if a time is before another."""
    # Within one zone, Python compares clock times.
    return earlier.astimezone(UTC) < later.astimezone(UTC)


def in_utc(at: datetime) -> datetime:
    """Return the same time as a plain `datetime`: subclasses in UTC are not always aware."""
    at = at.astimezone(UTC)
    whole = at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond
    return datetime(*whole, tzinfo=UTC)


def wire_time(at: datetime) -> str:
    """Return a time as the vendor's example writes it: UTC with milliseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
