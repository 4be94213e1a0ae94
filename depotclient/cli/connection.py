"""What the commands of `depotclient` share: whom to ask."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs

from depotclient.client import DepotClient
from depotclient.partitions.calendar import Connector

__all__ = ["Connected", "connected"]


@attrs.frozen
class Connected:
    """A client, and where it asks a sandbox, what that knows."""

    client: DepotClient
    sandbox_connectors: tuple[Connector, ...] = ()


@asynccontextmanager
async def connected(sandbox: bool) -> AsyncGenerator[Connected]:
    """A client by the environment, or of a sandbox that runs as long.

    Raises:
        ValueError: The environment has no credentials.
    """
    if not sandbox:
        async with DepotClient.from_env() as client:
            yield Connected(client)
        return
    from depotclient.sandbox.server import DepotSandbox

    async with (
        DepotSandbox() as server,
        DepotClient(
            client_id=server.client_id,
            client_secret=server.client_secret,
            base_url=server.base_url,
            token_url=server.token_url,
            proxy=False,
        ) as client,
    ):
        known = ((charger, name) for charger, names in server.chargers.items() for name in names)
        yield Connected(client, tuple(known))
