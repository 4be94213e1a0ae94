"""Session reports of one connector, walked page by page or report by report."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, Generic, Self, TypeVar

import attrs

from depotclient.pages import Page, RawPage, split_page
from depotclient.query import Query
from depotclient.strays import Strays
from evtransport.closing import AsyncCloseable
from evtransport.http import Request
from evtransport.paging import Cursor, PageDriver, PageLimits, PageRequest, Paginator
from evtransport.pauses import Pauses
from evtransport.retry import is_retryable, is_throttled
from evtransport.structure import Into, Structurer
from evtransport.telemetry import DecodeTimer, PageRead
from evtransport.transport import Transport
from evtransport.validation import validate_int

__all__ = ["LIMITS", "PageReader", "SessionReports", "Walk", "first_cursor", "fitting_limit"]

T = TypeVar("T")

LIMITS: Final = PageLimits(first=10, minimum=10, maximum=2000, growth_bytes=8 * 2**20)
"""Limits that the vendor documents. Pages grow to about 8 MiB."""


@attrs.frozen(kw_only=True)
class SessionReports(Generic[T]):
    """Description of the session reports of one connector in one window.

    The description is immutable. Each `async for` over it, and each call of `pages()`, `walk()` and
    `collect()`, starts a new walk. `DepotClient.session_reports` returns it and documents the
    arguments.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     reports = depot.session_reports("CP-001", 1)
        ...     ids = [report.session_id async for report in reports]
        >>> len(ids)
        60
    """

    _transport: Transport = attrs.field(repr=False, alias="transport")
    _structure: Structurer[T] = attrs.field(repr=False, alias="structure")
    _now: Callable[[], datetime] = attrs.field(repr=False, alias="now")
    query: Query
    limit: int | None
    read_ahead: int
    verify: bool
    resume: Cursor | None

    @property
    def into(self) -> Into[T]:
        """Class of the reports, or the function that returns them."""
        return self._structure.into

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        """Yield the reports in the server's order, each once.

        If you leave the loop early, requests in flight are cancelled when the iterator is garbage
        collected. Use `walk()` to cancel them at once.
        """
        async with self.walk() as walk:
            async for report in walk:
                yield report

    async def pages(self) -> AsyncGenerator[Page[T], None]:
        """Yield the pages that have new reports, in the server's order.

        Example:
            >>> from contextlib import aclosing
            >>> async with DepotClient.from_env() as depot:
            ...     async with aclosing(depot.session_reports("CP-001", 1).pages()) as pages:
            ...         total = sum([len(page.raw_reports) async for page in pages])
            >>> total
            60
        """
        reader = PageReader(self, first_cursor(self))
        try:
            while (page := await reader.next_page()) is not None:
                yield page
                del page  # Release the page while the next one is awaited.
        finally:
            await reader.aclose()

    def walk(self) -> Walk[T]:
        """Return a walk whose `cursor` changes with each report. `async with` closes it.

        Example:
            >>> async with DepotClient.from_env() as depot:
            ...     async with depot.session_reports("CP-001", 1).walk() as walk:
            ...         async for report in walk:
            ...             cursor = walk.cursor
            ...             break
            >>> cursor.offset
            1
        """
        return Walk(PageReader(self, first_cursor(self)))

    async def collect(self, *, max_items: int) -> list[T]:
        """Return the first reports as a list.

        Args:
            max_items: Maximum number of reports. It has no default, because the whole history of a
                connector may not fit into memory.

        Raises:
            ValueError: `max_items` is not an int >= 1.

        Example:
            >>> async with DepotClient.from_env() as depot:
            ...     reports = await depot.session_reports("CP-001", 1).collect(max_items=5)
            >>> len(reports)
            5
        """
        validate_int("max_items", max_items, minimum=1)
        reports: list[T] = []
        async with self.walk() as walk:
            async for report in walk:
                reports.append(report)
                if len(reports) == max_items:
                    break
        return reports

    async def _fetch(self, to: str, page_request: PageRequest) -> RawPage:
        request = Request(
            ("sessionReports",),
            partial(split_page, self.query),
            self.query.parameters(to, page_request),
            # A failed trial is not retried: the next page is smaller.
            is_throttled if page_request.trial else is_retryable,
            title=f"sessionReports {self.query.label} page {page_request.page}",
            template="/sessionReports",
        )
        page = await self._transport.send(request)
        page.describe = partial(self._transport.describe, request)
        await page.read_keys(self.query.span(to))
        return page


def first_cursor(reports: SessionReports[Any], now: datetime | None = None) -> Cursor:
    """Return the cursor that a walk starts from.

    Args:
        reports: Description of the walk.
        now: Time at which the walk starts. None means now.
    """
    return reports.resume or Cursor(
        query=reports.query.identity(),
        pinned={"to": reports.query.end_at(reports._now() if now is None else now)},
        limit=reports.limit or LIMITS.first,
    )


def fitting_limit(reports: int, size: int) -> int:
    """Return the `limit` of a first page request for reports that are known.

    A walk that starts with a small limit reads the first reports again with each larger limit.

    Args:
        reports: Number of reports.
        size: Their total size, in bytes. 0 if it is unknown.

    Returns:
        A limit for all reports and some more, but for about 8 MiB at most.
    """
    if not reports or not size:
        return LIMITS.first
    fitting = LIMITS.growth_bytes * reports // size
    return max(LIMITS.first, min(LIMITS.maximum, fitting, reports * 5 // 4 + LIMITS.first))


class PageReader(Generic[T]):
    """Pages of one walk over the reports of one connector.

    Args:
        reports: Description of the walk.
        cursor: Position to start from.

    Attributes:
        strays: Reports that the walk has left out so far.
    """

    def __init__(self, reports: SessionReports[T], cursor: Cursor) -> None:
        self._reporter = reports._transport.reporter
        self._timer = DecodeTimer(self._reporter)
        self._structure = self._timer.wrap(reports._structure)
        paginator = Paginator(
            cursor,
            limit=reports.limit,
            limits=LIMITS,
            read_ahead=reports.read_ahead,
            verify=reports.verify,
        )
        to = cursor.pinned["to"]
        self._driver = PageDriver(
            paginator, partial(reports._fetch, to), reports._transport.retire_connections
        )
        label = reports._transport.redact(reports.query.label)
        self.strays: Final = Strays(label, reports.query.span(to))

    @property
    def cursor(self) -> Cursor:
        """Cursor after the last returned page."""
        return self._driver.paginator.cursor

    async def next_page(self) -> Page[T] | None:
        """Return the next page with reports to deliver, or None at the end of the walk.

        Raises:
            ApiError: A request failed. A further call continues at the same position.
            RuntimeError: The reader is closed.
        """
        self._timer.report()
        while (found := await self._driver.next_page()) is not None:
            self.strays.add(*found)
            page = Page(*found, self._structure)
            del found  # Release the page while the next one is awaited.
            if page.reports:
                if self._reporter is not None:
                    self._reporter.event(PageRead(len(page.reports), len(page.raw)))
                return page
            del page
        self.strays.log()
        return None

    async def aclose(self) -> None:
        """Cancel and await the requests in flight. Further calls do nothing."""
        self._timer.report()
        await self._driver.aclose()


class Walk(AsyncCloseable, Generic[T]):
    """One walk over session reports, for one task at a time.

    After an `ApiError` the walk keeps its position: continue to iterate, or resume another walk
    from `error.cursor`. A closed walk raises `RuntimeError` after the page in memory.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     async with depot.session_reports("CP-001", 1).walk() as walk:
        ...         report = await anext(walk)
        ...         text = str(walk.cursor)
        >>> text.startswith("evc2.")
        True
    """

    def __init__(self, reader: PageReader[T]) -> None:
        self._reader = reader
        self._page: Page[T] | None = None
        self._index = 0
        self._is_awaited = False
        self._pauses = Pauses()

    @property
    def cursor(self) -> Cursor:
        """Cursor after the last returned report. `str(walk.cursor)` is the text to save."""
        if self._page is None:
            return self._reader.cursor
        return self._page.cursor_at(self._index)

    @property
    def strays(self) -> int:
        """Number of reports that a walk with a margin has left out so far: their start is off.

        The end of the walk logs them. `export` and `load` keep them.
        """
        return self._reader.strays.count

    async def aclose(self) -> None:
        """Cancel and await the requests in flight. Further calls do nothing."""
        await self._reader.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._is_awaited:
            raise RuntimeError("another task is waiting for this walk")
        self._is_awaited = True
        try:
            if self._page is None or self._index == len(self._page.reports):
                await self._read_page()
            await self._pauses.pause_if_needed()
        finally:
            self._is_awaited = False
        if self._page is None:
            raise StopAsyncIteration
        # No await after this line: a cancellation would lose the report.
        report = self._page.reports[self._index]
        self._index += 1
        return report

    async def _read_page(self) -> None:
        self._page = None  # Release the page while the next one is awaited.
        self._page, self._index = await self._reader.next_page(), 0
