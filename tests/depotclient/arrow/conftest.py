"""Fixtures of the tests of Arrow tables."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox, ReportShape
from tests.support.clients import client_of

pytest.importorskip("pyarrow")

import pyarrow as pa

from tests.support.arrow_tables import read


@pytest.fixture
async def sandbox() -> AsyncIterator[DepotSandbox]:
    """Run a sandbox with 30 sessions of each connector."""
    async with DepotSandbox(sessions=30, shape=ReportShape.small()) as running:
        yield running


@pytest.fixture
async def depot(sandbox: DepotSandbox) -> AsyncIterator[DepotClient]:
    """Open a client of the sandbox."""
    async with client_of(sandbox) as client:
        yield client


@pytest.fixture
async def table(depot: DepotClient) -> pa.Table:
    """Read all sessions of a connector."""
    return await read(depot.session_reports("CP-001", "1"))
