"""Rows of the dlt resource: their columns and their primary key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import pyarrow as pa
from dlt.common.data_types.typing import TDataType
from dlt.common.schema.typing import TColumnSchema

from depotclient.arrow import FLEET_REPORTS
from depotclient.arrow.schema import TIME
from depotclient.sessions import Session

__all__ = ["NO_ROWS", "PRIMARY_KEY", "ROWS", "Rows", "columns_of", "deletions", "rows_of"]

Rows: TypeAlias = Literal["arrow", "objects"]
"""Data that dlt receives: Arrow batches, or a Python dict for each report."""

_SESSION_KEY: Final = "session_key"
_DELETED: Final = "deleted"

# Charger, connector and id are not enough: a connector may reuse an id.
PRIMARY_KEY: Final = ("charger_id", "connector_id", "session_id", _SESSION_KEY)
"""Columns that identify a row. They are never null: dlt would add such a row in each run."""

_DLT_TIME: Final = pa.timestamp("us", tz="UTC")


def _dlt_field(field: pa.Field[Any]) -> pa.Field[Any]:
    if field.name in PRIMARY_KEY:
        return field.with_nullable(False)
    # dlt expects times with a zone in the unit of the destination, and warns about another unit.
    return field.with_type(_DLT_TIME) if field.type == TIME else field


_FLEET_ROWS: Final = FLEET_REPORTS.append(pa.field(_SESSION_KEY, pa.string())).append(
    pa.field(_DELETED, pa.bool_())
)
ROWS: Final = pa.schema([_dlt_field(field) for field in _FLEET_ROWS])
"""Schema of the rows that dlt receives."""

NO_ROWS: Final = pa.RecordBatch.from_pylist([], ROWS)

_DATA_TYPES: Final[dict[pa.DataType, TDataType]] = {
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.string(): "text",
    pa.bool_(): "bool",
    _DLT_TIME: "timestamp",
}


def columns_of(rows: Rows) -> dict[str, TColumnSchema]:
    """Return the columns of a table without reports."""
    columns: dict[str, TColumnSchema] = {}
    for field in ROWS:
        data_type = _DATA_TYPES.get(field.type, "json")
        if rows == "arrow" or data_type != "json":
            columns[field.name] = {
                "name": field.name,
                "data_type": data_type,
                "nullable": field.nullable,
            }
    # dlt removes the row with the same key from the table instead of storing a row with this mark.
    columns[_DELETED]["hard_delete"] = True
    return columns


def _session_key(session: Session) -> str:
    _, identity = session.identity
    if isinstance(identity, datetime):
        return identity.replace(tzinfo=None).isoformat(" ", "milliseconds")
    return f"{identity:016x}"


def rows_of(batch: pa.RecordBatch, sessions: Sequence[Session]) -> pa.RecordBatch:
    """Return the rows for reports with the schema `FLEET_REPORTS`."""
    session_keys = pa.array([_session_key(session) for session in sessions], pa.string())
    marks = pa.nulls(batch.num_rows, pa.bool_())
    rows = pa.RecordBatch.from_arrays([*batch.columns, session_keys, marks], schema=_FLEET_ROWS)
    return rows.cast(ROWS)


def deletions(ids: tuple[str, str], sessions: Iterable[Session]) -> pa.RecordBatch:
    """Return rows that remove the sessions of a connector from the table."""
    rows = [
        dict(zip(PRIMARY_KEY, (*ids, session.session_id, _session_key(session)), strict=True))
        for session in sessions
    ]
    return pa.RecordBatch.from_pylist([{**row, _DELETED: True} for row in rows], ROWS)
