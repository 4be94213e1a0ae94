"""The tables are made once, in the schema that the caller names, and only for this library."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from depotclient import DepotClient
from depotclient.database import DatabaseError, load_session_reports
from depotclient.database.connection import Connection
from depotclient.database.rows import PageSessions
from depotclient.database.state import ConnectorState, Loaded, Reading
from depotclient.database.store import Store
from depotclient.database.target import parse_target
from depotclient.reading import Absent
from tests.support.tables import Tables

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = 'the "depot"; DROP {load_state} $1'


def run(tables: Tables, statement: str, schema: str | None = None) -> None:
    """Run a statement in its own connection."""
    connection = Connection(parse_target(tables.target), schema)
    connection.transact(lambda t: t.execute(statement))
    connection.close()


def prepare(tables: Tables, schema: str | None = None) -> None:
    store = Store(Connection(parse_target(tables.target), schema))
    try:
        store.prepare()
    finally:
        store.close()


def test_newer_tables_are_refused(tables: Tables) -> None:
    prepare(tables)
    run(tables, "INSERT INTO {load_state} (version) VALUES (2)")

    with pytest.raises(DatabaseError, match=r"version 2, .* up to 1: upgrade it with pip install"):
        prepare(tables)


def test_tables_of_another_program_are_refused(tables: Tables) -> None:
    run(tables, "CREATE TABLE sessions (a BIGINT)")

    with pytest.raises(DatabaseError, match="tables sessions of another program"):
        prepare(tables)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE meter_values DROP COLUMN value",
        "ALTER TABLE meter_values ADD COLUMN note TEXT",
    ],
)
def test_a_table_with_other_columns_is_refused(tables: Tables, change: str) -> None:
    prepare(tables)
    run(tables, change)

    with pytest.raises(
        DatabaseError, match=r"meter_values was changed, .* (value|note) with a new"
    ):
        prepare(tables)


def test_a_table_of_another_program_is_not_used_whatever_the_case_of_its_name(
    tables: Tables,
) -> None:
    run(tables, 'CREATE TABLE "Load_Seen" (a BIGINT)')

    if tables.kind == "postgresql":  # Its quoted names differ by case.
        prepare(tables)
        return
    with pytest.raises(DatabaseError, match=r"(?i)load_seen.* already exists"):
        prepare(tables)


def test_a_reading_that_can_not_be_decoded_starts_anew(tables: Tables) -> None:
    prepare(tables)
    row = "INSERT INTO {load_state} (charger_id, connector_id, reading) VALUES ('A', '1', '{{')"
    run(tables, row)
    store = Store(Connection(parse_target(tables.target), None))

    assert store.read_state(("A", "1")) == ConnectorState()
    store.close()


def test_a_run_does_not_reopen_a_reading_that_another_run_has_completed(tables: Tables) -> None:
    connector, now = ("A", "1"), JANUARY + timedelta(days=31)
    loaded = Loaded(JANUARY, now, now, events=True)
    reading = Reading(loaded, JANUARY, now)
    store = Store(Connection(parse_target(tables.target), None))
    store.prepare()
    store.begin(connector, None, reading)
    store.finish(connector, reading, now, delete=True)

    empty_page: Any = None
    page = PageSessions(connector, empty_page, sessions=[], keys=[], digests=[], last={})
    store.add(page, reading, now)

    assert store.read_state(connector) == ConnectorState(loaded)
    assert store.finish(connector, reading, now, delete=True) == Absent()
    store.close()


async def test_a_schema_is_created_and_its_name_is_quoted(
    depot: DepotClient, tables: Tables
) -> None:
    if tables.kind == "sqlite":
        pytest.skip("SQLite has no schemas")
    # DuckDB names the database after its file, which is depot.duckdb.
    for schema in ("depot", SCHEMA, SCHEMA, None):
        done = await load_session_reports(
            depot, [("CP-001", 1)], tables.target, from_=JANUARY, schema=schema
        )
        assert done.failed == ()
        select = partial(run, tables, "SELECT digest FROM {session_reports}", schema)
        await asyncio.to_thread(select)


def test_an_existing_schema_is_used(tables: Tables) -> None:
    if tables.kind == "sqlite":
        pytest.skip("SQLite has no schemas")
    run(tables, "CREATE SCHEMA other")

    for _ in range(2):
        prepare(tables, "other")
