"""The medians as one picture: a panel of bars for each gauge that tells contestants apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import attrs
import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from benchmarks.results import Results
from benchmarks.targets import TARGETS, Medians
from benchmarks.workloads import Gauge, Workload

COLUMNS = 3
SIZE, DPI = (16.0, 11.6), 100
HEADING, LEGEND = 0.2, 0.45
"""Inches."""

OURS, LIBRARIES, LIMIT, EDGE = "#1668b3", "#b9c0c8", "#dfe3e7", "#c8102e"
LIMITS = frozenset({"msgspec-struct", "msgspec-raw", "raw-aiohttp", "aiohttp, attrs"})
"""Who does less than a client has to, and is there to show what remains to be won."""

DWARFS = 4
"""A bar more than so many times as long as the next one is cut off."""

FEWEST_ROWS = 3
"""A panel has room for so many bars, so that a single one is not as high as all of it."""

CUT_OFF = "(cut off) »"
ROOM = 0.45
"""The share of a panel's width that a label takes, about."""

OWN = ("ours", "DepotClient", "ThorClient")


@attrs.frozen
class Panel:
    """One gauge of one workload."""

    workload: Workload
    gauge: Gauge

    @property
    def title(self) -> str:
        """What is shown."""
        return f"{self.workload.key}: {self.workload.title}\n{self.gauge.title} ({self.gauge.unit})"


def panels(results: Results) -> list[Panel]:
    """The first gauge of whoever is compared or bound by a target; of the walk all but CPU."""
    bound = {(target.workload, target.gauge) for target in TARGETS}
    return [
        Panel(workload, gauge)
        for workload in results.workloads
        for gauge in workload.gauges
        if (
            gauge is workload.gauges[0]
            and (workload.base is not None or (workload.key, gauge.key) in bound)
        )
        or (workload.key == "W2" and gauge.key != "cpu")
    ]


def draw(results: Results, file: Path) -> None:
    """Draw the picture into a file."""
    shown, medians = panels(results), results.medians()
    rows = -(-len(shown) // COLUMNS)
    height = SIZE[1] * max(rows, 1) / 3
    figure, axes = plt.subplots(
        max(rows, 1), COLUMNS, figsize=(SIZE[0], height), dpi=DPI, squeeze=False
    )
    for place in axes.flat[len(shown) :]:
        place.axis("off")
    for place, panel in zip(axes.flat, shown, strict=False):
        _bars(place, panel, medians)
    figure.legend(
        handles=[
            Patch(color=OURS, label="this library"),
            Patch(color=LIBRARIES, label="what users would write instead"),
            Patch(color=LIMIT, label="limits: these do less than a client has to"),
            Line2D([], [], color=EDGE, linewidth=2.5, label="target: the bar must end before it"),
        ],
        loc="lower center",
        ncols=4,
        frameon=False,
        fontsize=11,
    )
    figure.suptitle(
        "Medians; shorter is better. In brackets: ratio to the row without brackets",
        fontsize=14,
        y=1 - 0.12 / height,
        va="top",
    )
    inside = (0, LEGEND / height, 1, 1 - HEADING / height)
    figure.tight_layout(rect=inside, h_pad=1.6, w_pad=2)
    figure.savefig(file)
    plt.close(figure)


def _bars(axes: Axes, panel: Panel, medians: Medians) -> None:
    workload, gauge = panel.workload, panel.gauge
    names = [entry.name for entry in workload.entries]
    values = [medians[workload.key, name, gauge.key] * gauge.scale for name in names]
    edges = {name: bound * gauge.scale for name, bound in _edges(panel, medians)}
    end = _end([*values, *edges.values()])
    axes.barh(
        names,
        [min(value, end) for value in values],
        color=[_colour(name) for name in names],
        height=0.72,
    )
    for name, bound in edges.items():
        row = names.index(name)
        axes.plot([bound, bound], [row - 0.46, row + 0.46], color=EDGE, linewidth=2.5)
    for row, (name, value) in enumerate(zip(names, values, strict=True)):
        at, edge = min(value, end), edges.get(name, 0.0)
        if value < edge < value + ROOM * end:  # the label would stand across the mark
            at = edge
        _write(axes, _label(panel, name, medians), at, row)
        if value > end:
            _write(axes, CUT_OFF, end, row, ha="right")
    # A bar is cut off, its bound never: without that mark one would look for it in vain.
    axes.set_xlim(0, max(end * 1.58, *(1.1 * bound for bound in edges.values()), 0))
    axes.set_ylim(max(len(names), FEWEST_ROWS) - 0.5, -0.5)
    axes.set_title(panel.title, fontsize=10.5, loc="left")
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.tick_params(axis="x", labelsize=8.5)
    for label in axes.get_yticklabels():
        if label.get_text().startswith(OWN):
            label.set_fontweight("bold")
    axes.spines[["top", "right"]].set_visible(False)


def _write(
    axes: Axes, text: str, at: float, row: int, ha: Literal["left", "right"] = "left"
) -> None:
    """Text behind the end of a bar, or inside of it."""
    axes.annotate(
        text,
        (at, row),
        xytext=(5 if ha == "left" else -5, 0),
        textcoords="offset points",
        va="center",
        ha=ha,
        fontsize=9,
    )


def _end(values: Sequence[float]) -> float:
    """Where the longest bar ends: one that dwarfs all others is cut off, so that they show."""
    *_, second, first = 0.0, *sorted(values)
    return min(first, second * DWARFS) or first


def _colour(name: str) -> str:
    if name.startswith(OWN):
        return OURS
    return LIMIT if name in LIMITS else LIBRARIES


def _label(panel: Panel, name: str, medians: Medians) -> str:
    key, gauge = panel.workload.key, panel.gauge
    value, base = medians[key, name, gauge.key], panel.workload.base
    text = gauge.text(value)
    if base is None or name == base or not medians[key, base, gauge.key]:
        return text
    return f"{text}  ({value / medians[key, base, gauge.key]:.2f} x)"


def _edges(panel: Panel, medians: Medians) -> Iterator[tuple[str, float]]:
    """The strictest bound of each row that has one."""
    strictest: dict[str, float] = {}
    for target in TARGETS:
        if (target.workload, target.gauge) == (panel.workload.key, panel.gauge.key):
            name, bound = target.edge(medians)
            strictest[name] = min(bound, strictest.get(name, bound))
    yield from strictest.items()
