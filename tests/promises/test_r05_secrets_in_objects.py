"""R5: no object of the API shows a secret."""

from __future__ import annotations

import json
import pprint
from collections.abc import Callable
from itertools import product
from typing import Any

import attrs
import cattrs
import msgspec
from rich.pretty import pretty_repr

from depotclient import Cursor, DepotClient
from tests.promises.candidates import CHARGEBOX
from tests.promises.secret_search import (
    API_KEY,
    CLIENT_ID,
    CLIENT_SECRET,
    CONNECTOR_TOKEN,
    TOKEN,
    TOKEN_RESPONSE,
    Search,
    attempt,
    copied,
    pickled,
    state_of,
)
from tests.support.pages import ANALYTICS, pages_of
from tests.support.responses import serve
from tests.support.wire import Received, Wire
from thorclient import RetryPolicy, Secret, ThorClient

CHARGEBOX_BODY = json.dumps(
    {"id": CHARGEBOX, "connectors": [{"type": "ccs", "token": CONNECTOR_TOKEN}]}
).encode()


def body_of(request: Received) -> bytes:
    """Return the correct body for any request of either client."""
    if "/analytics/" in request.target:
        return ANALYTICS
    if "/chargeboxes/" in request.target:
        return CHARGEBOX_BODY
    return pages_of(range(1, 25))(request)


def as_dict(value: Any) -> str:
    return repr(attrs.asdict(value) if attrs.has(type(value)) else getattr(value, "__dict__", None))


WAYS: dict[str, Callable[[object], str]] = {
    "json": lambda value: json.dumps(value, default=str),
    "msgspec": lambda value: msgspec.json.encode(value).decode(),
    "msgspec with str": lambda value: msgspec.json.encode(value, enc_hook=str).decode(),
    "msgspec.to_builtins": lambda value: repr(msgspec.to_builtins(value)),
    "cattrs": lambda value: repr(cattrs.unstructure(value)),
    "repr": repr,
    "format": format,
    "pprint": pprint.pformat,
    "rich": pretty_repr,
    "__dict__, recursively": state_of,
    "attrs.asdict": as_dict,
    "pickle": pickled,
    "copy": copied,
}


def parts_of(client: ThorClient | DepotClient) -> list[object]:
    """Return a client with the objects that it consists of."""
    transport = client._transport
    options = client.with_options(retry=RetryPolicy(attempts=1))
    return [client, options, transport, transport.auth, transport.auth.secrets]


async def results_of(client: ThorClient | DepotClient) -> list[object]:
    """Return the results of calls."""
    if isinstance(client, ThorClient):
        chargebox = await client.get_chargebox(CHARGEBOX)
        (connector,) = chargebox.connectors
        assert connector.token == Secret(CONNECTOR_TOKEN)
        return [await client.get_analytics(CHARGEBOX), chargebox, connector, connector.token]
    reports = client.session_reports("CP-001", "1", limit=10)
    page = await anext(reports.pages())
    async with reports.walk() as walk:
        report, cursor = await anext(walk), str(walk.cursor)
        parsed = Cursor.parse(cursor)
        iterator = aiter(reports)
        return [reports, report, walk, iterator, page, page.reports, walk.cursor, cursor, parsed]


async def test_no_object_shows_a_secret() -> None:
    search = Search()
    async with (
        Wire(default=serve(body_of)) as api,
        Wire(default=serve(lambda _: TOKEN_RESPONSE)) as tokens,
    ):
        clients: list[ThorClient | DepotClient] = [
            ThorClient(api_key=API_KEY, base_url=api.url),
            DepotClient(token=TOKEN, base_url=api.url),
            DepotClient(
                client_id=CLIENT_ID,
                client_secret=CLIENT_SECRET,
                base_url=api.url,
                token_url=tokens.url,
            ),
        ]
        for client in clients:
            async with client:
                objects = [*parts_of(client), *await results_of(client), *parts_of(client)]
                for value, (way, show) in product(objects, WAYS.items()):
                    search.probe(type(value).__name__, way, attempt(show, value))
        assert tokens.received
    assert search.probes > 300
    assert search.found == []
