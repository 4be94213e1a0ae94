"""Session reports as a dlt resource: all of a span at first, then what is new (extra `dlt`)."""

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

from depotclient.arrow import FLEET_REPORTS, TIME
from depotclient.partitions import Connector, Partition, ReadSettings, Window, plan
from depotclient.partitions.batches import Reading, add_connector
from depotclient.partitions.calendar import connector_key, validate_duration
from depotclient.partitions.settings import require_settings
from depotclient.query import is_before, require_aware, to_utc

__all__ = ["LOOK_BACK", "PRIMARY_KEY", "Rows", "session_reports"]

Rows: TypeAlias = Literal["arrow", "objects"]
"""What is handed to dlt: Arrow batches, or a Python dict for each report."""

LOOK_BACK: Final = timedelta(days=3)
"""By how much a run reads again what the run before has read, for reports that came late."""

SESSION_KEY: Final = pa.field("session_key", pa.string(), nullable=False)
"""Start of the session, or a digest of a report without one.

dlt accepts no null in a key: it adds such a row again in each run.
"""

# A connector may reuse an id, and so may other connectors.
PRIMARY_KEY: Final = ("charger_id", "connector_id", "session_id", SESSION_KEY.name)


def _field_for_dlt(field: pa.Field[Any]) -> pa.Field[Any]:
    if field.name in PRIMARY_KEY:
        return field.with_nullable(False)
    # Of a time with a zone dlt expects the unit of the destination, and warns of another.
    return field.with_type(pa.timestamp("us", tz="UTC")) if field.type == TIME else field


_ROWS: Final = FLEET_REPORTS.append(SESSION_KEY)
_SCHEMA: Final = pa.schema([_field_for_dlt(field) for field in _ROWS])


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
    """A dlt resource with the reports of some connectors, for `pipeline.run` into any destination.

    The first run loads all from `from_` on. Of each connector dlt's state then holds the latest
    `session_time_start` that was seen, and the next run begins `look_back` before that. So what
    a charger uploads after a long time offline is found, as long as nothing newer came from it. A
    connector that is new is read from `from_` on, and so are all when `from_` is earlier than that
    of the run before. A report that comes again replaces its row; none is ever deleted.

    The state moves only when a run has read everything: one that fails has loaded nothing, and
    the next one begins where it began. So load a long span in parts, with one `to` after another.

    dlt holds `DATA_WRITER__BUFFER_MAX_ITEMS` reports in memory, 5000 unless that is set. Where
    they have their usual 50 to 500 kB, set it to a few hundred.

    Args:
        connectors: Charger and connector ids.
        from_: Begin of the span, aware, by the start of a session.
        to: End of the span, aware, not a part of it; None means the time of each run, which is
            the latest in any case.
        look_back: How late a report may come after one with a later start, up to 366 days. The
            server is asked for `settings.margin` more.
        window: How much is asked for at once: a `month` or a `day`.
        settings: By whose account, and how carefully. None takes the environment when it runs.
        name: Of the resource, of its table and of its state.
        rows: `arrow` is the faster by far; events are JSON columns. `objects` is for destinations
            that take no nested Parquet: events are child tables, or JSON by dlt's
            `max_table_nesting`, and `pipeline.run(..., loader_file_format="parquet")` saves most of
            the time. A table stays with one of both.

    Returns:
        A resource that is merged by `PRIMARY_KEY`. Its table has all columns of
        `depotclient.arrow.FLEET_REPORTS`, and `session_key`, even without reports; of `objects`
        only those that are not nested. `session_key` is the start of the session in UTC, such as
        `2026-01-31 18:00:00.000`. For a report without a start it is a digest of 16 hexadecimal
        digits. If the report gets a start later, that is another row.

        When it runs, an `ApiError` is the cause of dlt's own error. Its note names the partition.

    Raises:
        ValueError: An argument is not usable, or there are no connectors.
    """
    now = datetime.now(UTC)
    require_aware("from_", from_)
    if to is not None:
        require_aware("to", to)
    if not is_before(from_, now):
        raise ValueError(f"from_={from_.isoformat()} is in the future: there is nothing to load")
    validate_duration("look_back", look_back)
    if rows not in get_args(Rows):
        raise ValueError(f"rows must be one of {', '.join(get_args(Rows))}, not {rows!r}")
    if not (isinstance(name, str) and name.strip()):
        raise ValueError(f"name must be a string that is not empty, not {name!r}")
    settings = require_settings(settings)
    planned = plan(connectors, from_, _until(to, now), window, whole=False)
    if not planned:
        raise ValueError("there are no connectors: give pairs, such as [('CP-001', 1)]")
    load = _Load(
        tuple(dict.fromkeys((it.charger_id, it.connector_id) for it in planned)),
        to_utc(from_),
        None if to is None else to_utc(to),
        look_back,
        window,
        settings,
        rows,
    )

    # Without arguments, since dlt would look for those in its configuration.
    def items() -> Iterator[Any]:
        yield from load.items()

    return dlt.resource(
        items,
        name=name,
        columns=_columns(rows),
        write_disposition="merge",
        primary_key=PRIMARY_KEY,
    )


