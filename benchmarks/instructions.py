"""Instructions of a small call: `python -m benchmarks.instructions`.

valgrind counts the instructions of the client's process. The server is another process. Other
programs on the machine hardly change the number.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from itertools import cycle, islice

import attrs

from benchmarks.candidates.base import Access
from benchmarks.measure import load_candidate
from benchmarks.report import format_table
from benchmarks.runner import MeasurementFailed, read_output, run_python, run_servers
from benchmarks.workloads import CHARGEBOX_IDS, SHORT, format_number

CANDIDATES = {"ours": "ours:FULL", "aiohttp-json": "loops:JSON"}
FEW, MANY = 200, 1200  # numbers of calls, whose difference leaves out imports and connections
SIZES = attrs.evolve(SHORT, reports=20, slow_reports=20, connectors=1, exported=10, loaded=10)
VALGRIND = (
    *("env", "PYTHONHASHSEED=0"),
    *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1"),
)
_COLLECTED = re.compile(r"Collected : (\d+)")


async def make_calls(candidate: str, calls: int, access: Access) -> None:
    """Make small calls."""
    async with load_candidate(candidate).thor(access) as poll:
        await poll(islice(cycle(CHARGEBOX_IDS), calls), lambda: None)


def count_call(candidate: str, access: list[str]) -> float:
    """Return the instructions of one small call."""
    few, many = (count_instructions(candidate, calls, access) for calls in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def count_instructions(candidate: str, calls: int, access: list[str]) -> int:
    """Return the instructions of a process that makes some small calls.

    Raises:
        MeasurementFailed: The process failed.
    """
    arguments = ("-m", "benchmarks.instructions", candidate, str(calls))
    with run_python(*arguments, under=VALGRIND) as process:
        return parse_count(
            read_output(process, f"{calls} calls of {candidate}", json.dumps(access))
        )


def parse_count(output: str) -> int:
    """Return the number of instructions in the output of valgrind.

    Raises:
        MeasurementFailed: The output has no such number.
    """
    if found := _COLLECTED.search(output):
        return int(found[1])
    raise MeasurementFailed(f"valgrind counted nothing:\n{output}")


def format_counts(counts: dict[str, float]) -> str:
    """Return a Markdown table of the instructions of a call."""
    rows = [["", "instructions of a call", "ours against it"]]
    for name, count in counts.items():
        rows.append([name, f"{count:,.0f}", f"{format_number(count / counts['ours'])} x"])
    return format_table(rows)


def main(arguments: list[str]) -> int:
    """Count and print. Return the exit status."""
    if arguments:
        candidate, calls = arguments
        access = Access(*json.loads(sys.stdin.read()))
        asyncio.run(make_calls(candidate, int(calls), access))
        return 0
    if shutil.which("valgrind") is None:
        print("instructions are counted with valgrind, which is not installed", file=sys.stderr)
        return 2
    with run_servers(SIZES) as servers:
        counts = {name: count_call(each, servers["thor"]) for name, each in CANDIDATES.items()}
    print(format_counts(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
