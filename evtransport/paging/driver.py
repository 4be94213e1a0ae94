"""Tasks that fetch the pages of a walk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

from evtransport.errors import ApiError
from evtransport.paging.paginator import Dropped, End, NewRows, PageContent, Paginator
from evtransport.paging.sizes import PageRequest

__all__ = ["PageDriver"]

P = TypeVar("P", bound=PageContent)


class PageDriver(Generic[P]):
    """Keeps the requests of a paginator in flight. It serves one task at a time.

    Args:
        paginator: State of the walk.
        fetch: Requests one page.
        retire_connections: Called when a page may be the answer to another request.
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
        self._ended = False
        self._closed = False

    async def next_page(self) -> tuple[P, NewRows] | None:
        """Return the next page with new rows, and which these are. None at the end.

        Raises:
            ApiError: A request failed, or the pages contradict each other. The walk stands where
                it stood, and can be asked again.
            RuntimeError: The driver is closed.
        """
        try:
            while not self._ended:
                self._check_open()
                requests = self.paginator.next_requests()
                self._keep(requests)
                await self._await_cancelled()
                self._check_open()
                await asyncio.wait([self._in_flight[requests[0]]])
                self._check_open()
                if (found := self._receive(requests[0])) is not None:
                    return found  # No await before: a cancellation would lose the page.
            await self._cancel()
        except ApiError as error:
            await self._cancel()
            error.cursor = self.paginator.cursor
            # The frames below hold the page, in which a server may have sent back a credential.
            raise error.with_traceback(None)  # noqa: B904
        except BaseException:
            await self._cancel()
            raise
        return None

    async def aclose(self) -> None:
        """Cancel and await all requests. Further calls do nothing."""
        self._closed = True
        await self._cancel()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the walk is closed")

    def _receive(self, request: PageRequest) -> tuple[P, NewRows] | None:
        """Pass a page that has arrived to the paginator, and keep prefetching."""
        try:
            page = self._in_flight.pop(request).result()
        except ApiError as error:
            self.paginator.refused(request, error)
            return None
        outcome = self.paginator.receive(request, page)
        self._ended = isinstance(outcome, End)
        if isinstance(outcome, NewRows):
            self._keep(self.paginator.next_requests()[: self.paginator.read_ahead])
            return page, outcome
        if isinstance(outcome, Dropped) and outcome.retire_connections:
            self._retire_connections()
        return None

    def _keep(self, requests: Iterable[PageRequest]) -> None:
        """Have exactly these requests in flight."""
        wanted = dict.fromkeys(requests)
        for request in self._in_flight.keys() - wanted.keys():
            self._in_flight[request].cancel()
            self._cancelled.add(self._in_flight.pop(request))
        for request in wanted:
            if request not in self._in_flight:
                self._in_flight[request] = asyncio.create_task(self._fetch(request))

    async def _cancel(self) -> None:
        self._keep(())
        await self._await_cancelled()

    async def _await_cancelled(self) -> None:
        """Wait for cancelled tasks: none outlives the walk, and no error stays unread."""
        while self._cancelled:
            done, self._cancelled = await asyncio.wait(self._cancelled)
            for task in done:
                if not task.cancelled():
                    task.exception()
