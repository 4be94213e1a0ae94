"""Measure what a night costs for each target: `python benchmarks/costs.py --help`.

A depot has a session about every two hours on each connector. The first run copies six days, and
the second run, a day later, is the one that counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Final
from unittest.mock import patch

if __name__ == "__main__":
    # Start from the parent folder: `benchmarks` is then a package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import attrs

from depotclient import DepotClient, reports
from depotclient.copying.result import ConnectorCopy, Copy
from depotclient.pages import RawPage, split_page
from depotclient.partitions import Connector, ReadSettings
from depotclient.query import Query
from depotclient.sandbox import DepotSandbox, ReportShape

BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
NIGHTS: Final = (BEGIN + timedelta(days=6, hours=2), BEGIN + timedelta(days=7, hours=2))
SESSIONS: Final = 110
"""Sessions of each connector: more than the sandbox has in seven days."""


@attrs.frozen
class Job:
    """One run into one target.

    Attributes:
        base_url: Address of the API.
        token: Token for it.
        connectors: Number of connectors.
        target: Key of `TARGETS`.
        folder: Folder for the target.
        postgres: Address of a PostgreSQL database.
        now: Time of the run.
    """

    base_url: str
    token: str
    connectors: int
    target: str
    folder: Path
    postgres: str
    now: datetime

    @property
    def ids(self) -> list[Connector]:
        """Return the ids of the connectors, as the sandbox names them."""
        return [(f"CP-{1 + n // 2:03}", str(1 + n % 2)) for n in range(self.connectors)]


@attrs.frozen
class Cost:
    """Cost of a run.

    Attributes:
        requests: Number of requests.
        read: Size of the responses, in bytes.
        seconds: Time of the processor, in seconds, without a database server.
        files: Number of files after the run.
        stored: Size of these files, in bytes.
    """

    requests: int
    read: int
    seconds: float
    files: int
    stored: int


def check(copy: Copy[ConnectorCopy]) -> None:
    """Raise the first error of a copy."""
    for connector in copy.failed:
        raise RuntimeError(f"{connector.name}: {connector.error}")


async def export(job: Job, depot: DepotClient) -> None:
    """Export into a folder of Parquet files."""
    from depotclient.export import export_session_reports

    done = await export_session_reports(depot, job.ids, job.folder / "lake", from_=BEGIN)
    check(done)


async def load(job: Job, depot: DepotClient) -> None:
    """Load into DuckDB, or into PostgreSQL."""
    from depotclient.database import load_session_reports

    target = job.postgres if job.target == "load, PostgreSQL" else job.folder / "depot.duckdb"
    done = await load_session_reports(depot, job.ids, target, from_=BEGIN)
    check(done)


async def pipeline(job: Job, _: DepotClient) -> None:
    """Load into DuckDB with dlt."""
    import dlt

    from depotclient.dlt import session_reports

    resource = session_reports(job.ids, BEGIN, job.now, settings=settings_of(job))
    line = dlt.pipeline(
        "costs",
        destination=dlt.destinations.duckdb(str(job.folder / "depot.duckdb")),
        pipelines_dir=str(job.folder / "dlt"),
    )
    await asyncio.to_thread(line.run, resource)


async def frame(job: Job, _: DepotClient) -> None:
    """Compute one sum with Dask, which keeps nothing: it reads all seven days each time."""
    from depotclient.dask import read_session_reports

    rows = read_session_reports(job.ids, BEGIN, job.now, settings=settings_of(job))
    energy = rows["energy_charge_end"].sum()
    await asyncio.to_thread(energy.compute, scheduler="synchronous")


TARGETS: Final = {
    "folder": export,
    "load, DuckDB": load,
    "load, PostgreSQL": load,
    "dlt, DuckDB": pipeline,
    "Dask": frame,
}


def settings_of(job: Job) -> ReadSettings:
    """Return the settings of engines."""
    return ReadSettings(token=job.token, base_url=job.base_url)


async def run(job: Job) -> None:
    """Run a job with the clock of its night."""
    async with DepotClient(token=job.token, base_url=job.base_url) as depot:
        depot.now = lambda: job.now
        await TARGETS[job.target](job, depot)


def measure(job: Job) -> Cost:
    """Run a job in this process, after both nights of two connectors, which import everything."""
    sizes = list[int]()

    def count(query: Query, body: bytes) -> RawPage:
        sizes.append(len(body))
        return split_page(query, body)

    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    target = "load, DuckDB" if job.target == "load, PostgreSQL" else job.target
    with tempfile.TemporaryDirectory() as name:
        small = attrs.evolve(job, connectors=2, folder=Path(name), target=target)
        for now in NIGHTS:
            asyncio.run(run(attrs.evolve(small, now=now)))
    started = time.process_time()
    with patch.object(reports, "split_page", count):
        asyncio.run(run(job))
    seconds = time.process_time() - started
    files = [path.stat().st_size for path in job.folder.rglob("*") if path.is_file()]
    return Cost(len(sizes), sum(sizes), seconds, len(files), sum(files))


def serve(connectors: int, shape: ReportShape | None) -> None:
    """Serve a depot until stdin closes. The first line of stdout is its address as JSON."""

    async def run() -> None:
        chargers = -(-connectors // 2)
        async with DepotSandbox(
            chargers=chargers, sessions=SESSIONS, start=BEGIN, shape=shape
        ) as sandbox:
            print(json.dumps([sandbox.base_url, sandbox.token]), flush=True)
            await asyncio.to_thread(sys.stdin.read)

    asyncio.run(run())


@contextmanager
def serving(connectors: int, size: str) -> Iterator[tuple[str, str]]:
    """Run a depot in another process. Return its address and its token."""
    command = [sys.executable, __file__, "--serve", "--connectors", str(connectors), "--size", size]
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        line = "" if server.stdout is None else server.stdout.readline()
        base_url, token = json.loads(line)
        try:
            yield base_url, token
        finally:
            server.communicate()


def in_new_process(work: Callable[[Job], Cost], job: Job) -> Cost:
    """Run a job in a process of its own, so that imports and caches are the same for all."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, job).result()


