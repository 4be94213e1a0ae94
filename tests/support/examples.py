"""Runs the examples as programs in this process."""

from __future__ import annotations

import logging
import runpy
import sys
from pathlib import Path
from typing import Protocol

import attrs
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@attrs.frozen
class Result:
    """Exit status and output of a program."""

    status: int
    out: str
    err: str


class RunExample(Protocol):
    """Function that runs an example to its end."""

    def __call__(self, name: str, *argv: str) -> Result: ...


def run_in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, *argv: str
) -> Result:
    """Run an example as `python examples/NAME ARGV...` does."""
    logger = logging.getLogger("evtransport")
    handlers, level = list(logger.handlers), logger.level
    status = 0
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", [name, *argv])
        try:
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        except SystemExit as error:
            status = int(error.code or 0)
    logger.handlers[:] = handlers
    logger.setLevel(level)
    captured = capsys.readouterr()
    return Result(status, captured.out, captured.err)
