"""Figures that the tests of the promises measure, and their table at the end of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import pytest

Figures = Mapping[str, float]
"""Measured values by name. The name includes the unit."""

Record = Callable[[str, Figures], None]

FIGURES: pytest.StashKey[dict[str, Figures]] = pytest.StashKey()


def tally(*names: str) -> Counter[str]:
    """Return figures that count from 0, in this order."""
    return Counter(dict.fromkeys(names, 0))


def nonzero(figures: Figures) -> set[str]:
    """Return the names of the figures that are not 0."""
    return {name for name, figure in figures.items() if figure}


def line(figures: Figures) -> str:
    """Return the figures of one promise as text."""
    return ", ".join(
        f"{name} {value:,.2f}" if isinstance(value, float) else f"{name} {value:,}"
        for name, value in figures.items()
    )


def table(measured: Mapping[str, Figures]) -> list[str]:
    """Return a line for each promise, in the order of their numbers."""

    def position(name: str) -> tuple[int, str]:
        return int(name.removeprefix("R").partition(" ")[0]), name

    return [f"{name:<4} {line(measured[name])}" for name in sorted(measured, key=position)]
