"""The process with the servers: it prints their addresses as one line and ends with its stdin."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.protocol import Access, Servers
from benchmarks.workloads import (
    CHARGEBOXES,
    EXPORT,
    FLEET,
    LATENCY,
    REPORTS_EACH,
    WALK,
    Sizes,
)
from depotclient.sandbox import DepotSandbox, ReportShape
from depotclient.sandbox.simulation import render, simulate_sessions
from evtransport.testing.sandbox import Sandbox
from thorclient.sandbox import ThorSandbox

TIDY_SECONDS = 1.0


def rendered(count: int) -> list[bytes]:
    """So many reports of the default shape, written out: serving them is then mere copying."""
    shape = ReportShape()
    return [render(plan, shape) for plan in simulate_sessions(0, *WALK, count)]


def depot(
    reports: list[bytes],
    connectors: int = 0,
    exported: list[bytes] | None = None,
    latency: float = 0.0,
) -> DepotSandbox:
    """A server of these reports; the connectors of the fleet share them.

    Args:
        reports: Of the connector that is walked.
        connectors: Of the fleet.
        exported: Of each connector that is exported.
        latency: Seconds.
    """
    charger_id, connector_id = WALK
    fleet, (exporter, count) = ids(connectors), EXPORT
    chargers = {charger_id: [connector_id], FLEET: fleet, exporter: ids(count)}
    sandbox = DepotSandbox(chargers=chargers, sessions=0, latency=latency)
    for report in reports:
        sandbox.insert(charger_id, connector_id, report)
    for place, connector_id in enumerate(fleet):
        for n in range(REPORTS_EACH):
            report = reports[(place * REPORTS_EACH + n) % len(reports)]
            sandbox.insert(FLEET, connector_id, report)
    for connector_id in ids(count):
        for report in exported or ():
            sandbox.insert(exporter, connector_id, report)
    return sandbox


def ids(count: int) -> list[str]:
    """So many connector ids."""
    return [str(number) for number in range(1, count + 1)]


async def serve(sizes: Sizes) -> None:
    """Serve until stdin is closed."""
    reports = rendered(sizes.distinct)
    exported = reports[: sizes.exported // EXPORT[1]]
    quick = depot(reports[: sizes.reports], sizes.connectors, exported)
    slow = depot(reports[: sizes.far], latency=LATENCY)
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
    asyncio.run(serve(Sizes(**json.loads(sys.argv[1]))))
