"""Sum up the energy of one connector: `python into.py CHARGER CONNECTOR`."""

from __future__ import annotations

import asyncio
import sys

import attrs

from depotclient import DepotClient


# region README
@attrs.frozen
class Energy:
    """The Wh counters of a session; the thousands of meter values are passed over."""

    energy_charge_start: float | None
    energy_charge_end: float | None


async def main(charger_id: str, connector_id: str) -> None:
    """Add up what is known."""
    total = 0.0
    async with DepotClient.from_env() as depot:
        async for it in depot.session_reports(charger_id, connector_id, into=Energy):
            if it.energy_charge_start is not None and it.energy_charge_end is not None:
                total += it.energy_charge_end - it.energy_charge_start
    print(f"{total / 1000:.1f} kWh")


# endregion


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
