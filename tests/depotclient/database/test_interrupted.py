"""A load that is stopped anywhere loses nothing and doubles nothing, and leaves nothing open."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Container
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from depotclient import DepotClient, DepotSandbox
from depotclient.database import (
    ConnectorLoad,
    DatabaseError,
    DatabaseInUse,
    Load,
    load_session_reports,
)
from depotclient.database.store import Store
from evtransport import SchemaError
from tests.support.postgres import PostgresServer
from tests.support.retries import skip
from tests.support.tables import Tables

JANUARY, FEBRUARY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
ALL = [("CP-001", "1"), ("CP-001", "2"), ("CP-002", "1")]
FIRST = ALL[0]
DISCONNECT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture(autouse=True)
def repetitions_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat failed transactions at once."""
    monkeypatch.setattr("depotclient.database.worker.sleep", skip)


class Stopped(Exception):
    """Stops a load."""


async def load(depot: DepotClient, tables: Tables, **options: Any) -> Load:
    """Load January of all connectors."""
    given: dict[str, Any] = {"from_": JANUARY, "to": FEBRUARY, "lag": timedelta(0), **options}
    return await load_session_reports(depot, ALL, tables.target, **given)


async def counts(tables: Tables) -> list[tuple[Any, ...]]:
    """Return the numbers of rows, sessions, sessions with events, and rows in `load_seen`."""
    return await asyncio.to_thread(
        tables.select,
        "SELECT (SELECT count(*) FROM session_reports),"
        " (SELECT count(DISTINCT session_key) FROM session_reports),"
        " (SELECT count(DISTINCT session_key) FROM meter_values),"
        " (SELECT count(*) FROM load_seen)",
    )


COMPLETE = [(180, 180, 180, 0)]


async def test_a_second_run_at_the_same_time_is_refused_at_once(
    sandbox: DepotSandbox, depot: DepotClient, tables: Tables
) -> None:
    refused = list[DatabaseInUse]()
    started = asyncio.Event()

    async def second() -> None:
        await started.wait()
        requests = len(sandbox.requests)
        with pytest.raises(DatabaseInUse, match="another load is running") as error:
            await load(depot, tables)
        refused.append(error.value)
        assert requests <= len(sandbox.requests)

    def show(progress: ConnectorLoad) -> None:
        started.set()

    first, _ = await asyncio.gather(load(depot, tables, on_progress=show), second())

    assert first.failed == ()
    assert len(refused) == 1
    assert await counts(tables) == COMPLETE


@pytest.mark.parametrize("steps", [1, 5])
async def test_a_cancelled_load_continues_and_leaves_no_thread_and_no_descriptor(
    depot: DepotClient, tables: Tables, steps: int
) -> None:
    await load(depot, tables, to=JANUARY + timedelta(hours=1))  # Imports and opens all it needs.
    threads, descriptors = threading.active_count(), await count_descriptors()
    calls = itertools.count()

    def cancel(progress: ConnectorLoad) -> None:
        if next(calls) == steps:
            task.cancel()

    task = asyncio.ensure_future(load(depot, tables, on_progress=cancel))
    with pytest.raises(asyncio.CancelledError):
        await task
    while threading.active_count() > threads:  # The thread was told to end.
        await asyncio.sleep(0.01)
    assert await count_descriptors() <= descriptors
    assert (await load(depot, tables)).failed == ()
    assert await counts(tables) == COMPLETE


