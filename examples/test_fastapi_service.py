"""Test the service against the sandboxes: `python -m pytest test_fastapi_service.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from fastapi_service import app

from depotclient.sandbox import DepotSandbox
from thorclient.sandbox import ThorSandbox


@pytest.fixture
def client(
    thor_sandbox_factory: Callable[..., ThorSandbox],
    depot_sandbox: DepotSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[TestClient]:
    """Run the service with clients of sandboxes."""
    thor = thor_sandbox_factory(chargeboxes=80, latency=0.05)
    for name, value in {**thor.environment, **depot_sandbox.environment}.items():
        monkeypatch.setenv(name, value)
    with TestClient(app) as client:
        yield client


def test_the_fleet_has_its_analytics(client: TestClient) -> None:
    boxes = client.get("/fleet").json()["boxes"]
    assert [box["analytics"]["charges"]["last_7"] >= 0 for box in boxes] == [True] * 50


def test_sessions_are_lines_and_an_unknown_charger_is_a_404(client: TestClient) -> None:
    assert len(client.get("/sessions/CP-001/1").text.splitlines()) == 60
    unknown = ("/sessions/CP-404/1", "/chargeboxes/TB-9999")
    assert [client.get(path).status_code for path in unknown] == [404, 404]
    assert client.get("/sessions/CP-001/1?since=2026-01-01T00:00").status_code == 400


def test_openapi_describes_a_chargebox_with_analytics(client: TestClient) -> None:
    assert '"last_heartbeat":{' in client.get("/openapi.json").text
