"""Compare both clients with hand-written alternatives: `python benchmarks/run.py --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    # Start from the parent folder: `benchmarks` is then a package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import picture
from benchmarks.metrics import CLEAR_REFS
from benchmarks.report import format_report, replace_figures
from benchmarks.runner import MeasurementFailed, run
from benchmarks.workloads import BY_KEY, FULL, SHORT

MET, MISSED, FAILED, INTERRUPTED = 0, 1, 2, 130


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Compare both clients with hand-written alternatives. Exit status: "
        f"{MET} all targets reached, {MISSED} a target missed, {FAILED} a candidate failed."
    )
    option = parser.add_argument
    option("--short", action="store_true", help="do less work, for a first look or for CI")
    option("--rounds", type=int, help="rounds of each workload (5; 3 with --short)")
    option(
        "--only", nargs="+", choices=BY_KEY, default=[*BY_KEY], metavar="W", help=" ".join(BY_KEY)
    )
    option("--share", type=float, default=1.0, help="share of each target to reach (1.0)")
    option("--again", type=int, default=0, help="repetitions of workloads that miss a target (0)")
    option("--write", type=Path, metavar="FILE.md", help="replace the tables in a document")
    option("--picture", type=Path, metavar="FOLDER", help="write the picture of W11 into a folder")
    options = parser.parse_args(arguments)
    if not 0 < options.share <= 1:
        parser.error("--share must be greater than 0 and at most 1")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.picture and (options.short or "W11" not in options.only):
        parser.error("--picture requires W11 without --short")
    if not CLEAR_REFS.exists():
        parser.error(f"memory is measured with {CLEAR_REFS}, which only Linux has")
    return options


def report_progress(line: str) -> None:
    """Print a line to stderr."""
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the figures. Return the exit status."""
    options = parse_options(arguments)
    try:
        results = run(
            options.only,
            SHORT if options.short else FULL,
            options.rounds or (3 if options.short else 5),
            report_progress,
            share=options.share,
            again=options.again,
        )
    except MeasurementFailed as error:
        report_progress(str(error))
        return FAILED
    except KeyboardInterrupt:
        report_progress("interrupted")
        return INTERRUPTED
    report = format_report(results)
    print(report, end="\n\n")
    if options.write:
        replace_figures(options.write, report)
    if options.picture:
        picture.write(options.picture, picture.measured(results.medians()))
    missed = results.missed(options.share)
    for target in missed:
        print(f"missed {options.share:.0%} of: {target.workload} {target.title}")
    return MISSED if missed else MET


if __name__ == "__main__":
    sys.exit(main())
