"""Hand-written loops over aiohttp: json, msgspec structs, and undecoded bodies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import cached_property, partial
from typing import Any

import aiohttp
import msgspec

from benchmarks.candidates import base
from benchmarks.candidates.models import Field, default_of, translate
from benchmarks.workloads import CONCURRENCY, LOOP_LIMIT

EMPTY_BYTES = 1000
"""A page shorter than this holds no report."""


class AiohttpLoop(base.Candidate):
    """One `ClientSession`, and a loop that holds one page at a time."""

    def read_page(self, body: bytes) -> Sequence[object]:
        """Return the reports of a page."""
        raise NotImplementedError

    def read_analytics(self, body: bytes) -> object:
        """Return the analytics of a chargebox."""
        raise NotImplementedError

    @asynccontextmanager
    async def depot(
        self, access: base.Access, limiter: asyncio.Semaphore | None = None
    ) -> AsyncGenerator[base.Walk, None]:
        headers = {"Authorization": f"Bearer {access.credential}"}
        url = f"{access.base_url}/sessionReports"
        async with aiohttp.ClientSession(headers=headers) as session:

            async def fetch(query: dict[str, str | int]) -> Sequence[object]:
                async with limiter or nullcontext(), session.get(url, params=query) as response:
                    response.raise_for_status()
                    body = await response.read()
                return self.read_page(body)

            yield partial(base.walk_pages, fetch)

    @asynccontextmanager
    async def thor(self, access: base.Access) -> AsyncGenerator[base.Poll, None]:
        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        headers = {"X-Api-Key": access.credential}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

            async def call(chargebox_id: str) -> object:
                url = f"{access.base_url}/analytics/{chargebox_id}"
                async with session.get(url) as response:
                    response.raise_for_status()
                    return self.read_analytics(await response.read())

            yield partial(base.poll_with_tasks, call)


class Json(AiohttpLoop):
    """`json.loads`: reports stay dicts, and times strings."""

    def decoder(self, page: bytes, reports: Sequence[bytes]) -> base.Work:
        return base.decode_each(json.loads, reports)

    def read_page(self, body: bytes) -> Sequence[object]:
        items: list[object] = json.loads(body)["items"]
        return items

    def read_analytics(self, body: bytes) -> object:
        return json.loads(body)


def make_struct(name: str, fields: list[Field]) -> type:
    """Return a msgspec struct."""
    return msgspec.defstruct(
        name,
        [(n, hint) if required else (n, hint, default_of(hint)) for n, hint, required in fields],
        rename="camel",
    )


class Struct(AiohttpLoop):
    """msgspec straight into its own structs, which are not attrs classes."""

    @cached_property
    def report(self) -> type:
        """Return the struct of a report."""
        from depotclient.models import SessionReport

        return translate(SessionReport, make_struct)

    @cached_property
    def page(self) -> msgspec.json.Decoder[Any]:
        """Return the decoder of a page."""
        return msgspec.json.Decoder(make_struct("Page", [("items", list[self.report], True)]))  # type: ignore[name-defined]

    def decoder(self, page: bytes, reports: Sequence[bytes]) -> base.Work:
        return base.decode_each(msgspec.json.Decoder(self.report).decode, reports)

    def read_page(self, body: bytes) -> Sequence[object]:
        items: list[object] = self.page.decode(body).items
        return items


class Raw(AiohttpLoop):
    """The least possible work: split a page into its reports, or only read the bodies."""

    def decoder(self, page: bytes, reports: Sequence[bytes]) -> base.Work:
        return base.decode_each(msgspec.json.Decoder(base.SplitPage).decode, [page])

    def read_page(self, body: bytes) -> Sequence[object]:
        # Count a body as a full page: the total then shows whether all pages arrived.
        return () if len(body) < EMPTY_BYTES else (body,) * LOOP_LIMIT


JSON, STRUCT, RAW = Json(), Struct(), Raw()
