"""Server process of the benchmarks: prints its addresses as JSON, and ends when stdin closes."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.workloads import (
    CHARGEBOXES,
    DISTANT_LATENCY,
    EXPORT,
    FLEET,
    FLEET_REPORTS,
    LATENCY,
    LOAD,
    SCALE,
    SCALE_START,
    SCALES,
    WALK,
    Sizes,
)
from depotclient.sandbox import DepotSandbox, ReportShape
from depotclient.sandbox.simulation import render, simulate_sessions
from evtransport.testing.sandbox import Sandbox
from thorclient.sandbox import ThorSandbox


def connector_ids(count: int) -> list[str]:
    """Return the ids "1", "2" and so on."""
    return [str(number) for number in range(1, count + 1)]


def depot_sandbox(
    reports: list[bytes],
    fleet: int = 0,
    exported: int = 0,
    loaded: int = 0,
    latency: float = 0.0,
) -> DepotSandbox:
    """Return a server of the given reports.

    Args:
        reports: Reports of the connector of W2.
        fleet: Number of connectors of W5.
        exported: Number of reports of each connector of W8.
        loaded: Number of reports of each connector of W9 and W10.
        latency: Seconds added to each response.
    """
    charger_id, connector_id = WALK
    copies = {EXPORT: exported, LOAD: loaded}
    ids = {
        charger_id: [connector_id],
        FLEET: connector_ids(fleet),
        **{charger: connector_ids(count) for charger, count in copies},
    }
    sandbox = DepotSandbox(chargers=ids, sessions=0, latency=latency)
    sandbox.add(charger_id, connector_id, *reports)
    for index, connector_id in enumerate(ids[FLEET]):
        numbers = range(index * FLEET_REPORTS, (index + 1) * FLEET_REPORTS)
        sandbox.add(FLEET, connector_id, *(reports[number % len(reports)] for number in numbers))
    for (charger, _), copied in copies.items():
        for connector_id in ids[charger]:
            sandbox.add(charger, connector_id, *reports[:copied])
    return sandbox


def add_small_reports(sandbox: DepotSandbox, count: int) -> None:
    """Add the connectors of W11 with up to this many reports, of about 2 kB."""
    plans = simulate_sessions(0, SCALE, "1", count, start=SCALE_START)
    reports = [render(plan, ReportShape.small()) for plan in plans]
    for number in SCALES:
        sandbox.add(SCALE, str(number), *reports[:number])


async def serve(sizes: Sizes) -> None:
    """Serve until stdin is closed."""
    # Reports are rendered once, so serving them only copies bytes.
    reports = [render(plan, ReportShape()) for plan in simulate_sessions(0, *WALK, sizes.distinct)]
    exported, loaded = sizes.exported // EXPORT[1], sizes.loaded // LOAD[1]
    depot = depot_sandbox(reports[: sizes.reports], sizes.connectors, exported, loaded)
    add_small_reports(depot, sizes.scaled)
    slow = depot_sandbox(reports[: sizes.slow_reports], latency=LATENCY)
    distant = depot_sandbox(reports[: sizes.distant_reports], latency=DISTANT_LATENCY)
    thor = ThorSandbox(chargeboxes=CHARGEBOXES)
    async with depot, slow, distant, thor:
        addresses = {
            "depot": (depot.base_url, depot.token),
            "slow": (slow.base_url, slow.token),
            "distant": (distant.base_url, distant.token),
            "thor": (thor.base_url, thor.api_key),
        }
        print(json.dumps(addresses), flush=True)
        clearing = asyncio.create_task(clear_requests(depot, slow, distant, thor))
        await asyncio.to_thread(sys.stdin.read)
        clearing.cancel()


async def clear_requests(*sandboxes: Sandbox) -> None:
    """Clear the recorded requests every second to keep the memory of the servers small."""
    while True:
        await asyncio.sleep(1.0)
        for sandbox in sandboxes:
            sandbox.requests.clear()


if __name__ == "__main__":
    asyncio.run(serve(Sizes(**json.loads(sys.argv[1]))))
