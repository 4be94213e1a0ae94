"""Clients of sandboxes."""

from __future__ import annotations

from typing import Any

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox


def client_of(sandbox: DepotSandbox, **options: Any) -> DepotClient:
    """A client with the sandbox's client credentials."""
    return DepotClient(
        client_id=sandbox.client_id,
        client_secret=sandbox.client_secret,
        base_url=sandbox.base_url,
        token_url=sandbox.token_url,
        **options,
    )
