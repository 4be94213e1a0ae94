"""Arrow record batches of partitions (extra `arrow`)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import aclosing, suppress
from queue import SimpleQueue
from typing import TypeAlias

# Import this first: without pyarrow, its error names the extra.
from depotclient.arrow import FLEET_REPORTS, SESSION_REPORTS
from depotclient.arrow.batches import batch_of

# isort: split
import pyarrow as pa

from depotclient.client import DepotClient
from depotclient.partitions.calendar import Partition
from depotclient.partitions.settings import ReadSettings
from evtransport.errors import ApiError

__all__ = ["Reading", "Shape", "add_connector"]

Shape: TypeAlias = Callable[[pa.RecordBatch, Partition, Sequence[int]], pa.RecordBatch]
"""Function that returns the final batch for reports, their partition and their keys."""


def add_connector(
    batch: pa.RecordBatch, partition: Partition, _: Sequence[int] = ()
) -> pa.RecordBatch:
    """Return the reports with the schema `FLEET_REPORTS`: the connector's ids are added."""
    ids = (partition.charger_id, partition.connector_id)
    columns = [pa.repeat(pa.scalar(name), batch.num_rows) for name in ids]
    return pa.RecordBatch.from_arrays([*columns, *batch.columns], schema=FLEET_REPORTS)


class Reading:
    """Reading of partitions in a thread with its own event loop.

    The thread allows the consumer to be interrupted, to call from several threads, and to stop
    while another loop runs. A forked process has nothing to clean up.

    Args:
        partitions: Partitions to read. A partition with a query in the future is skipped.
        settings: Account and options.
        shape: Function that returns the final batch for the accepted reports of a page.

    Raises:
        ValueError: The environment has no credentials.
    """

    def __init__(
        self,
        partitions: Iterable[Partition],
        settings: ReadSettings,
        shape: Shape = add_connector,
    ) -> None:
        self._partitions = tuple(partitions)
        self._settings = settings
        self._shape = shape
        self._owner = settings.client()
        self._results = SimpleQueue[pa.RecordBatch | BaseException | None]()
        self._requested = asyncio.Semaphore(0)

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the batches. Reading starts when the first batch is requested."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=self._run, args=(loop,), name="session-reports", daemon=True
        )
        thread.start()
        try:
            while (batch := self._receive()) is not None:
                yield batch
                loop.call_soon_threadsafe(self._requested.release)
        finally:
            # Don't join the thread here: the garbage collector may run this anywhere.
            with suppress(RuntimeError):  # The loop is closed.
                loop.call_soon_threadsafe(_cancel_all_tasks)

    def _receive(self) -> pa.RecordBatch | None:
        """Return the next batch, or None after the last one, when everything is closed."""
        result = self._results.get()
        try:
            if isinstance(result, BaseException):
                raise result
            return result
        finally:
            del result  # Break the cycle: the traceback of an error refers to this frame.

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read in the thread until the end, until an error, or until the consumer stops."""
        outcome: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._read())
        except BaseException as error:
            outcome = error
        self._results.put(outcome)
        outcome = None  # Break the cycle here as well.

    async def _read(self) -> None:
        async with self._owner as owner:
            retry, timeout = self._settings.retry, self._settings.timeout
            depot = owner.with_options(retry=retry, timeout=timeout)
            for partition in self._partitions:
                try:
                    await self._read_partition(depot, partition)
                except ApiError as error:
                    error.add_note(f"partition {partition.key}")
                    raise

    async def _read_partition(self, depot: DepotClient, partition: Partition) -> None:
        settings = self._settings
        if partition.start - settings.margin >= depot.now():
            return
        reports = depot.session_reports(
            partition.charger_id,
            partition.connector_id,
            from_=partition.start,
            to=partition.end,
            margin=settings.margin,
            limit=settings.limit,
            read_ahead=0,
            verify=settings.verify,
        )
        async with aclosing(reports.pages()) as pages:
            async for page in pages:
                batch = self._shape(batch_of(page, SESSION_REPORTS), partition, page.keys)
                del page  # Release the page while the batch is used.
                self._results.put(batch)
                del batch
                await self._requested.acquire()


def _cancel_all_tasks() -> None:
    for task in asyncio.all_tasks():
        task.cancel()
