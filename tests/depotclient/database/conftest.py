"""Databases and depots of the tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox, ReportShape
from tests.support.clients import client_of
from tests.support.tables import Tables


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
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Tables:
    """Return an empty database of each kind."""
    match request.param:
        case "postgresql":
            return Tables("postgresql", request.getfixturevalue("postgres_address"))
        case "sqlite":
            return Tables("sqlite", f"sqlite:///{tmp_path / 'depot.sqlite'}")
        case _:
            return Tables("duckdb", str(tmp_path / "depot.duckdb"))


@pytest.fixture
def target(tables: Tables) -> str:
    """Return the address of an empty database of each kind."""
    return tables.target
