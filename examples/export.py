"""Export Parquet files from code: `python export.py lake CP-001 CP-002`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from depotclient import DepotClient
from depotclient.export import export_session_reports


async def main(folder: str, chargers: Sequence[str]) -> None:
    """Export the sessions of connector 1 of each charger since January, one file per month."""
    async with DepotClient.from_env() as client:
        depot = client.with_options(limiter=asyncio.Semaphore(8))
        export = await export_session_reports(
            depot,
            [(charger, 1) for charger in chargers],
            folder,
            from_=datetime(2026, 1, 1, tzinfo=UTC),
            on_progress=lambda p: print(p.charger_id, p.written + p.skipped, "of", p.windows),
        )
    for connector in export.failed:
        print(f"{connector.charger_id}: {connector.error!r}", file=sys.stderr)
    raise SystemExit(bool(export.failed))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
