"""Measures clusters of 1 and 2 workers, works out a backfill: `python benchmarks/scaling.py`."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import IO

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import attrs
from distributed import Client, LocalCluster

from benchmarks import tables
from benchmarks.backfill import Cost, duration, history, pages_of
from benchmarks.command import marked_file, round_count
from benchmarks.conduct import running_python
from benchmarks.servers import ids, rendered
from depotclient.dask import read_session_reports
from depotclient.partitions import MARGIN, ReadSettings, plan, read_table
from depotclient.sandbox import DepotSandbox

CHARGER, CONNECTORS, REPORTS_EACH = "CP-FLEET", 24, 60
FROM, TO = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
LATENCIES = (0.0, 0.2)
WORKERS = (1, 2)
ROUNDS = 5

BACKFILL_CONNECTORS, BACKFILL_MONTHS, SESSIONS_A_DAY = 10_000, 36, 4.0
QUOTAS = ((4, math.inf), (16, math.inf), (64, math.inf), (64, 10.0), (64, 50.0))


@attrs.frozen
class Run:
    """One reading of all connectors."""

    seconds: float
    requests: int
    tokens: int


class Server:
    """The process with the sandbox, which is asked by lines on its stdin."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin, self._stdout = stdin, stdout
        self.environment: dict[str, str] = json.loads(stdout.readline())

    def restart(self, latency: float) -> tuple[int, int]:
        """Answer so late from now on; how many requests, and for tokens, there were before."""
        print(latency, file=self._stdin, flush=True)
        requests, tokens = json.loads(self._stdout.readline())
        return requests, tokens


