"""Options shared by the commands, and the client that they choose."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

import typer

from depotclient.client import DepotClient
from depotclient.partitions.calendar import Connector
from depotclient.text import TIME, parse_time

__all__ = ["FROM", "TO", "open_client"]


def _parse_time(text: str) -> datetime | None:
    try:
        return parse_time("value", text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


FROM = typer.Option(
    "--from", metavar="T", parser=_parse_time, help=f"Start of the time span: {TIME}"
)
TO = typer.Option(
    "--to", metavar="T", parser=_parse_time, help="End of the time span. Default: now."
)


@asynccontextmanager
async def open_client(sandbox: bool) -> AsyncGenerator[tuple[DepotClient, list[Connector]]]:
    """Yield a client, and the connectors of the built-in sandbox if the client uses it.

    Raises:
        ValueError: The environment has no credentials.
    """
    if not sandbox:
        async with DepotClient.from_env() as client:
            yield client, []
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
        yield client, [(charger, n) for charger, ids in server.chargers.items() for n in ids]
