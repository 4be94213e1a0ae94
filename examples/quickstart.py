"""Print the sessions of one connector: `python quickstart.py CHARGER CONNECTOR`."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

from depotclient import DepotClient


async def main(charger_id: str, connector_id: str) -> None:
    """Walk all sessions since the start of 2026."""
    async with DepotClient.from_env() as depot:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        async for report in depot.session_reports(charger_id, connector_id, from_=start):
            print(report.session_id, report.vehicle_id, len(report.session_meter_values))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
