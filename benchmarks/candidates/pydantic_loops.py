"""Hand-written loops with pydantic models, over aiohttp and over httpx."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, create_model
from pydantic.alias_generators import to_camel

from benchmarks.candidates import base
from benchmarks.candidates.loops import AiohttpLoop
from benchmarks.candidates.models import Field, default_of, translate
from benchmarks.workloads import CONCURRENCY

TIMEOUT = 60.0
"""Timeout of the other candidates in seconds. The default of httpx is 5."""


def make_model(name: str, fields: list[Field]) -> type[BaseModel]:
    """Return a pydantic model."""
    definitions: dict[str, Any] = {
        n: (hint, ... if required else default_of(hint)) for n, hint, required in fields
    }
    return create_model(name, __config__=ConfigDict(alias_generator=to_camel), **definitions)


class RollingCounts(BaseModel):
    """Counts of 7, 30 and 60 days."""

    last_7: int
    last_30: int
    last_60: int


class Analytics(BaseModel):
    """Analytics of a chargebox."""

    charges: RollingCounts
    disconnections: RollingCounts
    energy: RollingCounts
    users: RollingCounts
    active_since: AwareDatetime | None = None


class Models:
    """Models of reports, made when they are first used."""

    @cached_property
    def report(self) -> type[BaseModel]:
        """Return the model of a report."""
        from depotclient.models import SessionReport

        model: type[BaseModel] = translate(SessionReport, make_model, {datetime: AwareDatetime})
        return model

    @cached_property
    def page(self) -> type[BaseModel]:
        """Return the model of a page."""
        return make_model("Page", [("items", list[self.report], True)])  # type: ignore[name-defined]

    def read_page(self, body: bytes) -> Sequence[object]:
        """Return the reports of a page."""
        page: Any = self.page.model_validate_json(body)
        items: list[object] = page.items
        return items


class AiohttpPydantic(Models, AiohttpLoop):
    """Loop over aiohttp that validates each body as a whole."""

    def decoder(self, page: bytes, reports: Sequence[bytes]) -> base.Work:
        return base.decode_each(self.report.model_validate_json, reports)

    def read_analytics(self, body: bytes) -> object:
        return Analytics.model_validate_json(body)


class HttpxPydantic(Models, base.Candidate):
    """Loop over httpx that holds one page at a time."""

    @asynccontextmanager
    async def depot(
        self, access: base.Access, limiter: asyncio.Semaphore | None = None
    ) -> AsyncGenerator[base.Walk, None]:
        import httpx

        headers = {"Authorization": f"Bearer {access.credential}"}
        async with httpx.AsyncClient(
            base_url=access.base_url, headers=headers, timeout=TIMEOUT
        ) as client:

            async def fetch(query: dict[str, str | int]) -> Sequence[object]:
                response = await client.get("/sessionReports", params=query)
                response.raise_for_status()
                return self.read_page(response.content)

            yield partial(base.walk_pages, fetch)

    @asynccontextmanager
    async def thor(self, access: base.Access) -> AsyncGenerator[base.Poll, None]:
        import httpx

        limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
        headers = {"X-Api-Key": access.credential}
        async with httpx.AsyncClient(
            base_url=access.base_url, headers=headers, limits=limits, timeout=TIMEOUT
        ) as client:

            async def call(chargebox_id: str) -> object:
                response = await client.get(f"/analytics/{chargebox_id}")
                response.raise_for_status()
                return Analytics.model_validate_json(response.content)

            yield partial(base.poll_with_tasks, call)


AIOHTTP, HTTPX = AiohttpPydantic(), HttpxPydantic()
