"""The requests of all contestants that use plain aiohttp; they differ in what reads the bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import aiohttp
import attrs

from benchmarks.contestants.interface import (
    Call,
    Contestant,
    Depot,
    Thor,
    by_workers,
    page_by_page,
)
from benchmarks.protocol import Access


@attrs.frozen
class _Depot:
    session: aiohttp.ClientSession
    url: str
    limiter: AbstractAsyncContextManager[None]
    reports_of: Callable[[bytes], Sequence[object]]

    def walk(self, charger_id: str, connector_id: str) -> AsyncGenerator[object, None]:
        return page_by_page(self._fetch, charger_id, connector_id)

    async def _fetch(self, query: dict[str, str]) -> Sequence[object]:
        async with self.limiter, self.session.get(self.url, params=query) as response:
            response.raise_for_status()
            body = await response.read()
        return self.reports_of(body)


@attrs.frozen
class _Thor:
    session: aiohttp.ClientSession
    url: str
    analytics_of: Callable[[bytes], object]

    async def poll(self, ids: Iterable[str], concurrency: int, on_answer: Call) -> None:
        await by_workers(self._ask, ids, concurrency, on_answer)

    async def _ask(self, chargebox_id: str) -> object:
        async with self.session.get(f"{self.url}/{chargebox_id}") as response:
            response.raise_for_status()
            return self.analytics_of(await response.read())


class OverAiohttp(Contestant):
    """One `ClientSession`, and a loop over pages that holds one page at a time."""

    def reports_of(self, body: bytes) -> Sequence[object]:
        """The reports of a page."""
        raise NotImplementedError

    def analytics_of(self, body: bytes) -> object:
        """The analytics of a chargebox."""
        raise NotImplementedError

    @asynccontextmanager
    async def depot(
        self, access: Access, limiter: asyncio.Semaphore | None = None
    ) -> AsyncGenerator[Depot, None]:
        headers = {"Authorization": f"Bearer {access.credential}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            yield _Depot(
                session,
                f"{access.base_url}/sessionReports",
                limiter or nullcontext(),
                self.reports_of,
            )

    @asynccontextmanager
    async def thor(self, access: Access, connections: int) -> AsyncGenerator[Thor, None]:
        connector = aiohttp.TCPConnector(limit=connections)
        headers = {"X-Api-Key": access.credential}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            yield _Thor(session, f"{access.base_url}/analytics", self.analytics_of)
