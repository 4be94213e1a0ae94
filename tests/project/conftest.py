"""Fixtures of the tests of the project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from depotclient.sandbox import DepotSandbox, Fault, ReportShape
from tests.support.commands import sandboxes
from tests.support.examples import OpenDepot, RunExample

START = datetime(2026, 1, 1, tzinfo=UTC)


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


@pytest.fixture
def open_depot(monkeypatch: pytest.MonkeyPatch, no_account: None) -> Iterator[OpenDepot]:
    with sandboxes(monkeypatch) as start:

        def open_depot(*faults: Fault | None, **settings: Any) -> DepotSandbox:
            given = {"start": START, "shape": ReportShape.small(), "sessions": 60, **settings}
            return start(DepotSandbox(faults=faults, **given))

        yield open_depot
