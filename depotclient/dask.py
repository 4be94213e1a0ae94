"""Session reports as a Dask data frame, read by the workers of a cluster (extra `dask`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

try:
    import dask.dataframe as dd
except ImportError as error:
    raise ImportError(
        "depotclient.dask needs Dask: pip install 'thor-depot-clients[dask]'"
    ) from error
import pandas as pd
import pyarrow as pa

from depotclient.arrow import FLEET_REPORTS
from depotclient.partitions import Connector, Partition, ReadSettings, Window, plan, read_batches
from depotclient.partitions.settings import require_settings
from evtransport.validation import validate_int

if TYPE_CHECKING:
    from distributed import Semaphore

__all__ = ["read_session_reports"]


def read_session_reports(
    connectors: Iterable[Connector],
    from_: datetime,
    to: datetime | None = None,
    *,
    window: Window = "month",
    npartitions: int | None = None,
    columns: Sequence[str] | None = None,
    settings: ReadSettings | None = None,
    semaphore: Semaphore | None = None,
) -> dd.DataFrame:
    """Return the session reports of some connectors as a Dask data frame, without any request.

    A worker reads each partition with its own client, one request at a time. If a worker is lost,
    Dask reads its partitions again.

    Args:
        connectors: Charger and connector ids. Duplicates count once.
        from_: Start of the span (inclusive, timezone-aware). The span selects reports by
            `session_time_start`. A report without a start is selected by its end. A report with
            neither time is in every window that reads it.
        to: End of the span (exclusive, timezone-aware). None means now.
        window: Calendar window to read at a time: `month` or `day`, in UTC.
        npartitions: Maximum number of partitions. The windows of one partition share a token and a
            connection. None makes each window a partition.
        columns: Columns of the frame. None means all.
        settings: Account and options of the queries. None uses the environment of each worker.
        semaphore: A `distributed.Semaphore` to hold while a partition is read. With
            `max_leases=4`, the whole cluster sends at most 4 requests at once.

    Returns:
        A frame with columns of `depotclient.arrow.FLEET_REPORTS` as `pandas.ArrowDtype`, without
        known divisions. Each computation sends all requests again. Sorting and shuffling send them
        twice. Use `persist()` to keep the frame in the cluster.

    Raises:
        ValueError: An argument is invalid. Computing the frame raises the errors of
            `read_partition`.

    Example:
        >>> from datetime import UTC, datetime
        >>> start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
        >>> frame = read_session_reports([("CP-001", 1)], start, end, columns=["vehicle_id"])
        >>> frame.npartitions
        2
    """
    partitions = plan(
        connectors, from_, datetime.now(UTC) if to is None else to, window, whole=False
    )
    if not partitions:
        raise ValueError("connectors must not be empty: give pairs, such as [('CP-001', 1)]")
    if npartitions is not None:
        validate_int("npartitions", npartitions, minimum=1)
    if not (semaphore is None or isinstance(semaphore, AbstractContextManager)):
        kind = type(semaphore).__name__
        raise ValueError(f"semaphore must be a distributed.Semaphore, got {kind}")
    names = tuple(FLEET_REPORTS.names if columns is None else columns)
    if isinstance(columns, str) or not names or not set(names) <= set(FLEET_REPORTS.names):
        known = ", ".join(FLEET_REPORTS.names)
        raise ValueError(f"columns must be some of {known}, got {columns!r}")
    schema = pa.schema([FLEET_REPORTS.field(name) for name in names])
    frame: dd.DataFrame = dd.from_map(
        _read,
        _split(partitions, npartitions or len(partitions)),
        schema=schema,
        settings=require_settings(settings),
        semaphore=semaphore,
        meta=_to_pandas(schema.empty_table()),
        label="session-reports",
    )
    return frame


def _split(partitions: Sequence[Partition], count: int) -> list[Sequence[Partition]]:
    """Return at most `count` groups of consecutive partitions. Sizes differ by at most 1."""
    count = min(count, len(partitions))
    ends = [len(partitions) * n // count for n in range(count + 1)]
    return [partitions[start:end] for start, end in pairwise(ends)]


# Don't name a parameter `columns`: Dask would read a partition once for each set of columns in a
# computation. Requests cost more than memory.
def _read(
    partitions: Sequence[Partition],
    *,
    schema: pa.Schema,
    settings: ReadSettings,
    semaphore: Semaphore | None,
) -> pd.DataFrame:
    """Return one partition of the frame."""
    with semaphore or nullcontext():
        # Dropping columns page by page saves memory.
        batches = (batch.select(schema.names) for batch in read_batches(partitions, settings))
        return _to_pandas(pa.Table.from_batches(batches, schema))


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper=pd.ArrowDtype)
