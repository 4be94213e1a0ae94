"""Runs the examples as programs."""

from __future__ import annotations

import logging
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import attrs
import pytest

from depotclient.sandbox import DepotSandbox, Fault

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CHARGER = ("CP-001", "1")


class OpenDepot(Protocol):
    """Function that starts a sandbox, and sets the environment for its clients."""

    def __call__(self, *faults: Fault | None, **settings: Any) -> DepotSandbox: ...


@attrs.frozen
class Result:
    """Exit status and output of a program."""

    status: int
    out: str
    err: str


@attrs.frozen
class RunExample:
    """Function that runs an example to its end."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, name: str, *argv: str) -> Result:
        """Run an example as `python examples/NAME ARGV...` does."""
        logger = logging.getLogger("evtransport")
        handlers, level = list(logger.handlers), logger.level
        status = 0
        with self.monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [name, *argv])
            try:
                runpy.run_path(str(EXAMPLES / name), run_name="__main__")
            except SystemExit as error:
                status = int(error.code or 0)
        logger.handlers[:] = handlers
        logger.setLevel(level)
        return Result(status, *self.capsys.readouterr())


def start_example(name: str, *argv: str) -> subprocess.Popen[str]:
    """Start an example in a process in which each warning is an error."""
    command = [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLES / name), *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
