"""What users would write instead: a hand-written `while page` over aiohttp, and over httpx.

Both are as careful as a careful user: a timeout, three attempts on what the library calls its
errors, a token fetched when it is due and again after a 401. Nothing in them is made to fail.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
import attrs
import httpx

from tests.promises.contestants import CHARGER, CONNECTOR, Access, Depot, Patience, Thor

LIMIT = 100


class Get(Protocol):
    """One GET that raises for a status and returns the decoded JSON."""

    async def __call__(self, url: str, headers: dict[str, str], params: dict[str, Any]) -> Any: ...


class Post(Protocol):
    """Ask a token URL for a token."""

    async def __call__(self, url: str, client_id: str, client_secret: str) -> Any: ...


@attrs.define
class _Token:
    """The token, kept until shortly before its end."""

    access: Access
    post: Post
    value: str = ""
    expires: float = 0.0

    async def header(self) -> dict[str, str]:
        if self.access.token is not None:
            return {"Authorization": f"Bearer {self.access.token}"}
        if time.monotonic() > self.expires:
            answer = await self.post(
                self.access.token_url, self.access.client_id, self.access.client_secret
            )
            self.value = answer["access_token"]
            self.expires = time.monotonic() + answer["expires_in"] - 60
        return {"Authorization": f"Bearer {self.value}"}


@attrs.define
class _PlainDepot:
    """The loop over pages: it ends at a page that is not full."""

    access: Access
    get: Get
    token: _Token
    errors: tuple[type[Exception], ...]
    attempts: int

    async def _page(self, page: int, limit: int) -> list[int]:
        params = {"chargerId": CHARGER, "connectorId": CONNECTOR, "page": page, "limit": limit}
        for attempt in range(1, self.attempts + 1):
            try:
                headers = await self.token.header()
                answer = await self.get(f"{self.access.base_url}/sessionReports", headers, params)
                break
            except self.errors as error:
                if "401" in str(error):
                    self.token.expires = 0.0
                if attempt == self.attempts:
                    raise
        return [item["sessionId"] for item in answer["items"]]

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
class _PlainThor:
    access: Access
    get: Get
    errors: tuple[type[Exception], ...]
    attempts: int

    async def analytics(self, chargebox_id: str) -> object:
        for attempt in range(1, self.attempts + 1):
            try:
                return await self.get(
                    f"{self.access.base_url}/analytics/{chargebox_id}",
                    {"X-Api-Key": self.access.api_key},
                    {},
                )
            except self.errors:
                if attempt == self.attempts:
                    raise
        return None


class PlainAiohttp:
    """A loop over aiohttp."""

    name = "aiohttp loop"
    errors: tuple[type[Exception], ...] = (
        aiohttp.ClientError,
        TimeoutError,
        json.JSONDecodeError,
    )

    @asynccontextmanager
    async def _open(self, patience: Patience) -> AsyncGenerator[tuple[Get, Post], None]:
        timeout = aiohttp.ClientTimeout(total=patience.total, sock_read=patience.read)
        async with aiohttp.ClientSession(timeout=timeout) as session:

            async def get(url: str, headers: dict[str, str], params: dict[str, Any]) -> Any:
                async with session.get(url, headers=headers, params=params) as response:
                    response.raise_for_status()
                    return await response.json()

            async def post(url: str, client_id: str, client_secret: str) -> Any:
                auth = aiohttp.encode_basic_auth(client_id, client_secret)
                async with session.post(
                    url,
                    data={"grant_type": "client_credentials"},
                    headers={"Authorization": auth},
                ) as response:
                    response.raise_for_status()
                    return await response.json()

            yield get, post

    @asynccontextmanager
    async def depot(
        self,
        access: Access,
        patience: Patience = Patience(),  # noqa: B008 - immutable
    ) -> AsyncGenerator[Depot, None]:
        async with self._open(patience) as (get, post):
            yield _PlainDepot(access, get, _Token(access, post), self.errors, patience.attempts)

    @asynccontextmanager
    async def thor(
        self,
        access: Access,
        patience: Patience = Patience(),  # noqa: B008
    ) -> AsyncGenerator[Thor, None]:
        async with self._open(patience) as (get, _):
            yield _PlainThor(access, get, self.errors, patience.attempts)


class PlainHttpx(PlainAiohttp):
    """A loop over httpx."""

    name = "httpx loop"
    errors = (httpx.HTTPError, json.JSONDecodeError)

    @asynccontextmanager
    async def _open(self, patience: Patience) -> AsyncGenerator[tuple[Get, Post], None]:
        # httpx has no limit for the whole of a call.
        async with httpx.AsyncClient(timeout=patience.read) as client:

            async def get(url: str, headers: dict[str, str], params: dict[str, Any]) -> Any:
                response = await client.get(url, headers=headers, params=params)
                response.raise_for_status()
                return response.json()

            async def post(url: str, client_id: str, client_secret: str) -> Any:
                response = await client.post(
                    url,
                    data={"grant_type": "client_credentials"},
                    auth=(client_id, client_secret),
                )
                response.raise_for_status()
                return response.json()

            yield get, post
