"""Measure what `follow` costs while nothing happens: `python benchmarks/following.py --help`.

A depot has 13 sessions a day on each connector. After the first round, no session is new.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final
from unittest.mock import patch

if __name__ == "__main__":
    # Start from the parent folder: `benchmarks` is then a package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import attrs

from benchmarks.costs import BEGIN, serving
from depotclient import DepotClient, SessionReport, reports
from depotclient.follow import FollowRun
from depotclient.pages import RawPage, split_page
from depotclient.partitions import Connector
from depotclient.query import Query

NOW: Final = BEGIN + timedelta(days=7, hours=2)
ROUNDS: Final = 3
SIZES: Final = (1, 10, 100, 1000)
INTERVALS: Final = (1, 5, 15)
"""Minutes between two rounds."""


@attrs.frozen
class Round:
    """Mean cost of one round of one connector.

    Attributes:
        requests: Number of requests.
        read: Size of the responses, in bytes, before their compression.
        seconds: Time of the processor, in seconds.
    """

    requests: float
    read: float
    seconds: float

    def hourly(self, connectors: int, minutes: int) -> Round:
        """Return the cost of an hour. Each connector has requests of its own."""
        factor = connectors * 60 / minutes
        return Round(self.requests * factor, self.read * factor, self.seconds * factor)


async def measure(base_url: str, token: str, ids: Sequence[Connector], lag: timedelta) -> Round:
    """Return the mean cost of the readings after the first one of each connector."""
    every, started = timedelta(seconds=len(ids) / 2), time.monotonic()
    received = asyncio.Event()
    readings = defaultdict[str, defaultdict[str, list[int]]](partial(defaultdict, list))

    def count(query: Query, body: bytes) -> RawPage:
        # A reading ends at the time at which it began.
        readings[query.label][str(query.to)].append(len(body))
        received.set()
        return split_page(query, body)

    async def begun(number: int) -> None:
        while len(readings) < len(ids) or any(len(each) < number for each in readings.values()):
            received.clear()
            await received.wait()

    async with DepotClient(token=token, base_url=base_url) as depot:
        depot.now = lambda: NOW + timedelta(seconds=time.monotonic() - started)
        follow = depot.follow(ids, since=BEGIN, every=every, lag=lag)
        with patch.object(reports, "split_page", count):
            async with follow.run() as items:
                reading = asyncio.create_task(drain(items))
                await begun(2)
                used = time.process_time()
                await begun(2 + ROUNDS)
                used = time.process_time() - used
                reading.cancel()
                await asyncio.wait([reading])
    # The last reading of a connector may be incomplete.
    sizes = [pages for each in readings.values() for pages in [*each.values()][1:-1]]
    read = sum(map(sum, sizes)) / len(sizes)
    return Round(sum(map(len, sizes)) / len(sizes), read, used / (ROUNDS * len(ids)))


async def drain(items: FollowRun[SessionReport]) -> None:
    """Take all items. Raise the first error."""
    async for item in items:
        if item.error is not None:
            raise item.error


def rows_of(cost: Round) -> Iterator[str]:
    """Yield the rows of a Markdown table: the costs of an hour."""
    yield "| connectors | " + " | ".join(f"every {minutes} min" for minutes in INTERVALS) + " |"
    yield "|---" * (1 + len(INTERVALS)) + "|"
    for connectors in SIZES:
        hours = [cost.hourly(connectors, minutes) for minutes in INTERVALS]
        cells = (f"{hour.requests:,.0f} requests, {hour.read / 1e9:,.2f} GB" for hour in hours)
        yield f"| {connectors:,} | " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the costs."""
    parser = argparse.ArgumentParser(description="Measure what follow costs while nothing happens.")
    option = parser.add_argument
    option("--connectors", type=int, default=10, help="number of connectors, an even number (10)")
    option("--size", choices=["real", "small"], default="real", help="reports of about 250 or 3 kB")
    option("--lag", type=float, nargs="+", default=[1.0], metavar="DAYS", help="lags in days (1)")
    options = parser.parse_args(arguments)
    ids = [(f"CP-{1 + n // 2:03}", str(1 + n % 2)) for n in range(options.connectors)]
    with serving(options.connectors, options.size) as (base_url, token):
        for days in options.lag:
            cost = asyncio.run(measure(base_url, token, ids, timedelta(days=days)))
            print(
                f"lag {days:g} d, a round of a connector: {cost.requests:.2f} requests,"
                f" {cost.read / 1e6:.2f} MB, {cost.seconds * 1000:.1f} ms"
            )
            print(*rows_of(cost), sep="\n", flush=True)


if __name__ == "__main__":
    main()
