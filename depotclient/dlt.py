"""Session reports as a dlt resource: the first run loads a span, later runs add new reports.

It needs the extra `dlt`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import attrs
import pyarrow as pa
import pyarrow.compute as pc

try:
    import dlt
    from dlt.common.data_types.typing import TDataType
    from dlt.common.schema.typing import TColumnSchema
    from dlt.extract.resource import DltResource
except ImportError as error:
    raise ImportError("depotclient.dlt needs dlt: pip install 'thor-depot-clients[dlt]'") from error

from depotclient.arrow import FLEET_REPORTS
from depotclient.arrow.schema import TIME
from depotclient.partitions import Connector, Partition, ReadSettings, Window, plan
from depotclient.partitions.batches import Reading, add_connector
from depotclient.partitions.calendar import connector_key
from depotclient.partitions.settings import require_settings
from depotclient.query import require_aware, to_utc, validate_duration

__all__ = ["LOOK_BACK", "PRIMARY_KEY", "Rows", "session_reports"]

Rows: TypeAlias = Literal["arrow", "objects"]
"""Data that dlt receives: Arrow batches, or a Python dict for each report."""

LOOK_BACK: Final = timedelta(days=3)
"""Time before the latest known session that a run reads again, for late reports."""

_SESSION_KEY: Final = "session_key"

# Charger, connector and id are not enough: a connector may reuse an id.
PRIMARY_KEY: Final = ("charger_id", "connector_id", "session_id", _SESSION_KEY)
"""Columns that identify a row. They are never null: dlt would add such a row in each run."""

_DLT_TIME: Final = pa.timestamp("us", tz="UTC")


def _dlt_field(field: pa.Field[Any]) -> pa.Field[Any]:
    if field.name in PRIMARY_KEY:
        return field.with_nullable(False)
    # dlt expects times with a zone in the unit of the destination, and warns about another unit.
    return field.with_type(_DLT_TIME) if field.type == TIME else field


_ROWS: Final = FLEET_REPORTS.append(pa.field(_SESSION_KEY, pa.string(), nullable=False))
_DLT_ROWS: Final = pa.schema([_dlt_field(field) for field in _ROWS])

_DATA_TYPES: Final[dict[pa.DataType, TDataType]] = {
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.string(): "text",
    _DLT_TIME: "timestamp",
}


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
) -> DltResource:
    """Return a dlt resource with the session reports of some connectors.

    Pass it to `pipeline.run`, with any destination. The first run loads everything since `from_`.
    dlt's state then holds the latest `session_time_start` of each connector. The next run starts
    `look_back` before that. So a run finds the reports of a charger that was offline for a long
    time, unless a newer session of its connector was loaded. A run reads a new connector from
    `from_`, and all connectors if `from_` is earlier than in the previous run. A report that is
    loaded again replaces its row. Rows are never deleted.

    The state changes only after a complete run. A failed run loads nothing, and the next run starts
    at the same time. So load a long span in parts: increase `to` from run to run.

    dlt keeps `DATA_WRITER__BUFFER_MAX_ITEMS` reports in memory (default 5000). A typical report
    takes 50 to 500 kB: set a few hundred.

    Args:
        connectors: Charger and connector ids. Duplicates count once.
        from_: Start of the span (inclusive, timezone-aware). It selects reports by
            `session_time_start`.
        to: End of the span (exclusive, timezone-aware). None, or a time in the future, means
            the time of the run.
        look_back: Longest delay of a report, compared with reports of later sessions. At most 366
            days. Queries add `settings.margin`.
        window: Calendar window to read at a time: `month` or `day`, in UTC.
        settings: Account and options of the queries. None uses the environment of the run.
        name: Name of the resource, its table and its state.
        rows: `arrow` is much faster; events become JSON columns. Use `objects` for destinations
            that accept no nested Parquet: events become child tables, or JSON with
            `max_table_nesting`. With `objects`, `pipeline.run(..., loader_file_format="parquet")`
            saves most of the time. Don't change it for a table that exists.

    Returns:
        A resource that merges by `PRIMARY_KEY`. Its table has the columns of
        `depotclient.arrow.FLEET_REPORTS` and `session_key`, even without reports. With `objects`, a
        table without reports has no nested columns. `session_key` is the start of the session in
        UTC, such as `2026-01-31 18:00:00.000`. For a report without a start, it is a digest of 16
        hexadecimal digits. If that report gets a start later, it becomes a new row.

        If a run fails, the cause of dlt's own error is an `ApiError`. Its note names the partition.

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
    _validate_options(look_back, name, rows)
    loader = _Loader(
        tuple(dict.fromkeys((part.charger_id, part.connector_id) for part in partitions)),
        to_utc(from_),
        None if to is None else to_utc(to),
        look_back,
        window,
        require_settings(settings),
        rows,
    )

    # dlt accepts no bound method, and looks up arguments in its configuration.
    def items() -> Iterator[Any]:
        yield from loader.items()

    return dlt.resource(
        items,
        name=name,
        columns=_columns(rows),
        write_disposition="merge",
        primary_key=PRIMARY_KEY,
    )


