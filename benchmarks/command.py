"""The command line: what to measure, where to write it, and what counts as a failure."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks import tables
from benchmarks.conduct import ChildFailed, run
from benchmarks.gauges import CLEAR_REFS
from benchmarks.targets import misses, outcomes, short_of, summary
from benchmarks.workloads import FULL, GROUPS, SHORT, WORKLOADS

ROUNDS, SHORT_ROUNDS = 5, 3
MET, MISSED, FAILED, INTERRUPTED = 0, 1, 2, 130


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most 1: {text}")
    return share


def _count(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}: {text}")
    return int(text)


def round_count(text: str) -> int:
    """How many rounds somebody asks for."""
    return _count(text, 1)


def _times(text: str) -> int:
    return _count(text, 0)


def _new_file(text: str) -> Path:
    file = Path(text)
    if not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {file.parent}")
    return file


def _picture(text: str) -> Path:
    # Found out now, and not after half an hour; imported only when everything is measured.
    if find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError("matplotlib draws it and is not installed")
    return _new_file(text)


def marked_file(text: str) -> Path:
    file = Path(text)
    try:
        tables.require_marks(file)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return file


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(
        prog="python benchmarks/run.py",
        description="Compares both clients with what users would write instead. The exit status "
        f"is {MET} if all targets were met, {MISSED} if one was missed, {FAILED} if a contestant "
        "failed.",
    )
    option = found.add_argument
    option("--short", action="store_true", help="do less, for a first look or for CI")
    option("--rounds", type=round_count, help=f"by default {ROUNDS}, with --short {SHORT_ROUNDS}")
    option("--only", nargs="+", choices=GROUPS, default=GROUPS, metavar="W", help=" ".join(GROUPS))
    option("--json", type=_new_file, metavar="FILE", help="write every figure of every round")
    option("--plot", type=_picture, metavar="FILE", help="draw the medians, as PNG")
    option(
        "--write",
        type=marked_file,
        metavar="FILE.md",
        help=f"put the tables between {tables.BEGIN} and {tables.END}",
    )
    option(
        "--least",
        type=_share,
        default=1.0,
        metavar="SHARE",
        help="be content with this share of each target, such as 0.8",
    )
    option(
        "--again",
        type=_times,
        default=0,
        metavar="TIMES",
        help="measure what falls short again, up to so many times; all rounds count",
    )
    return found


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write; the exit status."""
    options = parser().parse_args(arguments)
    if not CLEAR_REFS.exists():
        _progress(f"memory is measured by {CLEAR_REFS}, which only Linux has")
        return FAILED
    try:
        results = run(
            [workload for workload in WORKLOADS if workload.group in options.only],
            SHORT if options.short else FULL,
            options.rounds or (SHORT_ROUNDS if options.short else ROUNDS),
            _progress,
            again=options.again,
            doubt=lambda results: {
                outcome.target.workload
                for outcome in short_of(outcomes(results.medians()), options.least)
            },
        )
    except ChildFailed as error:
        _progress(str(error))
        return FAILED
    except KeyboardInterrupt:
        _progress("interrupted")
        return INTERRUPTED
    report = tables.report(results)
    print(report, end="\n\n")
    if options.json:
        options.json.write_text(json.dumps(results.to_json(), indent=1) + "\n", encoding="utf-8")
    if options.plot:
        from benchmarks.plot import draw

        draw(results, options.plot)
    if options.write:
        tables.put(options.write, report)
    found = outcomes(results.medians())
    missed = misses(found, options.least)
    for line in missed:
        print(line)
    print(summary(found, options.least))
    return MISSED if missed else MET
