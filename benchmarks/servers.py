"""The process with the servers: it prints their addresses as one line and ends with its stdin."""

from __future__ import annotations

import asyncio
import sys

from benchmarks.protocol import Access, Servers
from benchmarks.workloads import CHARGEBOXES, FLEET, LATENCY, REPORTS_EACH, WALK
from depotclient.sandbox import DepotSandbox, ReportShape
from depotclient.simulation import render, simulate_sessions
from evtransport.sandbox import Sandbox
from thorclient.sandbox import ThorSandbox

TIDY_SECONDS = 1.0


def rendered(count: int) -> list[bytes]:
    """So many reports of the default shape, written out: serving them is then mere copying."""
    shape = ReportShape()
    return [render(plan, shape) for plan in simulate_sessions(0, *WALK, count)]


def depot(reports: list[bytes], connectors: int, latency: float = 0.0) -> DepotSandbox:
    """A server of these reports; the connectors of the fleet share them."""
    charger_id, connector_id = WALK
    fleet = [str(number) for number in range(1, connectors + 1)]
    chargers = {charger_id: [connector_id], FLEET: fleet}
    sandbox = DepotSandbox(chargers=chargers, sessions=0, latency=latency)
    for report in reports:
        sandbox.insert(charger_id, connector_id, report)
    for place, connector_id in enumerate(fleet):
        for n in range(REPORTS_EACH):
            report = reports[(place * REPORTS_EACH + n) % len(reports)]
            sandbox.insert(FLEET, connector_id, report)
    return sandbox


async def serve(count: int, far: int, connectors: int) -> None:
    """Serve until stdin is closed."""
    reports = rendered(max(count, far))
    quick, slow = depot(reports[:count], connectors), depot(reports[:far], 0, LATENCY)
    thor = ThorSandbox(chargeboxes=CHARGEBOXES)
    async with quick, slow, thor:
        addresses = Servers(
            Access(quick.base_url, quick.token),
            Access(slow.base_url, slow.token),
            Access(thor.base_url, thor.api_key),
        )
        print(addresses.to_line(), flush=True)
        tidying = asyncio.create_task(forget_requests(quick, slow, thor))
        await asyncio.to_thread(sys.stdin.read)
        tidying.cancel()


async def forget_requests(*sandboxes: Sandbox) -> None:
    """Keep the records from piling up: nobody asks for them, and there are a million."""
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        for sandbox in sandboxes:
            sandbox.requests.clear()


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:])))
