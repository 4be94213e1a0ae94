"""Differences between the databases (extra `database`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import adbc_driver_duckdb.dbapi
import adbc_driver_manager.dbapi
import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import attrs
import pyarrow as pa

from depotclient.arrow.schema import TIME
from depotclient.database.target import Kind

__all__ = ["DIALECTS", "Dialect", "quote"]

Connect: TypeAlias = Callable[[str], adbc_driver_manager.dbapi.Connection]


@attrs.frozen(kw_only=True)
class Dialect:
    """SQL of one kind of database, where the databases differ.

    Attributes:
        connect: Function that opens an address.
        max_transactions: Number of transactions after which to reconnect, or None. DuckDB keeps the
            blocks that it wrote in memory: 160 MB after 150 pages, and 25 MB with 50 transactions.
        time_type: Column type of a time in UTC.
        seconds: Expression for the seconds of a session.
        tables: Query for the names of all tables in the schema.
        has_schemas: Whether tables have a schema.
        has_catalogs: Whether a schema needs the name of its database, because both may be the same.
            DuckDB names a database after its file.
        indexes_events: Whether the tables of events need an index. DuckDB's block statistics find
            the rows of a session without one.
        has_nul: Whether texts may have the character NUL.
        query_options: Options of the driver for a query.
    """

    connect: Connect
    max_transactions: int | None = None
    time_type: str = "TIMESTAMP WITH TIME ZONE"
    seconds: str = "extract(epoch FROM session_time_end) - extract(epoch FROM session_time_start)"
    tables: str = (
        "SELECT table_name AS name FROM information_schema.tables"
        " WHERE table_schema = $1 AND table_catalog = current_database()"
    )
    has_schemas: bool = True
    has_catalogs: bool = False
    indexes_events: bool = True
    has_nul: bool = True
    query_options: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def type_of(self, kind: pa.DataType) -> str:
        """Return the column type for an Arrow type."""
        return self.time_type if kind == TIME else _TYPES[kind]


_TYPES: Final[Mapping[pa.DataType, str]] = {
    pa.string(): "TEXT",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE PRECISION",
}

_TIME_LIMITS: Final = {"connect_timeout": "15", "tcp_user_timeout": "60000"}
"""Settings of a connection, unless the address has them: a cancellation waits for the server."""


def _connect_to_server(address: str) -> adbc_driver_manager.dbapi.Connection:
    given = urlsplit(address).query
    limits = [f"{name}={value}" for name, value in _TIME_LIMITS.items() if name not in given]
    separator = "&" if given else "?"
    connect: Connect = adbc_driver_postgresql.dbapi.connect
    return connect(address.rstrip("?&") + separator + "&".join(limits))


DIALECTS: Final[Mapping[Kind, Dialect]] = {
    "duckdb": Dialect(
        connect=adbc_driver_duckdb.dbapi.connect,
        max_transactions=50,
        has_catalogs=True,
        indexes_events=False,
    ),
    "postgresql": Dialect(connect=_connect_to_server, has_nul=False),
    "sqlite": Dialect(
        connect=adbc_driver_sqlite.dbapi.connect,
        # The driver writes times as ISO text, such as 2026-01-31T18:00:00.000.
        time_type="TEXT",
        seconds="round((julianday(session_time_end) - julianday(session_time_start)) * 86400, 3)",
        tables="SELECT name FROM sqlite_master",
        has_schemas=False,
        # The first rows decide the types of the columns, and all of them may be null.
        query_options={"adbc.sqlite.query.batch_rows": str(2**20)},
    ),
}


def quote(name: str) -> str:
    """Return a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'
