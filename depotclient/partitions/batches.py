"""Arrow record batches of partitions (extra `arrow`)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import aclosing, suppress
from itertools import groupby, islice
from operator import attrgetter
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

import attrs

# Import this first: without pyarrow, its error names the extra.
from depotclient.arrow import FLEET_REPORTS, SESSION_REPORTS
from depotclient.arrow.batches import batch_of

# isort: split
import pyarrow as pa

from depotclient.client import DepotClient
from depotclient.pages import Page
from depotclient.partitions.calendar import Partition
from depotclient.partitions.settings import ReadSettings
from depotclient.reports import SessionReports
from evtransport.errors import ApiError
from evtransport.tasks import TaskPool

__all__ = ["FLEET_SHAPE", "PartitionReader", "Shape", "fleet_batch"]


def fleet_batch(page: Page[Any], partition: Partition) -> pa.RecordBatch:
    """Return the new reports of a page with the schema `FLEET_REPORTS`.

    Raises:
        SchemaError: A report is invalid.
    """
    batch = batch_of(page, SESSION_REPORTS)
    ids = (partition.charger_id, partition.connector_id)
    columns = [pa.repeat(pa.scalar(name), batch.num_rows) for name in ids]
    return pa.RecordBatch.from_arrays([*columns, *batch.columns], schema=FLEET_REPORTS)


Finish: TypeAlias = Callable[[Partition], "pa.RecordBatch | None"]


@attrs.frozen
class Shape:
    """Functions that turn pages into batches, in the thread of the reading.

    Attributes:
        batch: Function that returns the batch for a page and its partition.
        finish: Function that is called with the last partition of a connector, after its last page.
            It may return one more batch.
        whole_pages: Whether pages have the reports of the margins too. If False, pages have only
            the reports of their partition.
    """

    batch: Callable[[Page[Any], Partition], pa.RecordBatch] = fleet_batch
    finish: Finish = lambda _: None
    whole_pages: bool = False


FLEET_SHAPE: Final = Shape()
"""Shape of the reports of each partition, with the schema `FLEET_REPORTS`."""


class PartitionReader:
    """Reader of partitions in a thread with its own event loop.

    The thread allows the consumer to be interrupted, to call from several threads, and to stop
    while another loop runs. A forked process has nothing to clean up.

    Args:
        partitions: Partitions to read. A partition with a query in the future is skipped.
        settings: Account and options.
        shape: Functions that return the batches.
        concurrency: Number of connectors to read at a time. Each connector has at most one request
            in flight, or one batch that the consumer has not used yet. All share one client.

    Raises:
        ValueError: The environment has no credentials.
    """

    def __init__(
        self,
        partitions: Iterable[Partition],
        settings: ReadSettings,
        shape: Shape = FLEET_SHAPE,
        *,
        concurrency: int = 1,
    ) -> None:
        self._partitions = tuple(partitions)
        self._settings = settings
        self._shape = shape
        self._concurrency = concurrency
        self._owner = settings.client()
        self._results = SimpleQueue[_Delivery | BaseException | None]()

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the batches. Reading starts when the first batch is requested."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=self._run, args=(loop,), name="session-reports", daemon=True
        )
        thread.start()
        try:
            while (delivery := self._receive()) is not None:
                yield delivery.batch
                used = delivery.used
                del delivery  # Release the batch while the next one is awaited.
                _call_soon(loop, used.set)
        finally:
            # Don't join the thread here: the garbage collector may run this anywhere.
            _call_soon(loop, _cancel_all_tasks)

    def _receive(self) -> _Delivery | None:
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
        by_connector = groupby(self._partitions, attrgetter("charger_id", "connector_id"))
        waiting = iter([tuple(partitions) for _, partitions in by_connector])
        async with self._owner as owner, TaskPool[None]() as connectors:
            retry, timeout = self._settings.retry, self._settings.timeout
            depot = owner.with_options(retry=retry, timeout=timeout)
            for partitions in islice(waiting, self._concurrency):
                connectors.start(self._read_connector(depot, partitions))
            while connectors:
                await connectors.receive()
                for partitions in islice(waiting, 1):
                    connectors.start(self._read_connector(depot, partitions))

    async def _read_connector(self, depot: DepotClient, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            if partition.start - self._settings.margin >= depot.now():
                continue
            try:
                await self._read_partition(depot, partition)
            except ApiError as error:
                error.add_note(f"partition {partition.key}")
                raise
        if (batch := self._shape.finish(partitions[-1])) is not None:
            await self._deliver(batch)

    async def _read_partition(self, depot: DepotClient, partition: Partition) -> None:
        async with aclosing(self._describe(depot, partition).pages()) as pages:
            async for page in pages:
                batch = self._shape.batch(page, partition)
                del page  # Release the page while the batch is used.
                await self._deliver(batch)
                del batch

    def _describe(self, depot: DepotClient, partition: Partition) -> SessionReports[Any]:
        from_, to, margin = partition.start, partition.end, self._settings.margin
        whole = self._shape.whole_pages
        if whole:
            from_, to = from_ - margin, min(to + margin, depot.now())
        return depot.session_reports(
            partition.charger_id,
            partition.connector_id,
            from_=from_,
            to=to,
            # Without a margin, a walk delivers everything that the server returns.
            margin=None if whole else margin,
            limit=self._settings.limit,
            read_ahead=0,
            verify=self._settings.verify,
        )

    async def _deliver(self, batch: pa.RecordBatch) -> None:
        """Hand a batch to the consumer, and wait until the consumer has used it."""
        used = asyncio.Event()
        self._results.put(_Delivery(batch, used))
        del batch
        await used.wait()


@attrs.frozen
class _Delivery:
    """A batch for the consumer, and the event to set after its use."""

    batch: pa.RecordBatch
    used: asyncio.Event


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    """Call a function in the thread of a loop, unless the loop has been closed by an error."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function)


def _cancel_all_tasks() -> None:
    for task in asyncio.all_tasks():
        task.cancel()