def costs_of(options: argparse.Namespace) -> Iterator[tuple[str, Cost]]:
    """Measure the second night of each target."""
    with serving(options.connectors, options.size) as (base_url, token):
        for target in options.targets:
            with tempfile.TemporaryDirectory() as name:
                jobs = [
                    Job(
                        *(base_url, token, options.connectors, target),
                        *(Path(name), options.postgres, now),
                    )
                    for now in (NIGHTS if target != "Dask" else NIGHTS[1:])
                ]
                yield target, [in_new_process(measure, job) for job in jobs][-1]


def scale(target: str, cost: Cost, factor: float) -> Cost:
    """Return the cost for more connectors. Each connector has requests and files of its own."""
    return Cost(
        round(cost.requests * factor),
        round(cost.read * factor),
        cost.seconds * factor,
        round(cost.files * factor) if target == "folder" else cost.files,
        round(cost.stored * factor),
    )


def row_of(target: str, connectors: int, how: str, cost: Cost) -> str:
    """Return a row of a Markdown table."""
    return (
        f"| {target} | {connectors:,}, {how} | {cost.requests:,} | {cost.read / 1e6:,.0f}"
        f" | {cost.seconds:,.1f} | {cost.files:,} | {cost.stored / 1e6:,.0f} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the costs."""
    parser = argparse.ArgumentParser(description="Measure what a night costs for each target.")
    option = parser.add_argument
    option("--connectors", type=int, default=10, help="number of connectors, an even number (10)")
    option("--scale", type=int, nargs="+", default=[], help="more connectors, to simulate")
    option("--size", choices=["real", "small"], default="real", help="reports of about 250 or 3 kB")
    option("--postgres", default="", help="address of an empty database")
    option("--targets", nargs="+", choices=TARGETS, metavar="TARGET", help=", ".join(TARGETS))
    option("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    shape = ReportShape.small() if options.size == "small" else None
    if options.serve:
        serve(options.connectors, shape)
        return
    options.targets = options.targets or [
        name for name in TARGETS if options.postgres or "PostgreSQL" not in name
    ]
    print("| target | connectors | requests | MB read | seconds | files | MB stored |")
    print("|---|---|---|---|---|---|---|")
    for target, cost in costs_of(options):
        print(row_of(target, options.connectors, "measured", cost), flush=True)
        for connectors in options.scale:
            scaled = scale(target, cost, connectors / options.connectors)
            print(row_of(target, connectors, "simulated", scaled), flush=True)


if __name__ == "__main__":
    main()
