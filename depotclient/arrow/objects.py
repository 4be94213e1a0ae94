"""Objects of session reports, from rows of Arrow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from depotclient.arrow.schema import SESSION_REPORTS
from depotclient.models import SessionReport

__all__ = ["session_reports_from"]


def session_reports_from(rows: pa.RecordBatch | pa.Table) -> list[SessionReport]:
    """Return the objects of rows that hold whole session reports.

    Args:
        rows: Rows with the columns of `SESSION_REPORTS`. Other columns are ignored, such as those
            of a hive layout.

    Raises:
        ValueError: A column is missing or has other values.

    Example:
        >>> from depotclient.partitions import Partition, read_partition
        >>> table = read_partition(Partition("CP-001", "1", "2026-01"))
        >>> session_reports_from(table)[0].session_id
        100000001
    """
    missing = [name for name in SESSION_REPORTS.names if name not in rows.schema.names]
    if missing:
        raise ValueError(f"rows must be session reports: column {', '.join(missing)} is missing")
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    try:
        found = table.select(SESSION_REPORTS.names).cast(SESSION_REPORTS).to_pylist()
        return [msgspec.convert(_without_nulls(row), SessionReport) for row in found]
    except (pa.ArrowException, msgspec.ValidationError) as error:
        raise ValueError(f"rows must be session reports: {error}") from None


def _without_nulls(value: Any) -> Any:
    """Return a value with times in UTC, and without nulls, so that the objects use defaults."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value.astimezone(UTC) if isinstance(value, datetime) else value
