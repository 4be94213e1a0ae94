"""The right answers of a small session report API, for servers that then spoil them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from tests.support.wire import Received, Script, answer

T = TypeVar("T")

ANALYTICS = json.dumps(
    {"active_since": "2026-01-01T00:00:00Z"}
    | {
        name: {"last_7": 1, "last_30": 2, "last_60": 3}
        for name in ("charges", "disconnections", "energy", "users")
    }
).encode()
"""The right answer to a call for analytics."""


def page_of(ids: Sequence[int], charger_id: str = "CP-001", connector_id: str = "1") -> bytes:
    """A page with these session reports, which hold little more than their ids."""
    items = [{"sessionId": n, "vehicleId": f"BUS-{n % 7}", "energySocEnd": n % 100} for n in ids]
    return _page(items, charger_id, connector_id)


def _page(items: Sequence[object], charger_id: str, connector_id: str) -> bytes:
    return json.dumps(
        {"items": items, "ChargerID": charger_id, "ConnectorID": connector_id}
    ).encode()


def query_of(request: Received) -> dict[str, str]:
    """The query of a request, decoded."""
    return dict(parse_qsl(urlsplit(request.target).query))


def pages_of(ids: Sequence[int], *, max_limit: int = 2000) -> Callable[[Received], bytes]:
    """Answers with the page of these ids that a request asks for."""

    def page(request: Received) -> bytes:
        query = query_of(request)
        return page_of(_asked(ids, query, max_limit), query["chargerId"], query["connectorId"])

    return page


def served(items: Sequence[Mapping[str, object]]) -> Script:
    """Answers with the page of these session reports that a request asks for, in any window."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        query = query_of(request)
        body = _page(_asked(items, query), query["chargerId"], query["connectorId"])
        await answer(body)(request, reader, writer)

    return play


def _asked(rows: Sequence[T], query: Mapping[str, str], max_limit: int = 2000) -> Sequence[T]:
    page, limit = int(query["page"]), min(int(query["limit"]), max_limit)
    return rows[(page - 1) * limit : page * limit]
