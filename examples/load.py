"""Load sessions into a database from code: `python load.py depot.duckdb CP-001 CP-002`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from depotclient import DepotClient
from depotclient.database import load_session_reports


async def main(target: str, chargers: Sequence[str]) -> None:
    """Load the sessions of connector 1 of each charger since January."""
    async with DepotClient.from_env() as client:
        depot = client.with_options(limiter=asyncio.Semaphore(8))
        load = await load_session_reports(
            depot,
            [(charger, 1) for charger in chargers],
            target,
            from_=datetime(2026, 1, 1, tzinfo=UTC),
            lag=timedelta(days=3),
        )
    for connector in load.connectors:
        print(connector.name, connector.new, "new,", connector.changed, "changed")
    for connector in load.failed:
        print(f"{connector.name}: {connector.error!r}", file=sys.stderr)
    raise SystemExit(bool(load.failed))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
