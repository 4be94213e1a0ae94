"""Runs the processes of a benchmark: the servers, and one child a measurement, interleaved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks.protocol import Figures, Servers, Task
from benchmarks.results import Results
from benchmarks.workloads import Entry, Sizes, Workload

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
LONGEST = 600
"""Seconds that one child may take."""


class ChildFailed(Exception):
    """A process has ended without figures."""


@contextmanager
def running_python(
    *arguments: str, errors: int | None = subprocess.PIPE
) -> Generator[subprocess.Popen[str]]:
    """A process of Python's, killed at the end of the block if it is still there.

    It is in a process group of its own, so that Ctrl-C reaches this process only, which then ends
    all others in order.
    """
    # Where compiled modules are not kept, what stands in a checkout is compiled at each start and
    # what is installed is not.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(  # noqa: S603
        [PYTHON, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def running_servers(sizes: Sizes) -> Generator[Servers]:
    """The servers, once all reports are written out."""
    told = json.dumps(attrs.asdict(sizes))
    # What they echo_error of is shown at once: a pipe that nobody reads would fill up.
    with running_python("-m", "benchmarks.servers", told, errors=None) as process:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise ChildFailed("the servers have not started")
        yield Servers.from_line(line)


def _output_of(process: subprocess.Popen[str], name: str, line: str) -> str:
    """What a child prints."""
    try:
        output, errors = process.communicate(line, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"{name} has not ended after {LONGEST} s") from None
    if process.returncode:
        raise ChildFailed(f"{name} has failed:\n{errors}")
    return output


def measured(task: Task) -> Figures:
    """The figures of one child."""
    name = f"{task.workload} {task.entry.name}"
    if task.entry.statement is not None:
        return _start_time(name, task.entry.statement)
    with running_python("-m", "benchmarks.child") as process:
        figures: Figures = json.loads(_output_of(process, name, task.to_line() + "\n"))
    return figures


def _start_time(name: str, statement: str) -> Figures:
    """How long a program takes, from its start to its end, that does nothing else."""
    started = time.perf_counter()
    with running_python("-c", statement) as process:
        _output_of(process, name, "")
        seconds = time.perf_counter() - started
    return {"seconds": seconds}


def rotations(entries: Sequence[Entry], rounds: int) -> Iterator[tuple[int, Entry]]:
    """Everybody once a round, each round beginning with another one."""
    for number in range(rounds):
        first = number % len(entries)
        for entry in (*entries[first:], *entries[:first]):
            yield number + 1, entry


Doubt = Callable[[Results], Collection[str]]
"""The workloads, by key, of which more rounds are wanted."""


def run(
    workloads: Sequence[Workload],
    sizes: Sizes,
    rounds: int,
    progress: Callable[[str], None],
    *,
    again: int = 0,
    doubt: Doubt = lambda _: (),
) -> Results:
    """Measure all of these.

    Args:
        workloads: What is measured, and by whom.
        sizes: How much there is to do.
        rounds: Of each workload that does not say otherwise.
        progress: Told of each measurement.
        again: How often what is in doubt gets as many rounds more. All rounds count: a bad minute
            of the machine is outvoted then, and a good one does not stand alone.
        doubt: Asked each time that all is measured.

    Raises:
        ChildFailed: One contestant, or the server, could not do its work.
    """
    results = Results(sizes)
    progress(f"writing out {sizes.distinct:,} reports")
    with running_servers(sizes) as servers:
        for workload in workloads:
            _measure(workload, rounds, results, servers, progress)
        for _ in range(again):
            doubted = doubt(results)
            for workload in workloads:
                if workload.key in doubted:
                    progress(f"{workload.key}, again")
                    _measure(workload, rounds, results, servers, progress)
    return results


def _measure(
    workload: Workload,
    rounds: int,
    results: Results,
    servers: Servers,
    progress: Callable[[str], None],
) -> None:
    """Add the rounds of one workload to the results."""
    count = workload.rounds(rounds)
    for entry in workload.entries:
        if entry.statement is not None:  # have it compiled, and in the system's cache
            measured(Task(workload.key, entry, results.sizes, servers))
    for number, entry in rotations(workload.entries, count):
        figures = measured(Task(workload.key, entry, results.sizes, servers))
        results.rounds[workload.key, entry.name].append(figures)
        gauge = workload.gauges[0]
        progress(
            f"{workload.key}, round {number} of {count}: {entry.name}: "
            f"{gauge.text(figures[gauge.key])}"
        )
