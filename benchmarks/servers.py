"""Server process of the benchmarks: prints its addresses as JSON, and ends when stdin closes."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.workloads import CHARGEBOXES, EXPORT, FLEET, FLEET_REPORTS, LATENCY, WALK, Sizes
from depotclient.sandbox import DepotSandbox, ReportShape
from depotclient.sandbox.simulation import render, simulate_sessions
from evtransport.testing.sandbox import Sandbox
from thorclient.sandbox import ThorSandbox


def connector_ids(count: int) -> list[str]:
    """Return the ids "1", "2" and so on."""
    return [str(number) for number in range(1, count + 1)]


def depot_sandbox(
    reports: list[bytes], fleet: int = 0, exported: int = 0, latency: float = 0.0
) -> DepotSandbox:
    """Return a server of the given reports.

    Args:
        reports: Reports of the connector of W2.
        fleet: Number of connectors of W5.
        exported: Number of reports of each connector of W8.
        latency: Seconds added to each response.
    """
    charger_id, connector_id = WALK
    exporter, count = EXPORT
    ids = {charger_id: [connector_id], FLEET: connector_ids(fleet), exporter: connector_ids(count)}
    sandbox = DepotSandbox(chargers=ids, sessions=0, latency=latency)
    for report in reports:
        sandbox.add(charger_id, connector_id, report)
    for index, connector_id in enumerate(ids[FLEET]):
        for number in range(index * FLEET_REPORTS, (index + 1) * FLEET_REPORTS):
            sandbox.add(FLEET, connector_id, reports[number % len(reports)])
    for connector_id in ids[exporter]:
        for report in reports[:exported]:
            sandbox.add(exporter, connector_id, report)
    return sandbox


async def serve(sizes: Sizes) -> None:
    """Serve until stdin is closed."""
    # Reports are rendered once, so serving them only copies bytes.
    reports = [render(plan, ReportShape()) for plan in simulate_sessions(0, *WALK, sizes.distinct)]
    exported = sizes.exported // EXPORT[1]
    depot = depot_sandbox(reports[: sizes.reports], sizes.connectors, exported)
    slow = depot_sandbox(reports[: sizes.slow_reports], latency=LATENCY)
    thor = ThorSandbox(chargeboxes=CHARGEBOXES)
    async with depot, slow, thor:
        addresses = {
            "depot": (depot.base_url, depot.token),
            "slow": (slow.base_url, slow.token),
            "thor": (thor.base_url, thor.api_key),
        }
        print(json.dumps(addresses), flush=True)
        clearing = asyncio.create_task(clear_requests(depot, slow, thor))
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