def _until(to: datetime | None, now: datetime) -> datetime:
    # A session that begins in the future, by its charger's clock, is loaded when that has come. So
    # no clock that is ahead moves the state past the present.
    return now if to is None else min(to, now)


def _columns(rows: Rows) -> dict[str, TColumnSchema]:
    """What dlt shall know of the columns before there is a report."""
    fields = [field for field in _SCHEMA if rows == "arrow" or not pa.types.is_nested(field.type)]
    return {
        field.name: {
            "name": field.name,
            "data_type": _data_type(field.type),
            "nullable": field.nullable,
        }
        for field in fields
    }


def _data_type(kind: pa.DataType) -> TDataType:
    if pa.types.is_nested(kind):
        return "json"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_floating(kind):
        return "double"
    return "bigint" if pa.types.is_integer(kind) else "text"


@attrs.frozen
class _Progress:
    """How far a connector has been read.

    Attributes:
        from_: Where the last run's span began: from there to `latest` nothing is missing.
        latest: The latest start that was seen. What lies behind has been read, but more may come.
    """

    from_: datetime
    latest: datetime

    @classmethod
    def of(cls, stored: dict[str, str] | None, now: datetime) -> _Progress | None:
        """What dlt's state holds."""
        if stored is None:
            return None
        held = cls(*(datetime.fromisoformat(stored[name]) for name in ("from", "latest")))
        # One that was noted by a clock far ahead would skip all that happens till then.
        return held if held.latest <= now else None

    def stored(self) -> dict[str, str]:
        """The same for dlt's state."""
        times = {"from": self.from_, "latest": self.latest}
        return {name: time.astimezone(UTC).isoformat() for name, time in times.items()}


def _begin(before: _Progress | None, from_: datetime, look_back: timedelta) -> datetime:
    """From when on a connector has to be read."""
    if before is None or from_ < before.from_:
        return from_
    return before.latest - min(look_back, before.latest - from_)


def _after(
    before: _Progress | None, from_: datetime, end: datetime, newest: datetime | None
) -> _Progress | None:
    """How far a connector has been read, after a run.

    Args:
        before: How far it had been.
        from_: Where the span of the run began.
        end: Where it ended.
        newest: The latest start that the run has brought.
    """
    if before is None:
        return None if newest is None else _Progress(from_, newest)
    if end < before.from_:
        return before  # between both there is a gap, which a longer span has to read
    return _Progress(from_, max(before.latest, newest or before.latest))


@attrs.frozen
class _Load:
    """What one resource loads, run by run."""

    connectors: Sequence[tuple[str, str]]
    from_: datetime
    to: datetime | None
    look_back: timedelta
    window: Window
    settings: ReadSettings
    rows: Rows

    def items(self) -> Iterator[Any]:
        """What dlt is given in one run; the state is changed at its very end."""
        state: dict[str, dict[str, str]] = dlt.current.resource_state().setdefault("connectors", {})
        now = datetime.now(UTC)
        end = _until(self.to, now)
        before = {ids: _Progress.of(state.get(connector_key(*ids)), now) for ids in self.connectors}
        begins = {ids: _begin(before[ids], self.from_, self.look_back) for ids in self.connectors}
        # A span that ends where the state begins has nothing to read.
        due = {ids: begin for ids, begin in begins.items() if begin < end}
        newest = dict[tuple[str, str], datetime]()
        yield _no_rows(self.rows)  # so that the table and its columns are there in any case
        partitions = [
            partition
            for ids, begin in due.items()
            for partition in plan([ids], begin, end, self.window, whole=False)
        ]
        with closing(Reading(partitions, self.settings, _keyed).batches()) as batches:
            for batch in batches:
                _note(batch, newest)
                yield batch.to_pylist() if self.rows == "objects" else batch.cast(_SCHEMA)
        for ids in due:
            after = _after(before[ids], self.from_, end, newest.get(ids))
            if after is not None:
                state[connector_key(*ids)] = after.stored()


def _keyed(batch: pa.RecordBatch, partition: Partition, keys: Sequence[int]) -> pa.RecordBatch:
    """Return the reports of a partition with the schema `_ROWS`."""
    starts = batch["session_time_start"].cast(pa.timestamp("ms")).cast(pa.string())
    session_keys = pc.coalesce(starts, pa.array([f"{key:016x}" for key in keys]))
    columns = [*add_connector(batch, partition).columns, session_keys]
    return pa.RecordBatch.from_arrays(columns, schema=_ROWS)


def _no_rows(rows: Rows) -> object:
    return _SCHEMA.empty_table() if rows == "arrow" else dlt.mark.materialize_table_schema()


def _note(batch: pa.RecordBatch, newest: dict[tuple[str, str], datetime]) -> None:
    """Note the latest start of a batch, which is one connector's."""
    latest = cast("datetime | None", pc.max(batch["session_time_start"]).as_py())
    if latest is not None:
        ids = batch["charger_id"][0].as_py(), batch["connector_id"][0].as_py()
        newest[ids] = max(latest, newest.get(ids, latest))
