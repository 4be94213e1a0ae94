"""Transactions of a load: the state of a connector, one page, and the end of a reading."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

import attrs
import msgspec
import pyarrow as pa

from depotclient.database.connection import Connection
from depotclient.database.errors import DatabaseError
from depotclient.database.rows import PageSessions, parse_times
from depotclient.database.schema import (
    EVENTS,
    REPORTS,
    SEEN,
    STATE,
    TABLES,
    VERSION,
    VIEW,
    Table,
    create_tables,
)
from depotclient.database.state import ConnectorState, Loaded, Reading
from depotclient.database.transaction import Transaction
from depotclient.reading import Absent, find_absent
from depotclient.sessions import Session

__all__ = ["PageCounts", "Store"]

SCHEMAS: Final = (
    "SELECT schema_name FROM information_schema.schemata"
    " WHERE schema_name = $1 AND catalog_name = current_database()"
)
"""Query for a schema."""


@attrs.frozen
class PageCounts:
    """Changes of a page.

    Attributes:
        new: Number of sessions that the database did not have.
        changed: Number of sessions whose rows were replaced.
        unchanged: Number of other sessions that belong to the database.
        strays: Ids of the sessions whose start lies outside of the span.
        unknown_fields: Number of reports by the path of a field that no column holds. Pages that
            change nothing are not searched.
    """

    new: int
    changed: int
    unchanged: int
    strays: tuple[int | None, ...]
    unknown_fields: Mapping[str, int]


@attrs.frozen(eq=False)
class Store:
    """Tables of session reports in a database, for one thread at a time."""

    _connection: Connection

    def prepare(self) -> None:
        """Create the tables if they are missing.

        Raises:
            DatabaseError: The tables were made by another program or a newer version.
        """
        self._connection.transact(_prepare)

    def read_state(self, connector: tuple[str, str]) -> ConnectorState:
        """Return the state of a connector."""
        return self._connection.transact(lambda t: _read_state(t, connector))

    def begin(self, connector: tuple[str, str], loaded: Loaded | None, reading: Reading) -> None:
        """Note that a reading has begun."""

        def work(transaction: Transaction) -> None:
            transaction.execute("DELETE FROM {load_seen} WHERE {of_connector}", *connector)
            _write_state(transaction, connector, ConnectorState(loaded, reading))

        self._connection.transact(work)

    def add(self, page: PageSessions, reading: Reading, now: datetime) -> PageCounts:
        """Write the reports of a page, and the position after it.

        Args:
            page: Sessions of the page.
            reading: Reading in progress, with the cursor after the page.
            now: Time to note with the rows.
        """
        return self._connection.transact(lambda t: _add(t, page, reading, now))

    def finish(
        self, connector: tuple[str, str], reading: Reading, now: datetime, *, delete: bool
    ) -> Absent:
        """Note that a reading is complete. Return the sessions that have moved or vanished.

        Args:
            connector: Charger id and connector id.
            reading: The reading.
            now: Time to note with vanished sessions.
            delete: Whether to delete the vanished sessions, instead of marking them.
        """
        return self._connection.transact(
            lambda t: _finish(t, connector, reading, now, delete=delete)
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _prepare(transaction: Transaction) -> None:
    schema = () if transaction.schema is None else (transaction.schema,)
    names = transaction.query(transaction.dialect.tables, *schema)["name"].to_pylist()
    found = {str(name) for name in names}
    if STATE.name not in found:
        if others := sorted(found & {*(table.name for table in TABLES), VIEW}):
            raise DatabaseError(
                f"the database has the tables {', '.join(others)} of another program: load into"
                " another database or schema"
            )
        _create(transaction)
        return
    versions = transaction.query("SELECT max(version) AS version FROM {load_state}")
    version = versions["version"].to_pylist()[0] or VERSION
    if version > VERSION:
        raise DatabaseError(
            f"the tables have version {version}, and this library knows versions up to {VERSION}:"
            " upgrade it with pip install --upgrade 'thor-depot-clients[database]'"
        )
    for table in TABLES:
        _check_columns(transaction, table)


def _check_columns(transaction: Transaction, table: Table) -> None:
    """Check that a table has its columns.

    Raises:
        DatabaseError: Somebody has changed the table, or it belongs to another program.
    """
    names = transaction.query(f"SELECT * FROM {{{table.name}}} WHERE 1 = 0").column_names  # noqa: S608
    if different := sorted({*names} ^ {*table.schema.names}):
        raise DatabaseError(
            f"the table {table.name} was changed, or belongs to another program: compare its"
            f" columns {', '.join(different)} with a new database"
        )


def _create(transaction: Transaction) -> None:
    if transaction.schema is not None:
        schemas = transaction.query(SCHEMAS, transaction.schema)
        if not schemas.num_rows:
            transaction.execute("CREATE SCHEMA {schema}")
    for statement in create_tables(transaction.dialect):
        transaction.execute(statement)


def _read_state(transaction: Transaction, connector: tuple[str, str]) -> ConnectorState:
    found = transaction.query("SELECT * FROM {load_state} WHERE {of_connector}", *connector)
    if not found.num_rows:
        return ConnectorState()
    start, end, read_at = (
        parse_times(found[n])[0] for n in ("loaded_from", "loaded_to", "read_at")
    )
    loaded = None
    if start is not None and end is not None and read_at is not None:
        loaded = Loaded(start, end, read_at, bool(found["events"].to_pylist()[0]))
    return ConnectorState(loaded, _decode_reading(found["reading"].to_pylist()[0]))


def _encode_reading(reading: Reading) -> str:
    return msgspec.json.encode(reading).decode()


def _decode_reading(text: object) -> Reading | None:
    """Return the reading in progress. Without a valid one, another reading starts anew."""
    try:
        return None if text is None else msgspec.json.decode(str(text), type=Reading)
    except msgspec.MsgspecError:
        return None


def _write_state(
    transaction: Transaction, connector: tuple[str, str], state: ConnectorState
) -> None:
    loaded, reading = state.loaded, state.reading
    row: dict[str, Any] = {
        **dict(zip(("charger_id", "connector_id"), connector, strict=True)),
        "loaded_from": loaded and loaded.start,
        "loaded_to": loaded and loaded.end,
        "read_at": loaded and loaded.read_at,
        "events": loaded and loaded.events,
        "reading": reading and _encode_reading(reading),
        "version": VERSION,
    }
    transaction.execute("DELETE FROM {load_state} WHERE {of_connector}", *connector)
    transaction.append(STATE.name, pa.Table.from_pylist([row], STATE.schema))


def _add(
    transaction: Transaction, page: PageSessions, reading: Reading, now: datetime
) -> PageCounts:
    span = reading.coverage.span
    unknown_fields: Mapping[str, int] = {}
    stored = _read_stored(transaction, page)
    kept = {key: i for key, i in page.last.items() if span.includes(page.sessions[i])}
    new = [i for key, i in kept.items() if key not in stored]
    changed = [i for key, i in kept.items() if stored.get(key, page.digests[i]) != page.digests[i]]
    if changed:
        _delete(transaction, [page.keys[i] for i in changed])
    if written := sorted(new + changed):
        unknown_fields = _write(transaction, page, written, now, reading.loaded.events)
    transaction.append(SEEN.name, page.seen(stored))
    transaction.execute(
        # While the connection was broken, another run may have completed the reading.
        "UPDATE {load_state} SET reading = $1 WHERE charger_id = $2 AND connector_id = $3"
        " AND reading IS NOT NULL",
        *(_encode_reading(reading), *page.connector),
    )
    strays = [i for i in sorted(kept.values()) if span.is_stray(page.sessions[i])]
    return PageCounts(
        new=len(new),
        changed=len(changed),
        unchanged=len(kept) - len(written),
        strays=tuple(page.sessions[i].session_id for i in strays),
        unknown_fields=unknown_fields,
    )


def _write(
    transaction: Transaction, page: PageSessions, indexes: list[int], now: datetime, events: bool
) -> Mapping[str, int]:
    """Insert reports of a page. Return the counts of their unknown fields."""
    reports = page.decode(indexes)
    transaction.append(REPORTS.name, reports.reports(now))
    if events:
        for name, table in reports.events():
            transaction.append(name, table)
    return reports.unknown_fields


def _read_stored(transaction: Transaction, page: PageSessions) -> dict[int, str | None]:
    """Return the digests of the sessions of a page. A vanished session has none."""
    found = transaction.query(
        "SELECT session_key, CASE WHEN vanished_at IS NULL THEN digest END AS digest"
        " FROM {session_reports} WHERE {of_connector} AND {is_selected}",
        *page.connector,
        keys=page.last,
    )
    pairs = (found[name].to_pylist() for name in ("session_key", "digest"))
    return dict(zip(*pairs, strict=True))


def _delete(transaction: Transaction, keys: Collection[int]) -> None:
    """Delete the rows of sessions from all tables."""
    for table in (REPORTS, *EVENTS.values()):
        transaction.execute(f"DELETE FROM {{{table.name}}} WHERE {{is_selected}}", keys=keys)  # noqa: S608


def _finish(
    transaction: Transaction,
    connector: tuple[str, str],
    reading: Reading,
    now: datetime,
    *,
    delete: bool,
) -> Absent:
    state = _read_state(transaction, connector)
    if state.reading is None:
        # The connection broke after the commit, or another run has completed the reading.
        return Absent()
    absent, marked = _find_absent(transaction, connector, reading), _marked(transaction, connector)
    gone = {session.key for session in absent.moved}
    if delete:
        gone |= {session.key for session in absent.vanished} | marked
    if gone:
        _delete(transaction, gone)
    vanished = tuple(session for session in absent.vanished if session.key not in marked)
    if vanished and not delete:
        transaction.execute(
            "UPDATE {session_reports} SET vanished_at = $1 WHERE {is_selected}",
            now,
            keys=[session.key for session in vanished],
        )
    transaction.execute("DELETE FROM {load_seen} WHERE {of_connector}", *connector)
    _write_state(transaction, connector, ConnectorState(reading.loaded))
    return Absent(absent.moved, vanished)


def _marked(transaction: Transaction, connector: tuple[str, str]) -> set[int]:
    """Return the keys of the sessions that are marked as vanished."""
    found = transaction.query(
        "SELECT session_key FROM {session_reports}"
        " WHERE {of_connector} AND vanished_at IS NOT NULL",
        *connector,
    )
    keys: list[int] = found["session_key"].to_pylist()  # type: ignore[assignment]
    return set(keys)


def _find_absent(transaction: Transaction, connector: tuple[str, str], reading: Reading) -> Absent:
    """Return the sessions that the reading lacks, and that have moved or vanished."""
    coverage = reading.coverage
    # Most sessions of a connector are older than the query, and none of these can be absent.
    missing = _sessions(
        transaction.query(
            "SELECT session_key, session_id, session_time_start, session_time_end"
            " FROM {session_reports} WHERE {of_connector} AND session_key IN ("
            "SELECT session_key FROM {session_reports} WHERE {of_connector}"
            " AND (session_time_start IS NULL OR session_time_start < $3"
            " OR session_time_start >= $4)"
            # A join with this table, which has no index, takes SQLite quadratic time.
            " EXCEPT SELECT session_key FROM {load_seen} WHERE {of_connector})",
            *connector,
            coverage.span.start - coverage.span.margin,
            coverage.from_,
        )
    )
    if not missing:
        return Absent()
    seen = transaction.query("SELECT * FROM {load_seen} WHERE {of_connector}", *connector)
    returned = _sessions(seen)
    flags = zip(*(seen[name].to_pylist() for name in ("session_key", "was_stored")), strict=True)
    # A page may be written twice. Then a new session has one row with each flag.
    new = {key for key, was_stored in flags if not was_stored}
    stored = [session for session in returned if session.key not in new]
    return find_absent([*missing, *stored], returned, coverage)


def _sessions(rows: pa.Table) -> list[Session]:
    """Return the sessions in rows. Keys are those of the database."""
    ids, keys = rows["session_id"].to_pylist(), rows["session_key"].to_pylist()
    times = (parse_times(rows[f"session_time_{name}"]) for name in ("start", "end"))
    return [*map(Session, ids, *times, keys)]
