"""Session reports into files, one for each connector and calendar window (extra `arrow`)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import attrs

from depotclient.client import DepotClient
from depotclient.export.layout import (
    FORMATS,
    AtomicWriter,
    ConnectorFolder,
    Format,
    Manifest,
    folder_path,
    prepare,
    require_distinct_folders,
)
from depotclient.partitions.calendar import (
    MARGIN,
    Connector,
    Partition,
    Window,
    WindowFilter,
    plan,
    validate_duration,
)
from depotclient.query import is_before, require_aware
from evtransport._version import __version__
from evtransport.errors import ApiError, SchemaError
from evtransport.validation import validate_int

__all__ = ["CONCURRENCY", "ConnectorExport", "Export", "export_session_reports"]

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")

CONCURRENCY = 3
"""Connectors that are read side by side, each with a page or two in memory."""


@attrs.frozen
class ConnectorExport:
    """How far the export of one connector has come, or what it has come to.

    Attributes:
        charger_id: The charger.
        connector_id: The connector.
        windows: How many windows it has.
        written: How many of them have been read and written in this run.
        skipped: How many were there already, finished and settled.
        missing: How many could not be written. A report that is not as documented costs its window
            alone; other errors, those that follow as well.
        reports: How many reports the windows written hold; while one is read, with its own.
        bytes_read: How many bytes of answers have been read for them, margins included.
        error: The first reason for that; whole files remain.
    """

    charger_id: str
    connector_id: str
    windows: int
    written: int = 0
    skipped: int = 0
    missing: int = 0
    reports: int = 0
    bytes_read: int = 0
    error: ApiError | OSError | None = None

    @property
    def left(self) -> int:
        """How many windows nothing has been done about yet."""
        return self.windows - self.written - self.skipped - self.missing

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be done."""
        return self.left == 0


@attrs.frozen
class Export:
    """What a run has come to.

    Attributes:
        connectors: One entry for each connector, in the order in which they were given.
    """

    connectors: tuple[ConnectorExport, ...]

    @property
    def failed(self) -> tuple[ConnectorExport, ...]:
        """The connectors of which a window is missing."""
        return tuple(connector for connector in self.connectors if connector.error is not None)


