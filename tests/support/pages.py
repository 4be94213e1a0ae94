"""Correct responses of a small session report API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

from depotclient import ApiError, DepotClient
from evtransport.http import Request
from evtransport.transport import Transport
from tests.support.wire import Received, Script, reply

T = TypeVar("T")

ANALYTICS = json.dumps(
    {"active_since": "2026-01-01T00:00:00Z"}
    | {
        name: {"last_7": 1, "last_30": 2, "last_60": 3}
        for name in ("charges", "disconnections", "energy", "users")
    }
).encode()
"""Body of a response with analytics."""


def page_of(ids: Sequence[int], charger_id: str = "CP-001", connector_id: str = "1") -> bytes:
    """Return a page of session reports with these ids and a few other fields."""
    items = [{"sessionId": n, "vehicleId": f"BUS-{n % 7}", "energySocEnd": n % 100} for n in ids]
    return _encode_page(items, {"chargerId": charger_id, "connectorId": connector_id})


def query_of(request: Received) -> dict[str, str]:
    """Return the decoded query of a request."""
    return dict(parse_qsl(urlsplit(request.target).query))


def pages_of(ids: Sequence[int], *, max_limit: int = 2000) -> Callable[[Received], bytes]:
    """Return a function that returns the requested page of these ids."""

    def page(request: Received) -> bytes:
        query = query_of(request)
        rows = _select_rows(ids, query, max_limit)
        return page_of(rows, query["chargerId"], query["connectorId"])

    return page


def served(items: Sequence[Mapping[str, object]]) -> Script:
    """Send the requested page of these session reports, whatever the window."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        query = query_of(request)
        await reply(_encode_page(_select_rows(items, query), query))(request, reader, writer)

    return play


class PageTransport:
    """Transport that returns the requested page of some session reports, without a server.

    Attributes:
        items: Session reports, as objects or as JSON texts.
        body: Body of all responses, instead of a page.
        queries: Queries of the requests.
        stalls: True if only the first request gets a response.
    """

    reporter = None

    def __init__(self, items: Sequence[object] = (), body: bytes | None = None) -> None:
        self.items = items
        self.body = body
        self.queries: list[dict[str, str]] = []
        self.stalls = False

    async def send(self, request: Request[T]) -> T:
        """Return the decoded page after one iteration of the event loop."""
        query = dict(request.query)
        self.queries.append(query)
        await asyncio.sleep(0)
        if self.stalls and query is not self.queries[0]:
            await asyncio.Event().wait()
        if self.body is not None:
            return request.decode(self.body)
        return request.decode(_encode_page(_select_rows(self.items, query), query))

    def describe(self, request: Request[T], error: ApiError) -> None:
        """Set the attributes of an error that name a request."""
        request.describe(error)

    def redact(self, text: str) -> str:
        """Return a text, which has no credentials."""
        return text

    def retire_connections(self) -> None:
        """Do nothing: there are no connections."""

    def client(self) -> DepotClient:
        """Return a client that uses this transport."""
        client = DepotClient(token="t0k3n")
        client._transport = cast(Transport, self)
        return client


def _encode_page(items: Sequence[Any], query: Mapping[str, str]) -> bytes:
    texts = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in items]
    ids = {"ChargerID": query["chargerId"], "ConnectorID": query["connectorId"]}
    return b'{"items": [%s], %s' % (b", ".join(texts), json.dumps(ids).encode()[1:])


def _select_rows(rows: Sequence[T], query: Mapping[str, str], max_limit: int = 2000) -> Sequence[T]:
    page, limit = int(query["page"]), min(int(query["limit"]), max_limit)
    return rows[(page - 1) * limit : page * limit]
