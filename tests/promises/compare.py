"""Measures the promises on this library and on the loops that users would write instead.

`python tests/promises/compare.py` prints one table, measured in short; `--figures FILE` takes those
of this library from a file that a test run has written (`pytest tests/promises --full --figures
FILE`), `--write FILE` puts the table between the two marks of a Markdown file.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import inspect
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import stamina

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.promises.contestants import OURS, Contestant  # noqa: E402 - needs the path
from tests.promises.plain import PlainAiohttp, PlainHttpx  # noqa: E402
from tests.support.figures import Figures, line  # noqa: E402

CONTESTANTS: dict[str, Contestant] = {
    contestant.name: contestant for contestant in (OURS, PlainAiohttp(), PlainHttpx())
}
PROMISES = {
    f"R{int(path.stem[6:8])}": path.stem for path in sorted(HERE.glob("test_r[0-9][0-9]_*.py"))
}
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
LONGEST = 600
"""Seconds for one promise and contestant."""


async def measured(promise: str, contestant: Contestant, *, soak: float) -> Figures:
    """The figures of one promise, without the waits before retries."""
    measure = importlib.import_module(f"promises.{PROMISES[promise]}").measure
    options = {"seconds": soak} if "seconds" in inspect.signature(measure).parameters else {}
    with stamina.set_testing(True, attempts=1_000_000, cap=True):
        figures: Figures = await measure(contestant, full=False, **options)
    return figures


def in_a_process(promise: str, name: str, arguments: list[str]) -> str:
    """The figures as text, or how it ended: a loop may crash, hang or eat the memory."""
    command = [sys.executable, __file__, "--one", promise, name, *arguments]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return f"has not ended after {LONGEST} s"
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        return f"ended with {last[:80]}"
    return line(json.loads(done.stdout.splitlines()[-1]))


def table(promises: list[str], arguments: list[str], noted: dict[str, Figures]) -> str:
    """One row a promise, one column a contestant, in Markdown."""
    rows = ["| | " + " | ".join(CONTESTANTS) + " |", "|---|" + "---|" * len(CONTESTANTS)]
    for promise in promises:
        cells = []
        for name in CONTESTANTS:
            print(f"{promise}: {name}", file=sys.stderr, flush=True)
            known = name == OURS.name and promise in noted
            text = line(noted[promise]) if known else in_a_process(promise, name, arguments)
            cells.append(text.replace(", ", "<br>"))
        rows.append(f"| {promise} | " + " | ".join(cells) + " |")
        print(rows[-1], file=sys.stderr, flush=True)
    for promise in sorted(noted.keys() - set(PROMISES)):  # what no loop has
        cells = [line(noted[promise]).replace(", ", "<br>"), *[""] * (len(CONTESTANTS) - 1)]
        rows.append(f"| {promise} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> None:
    """Print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("promises", nargs="*", metavar="PROMISE", help=f"of {', '.join(PROMISES)}")
    parser.add_argument("--soak", type=float, default=6.0, metavar="SECONDS", help="of R15")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="as pytest has written them")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a Markdown file with the marks")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := set(given.promises) - set(PROMISES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PROMISES)}")
    if given.one:
        promise, name = given.one
        logging.disable()
        figures = asyncio.run(measured(promise, CONTESTANTS[name], soak=given.soak))
        print(json.dumps(dict(figures)))
        return
    noted = json.loads(given.figures.read_text()) if given.figures else {}
    text = table(given.promises or list(PROMISES), ["--soak", str(given.soak)], noted)
    print(text)
    if given.write:
        document = given.write.read_text(encoding="utf-8")
        pattern = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
        changed, found = pattern.subn(lambda _: f"\n{text}\n\n", document)
        if not found:
            parser.error(f"{given.write} has no {BEGIN} with {END} behind it")
        given.write.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
