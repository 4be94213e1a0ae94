"""Measure the promises of this library and of hand-written loops, and print one table.

`--figures FILE` reads this library's figures from a file of `pytest tests/promises --full -n0
--figures FILE`. `--write FILE` writes the table between the two marks of a Markdown file.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from benchmarks.report import replace_figures  # noqa: E402 - needs the path
from tests.promises.candidates import OURS, Candidate  # noqa: E402
from tests.promises.httpx_loop import HTTPX_LOOP  # noqa: E402
from tests.promises.loops import AIOHTTP_LOOP  # noqa: E402
from tests.support.figures import Figures, line  # noqa: E402
from tests.support.retries import no_retry_delays  # noqa: E402

CANDIDATES: dict[str, Candidate] = {
    candidate.name: candidate for candidate in (OURS, AIOHTTP_LOOP, HTTPX_LOOP)
}
# R14 has no loop to compare with.
PROMISES = {
    f"R{int(path.stem[6:8])}": path.stem
    for path in sorted(HERE.glob("test_r[0-9][0-9]_*.py"))
    if "async def measure(" in path.read_text()
}
TIME_LIMIT = 600
"""Time limit of one promise and candidate, in seconds."""


async def measure(promise: str, candidate: Candidate) -> Figures:
    """Return the figures of one promise."""
    function = importlib.import_module(f"tests.promises.{PROMISES[promise]}").measure
    with no_retry_delays():
        figures: Figures = await function(candidate, full=False)
    return figures


def measure_in_process(promise: str, name: str) -> str:
    """Return the figures as text, or an error: a loop may crash, hang or exhaust the memory."""
    command = [sys.executable, __file__, "--one", promise, name]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {TIME_LIMIT} s"
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        return f"failed: {last[:80]}"
    return line(json.loads(done.stdout.splitlines()[-1]))


def table(promises: list[str], recorded: dict[str, Figures]) -> str:
    """Return a Markdown table with a row for each promise and a column for each candidate."""
    rows = ["| | " + " | ".join(CANDIDATES) + " |", "|---|" + "---|" * len(CANDIDATES)]
    for promise in promises:
        cells = [
            line(recorded[promise])
            if name == OURS.name and promise in recorded
            else measure_in_process(promise, name)
            for name in CANDIDATES
        ]
        rows.append(f"| {promise} | " + " | ".join(cells).replace(", ", "<br>") + " |")
        print(rows[-1], file=sys.stderr, flush=True)
    for promise in sorted(recorded.keys() - set(PROMISES)):
        rows.append(f"| {promise} | " + line(recorded[promise]).replace(", ", "<br>") + " |  |  |")
    return "\n".join(rows)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("promises", nargs="*", metavar="PROMISE", help=f"of {', '.join(PROMISES)}")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="figures of this library")
    parser.add_argument("--write", type=Path, metavar="FILE", help="Markdown file with the marks")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.promises) - set(PROMISES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(PROMISES)}")
    if options.one:
        promise, name = options.one
        logging.disable()
        print(json.dumps(dict(asyncio.run(measure(promise, CANDIDATES[name])))))
        return
    recorded = json.loads(options.figures.read_text()) if options.figures else {}
    text = table(options.promises or list(PROMISES), recorded)
    print(text)
    if options.write:
        replace_figures(options.write, text)


if __name__ == "__main__":
    main()
