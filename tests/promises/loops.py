"""Hand-written loop over aiohttp, as a careful user writes it.

It has a timeout, three attempts, and a token that is renewed before it expires and after a 401.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

import aiohttp
import attrs

from tests.promises.candidates import CHARGER, CONNECTOR, DEFAULTS, Access, Candidate, Limits

C = TypeVar("C")
Errors = tuple[type[Exception], ...]

LIMIT = 100


class Http(Protocol):
    """HTTP client that raises for an error status and returns decoded JSON."""

    async def get(self, url: str, headers: dict[str, str], params: dict[str, Any]) -> Any: ...

    async def fetch_token(self, url: str, client_id: str, client_secret: str) -> Any: ...


@attrs.define
class _LoopDepot:
    """Loop that ends at a page that is not full."""

    access: Access
    http: Http
    errors: Errors
    attempts: int
    token: str = ""
    expires: float = 0.0

    async def _header(self) -> dict[str, str]:
        if self.access.token is not None:
            return {"Authorization": f"Bearer {self.access.token}"}
        if time.monotonic() > self.expires:
            fetched = await self.http.fetch_token(
                self.access.token_url, self.access.client_id, self.access.client_secret
            )
            self.token = fetched["access_token"]
            self.expires = time.monotonic() + fetched["expires_in"] - 60
        return {"Authorization": f"Bearer {self.token}"}

    async def _page(self, page: int, limit: int) -> list[int]:
        params = {"chargerId": CHARGER, "connectorId": CONNECTOR, "page": page, "limit": limit}
        url = f"{self.access.base_url}/sessionReports"
        for attempt in range(1, self.attempts + 1):
            try:
                body = await self.http.get(url, await self._header(), params)
                break
            except self.errors as error:
                if "401" in str(error):
                    self.expires = 0.0
                if attempt == self.attempts:
                    raise
        return [item["sessionId"] for item in body["items"]]

    async def _pages(self, limit: int, restarts: int = 0) -> AsyncGenerator[list[int], None]:
        page = 1
        while True:
            try:
                ids = await self._page(page, limit)
            except self.errors:
                if not restarts:
                    raise
                restarts -= 1
                continue
            yield ids
            if len(ids) < limit:
                break
            page += 1

    async def walk(
        self, limit: int | None = None, *, verify: bool = False, read_ahead: int = 1
    ) -> AsyncGenerator[int, None]:
        async for ids in self._pages(limit or LIMIT):
            for session_id in ids:
                yield session_id

    async def collect(self, limit: int | None = None, *, restarts: int = 0) -> list[int]:
        pages = self._pages(limit or LIMIT, restarts)
        return [session_id async for ids in pages for session_id in ids]


@attrs.frozen
class _LoopThor:
    access: Access
    http: Http
    errors: Errors
    attempts: int

    async def get_analytics(self, chargebox_id: str) -> object:
        url = f"{self.access.base_url}/analytics/{chargebox_id}"
        for attempt in range(1, self.attempts + 1):
            try:
                return await self.http.get(url, {"X-Api-Key": self.access.api_key}, {})
            except self.errors:
                if attempt == self.attempts:
                    raise
        return None


@attrs.frozen
class _Aiohttp:
    session: aiohttp.ClientSession

    async def get(self, url: str, headers: dict[str, str], params: dict[str, Any]) -> Any:
        async with self.session.get(url, headers=headers, params=params) as response:
            response.raise_for_status()
            return await response.json()

    async def fetch_token(self, url: str, client_id: str, client_secret: str) -> Any:
        headers = {"Authorization": aiohttp.encode_basic_auth(client_id, client_secret)}
        data = {"grant_type": "client_credentials"}
        async with self.session.post(url, data=data, headers=headers) as response:
            response.raise_for_status()
            return await response.json()


class OpenHttp(Protocol):
    """Function that opens an HTTP client."""

    def __call__(self, limits: Limits, /) -> AbstractAsyncContextManager[Http]: ...


@asynccontextmanager
async def _open_aiohttp(limits: Limits) -> AsyncGenerator[Http, None]:
    timeout = aiohttp.ClientTimeout(total=limits.total, sock_read=limits.read)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield _Aiohttp(session)


@asynccontextmanager
async def _open_loop(
    cls: Callable[[Access, Http, Errors, int], C],
    open_http: OpenHttp,
    errors: Errors,
    access: Access,
    limits: Limits = DEFAULTS,
) -> AsyncGenerator[C, None]:
    async with open_http(limits) as http:
        yield cls(access, http, errors, limits.attempts)


def loop_over(name: str, errors: Errors, open_http: OpenHttp) -> Candidate:
    """Return the loop over one HTTP library."""
    depot = partial(_open_loop, _LoopDepot, open_http, errors)
    thor = partial(_open_loop, _LoopThor, open_http, errors)
    return Candidate(name, errors, depot, thor)


AIOHTTP_LOOP = loop_over(
    "aiohttp loop", (aiohttp.ClientError, TimeoutError, json.JSONDecodeError), _open_aiohttp
)
