"""Picture of W11: `python benchmarks/picture.py` draws it again from the measured figures."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

import attrs

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.targets import Medians
from benchmarks.workloads import SCALED, SCALES

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "explanation"
FIGURES, PICTURE = "scale.json", "scale.svg"

Measured = Mapping[str, Mapping[str, list[float]]]
"""Figures for each number of reports, by row and metric."""

LEFT, RIGHT, TOP, HEIGHT = 58, 340, 110, 190  # of the first plot, in pixels
PANEL = HEIGHT + 62
COLORS = ("#1a7f5a", "#2b6cb0", "#7b5ea7", "#c4622d", "#b8860b", "#666666")
DASHES = ("none", "6 3", "2 3", "none", "6 3", "2 3")  # which tell rows apart without colors


@attrs.frozen
class Panel:
    """A plot of one metric.

    Attributes:
        title: Title with the unit.
        metric: Key of the metric.
        scale: Factor from the figures to the unit.
        ticks: Marks of the y axis, ascending.
        is_log: Whether the y axis is logarithmic.
    """

    title: str
    metric: str
    scale: float
    ticks: tuple[int, ...]
    is_log: bool

    def y(self, value: float) -> float:
        """Return the position of a value in its unit, from 0 at the bottom to 1 at the top."""
        first, last, value = self.ticks[0], self.ticks[-1], max(value, self.ticks[0])
        if self.is_log:
            return math.log(value / first) / math.log(last / first)
        return (value - first) / (last - first)


PANELS = (
    Panel("CPU time per report, in µs", "per_report", 1e6, (10, 30, 100, 300, 1000), is_log=True),
    Panel("Memory growth, in MiB", "growth", 2.0**-20, (0, 50, 100, 150, 200), is_log=False),
)


def measured(medians: Medians) -> Measured:
    """Return the figures of W11 that the picture shows."""
    return {
        row.name: {
            panel.metric: [
                float(f"{medians['W11', f'{row.name}, {reports:,}', panel.metric]:.4g}")
                for reports in SCALES
            ]
            for panel in PANELS
        }
        for row in SCALED
    }


def picture(figures: Measured) -> str:
    """Return two plots as an SVG, readable at 360 pixels and on a dark page."""
    height = TOP + PANEL * len(PANELS) - 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 {height}" role="img">',
        (
            "<style>text { font: 13px sans-serif; fill: #222 } .head { font-weight: bold }"
            " path { fill: none; stroke-width: 2 }</style>"
        ),
        "<title>CPU time per report and memory growth, by number of reports</title>",
        f'<rect width="360" height="{height}" rx="6" fill="#fff"/>',
    ]
    for number, row in enumerate(SCALED):
        x, y = 12 + 180 * (number // 3), 22 + 19 * (number % 3)
        parts.append(_line([(x, y - 4), (x + 26, y - 4)], number))
        parts.append(f'<text x="{x + 33}" y="{y}">{escape(row.name)}</text>')
    for number, panel in enumerate(PANELS):
        parts += _draw(panel, figures, TOP + PANEL * number)
    return "\n".join([*parts, "</svg>", ""])


def _draw(panel: Panel, figures: Measured, top: int) -> Iterator[str]:
    bottom, step = top + HEIGHT, (RIGHT - LEFT) / (len(SCALES) - 1)
    yield f'<text x="12" y="{top - 12}" class="head">{panel.title}</text>'
    for tick in panel.ticks:
        y = bottom - HEIGHT * panel.y(tick)
        yield f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#ddd" style="stroke-width: 1"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:,}</text>'
    for number, reports in enumerate(SCALES):
        x, label = LEFT + step * number, f"{reports:,}"
        anchor = ("start", "middle", "end")[number]
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="{anchor}">{label}</text>'
    yield f'<text x="{(LEFT + RIGHT) // 2}" y="{bottom + 35}" text-anchor="middle">reports</text>'
    for number, row in enumerate(SCALED):
        values = figures[row.name][panel.metric]
        heights = [bottom - HEIGHT * panel.y(value * panel.scale) for value in values]
        yield _line([(LEFT + step * n, y) for n, y in enumerate(heights)], number)


def _line(points: list[tuple[float, float]], number: int) -> str:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="{path}" stroke="{COLORS[number]}" stroke-dasharray="{DASHES[number]}"/>'


def write(folder: Path, figures: Measured) -> None:
    """Write the figures and their picture."""
    text = json.dumps(figures, indent=1) + "\n"
    (folder / FIGURES).write_text(text, encoding="utf-8")
    (folder / PICTURE).write_text(picture(figures), encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER, json.loads((FOLDER / FIGURES).read_text(encoding="utf-8")))
