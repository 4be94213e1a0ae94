"""A loop over httpx with pydantic's models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import attrs
import httpx

from benchmarks.contestants.interface import (
    Call,
    Contestant,
    Depot,
    Thor,
    by_workers,
    page_by_page,
)
from benchmarks.contestants.pydantic_models import Analytics, SessionReport, SessionReports
from benchmarks.protocol import Access

TIMEOUT = 60.0
"""As patient as the others; by default httpx would give up after 5 seconds of silence."""


@attrs.frozen
class _Depot:
    client: httpx.AsyncClient

    def walk(self, charger_id: str, connector_id: str) -> AsyncGenerator[object, None]:
        return page_by_page(self._fetch, charger_id, connector_id)

    async def _fetch(self, query: dict[str, str]) -> list[SessionReport]:
        response = await self.client.get("/sessionReports", params=query)
        response.raise_for_status()
        return SessionReports.model_validate_json(response.content).items


@attrs.frozen
class _Thor:
    client: httpx.AsyncClient

    async def poll(self, ids: Iterable[str], concurrency: int, on_answer: Call) -> None:
        await by_workers(self._ask, ids, concurrency, on_answer)

    async def _ask(self, chargebox_id: str) -> Analytics:
        response = await self.client.get(f"/analytics/{chargebox_id}")
        response.raise_for_status()
        return Analytics.model_validate_json(response.content)


class HttpxPydantic(Contestant):
    """One `AsyncClient`, and a loop over pages that holds one page at a time."""

    @asynccontextmanager
    async def depot(
        self, access: Access, limiter: asyncio.Semaphore | None = None
    ) -> AsyncGenerator[Depot, None]:
        if limiter is not None:
            raise NotImplementedError
        async with httpx.AsyncClient(
            base_url=access.base_url,
            headers={"Authorization": f"Bearer {access.credential}"},
            timeout=TIMEOUT,
        ) as client:
            yield _Depot(client)

    @asynccontextmanager
    async def thor(self, access: Access, connections: int) -> AsyncGenerator[Thor, None]:
        async with httpx.AsyncClient(
            base_url=access.base_url,
            headers={"X-Api-Key": access.credential},
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            timeout=TIMEOUT,
        ) as client:
            yield _Thor(client)


PYDANTIC = HttpxPydantic()
