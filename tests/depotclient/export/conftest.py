"""Fixtures of the tests of exports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox, ReportShape
from tests.support.blocking import no_blocking

pytest.importorskip("pyarrow")

from depotclient.export.formats import FORMATS
from tests.support.clients import client_of
from tests.support.exported_nights import Nights
from tests.support.exports import NOW


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Watch only the library, because these tests read files in the event loop."""
    with no_blocking(["depotclient", "evtransport"]):
        yield


@pytest.fixture
async def sandbox() -> AsyncIterator[DepotSandbox]:
    """Run a sandbox with three connectors and 60 sessions of each in January 2026."""
    async with DepotSandbox(shape=ReportShape.small()) as running:
        yield running


@pytest.fixture
async def depot(sandbox: DepotSandbox) -> AsyncIterator[DepotClient]:
    """Open a client of the sandbox with a clock in March 2026."""
    async with DepotClient(token=sandbox.token, base_url=sandbox.base_url) as client:
        client.now = lambda: NOW
        yield client


@pytest.fixture(params=FORMATS)
async def nights(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Nights]:
    """Serve one session in January 2026, to be exported in both formats."""
    async with DepotSandbox(chargers={}) as sandbox, client_of(sandbox) as depot:
        nights = Nights(sandbox, depot, tmp_path / "lake", request.param)
        nights.add(1, "01-05 10:00")
        yield nights
