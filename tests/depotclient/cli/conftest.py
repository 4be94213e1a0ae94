"""Fixtures of the tests of the `depotclient` command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from depotclient.sandbox import DepotSandbox, ReportShape
from tests.support.commands import sandboxes

OpenDepot = Callable[..., DepotSandbox]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove credentials, and let tables have 80 columns without colours."""
    for name in ("TOKEN", "CLIENT_ID", "CLIENT_SECRET", "REGION", "BASE_URL", "TOKEN_URL"):
        monkeypatch.delenv(f"DEPOT_{name}", raising=False)
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture
def open_depot(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenDepot]:
    """Start sandboxes with settings. The environment directs clients to the last one."""
    with sandboxes(monkeypatch) as start:

        def open_depot(**settings: object) -> DepotSandbox:
            defaults = {
                "sessions": 12,
                "shape": ReportShape.small(),
                "chargers": {"CP-1": ["1", "2"]},
            }
            return start(DepotSandbox(**(defaults | settings)))  # type: ignore[arg-type]

        yield open_depot


@pytest.fixture
def depot(open_depot: OpenDepot) -> DepotSandbox:
    """A sandbox with two connectors of one charger."""
    return open_depot()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Folder of an export, which does not exist yet."""
    return tmp_path / "lake"