async def serve() -> None:
    """Serve reports that are written out beforehand, until stdin is closed."""
    sandbox = DepotSandbox(chargers={CHARGER: ids(CONNECTORS)}, sessions=0)
    for report in rendered(REPORTS_EACH):
        for connector_id in ids(CONNECTORS):
            sandbox.insert(CHARGER, connector_id, report)
    async with sandbox:
        print(json.dumps(sandbox.environment), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            sandbox.latency = float(line)
            print(json.dumps([len(sandbox.requests), len(sandbox.token_requests)]), flush=True)
            sandbox.requests.clear()
            sandbox.token_requests.clear()


@contextmanager
def server() -> Generator[Server]:
    """The server, while it runs."""
    # What it complains of is shown at once: a pipe that nobody reads would fill up.
    with running_python("-m", "benchmarks.scaling", "--serve", errors=None) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the server has no pipes")
        yield Server(process.stdin, process.stdout)


def settings_of(server: Server) -> ReadSettings:
    """The server's credentials."""
    given = server.environment
    return ReadSettings(
        client_id=given["DEPOT_CLIENT_ID"],
        client_secret=given["DEPOT_CLIENT_SECRET"],
        base_url=given["DEPOT_BASE_URL"],
        token_url=given["DEPOT_TOKEN_URL"],
    )


def read(server: Server, latency: float) -> Run:
    """Read everything by the cluster that there is."""
    server.restart(latency)
    connectors = [(CHARGER, name) for name in ids(CONNECTORS)]
    frame = read_session_reports(connectors, FROM, TO, settings=settings_of(server))
    begin = time.perf_counter()
    found = sum(frame.map_partitions(len, meta=("count", int)).compute())
    seconds = time.perf_counter() - begin
    if found != CONNECTORS * REPORTS_EACH:
        raise RuntimeError(f"{found} reports were read")
    return Run(seconds, *server.restart(0.0))


def cpu_a_report(server: Server, report_bytes: int) -> float:
    """Seconds of CPU for one report, in one process; those that are read again count as well."""
    server.restart(0.0)
    partitions = plan([(CHARGER, name) for name in ids(CONNECTORS)], FROM, TO)
    begin = time.process_time()
    read_table(partitions, settings_of(server))
    return (time.process_time() - begin) / (CONNECTORS * sum(pages_of(REPORTS_EACH, report_bytes)))


def measured(
    rounds: int, server: Server, report_bytes: int
) -> tuple[dict[tuple[int, float], list[Run]], list[float]]:
    """All runs, by workers and latency, in turns; and the CPU times."""
    runs: dict[tuple[int, float], list[Run]] = {}
    cpu: list[float] = []
    for turn in range(rounds):
        cpu.append(cpu_a_report(server, report_bytes))
        for workers in WORKERS if turn % 2 == 0 else reversed(WORKERS):
            with (
                LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as it,
                Client(it),
            ):
                read(server, 0.0)  # imports
                for latency in LATENCIES:
                    runs.setdefault((workers, latency), []).append(read(server, latency))
            print(f"round {turn + 1} of {rounds}, workers: {workers}", file=sys.stderr)
    return runs, cpu


def report(runs: dict[tuple[int, float], list[Run]], cpu: list[float], report_bytes: int) -> str:
    """The tables."""
    total = CONNECTORS * REPORTS_EACH
    cost = median(cpu)
    rows = [["workers", "the server answers after", "reports per second", "MB/s", "simulated"]]
    for (workers, latency), found in sorted(runs.items(), key=lambda item: item[0][::-1]):
        rate = total / median(run.seconds for run in found)
        pages = [pages_of(REPORTS_EACH, report_bytes)] * CONNECTORS
        simulated = total / duration(pages, workers, Cost(latency, latency, cost))
        rows.append(
            [
                str(workers),
                f"{latency * 1000:.0f} ms",
                f"{rate:,.0f}",
                f"{rate * report_bytes / 1e6:,.0f}",
                f"{simulated:,.0f}",
            ]
        )
    asked = runs[WORKERS[0], 0.0][0]
    size = f"{report_bytes / 1000:,.0f} kB"
    fleet = f"{CONNECTORS} connectors of {REPORTS_EACH} reports of {size}, one partition each"
    whole = f"{BACKFILL_CONNECTORS:,} connectors, {BACKFILL_MONTHS} months"
    machine = f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores"
    return f"""\
**Measured: {fleet}**

{tables.table(*rows)}

Such a partition took {asked.requests / CONNECTORS:.1f} requests, {asked.tokens / CONNECTORS:.1f} \
for a token, and {cost * 1000:.2f} ms of a worker's CPU for each report that came.

**Requests that a window takes, at {size} a report**

{tables.table(*requests_table(report_bytes))}

**Simulated: {whole}, {SESSIONS_A_DAY:g} sessions a day of {size}**

{tables.table(*backfill_table(cost, report_bytes))}

Medians of {len(cpu)} rounds. {machine}."""


def requests_table(report_bytes: int) -> Iterator[list[str]]:
    """Windows of some sizes."""
    yield ["reports in the window and its margins", "requests", "requests per report"]
    for reports in (0, 1, 10, 30, 100, 300, 1000):
        requests = len(pages_of(reports, report_bytes))
        share = f"{requests / reports:.3f}" if reports else "-"
        yield [f"{reports:,}", str(requests), share]


def backfill_table(cpu: float, report_bytes: int) -> Iterator[list[str]]:
    """The backfill under some quotas."""
    yield ["at once", "requests per second", "takes", "reports per second", "MB/s"]
    margin = MARGIN / timedelta(days=1)
    counts = list(history(BACKFILL_CONNECTORS, BACKFILL_MONTHS, SESSIONS_A_DAY, margin))
    pages = [pages_of(count, report_bytes) for count in counts]
    reports = BACKFILL_CONNECTORS * BACKFILL_MONTHS * SESSIONS_A_DAY * 365.25 / 12
    latency = LATENCIES[-1]
    for slots, rate in QUOTAS:
        seconds = duration(pages, slots, Cost(latency, latency, cpu), rate)
        yield [
            str(slots),
            "no limit" if rate == math.inf else f"at most {rate:g}",
            f"{seconds / 86_400:.1f} days" if seconds > 86_400 else f"{seconds / 3600:.1f} hours",
            f"{reports / seconds:,.0f}",
            f"{reports / seconds * report_bytes / 1e6:,.0f}",
        ]


def main() -> None:
    """Measure, simulate, and print or write the tables."""
    parser = argparse.ArgumentParser(prog="python benchmarks/scaling.py", description=__doc__)
    parser.add_argument("--rounds", type=round_count, default=ROUNDS, help=f"by default {ROUNDS}")
    parser.add_argument(
        "--write",
        type=marked_file,
        metavar="FILE.md",
        help=f"put the tables between {tables.BEGIN} and {tables.END}",
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
        return
    sizes = [len(report) for report in rendered(REPORTS_EACH)]
    with server() as running:
        report_bytes = sum(sizes) // len(sizes)
        text = report(*measured(given.rounds, running, report_bytes), report_bytes)
    if given.write is None:
        print(text)
    else:
        tables.put(given.write, text)


if __name__ == "__main__":
    main()
