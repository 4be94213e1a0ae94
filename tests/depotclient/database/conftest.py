"""Databases and depots of the tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox, ReportShape
from tests.support.clients import client_of


@pytest.fixture
async def sandbox() -> AsyncGenerator[DepotSandbox]:
    """Run a sandbox with small reports."""
    async with DepotSandbox(shape=ReportShape.small()) as sandbox:
        yield sandbox


@pytest.fixture
async def depot(sandbox: DepotSandbox) -> AsyncGenerator[DepotClient]:
    """Return a client of the sandbox."""
    async with client_of(sandbox) as client:
        yield client


@pytest.fixture(params=["duckdb", "sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_address"))
    return f"{request.param}:///{tmp_path / 'depot.db'}"
