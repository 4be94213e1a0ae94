"""Databases as targets of copies, read by SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import adbc_driver_postgresql.dbapi
import attrs
import duckdb

from depotclient import DepotClient
from depotclient.database import load_session_reports
from depotclient.partitions import Connector
from tests.support.copies import CopyTarget, Files
from tests.support.nights import BEGIN, Contents, NightlyDepot, Row

Kind: TypeAlias = Literal["duckdb", "sqlite", "postgresql"]
TARGETS = ("parquet", "ndjson", *get_args(Kind))
"""Names of all targets."""


def make_target(name: str, folder: Path, new_database: Callable[[], str]) -> CopyTarget:
    """Return an empty target: a folder, a database in it, or a new database of a server."""
    if name == "duckdb":
        return Tables("duckdb", str(folder / "depot.duckdb"))
    if name == "sqlite":
        return Tables("sqlite", f"sqlite:///{folder / 'depot.sqlite'}")
    if name == "postgresql":
        return Tables("postgresql", new_database())
    return Files(folder, "ndjson" if name == "ndjson" else "parquet")


@attrs.frozen
class Tables:
    """Database with the tables of a load."""

    kind: Kind
    target: str

    async def copy(
        self, depot: DepotClient, connectors: Sequence[Connector]
    ) -> Sequence[Exception | None]:
        """Load the connectors from `BEGIN` on, and return their errors."""
        load = await load_session_reports(depot, connectors, self.target, from_=BEGIN)
        return [connector.error for connector in load.connectors]

    def read(self) -> Contents:
        """Return the rows of all sessions. Fail if an event occurs twice, or without a session."""
        contents = Contents()
        for *values, start, end, is_vanished in self.select(SESSIONS):
            charger_id, connector_id, session_id, soc_end, count = values
            row = Row(
                charger_id, connector_id, session_id, as_utc(start), as_utc(end), soc_end, count
            )
            (contents.vanished if is_vanished else contents.present)[row] += 1
        assert self.select(MISPLACED) == []
        return contents

    def truth(self, depot: NightlyDepot) -> Contents:
        """Return what the tables must hold."""
        return depot.truth()

    def select(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query. An embedded database without tables has none."""
        path = self.target.removeprefix("sqlite:///")
        if self.kind == "sqlite":
            with closing(sqlite3.connect(path)) as database:
                return database.execute(query).fetchall()
        if self.kind == "duckdb":
            with duckdb.connect(path, read_only=True) as database:
                return database.execute("SET TimeZone = 'UTC'").execute(query).fetchall()
        with adbc_driver_postgresql.dbapi.connect(self.target) as connection:
            with connection.cursor() as cursor:
                cursor.execute(query)
                rows: list[tuple[Any, ...]] = cursor.fetchall()
                return rows


SESSIONS = """
SELECT charger_id, connector_id, session_id, energy_soc_end,
    (SELECT count(*) FROM meter_values m WHERE m.session_key = r.session_key),
    session_time_start, session_time_end, vanished_at IS NOT NULL
FROM session_reports r
"""
MISPLACED = """
SELECT session_key, position, count(*) FROM meter_values
GROUP BY session_key, position
HAVING count(*) > 1 OR session_key NOT IN (SELECT session_key FROM session_reports)
"""
"""Events that occur twice, and events without a session."""


def as_utc(time: str | datetime | None) -> datetime | None:
    """Return a time in UTC. SQLite has no type for times and stores text."""
    if isinstance(time, str):
        return datetime.fromisoformat(time).replace(tzinfo=UTC)
    return time
