"""What the tests of the promises have measured, as lines to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

Figures = Mapping[str, float]
"""What was measured, by its name: counts, or with the unit in the name."""

Record = Callable[[str, Figures], None]

FIGURES: pytest.StashKey[dict[str, Figures]] = pytest.StashKey()


def line(figures: Figures) -> str:
    """One promise's figures."""
    return ", ".join(
        f"{name} {value:,.2f}" if isinstance(value, float) else f"{name} {value:,}"
        for name, value in figures.items()
    )


def table(measured: Mapping[str, Figures]) -> list[str]:
    """All of them, in the order of the promises' names."""

    def place(name: str) -> tuple[int, str]:
        number = name.removeprefix("R").partition(" ")[0]
        return int(number), name

    return [f"{name:<4} {line(measured[name])}" for name in sorted(measured, key=place)]