async def export_session_reports(
    depot: DepotClient,
    connectors: Iterable[Connector],
    folder: str | Path,
    *,
    from_: datetime,
    to: datetime | None = None,
    window: Window = "month",
    format: Format = "parquet",  # noqa: A002 - the word that everybody looks for
    margin: timedelta = MARGIN,
    concurrency: int = CONCURRENCY,
    verify: bool = False,
    on_progress: Callable[[ConnectorExport], object] = lambda _: None,
) -> Export:
    """Copy every session report of some connectors into files; run it again to go on.

    Each connector and window becomes one file, `charger_id=CP-001/connector_id=1/month=2026-10/
    reports.parquet` in the folder, with the ids percent-encoded. A file that is there is whole. It
    knows what it holds: of a window that was over for `margin` when it was read, nothing more is
    asked, and any other one is read and written again.

    A report belongs to the window of its `session_time_start`, whichever of a session's times the
    server tests; one without that time belongs to the first window whose reading brings it.

    Args:
        depot: Its limiter holds for all connectors together.
        connectors: Charger and connector ids; one that is named twice counts once.
        folder: Made if it is missing.
        from_: Begin of the time span, aware. Windows are whole: the first one is all of the month
            or day in which this falls.
        to: End of the time span, aware and likewise; None means now.
        window: `month` or `day`, by the calendar of UTC.
        format: `parquet`, with the schema `depotclient.arrow.SESSION_REPORTS`, or `ndjson`, the
            vendor's own reports, one a line.
        margin: By how much more is read on both sides of a window, and how long after its end it is
            read again: at least as long as a session may last and its report may take to come.
        concurrency: How many connectors are read side by side. Each holds some pages of about
            8 MiB.
        verify: As in `DepotClient.session_reports`.
        on_progress: Called with plain values whenever a connector has come further.

    Returns:
        What has been done. A connector that fails does not stop the others: see `failed`.

    Raises:
        ValueError: An argument is not usable; nothing has been asked or written.
        OSError: The folder is a file, or can't be made or written to.
        ImportError: The format is `parquet`, and pyarrow is not installed.
    """
    now = depot.now()
    root = folder_path(folder)
    require_aware("from_", from_)
    if not is_before(from_, now):
        raise ValueError(f"from_={from_.isoformat()} is in the future: there is nothing to export")
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
    validate_duration("margin", margin)
    validate_int("concurrency", concurrency, minimum=1)
    if not isinstance(verify, bool):
        raise ValueError(f"verify must be True or False: {verify!r}")
    if not callable(on_progress):
        raise ValueError(f"on_progress must be a function, not {on_progress!r}")
    if to is not None:
        require_aware("to", to)
    # A window that has not begun has nothing to read.
    planning = partial(
        _by_connector, connectors, from_, now if to is None else min(to, now), window
    )
    # One thread for all connectors: so one page at a time is converted, which takes some times its
    # size of memory, and what allocators keep for each thread they keep once.
    thread = ThreadPoolExecutor(1, "export")
    try:
        by_connector = await _to_the_end(thread, planning)
        run = _Run(
            depot,
            root,
            format,
            margin,
            verify,
            # Where connectors are read side by side, the next page is another connector's.
            read_ahead=1 if min(concurrency, len(by_connector)) == 1 else 0,
            on_progress=on_progress,
            thread=thread,
        )
        await run.in_thread(prepare, run.root, format)
        return Export(tuple(await _side_by_side(run.connector, by_connector, concurrency)))
    except _CallbackFailed as failed:
        raise failed.error from None
    finally:
        thread.shutdown(wait=False)  # it has nothing left to do, and to wait would block the loop


def _by_connector(
    connectors: Iterable[Connector], from_: datetime, to: datetime, window: Window
) -> list[tuple[Partition, ...]]:
    partitions = plan(connectors, from_, to, window)
    by_ids = groupby(partitions, attrgetter("charger_id", "connector_id"))
    by_connector = {ids: tuple(windows) for ids, windows in by_ids}
    require_distinct_folders(by_connector)
    return [*by_connector.values()]


class _CallbackFailed(Exception):
    """The caller's callback has raised something, which is no connector's failure."""

    def __init__(self, error: Exception) -> None:
        self.error = error


async def _to_the_end(thread: Executor, work: Callable[[], R]) -> R:
    """Do what blocks in a thread, to its end: a cancellation comes out when it is over.

    Otherwise a file would be deleted while the thread still writes it.
    """
    running = asyncio.get_running_loop().run_in_executor(thread, work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return running.result()
    running.exception()  # seen, though the cancellation goes first
    raise cancelled


async def _side_by_side(
    work: Callable[[A], Coroutine[Any, Any, R]], items: Sequence[A], concurrency: int
) -> list[R]:
    """The results for all items, in their order, of so many at once."""
    results: dict[int, R] = {}
    rest = iter(enumerate(items))

    async def worker() -> None:
        for place, item in rest:
            results[place] = await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(items))):
                group.create_task(worker())
    except BaseExceptionGroup as failures:  # a bug, or what the caller's callback has raised
        raise failures.exceptions[0] from None
    return [results[place] for place in range(len(items))]


