"""Clients of sandboxes."""

from __future__ import annotations

from typing import Any

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox


def account_of(sandbox: DepotSandbox) -> dict[str, Any]:
    """Return the sandbox's client credentials and addresses."""
    return {
        "client_id": sandbox.client_id,
        "client_secret": sandbox.client_secret,
        "base_url": sandbox.base_url,
        "token_url": sandbox.token_url,
    }


def client_of(sandbox: DepotSandbox, **options: Any) -> DepotClient:
    """Return a client with the sandbox's client credentials."""
    return DepotClient(**account_of(sandbox), **options)
