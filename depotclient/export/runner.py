"""Export of session reports into files, several connectors at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from depotclient.client import DepotClient
from depotclient.copying.concurrency import Worker, notify, run_all
from depotclient.copying.options import (
    CONCURRENCY,
    choose_read_ahead,
    require_bool,
    require_function,
    require_span,
)
from depotclient.drift import add_counts
from depotclient.export.files import NewFile, open_format
from depotclient.export.folder import folder_path
from depotclient.export.formats import FORMATS, FileFormat, Format
from depotclient.export.layout import (
    ConnectorFolder,
    prepare_folder,
    require_distinct_folders,
)
from depotclient.export.merge import Merge
from depotclient.export.page_writer import PageWriter
from depotclient.export.placement import Homes, Placement
from depotclient.export.plan import (
    CalendarWindow,
    Options,
    Reading,
    first_limit,
    plan_readings,
    span_of,
)
from depotclient.export.quarantine import ON_BAD_REPORT, OnBadReport, Quarantine, rejected_folder
from depotclient.export.result import ConnectorExport, Export
from depotclient.export.staging import Staging
from depotclient.partitions.calendar import MARGIN, Connector, Window, plan
from depotclient.query import distinct_connectors
from depotclient.reports import first_cursor
from depotclient.sessions import Identity
from evtransport.errors import ApiError, SchemaError
from evtransport.validation import validate_int

__all__ = ["CONCURRENCY", "export_session_reports"]


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
    lag: timedelta = timedelta(),
    refresh: bool = False,
    accept_deletions: bool = False,
    on_bad_report: OnBadReport = "fail",
    keep_unknown: bool = False,
    on_progress: Callable[[ConnectorExport], object] = lambda _: None,
) -> Export:
    """Copy all session reports of some connectors into files. Run it again to continue.

    Each connector and window becomes one file in the folder, such as
    `charger_id=CP-001/connector_id=1/month=2026-10/reports.parquet`, with percent-encoded ids. A
    file under its final name is complete. A later run reads an open window from its last reading
    on, less `margin` and `lag`. A window closes `margin` and `lag` after its end: then the whole
    window is read a last time.

    A file has each session as the last reading that covered it returned it. A report belongs to the
    window of its `session_time_start`, whichever timestamp the server filters on. The start of a
    stray is missing, or more than `margin` off the span, because a clock was not set or a vehicle
    was parked for long. A stray is in the window of its end, else of its reading. A session that
    the server no longer has is kept, and named in the result.

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
        margin: Time read on both sides of a window. It must cover the longest session and the
            longest reporting delay.
        concurrency: Number of connectors to read at a time. Each holds some pages of about 8 MiB.
        verify: Whether to walk each reading until a whole pass finds nothing new. Open windows, and
            windows that were read without it, are read whole.
        lag: Time in which the vendor may still change a report, after the margin.
        refresh: Whether to read all windows whole, the closed ones too.
        accept_deletions: Whether to delete sessions that the server no longer has.
        on_bad_report: With `fail`, the windows that an invalid report is read for are not written.
            With `quarantine`, the report is kept in `_rejected/lake` next to `lake`, and the others
            are written. The connector has an error in the run that rejects the report first. A
            later run writes it if its version of the library can read it, or if the vendor has
            corrected it. For `ndjson`, only a report with an invalid start is invalid.
        keep_unknown: Whether to keep the fields that the schema lacks as JSON, in the column
            `unknown_fields` of a `parquet` file. An `ndjson` file has them in any case.
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
    now, path = depot.now(), folder_path(folder)
    require_span(from_, to, now)
    _validate_options(format, concurrency, on_bad_report, keep_unknown, on_progress)
    options = Options(margin, lag, verify, refresh, accept_deletions)
    # A window that has not started has no reports.
    end = now if to is None else min(to, now)
    worker = Worker()
    try:
        pairs, windows = await worker.call(_plan, connectors, from_, end, window)
        root, file_format, staging = await worker.call(_prepare, path, format, keep_unknown)
        rejected = None
        if on_bad_report == "quarantine":
            rejected = await worker.call(rejected_folder, root)
        read_ahead = choose_read_ahead(concurrency, len(pairs))
        job = _Job(
            depot, root, staging, window, windows, file_format, options, rejected, read_ahead,
            on_progress, worker,
        )  # fmt: skip
        try:
            runs = [_ConnectorRun(job, pair).run for pair in pairs]
            return Export(await run_all(runs, concurrency))
        finally:
            await worker.call(staging.remove)
    finally:
        worker.shut_down()


