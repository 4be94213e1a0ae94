"""The page of the promises shows the figures that were measured."""

from __future__ import annotations

import json

from tests.promises.page import FIGURES, FOLDER, picture, table


def test_the_table_and_the_picture_show_the_measured_figures() -> None:
    measured = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert table(measured) in (FOLDER / "promises.md").read_text(encoding="utf-8")
    assert picture(measured) == (FOLDER / "comparison.svg").read_text(encoding="utf-8")
