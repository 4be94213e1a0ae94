"""Session reports of one connector, walked page by page or report by report."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import attrs

from depotclient.pages import FetchedPage, Page, structured
from depotclient.query import Query, wire_time
from evtransport.http import Request
from evtransport.paging.cursor import Cursor
from evtransport.paging.driver import PageDriver
from evtransport.paging.paginator import NewRows, Paginator
from evtransport.paging.sizes import PageLimits, PageRequest
from evtransport.retry import asks_to_wait, is_retryable
from evtransport.structure import Structurer
from evtransport.transport import Pauses, Transport
from evtransport.validation import validate_int

__all__ = ["LIMITS", "Page", "SessionReports", "Walk"]

T = TypeVar("T")

LIMITS: Final = PageLimits(first=10, least=10, most=2000, growth_bytes=8 * 2**20)
"""Limits that the vendor documents; pages grow to about 8 MiB."""


@attrs.frozen(kw_only=True)
class SessionReports(Generic[T]):
    """Description of the session reports of one connector in one window.

    It is immutable. Each `async for` over it, and each call of `pages()`, `walk()` and `collect()`,
    starts a new walk. `DepotClient.session_reports` makes it and explains the arguments.
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
    def into(self) -> type[T]:
        """Class of the reports."""
        return self._structure.cls

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        """Yield the reports in the server's order, each once.

        If you leave the loop early, requests in flight are cancelled when the iterator is garbage
        collected. Use `walk()` to cancel them at once.
        """
        async with self.walk() as walk:
            async for report in walk:
                yield report

    async def pages(self) -> AsyncGenerator[Page[T], None]:
        """Yield the pages that bring new reports, in the server's order."""
        driver = self._driver()
        try:
            while (found := await driver.next_page()) is not None:
                yield Page.of(*found, self._structure)
                del found  # Release the page while the next one is awaited.
        finally:
            await driver.aclose()

    def walk(self) -> Walk[T]:
        """Return a walk with a handle: `async with` closes it, and it has a cursor."""
        return Walk(self._driver(), self._structure)

    async def collect(self, *, max_items: int) -> list[T]:
        """Return the first reports as a list.

        Args:
            max_items: Maximum number of reports. There is no default: the whole history of a
                connector may not fit into memory.

        Raises:
            ValueError: `max_items` is not an int of at least 1.
        """
        validate_int("max_items", max_items, minimum=1)
        found: list[T] = []
        async with self.walk() as walk:
            async for report in walk:
                found.append(report)
                if len(found) == max_items:
                    break
        return found

    def _driver(self) -> PageDriver[FetchedPage]:
        cursor = self.resume
        if cursor is None:
            cursor = Cursor(
                query=self.query.identity(),
                pinned={"to": wire_time(self.query.to or self._now())},
                limit=self.limit or LIMITS.first,
            )
        paginator = Paginator(
            cursor,
            limit=self.limit,
            limits=LIMITS,
            read_ahead=self.read_ahead,
            verify=self.verify,
        )
        fetch = partial(self._fetch, cursor.pinned["to"])
        return PageDriver(paginator, fetch, self._transport.retire_connections)

    async def _fetch(self, to: str, page: PageRequest) -> FetchedPage:
        request = Request(
            ("sessionReports",),
            self.query.split,
            self.query.parameters(to, page),
            # A failed trial is not repeated: the next page is smaller.
            asks_to_wait if page.trial else is_retryable,
        )
        return await FetchedPage.of(page, await self._transport.send(request))


class Walk(Generic[T]):
    """One walk over session reports, for one task at a time.

    After an `ApiError` the walk stands where it stood: iterate on, or resume another walk from
    `error.cursor`. A closed walk raises `RuntimeError`.
    """

    def __init__(self, driver: PageDriver[FetchedPage], structure: Structurer[T]) -> None:
        self._driver = driver
        self._structure = structure
        self._page: tuple[FetchedPage, NewRows] | None = None
        self._taken = 0
        self._busy = False
        self._pauses = Pauses()

    @property
    def cursor(self) -> Cursor:
        """Cursor after the report taken last. `str(walk.cursor)` is the text to save."""
        if self._page is None:
            return self._driver.paginator.cursor
        return self._page[1].cursor(self._taken)

    async def aclose(self) -> None:
        """Cancel and await requests in flight. Further calls do nothing."""
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._busy:
            raise RuntimeError("another task is waiting for this walk")
        self._busy = True
        try:
            if self._page is None or self._taken == len(self._page[1].indexes):
                self._page = None  # Release the page while the next one is awaited.
                self._page = await self._driver.next_page()
                self._taken = 0
            await self._pauses.pause_if_due()
        finally:
            self._busy = False
        if self._page is None:
            raise StopAsyncIteration
        # No await from here on: a cancellation would lose the report.
        report = structured(*self._page, self._taken, self._structure)
        self._taken += 1
        return report
