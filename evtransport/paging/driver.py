"""Driver of a walk: the tasks that fetch its pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

from evtransport.errors import ApiError
from evtransport.paging.paginator import NewRows, PageContent, Paginator
from evtransport.paging.sizes import PageRequest

__all__ = ["PageDriver"]

P = TypeVar("P", bound=PageContent)


class PageDriver(Generic[P]):
    """Driver that keeps the requests of a paginator in flight. One task may use it at a time.

    Args:
        paginator: State of the walk.
        fetch: Fetches one page.
        retire_connections: Called after a suspect response.
    """

    def __init__(
        self,
        paginator: Paginator,
        fetch: Callable[[PageRequest], Coroutine[Any, Any, P]],
        retire_connections: Callable[[], None],
    ) -> None:
        self.paginator = paginator
        self._fetch = fetch
        self._retire_connections = retire_connections
        self._in_flight: dict[PageRequest, asyncio.Task[P]] = {}
        self._cancelled: set[asyncio.Task[P]] = set()
        self._closed = False

    async def next_page(self) -> tuple[P, NewRows] | None:
        """Return the next page that has new rows, and these rows. Return None at the end.

        Raises:
            ApiError: A request failed, or the pages contradict each other. The walk keeps its
                position, and a further call continues there.
            RuntimeError: The driver is closed.
        """
        try:
            while not self.paginator.has_ended:
                self._check_open()
                requests = self.paginator.next_requests()
                self._keep_in_flight(requests)
                task = self._in_flight[requests[0]]
                await self._await_cancelled()
                await asyncio.wait([task])
                self._check_open()
                if (found := self._receive(requests[0])) is not None:
                    return found  # No await before this line: a cancellation would lose the page.
        except BaseException as error:
            await self._cancel_all()
            if not isinstance(error, ApiError):
                raise
            error.cursor = self.paginator.cursor
            # The frames below hold the page, in which a server may have repeated a credential.
            raise error.with_traceback(None)  # noqa: B904
        await self._cancel_all()
        return None

    async def aclose(self) -> None:
        """Cancel and await all requests. Further calls do nothing."""
        self._closed = True
        await self._cancel_all()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the walk is closed")

    def _receive(self, request: PageRequest) -> tuple[P, NewRows] | None:
        """Pass a response to the paginator, and keep prefetching if it has new rows."""
        try:
            page = self._in_flight.pop(request).result()
        except ApiError as error:
            self.paginator.receive_error(request, error)
            return None
        try:
            rows = self.paginator.receive(request, page)
        except ApiError as error:
            page.describe(error)
            raise
        if self.paginator.is_suspect:
            self._retire_connections()
        if rows is None:
            return None
        self._keep_in_flight(self.paginator.next_requests()[: self.paginator.read_ahead])
        return page, rows

    def _keep_in_flight(self, requests: Iterable[PageRequest]) -> None:
        """Start and cancel tasks so that exactly these requests are in flight."""
        kept = dict.fromkeys(requests)
        for request in self._in_flight.keys() - kept.keys():
            self._in_flight[request].cancel()
            self._cancelled.add(self._in_flight.pop(request))
        for request in kept:
            if request not in self._in_flight:
                self._in_flight[request] = asyncio.create_task(self._fetch(request))

    async def _cancel_all(self) -> None:
        self._keep_in_flight(())
        await self._await_cancelled()

    async def _await_cancelled(self) -> None:
        """Wait for the cancelled tasks, so that none outlives the walk, and read their errors."""
        while self._cancelled:
            done, self._cancelled = await asyncio.wait(self._cancelled)
            for task in done:
                if not task.cancelled():
                    task.exception()
