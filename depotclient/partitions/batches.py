"""Arrow record batches of a partition (extra `arrow`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import compress
from typing import Any, Final

# This comes first: without pyarrow, its error says which extra to install.
from depotclient.arrow import FLEET_REPORTS, SESSION_REPORTS, batch_of

# isort: split
import pyarrow as pa

from depotclient.pages import Page
from depotclient.partitions.calendar import Partition, WindowFilter

__all__ = ["add_connector", "filter_page"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def filter_page(page: Page[Any], window_filter: WindowFilter) -> tuple[pa.RecordBatch, list[int]]:
    """Return the new reports of a page that belong to a window, and their keys.

    Returns:
        A batch with `SESSION_REPORTS`, and the key of each row from `Page.keys`.

    Raises:
        SchemaError: A report is invalid. The error has the cursor before it.
    """
    batch = batch_of(page, SESSION_REPORTS)
    # As numbers: Arrow makes datetimes with the help of pandas, if pandas is installed.
    starts = batch["session_time_start"].cast(pa.int64()).to_pylist()
    accepted = [
        window_filter.accept(key, session_id, _time(start))
        for key, session_id, start in zip(page.keys, page.ids, starts, strict=True)
    ]
    kept = batch if all(accepted) else batch.filter(pa.array(accepted))
    return kept, [*compress(page.keys, accepted)]


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)


def add_connector(
    batch: pa.RecordBatch, partition: Partition, _: Sequence[int] = ()
) -> pa.RecordBatch:
    """Return the same reports with `FLEET_REPORTS`: the ids of the connector come first."""
    ids = (partition.charger_id, partition.connector_id)
    columns = [pa.repeat(pa.scalar(name), batch.num_rows) for name in ids]
    return pa.RecordBatch.from_arrays([*columns, *batch.columns], schema=FLEET_REPORTS)
