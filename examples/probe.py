"""Measure an account and print settings that suit it: `python probe.py CHARGER CONNECTOR FILE`.

FILE gets the profile, for `DepotSandbox(profile=FILE)`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from depotclient import DepotClient
from depotclient.probe import Measurement, measure, recommend


async def measure_account(charger_id: str, connector_id: str) -> Measurement:
    """Send at most 40 requests, which only read."""
    async with DepotClient.from_env() as depot:
        return await measure(depot, charger_id, connector_id)


def main(charger_id: str, connector_id: str, file: Path) -> None:
    """Write the profile, and print what is unknown and two of the settings."""
    measurement = asyncio.run(measure_account(charger_id, connector_id))
    file.write_bytes(measurement.profile.to_json())
    for name, reason in measurement.reasons.items():
        print(f"unknown: {name}, because {reason}", file=sys.stderr)
    settings = recommend(measurement.profile)
    print(f"lag={settings.lag.value}: {settings.lag.reason}")
    print(f"margin={settings.margin.value}: {settings.margin.reason}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
