"""Fixtures of the tests of the project."""

from __future__ import annotations

import os

import pytest

from tests.support.examples import RunExample


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of clients from the environment."""
    for name in tuple(os.environ):
        if name.startswith(("DEPOT_", "THOR_")):
            monkeypatch.delenv(name)


@pytest.fixture
def run_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_account: None
) -> RunExample:
    """Return a function that runs an example."""
    return RunExample(monkeypatch, capsys)
