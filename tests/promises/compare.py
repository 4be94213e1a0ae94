"""Measure the promises of this library and of hand-written loops, and print the figures.

`--figures FILE` reads this library's figures from a file of `pytest tests/promises --full -n0
--figures FILE`. `--write` writes docs/explanation/promises.json, and the page made from it.
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

from tests.promises import page  # noqa: E402 - needs the path
from tests.promises.candidates import OURS, Candidate  # noqa: E402
from tests.promises.httpx_loop import HTTPX_LOOP  # noqa: E402
from tests.promises.loops import AIOHTTP_LOOP  # noqa: E402
from tests.promises.page import Measured  # noqa: E402
from tests.support.figures import Figures, line  # noqa: E402
from tests.support.retries import no_retry_delays  # noqa: E402

CANDIDATES: dict[str, Candidate] = {
    candidate.name: candidate for candidate in (OURS, AIOHTTP_LOOP, HTTPX_LOOP)
}
# R14 and R16 have no loop to compare with.
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


def measure_in_process(promise: str, name: str) -> Figures | str:
    """Return the figures, or an error as text: a loop may crash, hang or exhaust the memory."""
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
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure_all(promises: list[str], recorded: dict[str, Figures]) -> Measured:
    """Return the figures by promise and candidate, and print them. Leave out what failed."""
    measured: dict[str, dict[str, Figures]] = {}
    for promise in promises:
        for name in CANDIDATES:
            known = recorded.get(promise) if name == OURS.name else None
            figures = known or measure_in_process(promise, name)
            text = figures if isinstance(figures, str) else line(figures)
            print(f"{promise} {name}: {text}", flush=True)
            if not isinstance(figures, str):
                measured.setdefault(promise, {})[name] = figures
    for promise in sorted(recorded.keys() - set(PROMISES)):
        print(f"{promise} {OURS.name}: {line(recorded[promise])}")
        measured[promise] = {OURS.name: recorded[promise]}
    return measured


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("promises", nargs="*", metavar="PROMISE", help=f"of {', '.join(PROMISES)}")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="figures of this library")
    parser.add_argument("--write", action="store_true", help="write the figures and their page")
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
    measured = measure_all(options.promises or list(PROMISES), recorded)
    if options.write:
        page.FIGURES.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        page.main()


if __name__ == "__main__":
    main()
