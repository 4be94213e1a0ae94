"""What this library is held to: which ratio of which medians, and its bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from benchmarks.workloads import CAST_PYLIST, FROZEN, MANY, PYLIST, WORKLOADS, number

Medians = Mapping[tuple[str, str, str], float]
"""The median of all rounds, by workload, entry and gauge."""


@attrs.frozen
class Target:
    """One figure and its bound: a median, or the ratio of two medians of the same gauge.

    Attributes:
        name: What is asked, as it stands in the table.
        workload: Where it is measured.
        gauge: What is measured.
        over: The entry whose median is taken.
        kind: Whether the bound is the least or the most that the figure may be.
        bound: In the gauge's own unit; of a ratio, the ratio.
        under: The entry by whose median that one is divided; None for no ratio.
        beside: Entries instead of `over` and `under` whose figure is told beside it and bound by
            nothing.
        beside_title: What those are.
    """

    name: str
    workload: str
    gauge: str
    over: str
    kind: Literal["least", "most"]
    bound: float
    under: str | None = None
    beside: tuple[str, str | None] | None = None
    beside_title: str = ""

    def figure(self, medians: Medians) -> float:
        """What was reached."""
        return self._figure(medians, self.over, self.under)

    def figure_beside(self, medians: Medians) -> float | None:
        """What the entries beside it have reached."""
        if self.beside is None:
            return None
        return self._figure(medians, *self.beside)

    def _figure(self, medians: Medians, over: str, under: str | None) -> float:
        figure = medians[self.workload, over, self.gauge]
        return figure if under is None else figure / medians[self.workload, under, self.gauge]

    def is_met(self, figure: float, share: float = 1.0) -> bool:
        """Whether a figure is good enough, or at least so much of what it should be."""
        if self.kind == "least":
            return figure >= self.bound * share
        return figure <= self.bound / share

    def edge(self, medians: Medians) -> tuple[str, float]:
        """The entry that is bound, and the most that its own median may be."""
        if self.under is None:
            return self.over, self.bound
        if self.kind == "least":
            return self.under, medians[self.workload, self.over, self.gauge] / self.bound
        return self.over, medians[self.workload, self.under, self.gauge] * self.bound

    def text(self, figure: float) -> str:
        """A figure of this kind as it is shown."""
        if self.under is not None:
            return f"{number(figure)} x"
        return _GAUGES[self.workload, self.gauge].text(figure)

    @property
    def bound_text(self) -> str:
        """The bound as it is shown."""
        sign = "≥" if self.kind == "least" else "≤"
        if self.under is not None:
            return f"{sign} {self.bound:g} x"
        gauge = _GAUGES[self.workload, self.gauge]
        return f"{sign} {self.bound * gauge.scale:g} {gauge.unit}"


@attrs.frozen
class Outcome:
    """A target and what was reached."""

    target: Target
    figure: float
    beside: float | None

    @property
    def is_met(self) -> bool:
        """Whether it is good enough."""
        return self.target.is_met(self.figure)


_GAUGES = {(workload.key, gauge.key): gauge for workload in WORKLOADS for gauge in workload.gauges}


def _seconds(
    name: str,
    workload: str,
    over: str,
    under: str,
    least: float,
    beside: tuple[str, str] | None = None,
    beside_title: str = "",
) -> Target:
    """So many times the time of `under`, at the least, is what `over` takes."""
    return Target(name, workload, "seconds", over, "least", least, under, beside, beside_title)


MIB = 2.0**20

TARGETS = (
    _seconds("full reports: speed against pydantic", "W1", "pydantic", "ours", 1.5),
    _seconds("full reports: speed against msgspec's structs", "W1", "msgspec-struct", "ours", 0.45),
    _seconds("five fields: speed against full reports", "W1", "ours", "ours-into", 6),
    _seconds("five fields: speed against a bare split", "W1", "msgspec-raw", "ours-into", 0.8),
    Target(
        "keys of sessions: time against full reports",
        "W1",
        "seconds",
        "ours, keys",
        "most",
        0.03,
        "ours",
    ),
    Target("memory growth in a walk", "W2", "growth", "ours", "most", 64 * MIB),
    Target(
        "longest stall of the event loop",
        "W2",
        "stall",
        FROZEN,
        "most",
        0.015,
        beside=("ours", None),
        beside_title="without gc.freeze()",
    ),
    Target(
        "first report: against httpx and pydantic",
        "W2",
        "first",
        "httpx-pydantic",
        "least",
        10,
        "ours",
    ),
    _seconds("walk: speed against httpx and pydantic", "W2", "httpx-pydantic", "ours", 1.4),
    _seconds("walk: speed against aiohttp and pydantic", "W2", "aiohttp-pydantic", "ours", 1.0),
    *(
        _seconds(
            f"five fields: {ahead} pages ahead against none",
            "W3",
            "ours-into, read_ahead=0",
            f"ours-into, read_ahead={ahead}",
            least,
            beside=("ours, read_ahead=0", f"ours, read_ahead={ahead}"),
            beside_title="full reports",
        )
        for ahead, least in ((4, 3.5), (8, 6))
    ),
    Target("requests to find the limit", "W3 requests", "extra", "ours", "most", 8),
    _seconds(
        "small calls: speed against aiohttp and json",
        "W4",
        "aiohttp-json",
        "ours",
        0.8,
        beside=("aiohttp-json", MANY),
        beside_title="get_analytics_many()",
    ),
    _seconds("small calls: speed against httpx and pydantic", "W4", "httpx-pydantic", "ours", 5),
    *(
        Target(
            f"import of {client} against aiohttp and attrs",
            "W6",
            "seconds",
            client,
            "most",
            1.25,
            "aiohttp, attrs",
        )
        for client in ("DepotClient", "ThorClient")
    ),
    _seconds(
        "Parquet: speed against json and from_pylist()",
        "W7",
        PYLIST,
        "ours",
        2.5,
        beside=(CAST_PYLIST, "ours"),
        beside_title="with cast()",
    ),
    Target("memory growth in an export", "W8", "growth", "ours", "most", 200 * MIB),
)


def outcomes(medians: Medians) -> list[Outcome]:
    """What was reached of the targets whose workloads were measured."""
    measured = {workload for workload, _, _ in medians}
    return [
        Outcome(target, target.figure(medians), target.figure_beside(medians))
        for target in TARGETS
        if target.workload in measured
    ]


def short_of(found: Sequence[Outcome], share: float) -> list[Outcome]:
    """Those that have not even reached this share of their target."""
    return [outcome for outcome in found if not outcome.target.is_met(outcome.figure, share)]


def misses(found: Sequence[Outcome], share: float) -> list[str]:
    """A line for each of those."""
    return [
        f"missed: {outcome.target.workload} {outcome.target.name}: "
        f"{outcome.target.text(outcome.figure)}, which should be {outcome.target.bound_text}"
        + ("" if share == 1 else f", or {share:.0%} of that")
        for outcome in short_of(found, share)
    ]


def summary(found: Sequence[Outcome], share: float) -> str:
    """How many targets were met, in one line."""
    met = sum(outcome.is_met for outcome in found)
    line = f"{met} of {len(found)} targets met"
    if share == 1:
        return line
    nearly = len(found) - len(short_of(found, share))
    return f"{line}, {nearly} to {share:.0%} at least"
