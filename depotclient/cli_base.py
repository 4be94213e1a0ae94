"""What the commands of `depotclient` share: whom to ask, and how a time is typed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import attrs

from depotclient.client import DepotClient
from depotclient.partitions import Connector

__all__ = ["TIME", "Connected", "connected", "connector_named", "read_time"]

TIME = (
    "ISO 8601, such as 2026-01-31T18:00:00+01:00 or ...Z; a plain date is its midnight,"
    " and a time without an offset is taken as UTC."
)


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
    from depotclient.sandbox import DepotSandbox

    async with (
        DepotSandbox() as server,
        DepotClient(
            client_id=server.client_id,
            client_secret=server.client_secret,
            base_url=server.base_url,
            token_url=server.token_url,
        ) as client,
    ):
        known = ((charger, name) for charger, names in server.chargers.items() for name in names)
        yield Connected(client, tuple(known))


def read_time(name: str, text: str | None) -> datetime | None:
    """A time in UTC from what was typed; one without an offset is UTC already.

    Raises:
        ValueError: It is no time in ISO 8601, or beyond the years 1 to 9999 in UTC.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{name} must be a date or time in ISO 8601, such as 2026-01-31T18:00:00Z, not {text!r}"
        ) from None


def connector_named(text: str) -> Connector:
    """The connector that was typed as CHARGER/CONNECTOR.

    Raises:
        ValueError: It was typed otherwise.
    """
    charger, slash, connector = text.rpartition("/")
    if not (slash and charger and connector):
        raise ValueError(f"a connector is named as CHARGER/CONNECTOR, such as CP-001/1: {text!r}")
    return charger, connector
