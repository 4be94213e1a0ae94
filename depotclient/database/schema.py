"""Tables of a database with session reports (extra `database`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
import pyarrow as pa

from depotclient.arrow import SESSION_REPORTS
from depotclient.arrow.schema import TIME
from depotclient.database.dialect import Dialect, quote

__all__ = ["EVENTS", "REPORTS", "SEEN", "STATE", "TABLES", "VERSION", "VIEW"]
__all__ += ["Table", "create_tables"]

VERSION: Final = 1
"""Version of the tables."""

_CONNECTOR: Final[tuple[pa.Field[Any], ...]] = (
    pa.field("charger_id", pa.string()),
    pa.field("connector_id", pa.string()),
)
_KEY: Final[pa.Field[Any]] = pa.field("session_key", pa.int64())
_POSITION: Final[pa.Field[Any]] = pa.field("position", pa.int64())


@attrs.frozen
class Table:
    """Table of the database.

    Attributes:
        name: Name of the table.
        schema: Columns.
        unique: Columns that identify a row.
        has_index: Whether every database needs the index of these columns.
    """

    name: str
    schema: pa.Schema
    unique: tuple[str, ...] = ()
    has_index: bool = True

    def create(self, dialect: Dialect, path: str) -> str:
        """Return the statement that creates the table."""
        columns = [f"{quote(field.name)} {dialect.type_of(field.type)}" for field in self.schema]
        if self.unique and (self.has_index or dialect.indexes_events):
            columns.append(f"UNIQUE ({', '.join(map(quote, self.unique))})")
        return f"CREATE TABLE {path} ({', '.join(columns)})"


def _flatten(fields: pa.Schema) -> Iterator[pa.Field[Any]]:
    """Yield the columns of a table of reports. A struct becomes one column for each field."""
    for field in fields:
        if isinstance(field.type, pa.StructType):
            yield from (inner.with_name(f"{field.name}_{inner.name}") for inner in field.type)
        elif not isinstance(field.type, pa.ListType):
            yield field


def _events(name: str, kind: Any, parent: tuple[pa.Field[Any], ...] = ()) -> Table:
    """Return the table of a list of events. Lists inside have tables of their own."""
    columns = [field for field in kind.value_type if not isinstance(field.type, pa.ListType)]
    place = (_KEY, *parent, _POSITION)
    unique = tuple(field.name for field in place)
    return Table(name, pa.schema([*place, *columns]), unique, has_index=False)


_DEVICE_STATUS: Final[Any] = SESSION_REPORTS.field("device_status").type
_ERROR_CODES: Final = _DEVICE_STATUS.value_type.field("error_codes").type

REPORTS: Final = Table(
    "session_reports",
    pa.schema(
        [
            *(*_CONNECTOR, _KEY, *_flatten(SESSION_REPORTS)),
            pa.field("digest", pa.string()),
            pa.field("loaded_at", TIME),
            pa.field("vanished_at", TIME),
        ]
    ),
    unique=("charger_id", "connector_id", "session_key"),
)

EVENTS: Final[Mapping[str, Table]] = {
    **{
        field.name: _events(field.name.removeprefix("session_"), field.type)
        for field in SESSION_REPORTS
        if isinstance(field.type, pa.ListType)
    },
    "device_status.error_codes": _events(
        "device_errors", _ERROR_CODES, (pa.field("device_status_position", pa.int64()),)
    ),
}
"""Tables of events, by the path of the list in a report."""

STATE: Final = Table(
    "load_state",
    pa.schema(
        [
            *_CONNECTOR,
            pa.field("loaded_from", TIME),
            pa.field("loaded_to", TIME),
            pa.field("read_at", TIME),
            pa.field("events", pa.bool_()),
            pa.field("reading", pa.string()),
            pa.field("version", pa.int32()),
        ]
    ),
    unique=("charger_id", "connector_id"),
)
"""State of each connector: what complete readings have loaded, and the reading in progress."""

SEEN: Final = Table(
    "load_seen",
    pa.schema(
        [
            *(*_CONNECTOR, _KEY, SESSION_REPORTS.field("session_id")),
            SESSION_REPORTS.field("session_time_start"),
            SESSION_REPORTS.field("session_time_end"),
            pa.field("was_stored", pa.bool_()),
        ]
    ),
)
"""Sessions that the reading in progress has returned. A complete reading leaves no rows."""

TABLES: Final = (REPORTS, *EVENTS.values(), STATE, SEEN)

VIEW: Final = "sessions"
"""Name of the view."""

_VIEW: Final = """
CREATE VIEW {view} AS
SELECT
    charger_id, connector_id, session_id, vehicle_id, session_time_start, session_time_end,
    ({seconds}) / 60 AS duration_minutes,
    (energy_charge_end - energy_charge_start) / 1000 AS energy_kwh,
    energy_soc_start, energy_soc_end, session_key
FROM {reports}
WHERE vanished_at IS NULL
"""


def create_tables(dialect: Dialect) -> Iterator[str]:
    """Yield the statements that create the tables and the view, for `Transaction.execute`."""
    for table in TABLES:
        yield table.create(dialect, f"{{{table.name}}}")
    view, reports = f"{{{VIEW}}}", f"{{{REPORTS.name}}}"
    if dialect.has_catalogs:
        # DuckDB 2.0 creates no view by its full name if schema and database have the same name.
        yield "USE {schema}"
        view, reports = quote(VIEW), quote(REPORTS.name)
    yield _VIEW.format(view=view, seconds=dialect.seconds, reports=reports)
