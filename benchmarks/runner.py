"""Processes of a benchmark: the servers, and one process per measurement, interleaved."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs

from benchmarks.metrics import Figures
from benchmarks.targets import Medians, Target, measured_targets
from benchmarks.workloads import BY_KEY, Row, Sizes, Workload

ROOT = Path(__file__).resolve().parents[1]
MAX_SECONDS = 600
"""Longest time of one measurement."""

PACKAGES = ("aiohttp", "attrs", "cattrs", "httpx", "msgspec", "pyarrow", "pydantic")


class MeasurementFailed(Exception):
    """A process ended without figures."""


@attrs.frozen
class Results:
    """Figures of all rounds, by workload and row."""

    sizes: Sizes
    rounds: defaultdict[tuple[str, str], list[Figures]] = attrs.field(
        factory=lambda: defaultdict(list)
    )

    @property
    def workloads(self) -> list[Workload]:
        """Return the workloads that were measured."""
        return [BY_KEY[key] for key in dict.fromkeys(key for key, _ in self.rounds)]

    def medians(self) -> Medians:
        """Return the median of all rounds of each figure."""
        return {
            (workload, row, metric): statistics.median(figures[metric] for figures in rounds)
            for (workload, row), rounds in self.rounds.items()
            for metric in rounds[0]
        }

    def environment(self) -> str:
        """Describe the machine and the versions on one line."""
        parts = [
            datetime.now(UTC).date().isoformat(),
            f"Python {platform.python_version()}",
            f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            *(f"{name} {version(name)}" for name in PACKAGES),
        ]
        return ", ".join(parts)

    def missed(self, share: float) -> list[Target]:
        """Return the targets that miss the given share of their bound."""
        medians = self.medians()
        return [t for t in measured_targets(medians) if not t.is_met(medians, share)]


@contextmanager
def run_python(
    *arguments: str, stderr: int | None = subprocess.PIPE, under: Sequence[str] = ()
) -> Generator[subprocess.Popen[str]]:
    """Run a Python process, and kill it at the end of the block.

    The process has its own group: Ctrl-C ends this process, which then ends the others.

    Args:
        *arguments: Arguments of Python.
        stderr: Receiver of errors.
        under: Command that runs Python, such as that of a profiler.
    """
    # Without compiled files, each start compiles the checkout, but not the installed packages.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(  # noqa: S603
        [*under, sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def run_servers(sizes: Sizes) -> Generator[dict[str, Any]]:
    """Run the servers. Yield the addresses once all reports are rendered."""
    # Errors go to the terminal: a pipe that nothing reads would fill up.
    arguments = ("-m", "benchmarks.servers", json.dumps(attrs.asdict(sizes)))
    with run_python(*arguments, stderr=None) as process:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise MeasurementFailed("the servers did not start")
        yield json.loads(line)


def read_output(process: subprocess.Popen[str], name: str, line: str = "") -> str:
    """Send a line to a process and return its output."""
    try:
        output, errors = process.communicate(line, timeout=MAX_SECONDS)
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"{name} did not end within {MAX_SECONDS} s") from None
    if process.returncode:
        raise MeasurementFailed(f"{name} failed:\n{errors}")
    return output


def measure(workload: Workload, row: Row, sizes: Sizes, servers: dict[str, Any]) -> Figures:
    """Return the figures of one row."""
    name = f"{workload.key} {row.name}"
    task = {
        "workload": workload.key,
        "row": attrs.asdict(row),
        "sizes": attrs.asdict(sizes),
        "servers": servers,
    }
    with run_python("-m", "benchmarks.measure") as process:
        figures: Figures = json.loads(read_output(process, name, json.dumps(task)))
    return figures


def rotate(rows: Sequence[Row], rounds: int) -> Iterator[tuple[int, Row]]:
    """Yield each row once per round. Each round starts with another row."""
    for number in range(rounds):
        start = number % len(rows)
        for row in (*rows[start:], *rows[:start]):
            yield number + 1, row


def run(
    keys: Sequence[str],
    sizes: Sizes,
    rounds: int,
    progress: Callable[[str], None],
    *,
    share: float = 1.0,
    again: int = 0,
) -> Results:
    """Measure some workloads.

    Args:
        keys: Keys of the workloads to measure.
        sizes: Amount of work.
        rounds: Rounds of each workload.
        progress: Called with a line for each measurement.
        share: Share of each target that must be reached.
        again: How often to repeat the rounds of workloads that miss a target. All rounds count:
            a slow minute of the machine then changes the median less.

    Raises:
        MeasurementFailed: A candidate or a server failed.
    """
    if "W11" not in keys:
        # Its reports take 15 s to render.
        sizes = attrs.evolve(sizes, scaled=0)
    results = Results(sizes)
    progress(f"rendering {sizes.distinct:,} reports")
    with run_servers(sizes) as servers:
        pending = list(keys)
        for _ in range(again + 1):
            for key in pending:
                _run_rounds(BY_KEY[key], rounds, results, servers, progress)
            pending = list(dict.fromkeys(target.workload for target in results.missed(share)))
    return results


def _run_rounds(
    workload: Workload,
    rounds: int,
    results: Results,
    servers: dict[str, Any],
    progress: Callable[[str], None],
) -> None:
    count, metric = workload.rounds(rounds), workload.metrics[0]
    for number, row in rotate(workload.rows_of(results.sizes), count):
        figures = measure(workload, row, results.sizes, servers)
        results.rounds[workload.key, row.name].append(figures)
        text = metric.format(figures[metric.key])
        progress(f"{workload.key}, round {number} of {count}: {row.name}: {text}")
