"""Energy per vehicle, by a Dask cluster: `python dask_energy.py connectors.csv 2026-01-01`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from distributed import Client, Semaphore

from depotclient.dask import read_session_reports
from depotclient.text import read_connectors


# region DOCS
def main(connectors: str, begin: str) -> None:
    """Sum up what each vehicle has charged; the five that charged most."""
    with Client():  # of your cluster; without an address, one on this machine
        reports = read_session_reports(
            read_connectors(Path(connectors)),
            datetime.fromisoformat(begin).replace(tzinfo=UTC),
            columns=["vehicle_id", "energy_charge_start", "energy_charge_end"],
            semaphore=Semaphore(max_leases=4, name="depot-api"),
        )
        kwh = (reports["energy_charge_end"] - reports["energy_charge_start"]) / 1000
        print(kwh.groupby(reports["vehicle_id"]).sum().compute().nlargest(5))


# endregion

if __name__ == "__main__":
    main(*sys.argv[1:])