@attrs.frozen
class _Run:
    """What is the same for all connectors of a run."""

    depot: DepotClient
    root: Path
    format: Format
    margin: timedelta
    verify: bool
    read_ahead: int
    on_progress: Callable[[ConnectorExport], object]
    thread: Executor

    async def in_thread(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do what blocks in the thread of the run."""
        return await _to_the_end(self.thread, partial(work, *args, **kwargs))

    def tell(self, export: ConnectorExport) -> None:
        """Tell the caller how far a connector has come."""
        try:
            self.on_progress(export)
        except Exception as error:
            raise _CallbackFailed(error) from None

    async def connector(self, windows: Sequence[Partition]) -> ConnectorExport:
        """Export one connector, window after window."""
        export = ConnectorExport(windows[0].charger_id, windows[0].connector_id, len(windows))
        self.tell(export)
        try:
            folder = await self.in_thread(ConnectorFolder.open, self.root, windows[0], self.format)
            due, repeated = deque(windows), set[str]()
            while due:
                partition, now = due.popleft(), self.depot.now()
                if partition.window not in repeated and folder.is_done(
                    partition, now, self.margin, verify=self.verify
                ):
                    export = attrs.evolve(export, skipped=export.skipped + 1)
                else:
                    superseded, export = await self._window(partition, folder, export, repeated)
                    again = sorted(superseded - {queued.window for queued in due})
                    due.extend(attrs.evolve(partition, window=window) for window in again)
                    export = attrs.evolve(export, windows=export.windows + len(again))
                    # Only once: windows whose sessions share an id may supersede each other.
                    repeated |= superseded
                if due:
                    self.tell(export)
        except (ApiError, OSError) as error:
            missing = export.missing + export.left
            export = attrs.evolve(export, error=export.error or error, missing=missing)
        self.tell(export)
        return export

    async def _window(
        self,
        partition: Partition,
        folder: ConnectorFolder,
        export: ConnectorExport,
        repeated: Collection[str],
    ) -> tuple[set[str], ConnectorExport]:
        """Read one window and write its file.

        Args:
            partition: The window.
            folder: Files of the connector.
            export: Progress so far.
            repeated: Windows that this run has queued for a second reading.

        Returns:
            The windows to read again, and the progress.
        """
        window_filter = partition.window_filter(folder.missing_start_elsewhere(partition))
        try:
            export = await self._write(partition, folder, window_filter, export)
        except (SchemaError, FileExistsError) as error:
            error.add_note(f"window {partition.window}")
            missing = export.missing + 1
            return set(), attrs.evolve(export, error=export.error or error, missing=missing)
        return folder.drop_superseded(partition, window_filter, self.margin, repeated), export

    async def _write(
        self,
        partition: Partition,
        folder: ConnectorFolder,
        window_filter: WindowFilter,
        export: ConnectorExport,
    ) -> ConnectorExport:
        read_at = self.depot.now()
        files: list[AtomicWriter] = []  # here also when a cancellation comes while it is made
        try:
            await self.in_thread(lambda: files.append(folder.new_file(partition)))
            (new,) = files
            reports = partition.reports(
                self.depot,
                read_at,
                into=new.into,
                margin=self.margin,
                verify=self.verify,
                read_ahead=self.read_ahead,
            )
            sent = reports.query.identity()
            async with aclosing(reports.pages()) as pages:
                async for page in pages:
                    await self.in_thread(new.write, page, window_filter)
                    del page  # which would be held while the next one is waited for
                    self.tell(_further(export, new))
            record = Manifest(
                library=f"thor-depot-clients {__version__}",
                charger_id=partition.charger_id,
                connector_id=partition.connector_id,
                window=partition.window,
                from_=sent["from"],
                to=sent["to"],
                verify=self.verify,
                read_at=read_at,
                reports=new.reports,
                bytes_read=new.bytes_read,
                missing_start=tuple(window_filter.missing_start.values()),
                missing_start_keys=tuple(window_filter.missing_start),
            )
            await self.in_thread(new.commit, record)
        finally:
            for new in files:
                await self.in_thread(new.discard)
        folder.records[partition.window] = record
        return attrs.evolve(_further(export, new), written=export.written + 1)


def _further(export: ConnectorExport, new: AtomicWriter) -> ConnectorExport:
    return attrs.evolve(
        export,
        reports=export.reports + new.reports,
        bytes_read=export.bytes_read + new.bytes_read,
    )
