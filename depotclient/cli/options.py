"""Options shared by the commands, and the client that they choose."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import typer

from depotclient.client import DepotClient
from depotclient.partitions.calendar import Connector
from depotclient.text import TIME, parse_connector, parse_time, read_connectors

__all__ = ["ACCEPT_DELETIONS", "CONCURRENCY", "CONNECTOR", "CONNECTORS", "FILE", "FROM"]
__all__ += ["SINCE", "TO"]
__all__ += ["open_client", "parse_connectors", "parse_one_connector", "select_connectors"]

CONNECTOR = "CHARGER/CONNECTOR"
"""Name of an argument that is a connector."""


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
SINCE = typer.Option(
    "--since",
    metavar="T",
    parser=_parse_time,
    help="Show sessions that start from then on. It applies to connectors that the state does not"
    f" know yet. Default: one day ago, for sessions in progress. {TIME}",
)
CONNECTORS: Final = typer.Argument(
    metavar=CONNECTOR,
    help="Connectors, such as CP-001/1. Write a slash in an id as %2F.",
    show_default=False,
)
FILE: Final = typer.Option(
    "--connectors",
    metavar="FILE",
    help="File with more connectors: CP-001/1 or CP-001,1 on each line. - is standard input.",
)
ACCEPT_DELETIONS: Final = typer.Option(
    "--accept-deletions", help="Remove sessions that the server no longer has. Default: keep them."
)
CONCURRENCY: Final = typer.Option(metavar="N", help="Number of connectors to read at once.")


def parse_connectors(texts: Sequence[str]) -> list[Connector]:
    """Return the connectors in strings such as `CP-001/1`.

    Raises:
        ValueError: A string has a different form, such as `CP-001 1`.
    """
    for first, second in pairwise(texts):
        if "/" not in first and "/" not in second:
            raise ValueError(
                f"expected {CONNECTOR}, such as CP-001/1; did you mean {first}/{second}?"
            )
    return [parse_connector(text) for text in texts]


def select_connectors(texts: Sequence[str], file: str | None) -> list[Connector]:
    """Return the connectors of the arguments and of the file of `--connectors`.

    Call it outside of the event loop, where a signal ends the wait for a pipe.

    Raises:
        ValueError: A connector is invalid, or the file contains none.
        OSError: The file can't be read.
    """
    selected = parse_connectors(texts)
    if file is None:
        return selected
    path = Path("/dev/stdin" if file == "-" else file)
    found = read_connectors(path)
    if not found:
        raise ValueError(f"{path} contains no connector: its lines must be {CONNECTOR}")
    return selected + found


def parse_one_connector(text: str, others: Sequence[str]) -> Connector:
    """Return the connector of the last argument of a command.

    Args:
        text: The argument.
        others: Further arguments, which are an error.

    Raises:
        ValueError: The text has a different form, or there are other arguments.
    """
    connector, *extra = parse_connectors([text, *others])
    if extra:
        raise ValueError(f"expected one {CONNECTOR}, got {' '.join([text, *others])}")
    return connector


@asynccontextmanager
async def open_client(
    sandbox: bool, *, live: bool = False
) -> AsyncGenerator[tuple[DepotClient, list[Connector]]]:
    """Yield a client, and the connectors of the built-in sandbox if the client uses it.

    Args:
        sandbox: Use the sandbox.
        live: Let sessions end while the sandbox runs.

    Raises:
        ValueError: The environment has no credentials.
    """
    if not sandbox:
        async with DepotClient.from_env() as client:
            yield client, []
        return
    from depotclient.sandbox.server import DepotSandbox

    async with (
        DepotSandbox(live=live) as server,
        DepotClient(
            client_id=server.client_id,
            client_secret=server.client_secret,
            base_url=server.base_url,
            token_url=server.token_url,
            proxy=False,
        ) as client,
    ):
        yield client, [(charger, n) for charger, ids in server.chargers.items() for n in ids]
