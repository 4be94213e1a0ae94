"""The hand-written loop over httpx, which is a dependency of the comparison only."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx

from tests.promises.candidates import Limits
from tests.promises.loops import Http, loop_over


@attrs.frozen
class _Httpx:
    client: httpx.AsyncClient

    async def get(self, url: str, headers: dict[str, str], params: dict[str, Any]) -> Any:
        response = await self.client.get(url, headers=headers, params=params)
        response.raise_for_status()
        return response.json()

    async def fetch_token(self, url: str, client_id: str, client_secret: str) -> Any:
        data = {"grant_type": "client_credentials"}
        response = await self.client.post(url, data=data, auth=(client_id, client_secret))
        response.raise_for_status()
        return response.json()


@asynccontextmanager
async def _open_httpx(limits: Limits) -> AsyncGenerator[Http, None]:
    # httpx has no time limit for a whole call.
    async with httpx.AsyncClient(timeout=limits.read) as client:
        yield _Httpx(client)


HTTPX_LOOP = loop_over("httpx loop", (httpx.HTTPError, json.JSONDecodeError), _open_httpx)
