"""R14: a load under faults of the API, or of the database, loses and doubles nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("depotclient.database")

from depotclient.database import DatabaseError, load_session_reports, worker
from depotclient.database.transaction import Transaction
from depotclient.sandbox import DepotSandbox
from evtransport.retry import RetryPolicy
from tests.support.clients import client_of
from tests.support.fleet import BEGIN, END, connectors_of, fleet
from tests.support.nights import CONNECTORS, NightlyDepot
from tests.support.postgres import PostgresServer
from tests.support.tables import Kind, Tables, make_target


@pytest.mark.parametrize(
    "kind",
    ["sqlite", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("duckdb", "postgresql"))],
)
def test_a_fleet_is_complete_if_a_tenth_of_the_responses_fail(
    tmp_path: Path, request: pytest.FixtureRequest, kind: Kind
) -> None:
    def new_database() -> str:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.new_database()

    target = make_target(kind, tmp_path, new_database)
    assert isinstance(target, Tables)
    with fleet(sessions=25, fault_rate=0.1, order="shuffled", max_limit=10) as sandbox:
        errors = asyncio.run(load_fleet(sandbox, target))
        expected = Counter(
            (*connector, session_id)
            for connector in connectors_of(sandbox)
            for session_id in sandbox.session_ids(*connector)
        )
    found = target.read()
    assert not any(errors)
    assert not found.vanished
    assert expected.total() == 1000
    assert expected == Counter(
        (row.charger_id, row.connector_id, row.session_id) for row in found.present.elements()
    )


async def load_fleet(sandbox: DepotSandbox, target: Tables) -> list[Exception | None]:
    """Load all connectors, and return their errors."""
    async with client_of(sandbox, retry=RetryPolicy(attempts=8)) as depot:
        load = await load_session_reports(
            depot, connectors_of(sandbox), target.target, from_=BEGIN, to=END, concurrency=8
        )
    return [connector.error for connector in load.connectors]


@pytest.fixture
def stopped_at(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], None]]:
    """Return a function that stops the server before the insert with the given number."""
    append, inserts = Transaction.append, itertools.count()

    def stop_at(number: int) -> None:
        def append_or_stop(transaction: Transaction, *arguments: object) -> None:
            if next(inserts) == number:
                postgres_server.stop()
            append(transaction, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Transaction, "append", append_or_stop)

    yield stop_at
    if not postgres_server.is_running:
        postgres_server.start()


@pytest.mark.parametrize("insert", [0, 7, 23])
async def test_a_load_continues_when_the_database_is_back(
    postgres_server: PostgresServer,
    postgres_address: str,
    stopped_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    insert: int,
) -> None:
    starting = asyncio.Lock()

    async def start_instead_of_sleep(_: float) -> None:
        async with starting:
            if not postgres_server.is_running:
                await asyncio.to_thread(postgres_server.start)

    monkeypatch.setattr(worker, "sleep", start_instead_of_sleep)
    target, depot = Tables("postgresql", postgres_address), NightlyDepot()
    depot.night(0)
    stopped_at(insert)
    async with depot.sandbox, client_of(depot.sandbox) as client:
        client.now = lambda: depot.now
        assert not any(await target.copy(client, CONNECTORS))
    assert not (await asyncio.to_thread(target.read)).differences(depot.truth())


async def test_a_load_ends_with_an_error_while_the_database_is_away_and_continues_later(
    postgres_server: PostgresServer,
    postgres_address: str,
    stopped_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def do_not_sleep(_: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(worker, "sleep", do_not_sleep)
    address = postgres_address.replace("postgres@", "postgres:s3cret@")
    target, depot = Tables("postgresql", address), NightlyDepot()
    depot.night(0)
    stopped_at(23)
    async with depot.sandbox, client_of(depot.sandbox) as client:
        client.now = lambda: depot.now
        with pytest.raises(DatabaseError, match="Connection refused") as raised:
            await target.copy(client, CONNECTORS)
        assert "s3cret" not in "".join([str(raised.value), *raised.value.__notes__])
        await asyncio.to_thread(postgres_server.start)
        assert not any(await target.copy(client, CONNECTORS))
    assert not (await asyncio.to_thread(target.read)).differences(depot.truth())
