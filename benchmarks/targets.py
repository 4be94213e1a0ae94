"""Targets of the benchmarks: bounds of medians and of ratios of medians."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import attrs

from benchmarks.workloads import (
    BY_KEY,
    CAST,
    COMMANDS,
    FROZEN,
    MANY,
    PARQUET,
    POSTGRESQL,
    PYLIST,
    SCALES,
    SMALL_PAGES,
    format_number,
)

Medians = Mapping[tuple[str, str, str], float]
"""Median of all rounds, by workload, row and metric."""

MIB = 2.0**20
DATABASES = ("DuckDB", "SQLite", POSTGRESQL)
HTTPX, FULL, INTO = "httpx-pydantic", "ours, read_ahead", "ours-into, read_ahead"
SCALE_BOUNDS = {  # of the CPU time per report of ten times the reports, and of the memory in MiB
    "walk": (1.25, 32),
    "walk, read_ahead=4": (1.25, 48),
    "walk, verify": (1.25, 48),
    PARQUET: (1.25, 48),
    "DuckDB": (1.25, 256),
    # The rows of a report come at random places of its indexes, which outgrow its cache of 2 MiB.
    "SQLite": (1.4, 96),
}
DISTANT = "ours, 200 ms, read_ahead"


@attrs.frozen
class Target:
    """Bound of a median in SI units, or of the ratio of two medians.

    Attributes:
        title: Description for tables.
        workload: Key of the workload.
        metric: Key of the metric.
        row: Row that is measured, or the dividend of a ratio.
        sign: Direction of the bound.
        bound: Bound. Without one, the figure is only shown.
        divisor: Row of the divisor, or None for no ratio.
    """

    title: str
    workload: str
    metric: str
    row: str
    sign: Literal[">=", "<="]
    bound: float | None
    divisor: str | None = None

    def figure(self, medians: Medians) -> float:
        """Return the figure that the bound applies to."""
        figure = medians[self.workload, self.row, self.metric]
        divisor = self.divisor and medians[self.workload, self.divisor, self.metric]
        return figure / divisor if divisor else figure

    def is_met(self, medians: Medians, share: float = 1.0) -> bool:
        """Return True if the figure reaches the given share of the bound."""
        if self.bound is None:
            return True
        figure = self.figure(medians)
        return figure >= self.bound * share if self.sign == ">=" else figure <= self.bound / share

    def format(self, figure: float) -> str:
        """Return a figure with its unit."""
        if self.divisor is not None:
            return f"{format_number(figure)} x"
        metrics = {metric.key: metric for metric in BY_KEY[self.workload].metrics}
        return metrics[self.metric].format(figure)

    @property
    def bound_text(self) -> str:
        """Return the bound with its sign and unit."""
        return "" if self.bound is None else f"{self.sign} {self.format(self.bound)}"


def _speed(title: str, workload: str, row: str, slower: str, bound: float | None) -> Target:
    """Return a target for the ratio of the times of two rows."""
    return Target(title, workload, "seconds", slower, ">=", bound, row)


TARGETS = (
    _speed("full reports: speed against pydantic", "W1", "ours", "pydantic", 1.5),
    _speed("full reports: speed against msgspec structs", "W1", "ours", "msgspec-struct", 0.45),
    _speed("full reports, gc.freeze(): the same", "W1", FROZEN, "msgspec-struct", None),
    _speed("five fields: speed against full reports", "W1", "ours-into", "ours", 6),
    _speed("five fields: speed against a bare split", "W1", "ours-into", "msgspec-raw", 0.8),
    Target("keys: time against full reports", "W1", "seconds", "ours, keys", "<=", 0.03, "ours"),
    Target("memory growth in a walk", "W2", "growth", "ours", "<=", 64 * MIB),
    Target("longest stall of the event loop", "W2", "stall", FROZEN, "<=", 0.015),
    Target("the same without gc.freeze()", "W2", "stall", "ours", "<=", None),
    Target("the same with gc.freeze() and limit=10", "W2", "stall", SMALL_PAGES, "<=", None),
    Target("first report against httpx-pydantic", "W2", "first", HTTPX, ">=", 10, "ours"),
    _speed("walk: speed against httpx-pydantic", "W2", "ours", HTTPX, 1.4),
    _speed("walk: speed against aiohttp-pydantic", "W2", "ours", "aiohttp-pydantic", 1.0),
    _speed("five fields: read_ahead=4 against 0", "W3", f"{INTO}=4", f"{INTO}=0", 3.5),
    _speed("five fields: read_ahead=8 against 0", "W3", f"{INTO}=8", f"{INTO}=0", 6),
    _speed("full reports: read_ahead=4 against 0", "W3", f"{FULL}=4", f"{FULL}=0", None),
    _speed("full reports: read_ahead=8 against 0", "W3", f"{FULL}=8", f"{FULL}=0", None),
    _speed("200 ms: read_ahead=4 against 0", "W3", f"{DISTANT}=4", f"{DISTANT}=0", 3),
    _speed("small calls: speed against aiohttp-json", "W4", "ours", "aiohttp-json", 0.8),
    _speed("get_analytics_many() against aiohttp-json", "W4", MANY, "aiohttp-json", None),
    _speed("small calls: speed against httpx-pydantic", "W4", "ours", HTTPX, 5),
    Target("import of depotclient", "W6", "seconds", "DepotClient", "<=", 1.25, "aiohttp, attrs"),
    Target("import of thorclient", "W6", "seconds", "ThorClient", "<=", 1.25, "aiohttp, attrs"),
    *(
        Target(f"{name} --help", "W6", "seconds", f"{name} --help", "<=", 1.6, "aiohttp, attrs")
        for name in COMMANDS
    ),
    _speed("Parquet: speed against duckdb", "W7", "ours", "duckdb", 0.6),
    Target("Parquet: size against Arrow's encodings", "W7", "size", "ours", "<=", 0.45, PYLIST),
    _speed("Parquet: speed against from_pylist()", "W7", "ours", PYLIST, 2.5),
    _speed("Parquet: speed against from_pylist() and cast()", "W7", "ours", CAST, None),
    Target("memory growth in an export", "W8", "growth", "ours", "<=", 200 * MIB),
    _speed("bytes to DuckDB: speed against Parquet", "W9", "DuckDB", PARQUET, 0.8),
    _speed("bytes to PostgreSQL: speed against Parquet", "W9", POSTGRESQL, PARQUET, 0.4),
    _speed("bytes to SQLite: speed against Parquet", "W9", "SQLite", PARQUET, None),
    # DuckDB misses 0.1: its first night is the fastest, and each statement takes it about 4 ms.
    *(
        Target(f"{name}: second night against the first", "W9", "share", name, "<=", bound)
        for name, bound in (("DuckDB", None), ("SQLite", 0.1), (POSTGRESQL, 0.1))
    ),
    *(
        Target(
            f"{name}: memory of ten times the reports",
            *("W10", "growth", f"{name}, all", "<=", 1.25, f"{name}, a tenth"),
        )
        for name in DATABASES
    ),
    *(
        Target(
            f"{name}: {more:,} reports against {less:,}",
            *("W11", "per_report", f"{name}, {more:,}", "<=", bound, f"{name}, {less:,}"),
        )
        for name, (bound, _) in SCALE_BOUNDS.items()
        for less, more in pairwise(SCALES)
    ),
    *(
        Target(
            f"{name}: memory growth, {reports:,} reports",
            *("W11", "growth", f"{name}, {reports:,}", "<=", bound * MIB),
        )
        for name, (_, bound) in SCALE_BOUNDS.items()
        for reports in SCALES[1:]
    ),
)


def measured_targets(medians: Medians) -> list[Target]:
    """Return the targets whose rows were measured."""
    return [
        target
        for target in TARGETS
        if {(target.workload, row, target.metric) for row in (target.row, target.divisor) if row}
        <= medians.keys()
    ]
