"""Hand-written loop over aiohttp, as a careful user writes it.

It has a timeout, three attempts, and a token that is renewed before it expires and after a 401.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import aiohttp
import attrs

from tests.promises.candidates import (
    CHARGER,
    CONNECTOR,
    DEFAULTS,
    Access,
    Depot,
    Limits,
    Thor,
)

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
    errors: tuple[type[Exception], ...]
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

    async def walk(
        self, limit: int | None = None, *, verify: bool = False, read_ahead: int = 1
    ) -> AsyncGenerator[int, None]:
        page = 1
        while True:
            ids = await self._page(page, limit or LIMIT)
            for session_id in ids:
                yield session_id
            if len(ids) < (limit or LIMIT):
                break
            page += 1

    async def collect(self, limit: int | None = None, *, restarts: int = 0) -> list[int]:
        found: list[int] = []
        page = 1
        while True:
            try:
                ids = await self._page(page, limit or LIMIT)
            except self.errors:
                if not restarts:
                    raise
                restarts -= 1
                continue
            found += ids
            if len(ids) < (limit or LIMIT):
                return found
            page += 1


@attrs.frozen
class _LoopThor:
    access: Access
    http: Http
    errors: tuple[type[Exception], ...]
    attempts: int

    async def analytics(self, chargebox_id: str) -> object:
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


@asynccontextmanager
async def _open_aiohttp(limits: Limits) -> AsyncGenerator[Http, None]:
    timeout = aiohttp.ClientTimeout(total=limits.total, sock_read=limits.read)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield _Aiohttp(session)


class OpenHttp(Protocol):
    """Function that opens an HTTP client."""

    def __call__(self, limits: Limits, /) -> AbstractAsyncContextManager[Http]: ...


@attrs.frozen
class Loop:
    """Loop over one HTTP library."""

    name: str
    errors: tuple[type[Exception], ...]
    open: OpenHttp

    @asynccontextmanager
    async def depot(self, access: Access, limits: Limits = DEFAULTS) -> AsyncGenerator[Depot, None]:
        async with self.open(limits) as http:
            yield _LoopDepot(access, http, self.errors, limits.attempts)

    @asynccontextmanager
    async def thor(self, access: Access, limits: Limits = DEFAULTS) -> AsyncGenerator[Thor, None]:
        async with self.open(limits) as http:
            yield _LoopThor(access, http, self.errors, limits.attempts)


AIOHTTP_LOOP = Loop(
    "aiohttp loop", (aiohttp.ClientError, TimeoutError, json.JSONDecodeError), _open_aiohttp
)
