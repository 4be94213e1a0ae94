"""Pages of session reports: responses split into reports, and the pages that users receive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar, overload

import attrs
import msgspec

from depotclient.keys import compute_session_key, read_session_id
from depotclient.query import Query
from depotclient.sessions import Session, Span
from evtransport.errors import ApiError, DecodeError, SchemaError
from evtransport.http import check_echo
from evtransport.paging import Cursor, NewRows
from evtransport.pauses import Pauses, pause
from evtransport.structure import decode
from evtransport.surrogates import replace_lone_surrogates
from evtransport.validation import normalize_connector_id

__all__ = ["Envelope", "Page", "RawPage", "Refused", "check_echoed_ids", "decode_envelope"]
__all__ += ["split_page"]

T = TypeVar("T")

MAX_REPORTS = 100_000
"""Maximum number of reports on a page. More would block the event loop. The API sends 2,000."""


class Envelope(msgspec.Struct, kw_only=True):
    """Response without its reports: the ids that it echoes."""

    charger_id: str | None = msgspec.field(name="ChargerID", default=None)
    connector_id: str | int | None = msgspec.field(name="ConnectorID", default=None)


class _ReportsEnvelope(Envelope, kw_only=True):
    """Response with reports that are not yet decoded."""

    items: list[msgspec.Raw]


E = TypeVar("E", bound=Envelope)

_DECODER = msgspec.json.Decoder(_ReportsEnvelope)


@attrs.define(eq=False)
class RawPage:
    """Response split into its reports.

    Attributes:
        body: The whole response.
        items: JSON texts of the reports.
        lone_surrogates: Indexes of the reports with lone surrogates.
        ids: Session ids, after `read_keys`. None for a report with lone surrogates or without a
            valid id.
        keys: Numbers that identify the sessions, after `read_keys`. See `compute_session_key`.
        outside: Indexes of the reports that the walk does not deliver, after `read_keys`.
        strays: Indexes of those that a copy keeps in the span of the walk, but a walk can't.
        describe: Sets the attributes of an error that name the request for this page.
    """

    body: bytes = attrs.field(repr=False)
    items: Sequence[msgspec.Raw] = attrs.field(repr=False)
    lone_surrogates: frozenset[int] = frozenset()
    ids: list[int | None] = attrs.field(factory=list["int | None"], init=False)
    keys: list[int] = attrs.field(factory=list[int], init=False)
    outside: set[int] = attrs.field(factory=set[int], init=False)
    strays: set[int] = attrs.field(factory=set[int], init=False)
    describe: Callable[[ApiError], None] = attrs.field(
        default=lambda error: None, init=False, repr=False
    )

    @property
    def length(self) -> int:
        """Size in bytes."""
        return len(self.body)

    async def read_keys(self, span: Span | None = None) -> None:
        """Read ids and keys, with pauses for the event loop.

        Args:
            span: Span of the sessions to deliver. None delivers all.
        """
        await pause()  # Splitting the page took some time.
        pauses = Pauses()
        for index, item in enumerate(self.items):
            await pauses.pause_if_needed()
            text = bytes(item)
            session_id = None if index in self.lone_surrogates else read_session_id(text)
            self.ids.append(session_id)
            self.keys.append(compute_session_key(session_id, text))
            if span is not None:
                self._compare(index, span)

    def _compare(self, index: int, span: Span) -> None:
        session = Session.read(self.items[index], self.ids[index], self.keys[index])
        if not span.accepts(session):
            self.outside.add(index)
            if span.includes(session):
                self.strays.add(index)


def split_page(query: Query, body: bytes) -> RawPage:
    """Split a response into its reports, without decoding them.

    Raises:
        DecodeError: The response is not JSON in UTF-8.
        SchemaError: It has no list of reports, or more than 100,000.
        MisdirectedResponse: It belongs to another connector.
    """
    envelope, text = decode_envelope(body, _DECODER)
    check_echoed_ids(query.charger_id, query.connector_id, envelope)
    if (count := len(envelope.items)) > MAX_REPORTS:
        raise SchemaError((f"$.items: {count:,} reports, at most {MAX_REPORTS:,} are allowed",))
    if text is body:
        return RawPage(body, envelope.items)
    return RawPage(body, *_original_items(body, text, envelope.items))


def decode_envelope(body: bytes, decoder: msgspec.json.Decoder[E]) -> tuple[E, bytes]:
    """Return a decoded response, and the text that it was decoded from.

    The text has other characters in place of lone surrogates, so that one invalid report does not
    make the whole page an error.

    Raises:
        DecodeError: The response is not JSON in UTF-8.
        SchemaError: It has another shape.
    """
    try:
        return decode(body, decoder), body
    except DecodeError:
        text = replace_lone_surrogates(body)
        if text == body:
            raise
    return decode(text, decoder), text


def check_echoed_ids(
    charger_id: str, connector_id: str, envelope: Envelope
) -> list[tuple[str, str]]:
    """Return the ids that a response echoes, each as it was sent and as it was echoed.

    Raises:
        MisdirectedResponse: The response belongs to another connector.
    """
    pairs = list[tuple[str, str]]()
    if envelope.charger_id is not None:
        check_echo("ChargerID", charger_id, envelope.charger_id)
        pairs.append((charger_id, envelope.charger_id))
    if envelope.connector_id is not None:
        sent, echoed = map(normalize_connector_id, (connector_id, str(envelope.connector_id)))
        check_echo("ConnectorID", sent, echoed)
        pairs.append((sent, echoed))
    return pairs


def _original_items(
    body: bytes, text: bytes, items: Sequence[msgspec.Raw]
) -> tuple[list[msgspec.Raw], frozenset[int]]:
    """Return the reports as received, and the indexes of those with lone surrogates.

    Args:
        body: The response.
        text: The response without lone surrogates, of the same length.
        items: The reports in `text`.
    """
    originals, changed, end = list[msgspec.Raw](), set[int](), 0
    for index, item in enumerate(map(bytes, items)):
        start = text.index(item, end)
        end = start + len(item)
        originals.append(msgspec.Raw(body[start:end]))
        if body[start:end] != item:
            changed.add(index)
    return originals, frozenset(changed)


@attrs.frozen(eq=False)
class _Delivery:
    """Reports of a page to deliver: the new ones, without those outside the walk's span.

    Attributes:
        page: The page.
        rows: The new reports, with their cursors.
        indexes: Indexes of the reports on the page.
        counts: Number of new reports before each report, and their total.
    """

    page: RawPage
    rows: NewRows
    indexes: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, page: RawPage, rows: NewRows) -> _Delivery:
        """Return the reports of a page to deliver."""
        new = rows.indexes
        counts = [count for count, index in enumerate(new) if index not in page.outside]
        return cls(page, rows, tuple(new[count] for count in counts), (*counts, len(new)))

    def cursor(self, index: int) -> Cursor:
        """Return the cursor before a report, or after the page."""
        return self.rows.cursor(self.counts[index])


@attrs.frozen(eq=False)
class Refused:
    """Report of a page that is invalid.

    Attributes:
        index: Index of the report among the new reports of its page.
        error: Reason, with the cursor before the report.
    """

    index: int
    error: ApiError


class Page(Generic[T]):
    """A page with new reports. With `margin`, only reports of the window count as new.

    Attributes:
        number: Page number of the request.
        limit: `limit` of the request.
        raw: The whole response.
        reports: The new reports, in the server's order. Each access structures a report. It raises
            `SchemaError` if the report is invalid, with the cursor before it.

    Example:
        >>> from contextlib import aclosing
        >>> async with DepotClient.from_env() as depot:
        ...     async with aclosing(depot.session_reports("CP-001", 1).pages()) as pages:
        ...         page = await anext(pages)
        >>> page.number, len(page.reports), page.reports[0].session_id
        (1, 10, 100000001)
    """

    def __init__(
        self, page: RawPage, rows: NewRows, structure: Callable[[msgspec.Raw, str], T]
    ) -> None:
        self.number: Final = rows.request.page
        self.limit: Final = rows.request.limit
        self.raw: Final = page.body
        self._delivery = _Delivery.of(page, rows)
        self.reports: Final[Sequence[T]] = _LazyReports(self._delivery, structure)

    def __repr__(self) -> str:
        return f"Page(number={self.number}, limit={self.limit}, reports={self.reports!r})"

    @property
    def raw_reports(self) -> tuple[bytes, ...]:
        """JSON text of each new report, as received."""
        return tuple(map(bytes, self.items))

    @property
    def items(self) -> tuple[msgspec.Raw, ...]:
        """JSON text of each new report, as a view of the response, which stays in memory.

        msgspec decodes a view, and `bytes.join` and `hashlib.sha256` read it. `raw_reports` copies
        the texts: for large reports, that takes longer than to join or hash them.
        """
        return tuple(self._delivery.page.items[index] for index in self._delivery.indexes)

    def raw_at(self, index: int) -> bytes:
        """Return the JSON text of the new report with this index, without a copy of the others."""
        return bytes(self._delivery.page.items[self._delivery.indexes[index]])

    @property
    def ids(self) -> tuple[int | None, ...]:
        """Session id of each new report, or None with lone surrogates or without a valid id."""
        return tuple(self._delivery.page.ids[index] for index in self._delivery.indexes)

    @property
    def keys(self) -> tuple[int, ...]:
        """Number that identifies the session of each new report.

        A key is an unsigned 64-bit integer, the same in every run. It is computed from the id and
        start of the session. Without a valid id or start, it depends on the bytes of the report.
        Half of the keys exceed the signed integers of SQLite and PostgreSQL: store `key - 2**63`.
        """
        return tuple(self._delivery.page.keys[index] for index in self._delivery.indexes)

    @property
    def cursor(self) -> Cursor:
        """Cursor after the page."""
        return self.cursor_at(len(self.reports))

    def cursor_at(self, index: int) -> Cursor:
        """Return the cursor before the new report with this index."""
        return self._delivery.cursor(index)

    def describe(self, error: ApiError) -> None:
        """Set the attributes of an error that name the request for this page."""
        self._delivery.page.describe(error)

    def path_at(self, index: int) -> str:
        """Return the JSON path of the new report with this index, such as `$.items[3]`."""
        return f"$.items[{self._delivery.indexes[index]}]"


@attrs.frozen(eq=False, repr=False)
class _LazyReports(Sequence[T]):
    """New reports of a page, structured on access."""

    _delivery: _Delivery
    _structure: Callable[[msgspec.Raw, str], T]

    def __len__(self) -> int:
        return len(self._delivery.indexes)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        item = self._delivery.indexes[index]
        try:
            return self._structure(self._delivery.page.items[item], f"$.items[{item}]")
        except ApiError as error:
            error.cursor = self._delivery.cursor(range(len(self))[index])
            self._delivery.page.describe(error)
            raise

    def __repr__(self) -> str:
        return f"<{len(self)} reports, structured on access>"
