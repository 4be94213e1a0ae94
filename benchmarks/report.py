"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from benchmarks.runner import Results
from benchmarks.targets import Medians, measured_targets
from benchmarks.workloads import Sizes, Workload

START, END = "<!-- figures -->", "<!-- end of figures -->"


def format_report(results: Results) -> str:
    """Return all tables, and the environment in the last line."""
    medians, sizes = results.medians(), attrs.asdict(results.sizes)
    sections = [
        f"**{workload.key}: {workload.title.format(**sizes)}**\n\n"
        + format_table([*workload_rows(workload, results.sizes, medians)])
        for workload in results.workloads
    ]
    sections.append(f"**Targets**\n\n{format_table([*target_rows(medians)])}")
    sections.append(f"Figures are medians. Environment: {results.environment()}.")
    return "\n\n".join(sections)


def workload_rows(workload: Workload, sizes: Sizes, medians: Medians) -> Iterator[list[str]]:
    """Yield the header and the rows of a workload's table."""
    rows = workload.rows_of(sizes)
    main, base = workload.metrics[0], rows[0].name
    has_ratio = len(rows) > 1
    ratio = [f"{main.title}, ratio to {base}"] if has_ratio else []
    yield ["", *(metric.title for metric in workload.metrics), *ratio]
    for row in rows:
        figures = {m.key: medians[workload.key, row.name, m.key] for m in workload.metrics}
        ratio = [f"{figures[main.key] / medians[workload.key, base, main.key]:.2f}"]
        cells = [metric.format(figures[metric.key]) for metric in workload.metrics]
        yield [row.name, *cells, *(ratio if has_ratio else ())]


def target_rows(medians: Medians) -> Iterator[list[str]]:
    """Yield the header and the rows of the table of targets."""
    yield ["", "target", "bound", "figure", ""]
    for target in measured_targets(medians):
        met = "met" if target.is_met(medians) else "missed"
        figure = target.format(target.figure(medians))
        yield [
            target.workload,
            target.title,
            target.bound_text,
            figure,
            met if target.bound else "",
        ]


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table that is readable in a terminal. The first row is the header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join((lines[0], rule, *lines[1:]))


def replace_figures(file: Path, report: str) -> None:
    """Replace the text between the two marks of a Markdown file.

    Raises:
        ValueError: The file lacks the marks.
    """
    before, start, rest = file.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{file} has no marks {START} and {END}")
    file.write_text(f"{before}{start}\n\n{report}\n\n{end}{after}", encoding="utf-8")
