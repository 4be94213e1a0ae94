"""Pages of session reports: as fetched, and as users get them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar, overload

import attrs
import msgspec

from depotclient.keys import session_id_of, session_key
from depotclient.query import SplitPage
from evtransport.errors import ApiError
from evtransport.paging.cursor import Cursor
from evtransport.paging.paginator import NewRows
from evtransport.paging.sizes import PageRequest
from evtransport.structure import Structurer
from evtransport.transport import Pauses, pause

__all__ = ["FetchedPage", "Page"]

T = TypeVar("T")


@attrs.frozen(eq=False)
class FetchedPage:
    """An answer, split into its reports. Only their keys have been read.

    Attributes:
        request: Request for the page.
        body: The whole answer.
        items: JSON texts of the reports.
        ids: Their session ids, None for a report with lone surrogates or without a valid id.
        keys: Numbers that identify the sessions, see `session_key`.
    """

    request: PageRequest
    body: bytes = attrs.field(repr=False)
    items: Sequence[msgspec.Raw] = attrs.field(repr=False)
    ids: tuple[int | None, ...]
    keys: tuple[int, ...]

    @classmethod
    async def of(cls, request: PageRequest, page: SplitPage) -> FetchedPage:
        """Return the page, after reading ids and keys in small portions."""
        await pause()  # Splitting the page has taken some time.
        pauses = Pauses()
        ids: list[int | None] = []
        keys: list[int] = []
        for index, item in enumerate(page.items):
            await pauses.pause_if_due()
            text = bytes(item)
            ids.append(None if index in page.lone_surrogates else session_id_of(text))
            keys.append(session_key(ids[-1], text))
        return cls(request, page.body, page.items, tuple(ids), tuple(keys))

    @property
    def length(self) -> int:
        """Size in bytes."""
        return len(self.body)


@attrs.frozen(eq=False)
class Page(Generic[T]):
    """A page that brought new reports.

    Attributes:
        number: Page number of the request.
        limit: `limit` of the request.
        raw: The whole answer.
        reports: The new reports, in the server's order. Each is structured when it is taken. That
            raises `SchemaError` if the report is invalid, with the cursor before it.
        cursor: Cursor after the page.
    """

    number: int
    limit: int
    raw: bytes = attrs.field(repr=False)
    reports: Sequence[T]
    cursor: Cursor = attrs.field(repr=False)
    _page: FetchedPage = attrs.field(repr=False, alias="page")
    _rows: NewRows = attrs.field(repr=False, alias="rows")

    @classmethod
    def of(cls, page: FetchedPage, rows: NewRows, structure: Structurer[T]) -> Page[T]:
        """Return the page as users get it."""
        return cls(
            page.request.page,
            page.request.limit,
            page.body,
            _LazyReports(page, rows, structure),
            rows.cursor(len(rows.indexes)),
            page,
            rows,
        )

    @property
    def raw_reports(self) -> tuple[bytes, ...]:
        """JSON text of each new report, as received."""
        return tuple(map(bytes, self.raw_views))

    @property
    def raw_views(self) -> tuple[memoryview, ...]:
        """JSON text of each new report, without a copy. A view keeps the whole page in memory."""
        return tuple(memoryview(self._page.items[index]) for index in self._rows.indexes)

    @property
    def ids(self) -> tuple[int | None, ...]:
        """Session id of each new report, None if it has lone surrogates or no valid id."""
        return tuple(self._page.ids[index] for index in self._rows.indexes)

    @property
    def keys(self) -> tuple[int, ...]:
        """Number that identifies the session of each new report, see `session_key`."""
        return tuple(self._page.keys[index] for index in self._rows.indexes)

    @property
    def paths(self) -> tuple[str, ...]:
        """JSON path of each new report in the answer, such as `$.items[3]`."""
        return tuple(f"$.items[{index}]" for index in self._rows.indexes)

    @property
    def cursor_before(self) -> Cursor:
        """Cursor before the page."""
        return self._rows.before

    def cursor_at(self, index: int) -> Cursor:
        """Return the cursor before the new report with this index."""
        return self._rows.cursor(index)


def structured(page: FetchedPage, rows: NewRows, index: int, structure: Structurer[T]) -> T:
    """Return one of the new reports of a page.

    Raises:
        DecodeError, SchemaError: It is invalid. `cursor` is the position before it.
    """
    place = rows.indexes[index]
    try:
        return structure(page.items[place], f"$.items[{place}]")
    except ApiError as error:
        error.cursor = rows.cursor(index)
        raise


@attrs.frozen(eq=False, repr=False)
class _LazyReports(Sequence[T]):
    """The new reports of a page, each structured whenever it is taken."""

    _page: FetchedPage
    _rows: NewRows
    _structure: Structurer[T]

    def __len__(self) -> int:
        return len(self._rows.indexes)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        indexes = range(len(self))[index]
        if isinstance(indexes, range):
            return [self[i] for i in indexes]
        return structured(self._page, self._rows, indexes, self._structure)

    def __repr__(self) -> str:
        return f"<{len(self)} reports, structured when taken>"
