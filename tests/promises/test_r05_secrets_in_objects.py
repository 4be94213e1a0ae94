"""R5: no object of the API shows a secret."""

from __future__ import annotations

import json
import pprint
from collections.abc import Callable, Mapping
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
    is_attrs = attrs.has(type(value))
    return repr(attrs.asdict(value) if is_attrs else getattr(value, "__dict__", None))


ENCODERS: dict[str, Callable[[object], str]] = {
    "json": lambda value: json.dumps(value, default=str),
    "msgspec": lambda value: msgspec.json.encode(value).decode(),
    "msgspec with str": lambda value: msgspec.json.encode(value, enc_hook=str).decode(),
    "msgspec.to_builtins": lambda value: repr(msgspec.to_builtins(value)),
    "cattrs": lambda value: repr(cattrs.unstructure(value)),
}
WAYS: dict[str, Callable[[object], str]] = ENCODERS | {
    "repr": repr,
    "str": str,
    "format": format,
    "pprint": pprint.pformat,
    "rich": pretty_repr,
    "__dict__, recursively": state_of,
    "attrs.asdict": as_dict,
    "pickle": pickled,
    "copy": copied,
}


def parts_of(client: ThorClient | DepotClient) -> Mapping[str, object]:
    """Return a client with the objects that it consists of."""
    transport = client._transport
    return {
        "client": client,
        "client with options": client.with_options(retry=RetryPolicy(attempts=1)),
        "transport": transport,
        "credentials": transport.auth,
        "each secret": transport.auth.secrets,
    }


async def results_of(client: ThorClient | DepotClient) -> Mapping[str, object]:
    """Return the results of calls."""
    if isinstance(client, ThorClient):
        chargebox = await client.get_chargebox(CHARGEBOX)
        assert chargebox.connectors[0].token == Secret(CONNECTOR_TOKEN)
        return {
            "analytics": await client.get_analytics(CHARGEBOX),
            "chargebox": chargebox,
            "connector": chargebox.connectors[0],
            "token of a connector": chargebox.connectors[0].token,
        }
    reports = client.session_reports("CP-001", "1", limit=10)
    page = await anext(reports.pages())
    async with reports.walk() as walk:
        return {
            "session reports": reports,
            "report": await anext(walk),
            "walk": walk,
            "iterator": aiter(reports),
            "page": page,
            "reports of a page": page.reports,
            "cursor": walk.cursor,
            "text of a cursor": str(walk.cursor),
            "parsed cursor": Cursor.parse(str(walk.cursor)),
        }


async def test_no_object_shows_a_secret() -> None:
    search = Search()
    async with (
        Wire(default=serve(body_of)) as api,
        Wire(default=serve(lambda _: TOKEN_RESPONSE)) as tokens,
    ):
        clients: dict[str, ThorClient | DepotClient] = {
            "thor": ThorClient(api_key=API_KEY, base_url=api.url),
            "depot, token": DepotClient(token=TOKEN, base_url=api.url),
            "depot, client credentials": DepotClient(
                client_id=CLIENT_ID,
                client_secret=CLIENT_SECRET,
                base_url=api.url,
                token_url=tokens.url,
            ),
        }
        for name, client in clients.items():
            async with client:
                for objects in (parts_of(client), await results_of(client), parts_of(client)):
                    for (part, value), (way, show) in product(objects.items(), WAYS.items()):
                        search.probe(f"{name}, {part}", way, attempt(show, value))
        assert tokens.received
    assert search.probes > 300
    assert search.summary == set()