def _plan(
    connectors: Iterable[Connector], from_: datetime, to: datetime, kind: Window
) -> tuple[tuple[tuple[str, str], ...], tuple[CalendarWindow, ...]]:
    """Return the connectors and the windows of an export."""
    pairs = distinct_connectors(connectors)
    require_distinct_folders(pairs)
    partitions = plan(pairs[:1], from_, to, kind)
    return pairs, tuple(CalendarWindow.of(each.window, kind) for each in partitions)


def _prepare(
    folder: Path, name: Format, keep_unknown: bool
) -> tuple[Path, FileFormat[Any], Staging]:
    """Create the folders of an export. Return the folder, the format and the staging folder."""
    # This names a missing extra before any request.
    file_format = open_format(name, keep_unknown=keep_unknown)
    root = folder.absolute()  # The caller may change the working directory during the export.
    prepare_folder(root)
    return root, file_format, Staging.prepare(root)


def _validate_options(
    format_: object,
    concurrency: object,
    on_bad_report: object,
    keep_unknown: object,
    on_progress: object,
) -> None:
    if on_bad_report not in ON_BAD_REPORT:
        expected = ", ".join(ON_BAD_REPORT)
        raise ValueError(f"on_bad_report must be one of {expected}, got {on_bad_report!r}")
    require_bool("keep_unknown", keep_unknown)
    if format_ not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format_!r}")
    validate_int("concurrency", concurrency, minimum=1)
    require_function("on_progress", on_progress)


@attrs.frozen
class _Job:
    """Arguments and resources that all connectors of an export share."""

    depot: DepotClient
    root: Path
    staging: Staging
    kind: Window
    windows: tuple[CalendarWindow, ...]
    format: FileFormat[Any]
    options: Options
    rejected: Path | None
    read_ahead: int
    on_progress: Callable[[ConnectorExport], object]
    worker: Worker


