"""Synchronous reading of partitions as Arrow tables, for the workers of an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING

from depotclient.partitions.calendar import Partition
from depotclient.partitions.settings import ReadSettings, require_settings

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_batches", "read_partition", "read_table"]


def read_partition(partition: Partition, settings: ReadSettings | None = None) -> pa.Table:
    """Read one partition (extra `arrow`).

    The function is synchronous. Call it in any process or thread that runs no event loop. It opens
    and closes its own loop and session.

    Args:
        partition: Partition to read.
        settings: Account and options. None uses the worker's environment.

    Returns:
        The reports of the partition, with the schema `depotclient.arrow.FLEET_REPORTS`. A report
        without a start is in the partition of its end. A report with neither time is in every
        partition that reads it.

    Raises:
        ApiError: The request failed. A note names the partition.
        ValueError: The environment has no credentials.
        RuntimeError: An event loop is running in this thread; the call would block it.
        ImportError: pyarrow is not installed.

    Example:
        >>> table = read_partition(Partition("CP-001", "1", "2026-01"))
        >>> table.num_rows
        60
    """
    return read_table([partition], settings)


def read_table(partitions: Sequence[Partition], settings: ReadSettings | None = None) -> pa.Table:
    """Read several partitions, one after another, as one table.

    Raises:
        ApiError, ValueError, RuntimeError: As in `read_partition`.

    Example:
        >>> partitions = [Partition("CP-001", "1", "2026-01"), Partition("CP-001", "2", "2026-01")]
        >>> read_table(partitions).num_rows
        120
    """
    from depotclient.arrow.batches import table_of

    return table_of(read_batches(partitions, settings))


def read_batches(
    partitions: Iterable[Partition], settings: ReadSettings | None = None
) -> Generator[pa.RecordBatch, None, None]:
    """Read several partitions, one after another, page by page.

    They share an event loop, a client, a token and a connection. At most one request is in flight,
    and none while the caller uses a batch.

    Args:
        partitions: Partitions to read. A partition with a query in the future is skipped.
        settings: Account and options. None uses the worker's environment.

    Yields:
        Batches with the schema `depotclient.arrow.FLEET_REPORTS`.

    Raises:
        ApiError, ValueError, RuntimeError: As in `read_partition`.

    Example:
        >>> sum(batch.num_rows for batch in read_batches([Partition("CP-001", "1", "2026-01")]))
        60
    """
    from depotclient.partitions.batches import PartitionReader

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return PartitionReader(partitions, require_settings(settings)).batches()
    raise RuntimeError(
        "partitions are read synchronously, which would block the running event loop:"
        " call the function with asyncio.to_thread, or use DepotClient"
    )
