"""Session reports as a Dask data frame, read by the workers of a cluster (extra `dask`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evtransport.validation import validate_int

try:
    import dask.dataframe as dd
except ImportError as error:
    raise ImportError(
        "depotclient.dask needs Dask: pip install 'thor-depot-clients[dask]'"
    ) from error
import pandas as pd
import pyarrow as pa

from depotclient.arrow import FLEET_REPORTS
from depotclient.partitions.reader import (
    Connector,
    Partition,
    ReadSettings,
    Window,
    plan,
    read_batches,
    require_settings,
)

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
    """The session reports of some connectors as a Dask data frame. Nothing is asked yet.

    Each of its partitions is read where the engine puts it, in a loop and a session of its own,
    with one request at a time. A partition that was lost with its worker is read again.

    Args:
        connectors: Charger and connector ids; one that is named twice counts once.
        from_: Begin of the time span, aware. A report belongs to it by its `session_time_start`;
            one without that belongs wherever a reading brings it, so it may come twice.
        to: End of the span, aware; not a part of it. None means now.
        window: `month` or `day`, by the calendar of UTC: what is read at a time.
        npartitions: How many partitions the frame has at the most, with as many windows each as
            that takes; these share a token and a connection. None gives every window its own.
        columns: Which columns the frame has; None: all. The others are dropped page by page.
        settings: By whose account it is read, and how; None takes each worker's environment.
        semaphore: A `distributed.Semaphore`, held while a partition is read: with one of 4 leases
            the API never sees more than 4 requests at once, whatever the size of the cluster.

    Returns:
        A frame with columns of `depotclient.arrow.FLEET_REPORTS`, of Arrow's types
        (`pandas.ArrowDtype`), and without known divisions. Each computation asks for everything
        anew, and one that sorts or shuffles asks twice; `persist()` keeps the frame in the cluster.

    Raises:
        ValueError: An argument is not usable. When it is computed: as `read_partition`.
    """
    partitions = plan(
        connectors, from_, datetime.now(UTC) if to is None else to, window, whole=False
    )
    if not partitions:
        raise ValueError("there are no connectors to read: name some, such as ('CP-001', 1)")
    if npartitions is not None:
        validate_int("npartitions", npartitions, minimum=1)
    if not (semaphore is None or isinstance(semaphore, AbstractContextManager)):
        kind = type(semaphore).__name__
        raise ValueError(f"semaphore must be a distributed.Semaphore, not {kind}")
    names = tuple(FLEET_REPORTS.names if columns is None else columns)
    if isinstance(columns, str) or not names or not set(names) <= set(FLEET_REPORTS.names):
        known = ", ".join(FLEET_REPORTS.names)
        raise ValueError(f"columns must be some of {known}, not {columns!r}")
    frame: dd.DataFrame = dd.from_map(
        _read,
        _groups(partitions, npartitions or len(partitions)),
        names=names,
        settings=require_settings(settings),
        semaphore=semaphore,
        meta=_frame(_part(names).empty_table()),
        label="session-reports",
    )
    return frame


def _part(names: Sequence[str]) -> pa.Schema:
    return pa.schema([FLEET_REPORTS.field(name) for name in names])


def _groups(partitions: Sequence[Partition], count: int) -> list[tuple[Partition, ...]]:
    """At most so many groups of neighbours, of which none has more than one more than another."""
    count = min(count, len(partitions))
    ends = [len(partitions) * n // count for n in range(count + 1)]
    return [tuple(partitions[ends[n] : ends[n + 1]]) for n in range(count)]


# Were there a parameter `columns`, Dask would read a partition once for each set of columns that a
# computation takes different ways with. Requests are dearer than memory.
def _read(
    partitions: Sequence[Partition],
    *,
    names: Sequence[str],
    settings: ReadSettings,
    semaphore: Semaphore | None,
) -> pd.DataFrame:
    """One partition of the frame."""
    with semaphore or nullcontext():
        batches = (batch.select(names) for batch in read_batches(partitions, settings))
        return _frame(pa.Table.from_batches(batches, _part(names)))


def _frame(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper=pd.ArrowDtype)
