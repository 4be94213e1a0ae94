"""Export of session reports into files, several connectors at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import ParamSpec, TypeVar

import attrs

from depotclient.client import DepotClient
from depotclient.copying.concurrency import CallbackFailed, run_all, run_to_the_end
from depotclient.export.folder import folder_path
from depotclient.export.layout import (
    FORMATS,
    ConnectorFolder,
    Format,
    WindowFile,
    prepare_folder,
    require_distinct_folders,
)
from depotclient.export.manifest import Manifest
from depotclient.export.result import ConnectorExport, Export
from depotclient.partitions.calendar import (
    MARGIN,
    Connector,
    Partition,
    Window,
    WindowFilter,
    plan,
)
from depotclient.query import format_time, is_before, require_aware, validate_duration
from evtransport._version import __version__
from evtransport.errors import ApiError, SchemaError
from evtransport.validation import validate_int

__all__ = ["CONCURRENCY", "export_session_reports"]

P = ParamSpec("P")
R = TypeVar("R")

CONCURRENCY = 3
"""Default number of connectors to read at a time. Each holds one or two pages in memory."""


async def export_session_reports(
    depot: DepotClient,
    connectors: Iterable[Connector],
    folder: str | Path,
    *,
    from_: datetime,
    to: datetime | None = None,
    window: Window = "month",
    format: Format = "parquet",  # noqa: A002 - the usual name
    margin: timedelta = MARGIN,
    concurrency: int = CONCURRENCY,
    verify: bool = False,
    on_progress: Callable[[ConnectorExport], object] = lambda _: None,
) -> Export:
    """Copy all session reports of some connectors into files. Run it again to continue.

    Each connector and window becomes one file in the folder, such as
    `charger_id=CP-001/connector_id=1/month=2026-10/reports.parquet`, with percent-encoded ids. A
    file under its final name is complete. Later runs skip a window if it was read at least `margin`
    after its end. They read other windows again and replace the file.

    A report belongs to the window of its `session_time_start`, whichever timestamp the server
    filters on. A report without a start belongs to the first window that reads it.

    Args:
        depot: Client. Its limiter applies to all connectors together.
        connectors: Charger and connector ids. Duplicates count once.
        folder: Folder of the files. It is created if it is missing.
        from_: Start of the time span (timezone-aware). The first window is the whole month
            or day that contains this time.
        to: End of the time span (timezone-aware). None means now. The last window is whole too.
        window: `month` or `day`, in UTC.
        format: `parquet`, with the schema `depotclient.arrow.SESSION_REPORTS`, or `ndjson`, with
            the vendor's own reports, one on each line.
        margin: Time read on both sides of a window, and time after its end until it is closed.
            It must cover the longest session and the longest reporting delay.
        concurrency: Number of connectors to read at a time. Each holds some pages of about 8 MiB.
        verify: Whether to walk each window until a whole pass finds nothing new.
        on_progress: Function that is called whenever a connector has made progress.

    Returns:
        The results. A connector that fails does not stop the others: see `Export.failed`.

    Raises:
        ValueError: An argument is invalid. Nothing was requested or written.
        OSError: The folder is a file, or can't be created or written to.
        ImportError: The format is `parquet`, and pyarrow is not installed.

    Example:
        >>> from datetime import UTC, datetime
        >>> async with DepotClient.from_env() as depot:
        ...     export = await export_session_reports(
        ...         depot,
        ...         [("CP-001", 1)],
        ...         "lake",
        ...         from_=datetime(2026, 1, 1, tzinfo=UTC),
        ...         to=datetime(2026, 2, 1, tzinfo=UTC),
        ...     )
        >>> export.failed, export.connectors[0].reports
        ((), 60)
    """
    now, root = depot.now(), folder_path(folder)
    _validate_span(from_, to, now)
    _validate_options(format, margin, concurrency, verify, on_progress)
    # A window that has not started has no reports.
    end = now if to is None else min(to, now)
    # One thread converts the pages of all connectors: a conversion uses several times the memory of
    # its page, and allocators keep memory for each thread.
    thread = ThreadPoolExecutor(1, "export")
    try:
        planning = partial(_plan_connectors, connectors, from_, end, window)
        by_connector = await run_to_the_end(thread, planning)
        # With several connectors, the others already use the time between two pages.
        read_ahead = 1 if min(concurrency, len(by_connector)) == 1 else 0
        await run_to_the_end(thread, partial(prepare_folder, root, format))
        new_run = partial(
            _ConnectorRun, depot, root, format, margin, verify, read_ahead, on_progress, thread
        )
        runs = [new_run(deque(windows)).run for windows in by_connector]
        return Export(await run_all(runs, concurrency))
    finally:
        thread.shutdown(wait=False)  # The thread is idle, and waiting blocks the event loop.


def _validate_span(from_: datetime, to: datetime | None, now: datetime) -> None:
    require_aware("from_", from_)
    if to is not None:
        require_aware("to", to)
    if not is_before(from_, now):
        raise ValueError(f"from_={from_.isoformat()} is in the future: there is nothing to export")


def _validate_options(
    format_: object, margin: object, concurrency: object, verify: object, on_progress: object
) -> None:
    if format_ not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format_!r}")
    validate_duration("margin", margin)
    validate_int("concurrency", concurrency, minimum=1)
    if not isinstance(verify, bool):
        raise ValueError(f"verify must be a bool, got {verify!r}")
    if not callable(on_progress):
        raise ValueError(f"on_progress must be a function, got {on_progress!r}")


def _plan_connectors(
    connectors: Iterable[Connector], from_: datetime, to: datetime, window: Window
) -> list[tuple[Partition, ...]]:
    """Return the partitions of each connector."""
    partitions = plan(connectors, from_, to, window)
    by_ids = groupby(partitions, attrgetter("charger_id", "connector_id"))
    by_connector = {ids: tuple(windows) for ids, windows in by_ids}
    require_distinct_folders(by_connector)
    return [*by_connector.values()]


@attrs.define(eq=False)
class _ConnectorRun:
    """Export of one connector, window after window."""

    depot: DepotClient
    root: Path
    format: Format
    margin: timedelta
    verify: bool
    read_ahead: int
    on_progress: Callable[[ConnectorExport], object]
    thread: Executor
    queue: deque[Partition]
    repeated: set[str] = attrs.field(init=False, factory=set[str])
    export: ConnectorExport = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        first = self.queue[0]
        self.export = ConnectorExport(first.charger_id, first.connector_id, len(self.queue))

    async def run(self) -> ConnectorExport:
        """Export all windows. Return the result."""
        self._report(self.export)
        try:
            folder = await self._in_thread(
                ConnectorFolder.open, self.root, self.queue[0], self.format
            )
            while self.queue:
                await self._export_window(folder, self.queue.popleft())
                if self.queue:
                    self._report(self.export)
        except (ApiError, OSError) as error:
            self._fail(error, missing=self.export.left)
        self._report(self.export)
        return self.export

    async def _in_thread(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await run_to_the_end(self.thread, partial(work, *args, **kwargs))

    def _report(self, export: ConnectorExport) -> None:
        try:
            self.on_progress(export)
        except Exception as error:
            raise CallbackFailed(error) from None

    def _fail(self, error: ApiError | OSError, *, missing: int) -> None:
        first, missing = self.export.error or error, self.export.missing + missing
        self.export = attrs.evolve(self.export, error=first, missing=missing)

    async def _export_window(self, folder: ConnectorFolder, partition: Partition) -> None:
        """Read one window and write its file, unless the file is final."""
        now, manifest = self.depot.now(), folder.manifests.get(partition.window)
        if (
            manifest is not None
            and partition.window not in self.repeated
            and manifest.is_final(partition, now, self.margin, verify=self.verify)
        ):
            skipped, held = self.export.skipped + 1, self.export.skipped_reports + manifest.reports
            self.export = attrs.evolve(self.export, skipped=skipped, skipped_reports=held)
            return
        excluded = folder.keys_without_start(partition)
        window_filter = WindowFilter(partition.start, partition.end, excluded)
        try:
            await self._write_window(folder, partition, window_filter, now)
        except (SchemaError, FileExistsError) as error:
            error.add_note(f"window {partition.window}")
            self._fail(error, missing=1)
            return
        superseded = folder.drop_superseded(partition, window_filter, self.margin, self.repeated)
        self._repeat(partition, superseded)

    def _repeat(self, partition: Partition, windows: set[str]) -> None:
        """Queue windows with superseded reports again.

        Each window is repeated once: two windows with sessions that share an id
        may supersede each other.
        """
        added = sorted(windows - {queued.window for queued in self.queue})
        self.queue.extend(attrs.evolve(partition, window=window) for window in added)
        self.export = attrs.evolve(self.export, windows=self.export.windows + len(added))
        self.repeated |= windows

    async def _write_window(
        self,
        folder: ConnectorFolder,
        partition: Partition,
        window_filter: WindowFilter,
        now: datetime,
    ) -> None:
        # The list has the file even if the task is cancelled while the thread creates it.
        created: list[WindowFile] = []
        try:
            await self._in_thread(lambda: created.append(folder.new_file(partition)))
            (file,) = created
            manifest = await self._fill(file, partition, window_filter, now)
            await self._in_thread(file.commit, manifest)
        finally:
            for file in created:
                await self._in_thread(file.discard)
        folder.manifests[partition.window] = manifest
        self.export = attrs.evolve(self._export_with(file), written=self.export.written + 1)

    async def _fill(
        self, file: WindowFile, partition: Partition, window_filter: WindowFilter, now: datetime
    ) -> Manifest:
        """Read a window into its file. Return the manifest."""
        from_, to = partition.query(now, self.margin)
        reports = self.depot.session_reports(
            partition.charger_id,
            partition.connector_id,
            from_=from_,
            to=to,
            into=file.into,
            read_ahead=self.read_ahead,
            verify=self.verify,
        )
        async with aclosing(reports.pages()) as pages:
            async for page in pages:
                await self._in_thread(file.write, page, window_filter)
                del page  # Release the page while the next one is awaited.
                self._report(self._export_with(file))
        return Manifest(
            library=f"thor-depot-clients {__version__}",
            charger_id=partition.charger_id,
            connector_id=partition.connector_id,
            window=partition.window,
            from_=format_time(from_),
            to=format_time(to),
            verify=self.verify,
            read_at=now,
            reports=file.reports,
            bytes_read=file.bytes_read,
            missing_start=window_filter.missing_start,
        )

    def _export_with(self, file: WindowFile) -> ConnectorExport:
        """Return the progress, including a file that is being written."""
        return attrs.evolve(
            self.export,
            reports=self.export.reports + file.reports,
            bytes_read=self.export.bytes_read + file.bytes_read,
        )
