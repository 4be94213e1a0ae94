"""Parts of the command `probe`: the option `--profile`, and the table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rich.table import Table

from evtransport.cli.output import cell, plain_table
from evtransport.measurements import Line

__all__ = ["NAME_WIDTH", "RESULT_WIDTH", "measurement_table", "require_folder"]

NAME_WIDTH: Final = 20
RESULT_WIDTH: Final = len("measured")


def require_folder(profile: Path | None) -> None:
    """Check before a probe that its profile can be written.

    Raises:
        ValueError: The folder of the file does not exist.
    """
    if profile is not None and not profile.absolute().parent.is_dir():
        raise ValueError(f"--profile {profile}: the folder {profile.parent} does not exist")


def measurement_table(lines: Iterable[Line]) -> Table:
    """Return a table with the lines of a measurement: measured, or unknown and why."""
    table = plain_table()
    table.add_column("API", width=NAME_WIDTH)
    table.add_column("", width=RESULT_WIDTH)
    table.add_column("Value, or why it is unknown", overflow="fold")
    for line in lines:
        table.add_row(cell(line.title), cell(line.result), cell(line.text))
    return table