@attrs.define(eq=False)
class _ConnectorRun:
    """Export of one connector, reading after reading."""

    job: _Job
    connector: tuple[str, str]
    deleted: list[int | None] = attrs.field(factory=list["int | None"])
    skipped: set[str] = attrs.field(factory=set[str])
    written: set[str] = attrs.field(factory=set[str])
    quarantine: Quarantine | None = None
    export: ConnectorExport = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.export = ConnectorExport(*self.connector, len(self.job.windows))

    async def run(self) -> ConnectorExport:
        """Export all windows. Return the result."""
        self._report(self.export)
        job = self.job
        try:
            folder = await self.job.worker.call(
                ConnectorFolder.open, job.root, self.connector, job.kind, job.format, job.windows
            )
            if job.rejected is not None:
                path = job.rejected / folder.path.relative_to(job.root) / "reports.ndjson"
                self.quarantine = await self.job.worker.call(Quarantine.open, path)
            now = job.depot.now()
            readings = plan_readings(job.windows, folder.manifests, now, job.options)
            read = {window.name for reading in readings for window in reading.windows}
            self.skipped = {window.name for window in job.windows} - read
            span = span_of(job.windows, folder.held, job.options.margin)
            self._count(folder)
            for reading in readings:
                self._report(self.export)
                homes = Homes.of(span, job.kind, reading, folder.manifests)
                await self._read(folder, homes, now)
            restores = self.quarantine is not None and self.quarantine.reports
            # A killed run may have left sessions in the files that they have departed from.
            was_killed = not readings and any(each.departures for each in folder.manifests.values())
            if restores or was_killed:
                homes = Homes.of(span, job.kind, Reading((), now, now), folder.manifests)
                await self._read(folder, homes, now)
        except (ApiError, OSError) as error:
            self._fail(error, missing=self.export.left)
        self._report(self.export)
        return self.export

    def _report(self, export: ConnectorExport) -> None:
        notify(self.job.on_progress, export)

    def _fail(self, error: ApiError | OSError, *, missing: int) -> None:
        first, missing = self.export.error or error, self.export.missing + missing
        self.export = attrs.evolve(self.export, error=first, missing=missing)

    def _count(self, folder: ConnectorFolder) -> None:
        """Set the counts of the files that are there."""
        manifests = folder.manifests
        vanished = [each for manifest in manifests.values() for each in manifest.vanished]
        strays = [each for manifest in manifests.values() for each in manifest.strays]
        self.export = attrs.evolve(
            self.export,
            written=len(self.written),
            skipped=len(self.skipped),
            reports=sum(manifests[name].reports for name in self.written),
            skipped_reports=sum(manifests[name].reports for name in self.skipped),
            vanished=(*self.deleted, *(session.session_id for session in vanished)),
            strays=tuple(session.session_id for session in strays),
            rejected=() if self.quarantine is None else self.quarantine.ids,
        )

    async def _read(self, folder: ConnectorFolder, homes: Homes, now: datetime) -> None:
        """Read some windows, and replace the files that change."""
        job, reading = self.job, homes.reading
        # The list has each file even if the task is cancelled while the thread creates it.
        created = list[NewFile]()

        def create(name: str) -> NewFile:
            file = NewFile.create(folder.file_of(name), job.staging.folder, job.format)
            created.append(file)
            return file

        placement, quarantine = Placement(homes), self.quarantine
        writer = PageWriter(
            self.connector, job.format, placement, create, now, quarantine is not None
        )
        merge = Merge(folder, placement, job.options, now, create, writer.files)
        restored = set[Identity]()
        try:
            if reading.windows:
                merge.bytes_read = await self._walk(
                    reading, writer, first_limit(reading, folder.manifests)
                )
                await job.worker.call(self._reject, folder, writer)
            elif quarantine is not None:
                restored = await job.worker.call(writer.restore, quarantine.reports.values())
            await job.worker.call(merge.commit)
        except (SchemaError, FileExistsError) as error:
            if reading.windows:
                error.add_note(reading.name)
            self._fail(error, missing=len(reading.windows))
            return
        finally:
            for file in created:
                await job.worker.call(file.discard)
        if quarantine is not None and restored:
            self.quarantine = await job.worker.call(quarantine.update, folder.lock, (), restored)
        self.written |= {window.name for window in reading.windows}
        moved = tuple(session.session_id for session in merge.absent.moved)
        if job.options.accept_deletions:
            self.deleted += (session.session_id for session in merge.absent.vanished)
        self.export = attrs.evolve(self.export, moved=(*self.export.moved, *moved))
        self._count(folder)

    def _reject(self, folder: ConnectorFolder, writer: PageWriter) -> None:
        """Keep the rejected reports of a complete reading, before its files are replaced."""
        if (quarantine := self.quarantine) is None:
            return
        deletes = self.job.options.accept_deletions
        resolved = quarantine.find_resolved(writer.placement, accept_deletions=deletes)
        self.quarantine = quarantine.update(folder.lock, writer.rejected, resolved)
        for report, error in zip(writer.rejected, writer.errors, strict=True):
            if not quarantine.has(report):
                error.add_note(f"window {report.window}, in quarantine: {quarantine.path}")
                self._fail(error, missing=0)

    async def _walk(self, reading: Reading, writer: PageWriter, limit: int) -> int:
        """Write the pages of a reading. Return their total size in bytes."""
        job, before, size = self.job, self.export, 0
        reports = job.depot.session_reports(
            *self.connector,
            from_=reading.from_,
            to=reading.to,
            into=job.format.into,
            read_ahead=job.read_ahead,
            verify=job.options.verify,
        )
        cursor = attrs.evolve(first_cursor(reports), limit=limit)
        reports = attrs.evolve(reports, resume=cursor)
        async with aclosing(reports.pages()) as pages:
            async for page in pages:
                await self.job.worker.call(writer.write, page)
                size += len(page.raw)
                del page  # Release the page while the next one is awaited.
                self.export = attrs.evolve(
                    self.export,
                    reports=before.reports + writer.placement.reports,
                    bytes_read=before.bytes_read + size,
                    unknown_fields=add_counts(before.unknown_fields, writer.unknown_fields),
                )
                self._report(self.export)
        return size
