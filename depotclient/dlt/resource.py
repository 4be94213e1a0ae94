"""The dlt resource, and one run of it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import attrs
import dlt
import pyarrow as pa
from dlt.extract.resource import DltResource

from depotclient.copying.options import CONCURRENCY
from depotclient.dlt.destination import current_capabilities, require_storable
from depotclient.dlt.rows import NO_ROWS, PRIMARY_KEY, Rows, columns_of, deletions, rows_of
from depotclient.dlt.state import LOOK_BACK, ConnectorRun, Progress, Stored, start_of_run
from depotclient.pages import Page
from depotclient.partitions import Connector, Partition, ReadSettings, Window, plan
from depotclient.partitions.batches import PartitionReader, Shape, fleet_batch
from depotclient.partitions.calendar import connector_key
from depotclient.partitions.settings import require_settings
from depotclient.query import require_aware, to_utc, validate_duration
from depotclient.sessions import Session, Span
from evtransport.validation import validate_int

__all__ = ["session_reports"]


def session_reports(
    connectors: Iterable[Connector],
    from_: datetime,
    to: datetime | None = None,
    *,
    look_back: timedelta = LOOK_BACK,
    window: Window = "month",
    settings: ReadSettings | None = None,
    name: str = "session_reports",
    rows: Rows = "arrow",
    concurrency: int = CONCURRENCY,
) -> DltResource:
    """Return a dlt resource with the session reports of some connectors.

    Pass it to `pipeline.run`. The first run loads everything since `from_`. dlt's state then holds
    the time of the latest session of each connector. The next run starts `look_back` before that.
    So a run finds the reports of a charger that was offline for a long time, unless a newer session
    of its connector was loaded. A run reads a new connector from `from_`, and all connectors if
    `from_` is earlier than in the previous run.

    The state also holds a digest of each report that the next run reads again: about 120 bytes for
    a session. A run loads only new and changed reports, and a changed report replaces its row. If
    the start of a session is corrected within `look_back`, its old row is removed. The row of a
    session that the API no longer has stays.

    A session belongs to the span of its start. The end decides if the start is missing, or off the
    span by more than the margin of `settings`. Then a clock was not set, or a vehicle was parked
    for weeks. A report with neither time belongs to the run that reads it.

    The state changes only after a complete run. A failed run loads nothing, and the next run starts
    at the same time. So load a long span in parts: increase `to` from run to run.

    dlt keeps `DATA_WRITER__BUFFER_MAX_ITEMS` reports in memory (default 5000). A typical report
    takes 50 to 500 kB: set a few hundred.

    Args:
        connectors: Charger and connector ids. Duplicates count once.
        from_: Start of the span (inclusive, timezone-aware).
        to: End of the span (exclusive, timezone-aware). None, or a time in the future, means
            the time of the run.
        look_back: Longest delay of a report, compared with reports of later sessions. At most 366
            days. Queries add `settings.margin`.
        window: Calendar window to read at a time: `month` or `day`, in UTC.
        settings: Account and options of the queries. None uses the environment of the run.
        name: Name of the resource, its table and its state.
        rows: `arrow` is much faster; events become nested or JSON columns. Use `objects` for
            destinations that accept no nested Parquet, such as PostgreSQL: events become child
            tables, or JSON with `max_table_nesting`. With `objects`,
            `pipeline.run(..., loader_file_format="parquet")` saves most of the time. Don't change
            it for a table that exists.
        concurrency: Number of connectors to read at a time. Each holds one or two pages in memory
            and has at most one request in flight.

    Returns:
        A resource that merges by `PRIMARY_KEY`. Its table has the columns of
        `depotclient.arrow.FLEET_REPORTS`, `session_key` and `deleted`, even without reports. With
        `objects`, a table without reports has no nested columns. `session_key` is the start of the
        session in UTC, such as `2026-01-31 18:00:00.000`. For a report without a start, it is a
        digest of 16 hexadecimal digits. `deleted` is the mark by which dlt removes an old row. It
        is null in every row, unless the destination can't remove rows: then the row stays, with
        `deleted` and its key.

        If a run fails, the cause of dlt's own error is an `ApiError`, whose note names the
        partition, or a `ValueError`: the destination can't store the rows. In both cases, dlt keeps
        no package that the next run would load.

    Raises:
        ValueError: An argument is invalid, or there are no connectors.

    Example:
        >>> from datetime import UTC, datetime
        >>> session_reports([("CP-001", 1)], datetime(2026, 1, 1, tzinfo=UTC)).name
        'session_reports'
    """
    if to is not None:
        require_aware("to", to)
    partitions = plan(connectors, from_, _end_of_run(to, datetime.now(UTC)), window, whole=False)
    if not partitions:
        raise ValueError("connectors must not be empty: give pairs, such as [('CP-001', 1)]")
    _validate_options(look_back, name, rows, concurrency)
    loader = _Loader(
        tuple(dict.fromkeys((part.charger_id, part.connector_id) for part in partitions)),
        to_utc(from_),
        None if to is None else to_utc(to),
        look_back,
        window,
        require_settings(settings),
        rows,
        concurrency,
    )

    # dlt accepts no bound method, and looks up arguments in its configuration.
    def items() -> Iterator[Any]:
        yield from loader.items()

    return dlt.resource(
        items,
        name=name,
        columns=columns_of(rows),
        write_disposition="merge",
        primary_key=PRIMARY_KEY,
    )


def _validate_options(look_back: timedelta, name: str, rows: Rows, concurrency: int) -> None:
    validate_duration("look_back", look_back)
    validate_int("concurrency", concurrency, minimum=1)
    if rows not in get_args(Rows):
        raise ValueError(f"rows must be one of {', '.join(get_args(Rows))}, got {rows!r}")
    if not (isinstance(name, str) and name.strip()):
        raise ValueError(f"name must be a non-empty string, got {name!r}")


def _end_of_run(to: datetime | None, now: datetime) -> datetime:
    # A charger with a fast clock reports sessions in the future. Runs after their start load them,
    # so the state never moves past the current time.
    return now if to is None else min(to, now)


@attrs.frozen
class _Loader:
    """Arguments of one resource, which may run several times."""

    connectors: Sequence[tuple[str, str]]
    from_: datetime
    to: datetime | None
    look_back: timedelta
    window: Window
    settings: ReadSettings
    rows: Rows
    concurrency: int

    def items(self) -> Iterator[Any]:
        """Yield the data of one run. Then update the state."""
        if (capabilities := current_capabilities()) is not None:
            table = dlt.current.resource().compute_table_schema()
            require_storable(self.rows, capabilities, table)
        state: dict[str, Stored] = dlt.current.resource_state().setdefault("connectors", {})
        run = _Run(self, state, datetime.now(UTC))
        has_table = bool(state)
        with closing(run.batches()) as batches:
            for batch in batches:
                if batch.num_rows:
                    has_table = True
                    yield batch.to_pylist() if self.rows == "objects" else batch
        if not has_table:
            yield _no_rows(self.rows)  # A first run without reports creates the table too.
        state.update(run.after)


@attrs.define(eq=False)
class _Run:
    """One run of the resource. A thread reads; the caller receives the rows."""

    loader: _Loader
    state: dict[str, Stored]
    now: datetime
    after: dict[str, Stored] = attrs.field(init=False, factory=dict[str, Stored])
    _runs: dict[tuple[str, str], ConnectorRun] = attrs.field(
        init=False, factory=dict[tuple[str, str], ConnectorRun]
    )

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows to load, with the schema `ROWS`."""
        partitions = [part for ids in self.loader.connectors for part in self._plan(ids)]
        shape = Shape(self._rows, self._finish, whole_pages=True)
        settings, concurrency = self.loader.settings, self.loader.concurrency
        return PartitionReader(partitions, settings, shape, concurrency=concurrency).batches()

    def _plan(self, ids: tuple[str, str]) -> tuple[Partition, ...]:
        """Return the windows of a connector to read, if its span has a time that is not read."""
        run = self._new_run(*ids)
        if run.start >= run.span.end:
            return ()
        return plan([ids], run.start, run.span.end, self.loader.window, whole=False)

    def _new_run(self, charger_id: str, connector_id: str) -> ConnectorRun:
        loader, end = self.loader, _end_of_run(self.loader.to, self.now)
        progress = Progress.load(self.state.get(connector_key(charger_id, connector_id)), self.now)
        span = Span(loader.from_, end, loader.settings.margin)
        return ConnectorRun(
            progress,
            span,
            start_of_run(progress, loader.from_, loader.look_back),
            min(end + span.margin, self.now),
            loader.look_back,
        )

    def _run_of(self, partition: Partition) -> ConnectorRun:
        """Return the run of a connector. Only those that are being read are in memory."""
        ids = partition.charger_id, partition.connector_id
        if ids not in self._runs:
            self._runs[ids] = self._new_run(*ids)
        return self._runs[ids]

    def _rows(self, page: Page[Any], partition: Partition) -> pa.RecordBatch:
        """Return the rows of a page that the table lacks."""
        run = self._run_of(partition)
        sessions = list(map(Session.read, page.items, page.ids, page.keys))
        selected = run.select(sessions, page.items)
        if not any(selected):
            return NO_ROWS  # Most pages of a later run have nothing new: don't decode them.
        return rows_of(fleet_batch(page, partition), sessions).filter(pa.array(selected))

    def _finish(self, partition: Partition) -> pa.RecordBatch | None:
        """Store the progress of a connector. Return the rows that remove others."""
        ids, run = (partition.charger_id, partition.connector_id), self._run_of(partition)
        del self._runs[ids]
        moved = run.moved()
        if (after := run.progress_after(moved)) is not None:
            self.after[connector_key(*ids)] = after.dump()
        return deletions(ids, moved)


def _no_rows(rows: Rows) -> object:
    return NO_ROWS if rows == "arrow" else dlt.mark.materialize_table_schema()