async def count_descriptors() -> int:
    """Return the number of open descriptors other than sockets of HTTP connections."""

    def count() -> int:
        links = (each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
        return sum(not str(link).startswith("socket:") for link in links)

    return await asyncio.to_thread(count)


async def test_a_stopped_reading_continues_at_its_cursor_and_knows_what_has_vanished(
    sandbox: DepotSandbox, depot: DepotClient, tables: Tables
) -> None:
    now = FEBRUARY + timedelta(days=20)
    depot.now = lambda: now
    await load(depot, tables)
    now += timedelta(days=1)
    sandbox.remove(*FIRST, 100000001)

    def stop(progress: ConnectorLoad) -> None:
        if progress.unchanged >= 20:
            raise Stopped

    options: dict[str, Any] = {"lag": timedelta(days=300), "concurrency": 1}
    with pytest.raises(Stopped):
        await load(depot, tables, on_progress=stop, **options)
    requests = len(sandbox.requests)

    again = await load(depot, tables, **options)

    assert [each.vanished for each in again.connectors] == [(100000001,), (), ()]
    pages = [request.query["page"] for request in sandbox.requests[requests:]]
    assert pages[0] != "1"
    assert await counts(tables) == COMPLETE


def before_page(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[], object], numbers: Container[int]
) -> None:
    """Run a function before pages with these numbers are written, in the thread that writes."""
    pages, add = itertools.count(), Store.add

    def add_after_work(*args: Any) -> object:
        if next(pages) in numbers:
            work()
        return add(*args)

    monkeypatch.setattr(Store, "add", add_after_work)


async def test_a_load_survives_broken_connections(
    depot: DepotClient,
    postgres_server: PostgresServer,
    postgres_address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = Tables("postgresql", postgres_address)
    disconnect = partial(postgres_server.run_sql, DISCONNECT, postgres_address)
    before_page(monkeypatch, disconnect, {0, 3, 4, 8})

    done = await load(depot, tables)

    assert done.failed == ()
    assert await counts(tables) == COMPLETE


async def test_a_database_that_stays_away_is_one_error_and_the_next_run_continues(
    depot: DepotClient,
    postgres_server: PostgresServer,
    postgres_address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = Tables("postgresql", postgres_address)
    before_page(monkeypatch, postgres_server.stop, {5})

    with pytest.raises(DatabaseError, match="Connection refused") as failed:
        await load(depot, tables)
    await asyncio.to_thread(postgres_server.start)

    assert failed.value.__notes__ == [
        "the database holds all pages before this error: run the load again"
    ]
    assert (await load(depot, tables)).failed == ()
    assert await counts(tables) == COMPLETE


async def test_a_transaction_whose_commit_was_not_confirmed_runs_again(
    sandbox: DepotSandbox,
    depot: DepotClient,
    tables: Tables,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await load(depot, tables)
    for name in ("begin", "add", "finish"):
        monkeypatch.setattr(Store, name, fail_after_first(getattr(Store, name)))
    sandbox.remove(*FIRST, 100000001)

    await load(depot, tables, from_=JANUARY - timedelta(days=1))

    assert await counts(tables) == COMPLETE
    marked = "SELECT session_id FROM session_reports WHERE vanished_at IS NOT NULL"
    assert await asyncio.to_thread(tables.select, marked) == [(100000001,)]


def fail_after_first(work: Callable[..., object]) -> Callable[..., object]:
    """Return a function that fails after its first call had its effect."""
    calls = itertools.count()

    def run(*args: Any, **kwargs: Any) -> object:
        result = work(*args, **kwargs)
        if next(calls) == 0:
            raise DatabaseError("no confirmation")
        return result

    return run


async def test_an_invalid_report_keeps_the_pages_before_it(
    sandbox: DepotSandbox, depot: DepotClient, tables: Tables
) -> None:
    sandbox.add(
        *FIRST, b'{"sessionId": 7, "sessionTimeStart": "2026-01-31T00:00:00Z", "vehicleId": 1}'
    )

    done = await load(depot, tables)

    [failed] = done.failed
    assert isinstance(failed.error, SchemaError)
    assert "vehicleId" in str(failed.error)
    assert 0 < failed.new < 60
    sandbox.remove(*FIRST, 7)
    assert (await load(depot, tables)).failed == ()
    assert await counts(tables) == COMPLETE


async def test_an_error_of_the_progress_function_ends_the_load(
    depot: DepotClient, tables: Tables
) -> None:
    with pytest.raises(ZeroDivisionError):
        await load(depot, tables, on_progress=lambda _: 1 / 0)
