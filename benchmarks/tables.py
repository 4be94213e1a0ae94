"""The results as Markdown: a table of each workload, one of the targets, and where they go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.results import Results
from benchmarks.targets import Medians, Outcome, outcomes
from benchmarks.workloads import DECODED, FILE_PAGES, Sizes, Workload

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def report(results: Results) -> str:
    """All tables; what they were measured on stands below."""
    medians = results.medians()
    sections = [_section(workload, medians, results.sizes) for workload in results.workloads]
    about = "; ".join(f"{name} {text}" for name, text in results.about().items())
    sections += [
        f"**Targets**\n\n{target_table(outcomes(medians))}",
        f"All figures are medians of the rounds, and all ratios those of two medians. {about}.",
    ]
    return "\n\n".join(sections)


def _section(workload: Workload, medians: Medians, sizes: Sizes) -> str:
    parts = [
        f"**{workload.key}: {workload.title}{_amount(workload, sizes)}**",
        table(*_rows(workload, medians)),
    ]
    return "\n\n".join((*parts, workload.note) if workload.note else parts)


def _amount(workload: Workload, sizes: Sizes) -> str:
    match workload.key:
        case "W2" | "W3 requests":
            return f" ({sizes.reports:,} reports)"
        case "W3":
            return f" ({sizes.far:,} reports)"
        case "W4":
            return f" ({sizes.calls:,} calls)"
        case "W5":
            return f" ({sizes.connectors} connectors)"
        case "W7":
            return f" ({FILE_PAGES * DECODED:,} reports)"
        case "W8":
            return f" ({sizes.exported:,} reports)"
        case _:
            return ""


def _rows(workload: Workload, medians: Medians) -> Iterator[list[str]]:
    main = workload.gauges[0]
    heads = ["", *(gauge.title for gauge in workload.gauges)]
    if workload.base is not None:
        heads.append(f"{main.title}, ratio to {workload.base}")
    yield heads
    for entry in workload.entries:
        row = [entry.name]
        row += [
            gauge.text(medians[workload.key, entry.name, gauge.key]) for gauge in workload.gauges
        ]
        if workload.base is not None:
            own = medians[workload.key, entry.name, main.key]
            row.append(f"{own / medians[workload.key, workload.base, main.key]:.2f}")
        yield row


def target_table(found: Sequence[Outcome]) -> str:
    """What was asked, what was reached, and whether that will do."""
    rows = [["", "target", "asked", "reached", ""]]
    for outcome in found:
        target = outcome.target
        reached = target.text(outcome.figure)
        if outcome.beside is not None:
            reached += f" ({target.beside_title}: {target.text(outcome.beside)})"
        rows.append(
            [
                target.workload,
                target.name,
                target.bound_text,
                reached,
                "met" if outcome.is_met else "missed",
            ]
        )
    return table(*rows)


def table(*rows: Sequence[str]) -> str:
    """A Markdown table that can be read in a terminal as well; the first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = (
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join((head, rule, *body))


def require_marks(file: Path) -> None:
    """Raise ValueError unless `put` can write into this file."""
    text = file.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or END not in text.partition(BEGIN)[2]:
        raise ValueError(f"{file} needs one line {BEGIN} and, below it, one line {END}")


def put(file: Path, text: str) -> None:
    """Replace what stands between the two marks of a Markdown file."""
    before, begin, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    file.write_text(f"{before}{begin}\n\n{text}\n\n{END}{after}", encoding="utf-8")
