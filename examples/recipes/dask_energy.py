"""Sum up the energy of vehicles with Dask: `python dask_energy.py connectors.csv 2026-01-01`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from distributed import Client, Semaphore

from depotclient.dask import read_session_reports
from depotclient.text import read_connectors


def main(connectors: str, start: str) -> None:
    """Print the five vehicles that charged the most energy, in kWh."""
    with Client():  # Without an address, this starts a local cluster.
        reports = read_session_reports(
            read_connectors(Path(connectors)),
            datetime.fromisoformat(start).replace(tzinfo=UTC),
            columns=["vehicle_id", "energy_charge_start", "energy_charge_end"],
            semaphore=Semaphore(max_leases=4, name="depot-api"),
        )
        kwh = (reports["energy_charge_end"] - reports["energy_charge_start"]) / 1000
        print(kwh.groupby(reports["vehicle_id"]).sum().compute().nlargest(5))


if __name__ == "__main__":
    main(*sys.argv[1:])
