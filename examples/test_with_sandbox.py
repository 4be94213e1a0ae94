"""Test your own code against the sandboxes: `python -m pytest test_with_sandbox.py`."""

from __future__ import annotations

import asyncio

import pytest

from depotclient import DepotClient, SessionReport
from depotclient.sandbox import DepotSandbox, Fault, ReportShape
from thorclient import ChargeboxNotFound, ThorClient
from thorclient.sandbox import ThorSandbox


async def charges(chargebox_id: str) -> int:
    """Return the charges of the last 7 days, as your own code may do."""
    async with ThorClient.from_env() as thor:
        return (await thor.get_analytics(chargebox_id)).charges.last_7


async def sessions() -> list[SessionReport]:
    """Return the first 10 sessions, as your own code may do."""
    async with DepotClient.from_env() as depot:
        return await depot.session_reports("CP-001", 1).collect(max_items=10)


def use(sandbox: DepotSandbox | ThorSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment, so that `from_env()` returns clients of the sandbox."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)


def test_sessions_are_in_order(
    depot_sandbox: DepotSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox lists the ids that it serves."""
    use(depot_sandbox, monkeypatch)
    found = [report.session_id for report in asyncio.run(sessions())]
    assert found == depot_sandbox.session_ids("CP-001", 1)[:10]


def test_a_missing_chargebox_is_an_error(
    thor_sandbox: ThorSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package provides the fixtures. Each runs its sandbox in a thread."""
    use(thor_sandbox, monkeypatch)
    with pytest.raises(ChargeboxNotFound):
        asyncio.run(charges("TB-9999"))
    assert thor_sandbox.requests[-1].status == 404


def test_an_outage_of_two_requests_goes_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Your own sandbox injects the faults that you list, one per request."""

    async def run() -> None:
        faults = [Fault.status(503, retry_after=0), Fault.disconnect()]
        async with DepotSandbox(shape=ReportShape.small(), faults=faults) as sandbox:
            use(sandbox, monkeypatch)
            assert len(await sessions()) == 10

    asyncio.run(run())