def _validate_options(look_back: timedelta, name: str, rows: Rows) -> None:
    validate_duration("look_back", look_back)
    if rows not in get_args(Rows):
        raise ValueError(f"rows must be one of {', '.join(get_args(Rows))}, got {rows!r}")
    if not (isinstance(name, str) and name.strip()):
        raise ValueError(f"name must be a non-empty string, got {name!r}")


def _end_of_run(to: datetime | None, now: datetime) -> datetime:
    # A charger with a fast clock reports sessions in the future. Runs after their start load them,
    # so the state never moves past the current time.
    return now if to is None else min(to, now)


def _columns(rows: Rows) -> dict[str, TColumnSchema]:
    """Return the columns of a table without reports."""
    columns: dict[str, TColumnSchema] = {}
    for field in _DLT_ROWS:
        data_type = _DATA_TYPES.get(field.type, "json")
        if rows == "arrow" or data_type != "json":
            columns[field.name] = {
                "name": field.name,
                "data_type": data_type,
                "nullable": field.nullable,
            }
    return columns


@attrs.frozen
class _Progress:
    """Position of one connector.

    Attributes:
        from_: Start of the last run's span. Nothing is missing between it and `latest`.
        latest: Latest known start of a session. Later sessions may be loaded, but some may be
            missing.
    """

    from_: datetime
    latest: datetime

    @classmethod
    def load(cls, stored: dict[str, str] | None, now: datetime) -> _Progress | None:
        """Return the progress in dlt's state, or None if the state has no valid one."""
        if stored is None:
            return None
        progress = cls(*(datetime.fromisoformat(stored[name]) for name in ("from", "latest")))
        # A fast clock may have stored a time in the future, which hides all sessions until then.
        return progress if progress.latest <= now else None

    def dump(self) -> dict[str, str]:
        """Return the value for dlt's state."""
        times = {"from": self.from_, "latest": self.latest}
        return {name: time.astimezone(UTC).isoformat() for name, time in times.items()}


def _start_of_run(progress: _Progress | None, from_: datetime, look_back: timedelta) -> datetime:
    """Return the time from which a run must read a connector."""
    if progress is None or from_ < progress.from_:
        return from_
    return max(from_, progress.latest - look_back)


def _progress_after(
    progress: _Progress | None, from_: datetime, end: datetime, newest: datetime | None
) -> _Progress | None:
    """Return the progress of a connector after a run.

    Args:
        progress: Progress before the run.
        from_: Start of the span of the run.
        end: End of the span.
        newest: Latest start of a session in the run.
    """
    if progress is None:
        return None if newest is None else _Progress(from_, newest)
    if end < progress.from_:
        return progress  # The span ends before the known one. A longer span must read the gap.
    return _Progress(from_, max(progress.latest, newest or progress.latest))


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

    def items(self) -> Iterator[Any]:
        """Yield the data of one run. Then update the state."""
        state: dict[str, dict[str, str]] = dlt.current.resource_state().setdefault("connectors", {})
        now = datetime.now(UTC)
        end = _end_of_run(self.to, now)
        before: dict[tuple[str, str], _Progress | None] = {}
        partitions: list[Partition] = []
        for ids in self.connectors:
            progress = _Progress.load(state.get(connector_key(*ids)), now)
            start = _start_of_run(progress, self.from_, self.look_back)
            if start < end:
                before[ids] = progress
                partitions += plan([ids], start, end, self.window, whole=False)
        yield _no_rows(self.rows)  # A run without reports creates the table too.
        newest: dict[tuple[str, str], datetime] = {}
        with closing(Reading(partitions, self.settings, _add_keys).batches()) as batches:
            for batch in batches:
                _update_newest(newest, batch)
                yield batch.to_pylist() if self.rows == "objects" else batch.cast(_DLT_ROWS)
        for ids, progress in before.items():
            after = _progress_after(progress, self.from_, end, newest.get(ids))
            if after is not None:
                state[connector_key(*ids)] = after.dump()


def _add_keys(batch: pa.RecordBatch, partition: Partition, keys: Sequence[int]) -> pa.RecordBatch:
    """Return the reports of a partition with the schema `_ROWS`."""
    starts = batch["session_time_start"].cast(pa.timestamp("ms")).cast(pa.string())
    session_keys = pc.coalesce(starts, pa.array([f"{key:016x}" for key in keys]))
    columns = [*add_connector(batch, partition).columns, session_keys]
    return pa.RecordBatch.from_arrays(columns, schema=_ROWS)


def _no_rows(rows: Rows) -> object:
    return _DLT_ROWS.empty_table() if rows == "arrow" else dlt.mark.materialize_table_schema()


def _update_newest(newest: dict[tuple[str, str], datetime], batch: pa.RecordBatch) -> None:
    """Store the latest start in a batch, which has reports of one connector."""
    latest = cast("datetime | None", pc.max(batch["session_time_start"]).as_py())
    if latest is not None:
        ids = batch["charger_id"][0].as_py(), batch["connector_id"][0].as_py()
        newest[ids] = max(latest, newest.get(ids, latest))
