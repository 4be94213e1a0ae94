"""Sum up the energy of one connector: `python into.py CHARGER CONNECTOR`."""

from __future__ import annotations

import asyncio
import sys

import attrs

from depotclient import DepotClient


@attrs.frozen
class Energy:
    """Energy counters of a session, in Wh. Its meter values are not decoded."""

    energy_charge_start: float | None
    energy_charge_end: float | None


async def main(charger_id: str, connector_id: str) -> None:
    """Add up the energy of the sessions that have both counters."""
    total = 0.0
    async with DepotClient.from_env() as depot:
        async for session in depot.session_reports(charger_id, connector_id, into=Energy):
            start, end = session.energy_charge_start, session.energy_charge_end
            if start is not None and end is not None:
                total += end - start
    print(f"{total / 1000:.1f} kWh")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
