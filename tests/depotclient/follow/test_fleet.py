"""Followers of many connectors keep little in memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

from depotclient.sandbox import DepotSandbox, make_report
from tests.support.polled import BEGIN, DAY, true_time
from tests.support.simulated import InProcessServer, run_simulated

CONNECTORS = [("CP-001", str(number)) for number in range(1, 21)]
CONCURRENCY = 3


async def poll(sandbox: DepotSandbox) -> None:
    """Follow all connectors for 10 s. Two requests of each take 4 s in sum."""
    server = InProcessServer(sandbox)
    async with server.client() as client:
        client.now = true_time
        follow = client.follow(
            CONNECTORS,
            since=BEGIN - 2 * DAY,
            every=timedelta(seconds=1),
            concurrency=CONCURRENCY,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(10), follow.run() as run:
                async for _ in run:
                    pass


def test_few_connectors_are_read_at_the_same_time_even_if_all_are_late() -> None:
    sandbox = DepotSandbox(chargers={}, latency=0.1)
    for number, connector in enumerate(CONNECTORS, 1):
        sandbox.add(*connector, make_report(number, session_time_start=BEGIN - DAY))
    run_simulated(poll(sandbox))
    begun, most = set[str](), 0
    for request in sandbox.requests:
        connector_id = request.query["connectorId"]
        # The second page is empty, and ends the reading.
        (begun.add if request.query["page"] == "1" else begun.discard)(connector_id)
        most = max(most, len(begun))
    assert most == CONCURRENCY
    assert {request.query["connectorId"] for request in sandbox.requests} == {
        connector_id for _, connector_id in CONNECTORS
    }
