"""Rows of a database for the reports of a page (extra `database`)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import attrs

# Import this first: without pyarrow, its error names the extra.
from depotclient.arrow import SESSION_REPORTS, events

# isort: split
import pyarrow as pa

from depotclient.arrow.batches import batch_of
from depotclient.arrow.schema import TIME
from depotclient.database.schema import EVENTS, REPORTS, SEEN
from depotclient.pages import Page
from depotclient.sessions import Identity, Session

__all__ = ["PageRows", "compute_key", "read_times", "seen_rows"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def compute_key(connector: tuple[str, str], identity: Identity) -> int:
    """Return the number that identifies a session in the database, a signed 64-bit integer."""
    session_id, start = identity
    text = start.isoformat() if isinstance(start, datetime) else str(start)
    digest = blake2b("\0".join((*connector, str(session_id), text)).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), signed=True)


def read_times(column: pa.ChunkedArray[Any] | pa.Array[Any]) -> list[datetime | None]:
    """Return the times of a column, as a database returns it."""
    if pa.types.is_string(column.type):
        texts = column.to_pylist()
        return [None if t is None else datetime.fromisoformat(t).replace(tzinfo=UTC) for t in texts]
    # Arrow converts times to datetimes with pandas if it is installed.
    numbers = column.cast(TIME, safe=False).cast(pa.int64()).to_pylist()
    return [None if n is None else _EPOCH + timedelta(milliseconds=n) for n in numbers]


@attrs.frozen(eq=False)
class PageRows:
    """Reports of a page with their keys, before it is known which ones the database holds.

    Attributes:
        connector: Charger id and connector id.
        batch: The reports.
        sessions: Session of each report.
        keys: Key of each session in the database.
        digests: Digest of each report's bytes. It depends on whether events are loaded.
        last: Index of the last report of each session.
    """

    connector: tuple[str, str]
    batch: pa.RecordBatch = attrs.field(repr=False)
    sessions: Sequence[Session]
    keys: Sequence[int]
    digests: Sequence[str]
    last: dict[int, int]

    @classmethod
    def of(cls, connector: tuple[str, str], page: Page[Any], *, events: bool) -> PageRows:
        """Decode a page.

        Raises:
            SchemaError: A report is invalid. The error has the cursor before it.
        """
        batch = batch_of(page, SESSION_REPORTS)
        times = (read_times(batch[f"session_time_{name}"]) for name in ("start", "end"))
        sessions = [*map(Session, page.ids, *times, page.keys)]
        keys = [compute_key(connector, session.identity) for session in sessions]
        salt = b"with events" if events else b"without events"
        digests = [
            blake2b(report, digest_size=16, salt=salt).hexdigest() for report in page.raw_reports
        ]
        last = {key: index for index, key in enumerate(keys)}
        return cls(connector, batch, sessions, keys, digests, last)

    def reports(self, indexes: Sequence[int], loaded_at: datetime) -> pa.Table:
        """Return the rows of some reports."""
        batch, count = self.batch.take(pa.array(indexes, pa.int64())), len(indexes)
        columns = {
            **dict(
                zip(("charger_id", "connector_id"), _repeat(self.connector, count), strict=True)
            ),
            "session_key": pa.array([self.keys[index] for index in indexes], pa.int64()),
            **dict(_flatten(batch)),
            "digest": pa.array([self.digests[index] for index in indexes], pa.string()),
            "loaded_at": pa.array([loaded_at] * count, TIME),
            "vanished_at": pa.nulls(count, TIME),
        }
        return pa.table({name: columns[name] for name in REPORTS.schema.names}, REPORTS.schema)

    def events(self, indexes: Sequence[int]) -> Iterator[tuple[str, pa.Table]]:
        """Yield the rows of the events of some reports, by the name of their table."""
        batch = self.batch.take(pa.array(indexes, pa.int64()))
        keys = pa.array([self.keys[index] for index in indexes], pa.int64())
        for path, table in EVENTS.items():
            lists = {"session_key": keys, path.partition(".")[0]: batch[path.partition(".")[0]]}
            yield table.name, events(pa.table(lists), path).select(table.schema.names)


def seen_rows(
    connector: tuple[str, str],
    sessions: Sequence[Session],
    keys: Sequence[int],
    stored: Container[int],
) -> pa.Table:
    """Return the rows of the sessions that a page returned.

    Args:
        connector: Charger id and connector id.
        sessions: Sessions of the page.
        keys: Keys of the sessions.
        stored: Keys of the sessions that the database held before the page.
    """
    columns = [
        *_repeat(connector, len(sessions)),
        pa.array(keys, pa.int64()),
        pa.array([session.session_id for session in sessions], pa.int64()),
        pa.array([session.start for session in sessions], TIME),
        pa.array([session.end for session in sessions], TIME),
        pa.array([key in stored for key in keys], pa.bool_()),
    ]
    return pa.table(dict(zip(SEEN.schema.names, columns, strict=True)), SEEN.schema)


def _repeat(values: Iterable[str], count: int) -> list[pa.Array[Any]]:
    return [pa.repeat(pa.scalar(value, pa.string()), count) for value in values]


def _flatten(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array[Any]]]:
    """Yield the columns of a batch without lists. A struct becomes one column for each field."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if isinstance(column, pa.StructArray):
            # `flatten` makes the fields of a missing struct null, `field` does not.
            for field, values in zip(column.type, column.flatten(), strict=True):
                yield f"{name}_{field.name}", values
        elif not isinstance(column, pa.ListArray):
            yield name, column
