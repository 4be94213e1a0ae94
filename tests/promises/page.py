"""Write the table and the picture of docs/explanation/promises.md from the measured figures.

`python tests/promises/page.py` reads promises.json in the folder of the page. `compare.py` writes
that file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.report import replace_figures  # noqa: E402 - needs the path

FOLDER = ROOT / "docs" / "explanation"
FIGURES = FOLDER / "promises.json"
OURS = "this library"
COLORS = {OURS: "#1a7f5a", "aiohttp loop": "#c4622d", "httpx loop": "#7b5ea7"}

Figures = Mapping[str, float]
Measured = Mapping[str, Mapping[str, Figures]]
"""Figures by promise and candidate."""


@attrs.frozen
class Claim:
    """A row of the table. `figure` is a template for the figures of this library."""

    promise: str
    text: str
    figure: str
    test: str


CLAIMS = (
    Claim(
        "R1",
        "A walk neither loses nor duplicates reports if 30 % of the responses fail",
        "{lost:,} lost in {walks:,} walks over {reports each:,}",
        "test_r01_faults",
    ),
    Claim(
        "R2",
        "A walk loses no report, whatever order and page size a server has, while rows are added",
        "{lost:,} lost of {reports walked:,}, on {behaviors:,} kinds of servers",
        "test_r02_server_behavior",
    ),
    Claim(
        "R3",
        "Only an empty page ends a walk: not `{}`, `null`, HTML or an empty body",
        "{accepted as the end:,} of {responses played:,} accepted as the end",
        "test_r03_invalid_pages",
    ),
    Claim(
        "R4",
        "No redirect sends a credential to another address",
        "{secrets at the other origin:,} of {redirects played:,}",
        "test_r04_redirects",
    ),
    Claim(
        "R5",
        "No credential appears in an error, traceback, log, pickle or repr",
        "{hits:,} in {probes:,} texts",
        "test_r05_secrets",
    ),
    Claim(
        "R6",
        "A response of a gibibyte, or without an end, costs little more than the cap of 32 MiB",
        "{maximum growth in MiB:,.0f} MiB at most",
        "test_r06_huge_responses",
    ),
    Claim(
        "R7",
        "An outage is not amplified by retries",
        "{requests in an outage:,} requests for {calls in an outage:,} calls",
        "test_r07_request_counts",
    ),
    Claim(
        "R8",
        "Concurrent first calls share one token request",
        "{token requests:,} for {first calls:,} calls",
        "test_r08_tokens",
    ),
    Claim(
        "R9",
        "A call cancelled at any moment leaves no connection, descriptor or task behind",
        "{leaked connections:,} leaks in {cancels:,} cancels",
        "test_r09_cancellation",
    ),
    Claim(
        "R10",
        "A stalled call ends with its deadline",
        "{maximum delay in seconds:,.2f} s late at most, in {stalls:,} stalls",
        "test_r10_deadlines",
    ),
    Claim(
        "R11",
        "An id arrives as exactly one path segment, or is rejected before anything is sent",
        "{arrived as something else:,} of {ids:,} ids arrive as something else",
        "test_r11_ids",
    ),
    Claim(
        "R12",
        "A truncated page is an error, wherever it is truncated",
        "{truncated but accepted:,} of {responses:,} accepted",
        "test_r12_truncated_bodies",
    ),
    Claim(
        "R13",
        "Any body gives a value or a documented error",
        "{other errors:,} other errors for {bodies:,} bodies",
        "test_r13_hostile_bodies",
    ),
    *(
        Claim(
            f"R14 {target}",
            f"{text} killed at any moment holds every session once after the next run",
            "{lost:,} lost, {duplicated:,} doubled after {kills:,} kills",
            "test_r14_killed_copies",
        )
        for target, text in (
            ("parquet", "An export into Parquet files"),
            ("ndjson", "An export into NDJSON files"),
            ("duckdb", "A load into DuckDB"),
            ("sqlite", "A load into SQLite"),
            ("postgresql", "A load into PostgreSQL"),
        )
    ),
    *(
        Claim(
            f"R16 follow, {time_filter}, changes",
            "`follow` yields each session and each change of 30 simulated days once, if the server"
            f" {text}",
            "{lost:,} lost, {duplicated:,} doubled of {sessions:,} and {changes:,}",
            "test_r16_follow",
        )
        for time_filter, text in (
            ("start", "filters by start"),
            ("end", "filters by end"),
            ("overlap", "tests overlap"),
        )
    ),
    Claim(
        "R16 follow, restarts",
        "`follow` killed at any item yields each session at least once",
        "{lost:,} lost of {sessions:,}, {duplicated:,} again after {restarts:,} kills",
        "test_r16_follow",
    ),
    Claim(
        "R16 follow, restarts with done",
        "`follow` killed at any item yields no session again after its `done()`",
        "{lost:,} lost, {duplicated:,} doubled after {restarts:,} kills",
        "test_r16_follow",
    ),
    *(
        Claim(
            f"R16 follow, {database.lower()}",
            f"A program that stores session and state in one transaction of {database}, killed at"
            " any moment, stores each session once",
            "{lost:,} lost, {duplicated:,} doubled after {kills:,} kills",
            "test_r16_killed_followers",
        )
        for database in ("SQLite", "PostgreSQL")
    ),
    Claim(
        "R15",
        "Work under faults, expiring tokens and restarts loses and leaks nothing",
        "{lost:,} lost of {reports:,}, {MiB grown:.0f} MiB grown",
        "test_r15_soak",
    ),
)


@attrs.frozen
class Bar:
    """A group of bars: the share of cases with a failure."""

    promise: str
    text: str
    bad: Callable[[Figures], float]
    cases: Callable[[Figures], float]


def _figure(name: str) -> Callable[[Figures], float]:
    return lambda figures: figures[name]


BARS = (
    Bar(
        "R1",
        "Reports lost when responses fail",
        _figure("lost"),
        lambda figures: figures["walks"] * figures["reports each"],
    ),
    Bar("R2", "Reports lost when rows move", _figure("lost"), _figure("reports walked")),
    Bar(
        "R3",
        "Bad pages taken for the end",
        _figure("accepted as the end"),
        _figure("responses played"),
    ),
    Bar("R4", "Redirects followed", _figure("followed or sent again"), _figure("redirects played")),
    Bar("R5", "Errors and logs that show a secret", _figure("hits"), _figure("probes")),
    Bar(
        "R6",
        "Huge responses without a clean end",
        lambda figures: figures["did not end"] + figures["undocumented ends"],
        _figure("responses"),
    ),
    Bar("R8", "Token requests for 1,000 calls", _figure("token requests"), _figure("first calls")),
    Bar("R11", "Ids that reach another path", _figure("arrived as something else"), _figure("ids")),
    Bar("R13", "Bad bodies with a stray error", _figure("other errors"), _figure("bodies")),
)


def table(measured: Measured) -> str:
    """Return the Markdown table: one claim, one figure and one link per row."""
    rows = ["| promise | measured | test |", "|---|---|---|"]
    for claim in CLAIMS:
        figure = claim.figure.format_map(measured[claim.promise][OURS])
        number = claim.promise.partition(" ")[0]
        rows.append(
            f"| {claim.text} | {figure} | [{number}](../../tests/promises/{claim.test}.py) |"
        )
    return "\n".join(rows)


def picture(measured: Measured) -> str:
    """Return the comparison as an SVG: bars of shares in percent, readable at 360 pixels."""
    group = 70
    height = 56 + group * len(BARS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 {height}" role="img">',
        "<style>text { font: 13px sans-serif; fill: #222 } .head { font-weight: bold }</style>",
        "<title>Share of cases that go wrong, compared with hand-written loops</title>",
        f'<rect width="360" height="{height}" rx="6" fill="#fff"/>',
    ]
    for number, (name, color) in enumerate(COLORS.items()):
        x = 12 + 116 * number
        parts.append(f'<rect x="{x}" y="16" width="12" height="12" fill="{color}"/>')
        parts.append(f'<text x="{x + 17}" y="27">{name}</text>')
    for number, bar in enumerate(BARS):
        top = 56 + group * number
        parts.append(f'<text x="12" y="{top}" class="head">{escape(bar.text)}</text>')
        for line, (name, color) in enumerate(COLORS.items()):
            figures = measured[bar.promise][name]
            bad, cases = bar.bad(figures), bar.cases(figures)
            y = top + 7 + 15 * line
            width = max(1.5, 190 * bad / cases)
            parts.append(
                f'<rect x="12" y="{y}" width="{width:.1f}" height="12" fill="{color}"/>'
                f'<text x="{width + 17:.1f}" y="{y + 11}">'
                f"{bad:,.0f} of {cases:,.0f}</text>"
            )
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Write the table and the picture."""
    measured = json.loads(FIGURES.read_text(encoding="utf-8"))
    replace_figures(FOLDER / "promises.md", table(measured))
    (FOLDER / "comparison.svg").write_text(picture(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
