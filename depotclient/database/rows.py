"""Sessions of a page, and their rows in a database (extra `database`)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from typing import Any

import attrs
import msgspec
import pyarrow as pa

from depotclient.arrow import events
from depotclient.arrow.batches import rows_of
from depotclient.arrow.schema import TIME, read_times
from depotclient.database.schema import EVENTS, REPORTS, SEEN
from depotclient.drift import count_reports
from depotclient.pages import Page
from depotclient.sessions import Identity, Session, storable_id, truncate

__all__ = ["DecodedReports", "PageSessions", "compute_key", "parse_times"]


def compute_key(connector: tuple[str, str], identity: Identity) -> int:
    """Return the number that identifies a session in the database, a signed 64-bit integer."""
    session_id, start = identity
    text = start.isoformat() if isinstance(start, datetime) else str(start)
    digest = blake2b("\0".join((*connector, str(session_id), text)).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), signed=True)


def parse_times(column: pa.ChunkedArray[Any] | pa.Array[Any]) -> list[datetime | None]:
    """Return the times of a column that a database has returned. SQLite returns text."""
    if pa.types.is_string(column.type):
        texts = column.to_pylist()
        return [None if t is None else datetime.fromisoformat(t).replace(tzinfo=UTC) for t in texts]
    return read_times(column)


@attrs.frozen(eq=False)
class PageSessions:
    """Sessions of a page, before it is known which of them the database holds.

    A report whose digest is known is never decoded.

    Attributes:
        connector: Charger id and connector id.
        page: The page.
        sessions: Session of each report.
        keys: Key of each session in the database.
        digests: Digest of each report's bytes. It depends on whether events are loaded.
        last: Index of the last report of each session, by its key.
    """

    connector: tuple[str, str]
    page: Page[Any] = attrs.field(repr=False)
    sessions: Sequence[Session]
    keys: Sequence[int]
    digests: Sequence[str]
    last: Mapping[int, int]

    @classmethod
    def of(cls, connector: tuple[str, str], page: Page[Any], *, events: bool) -> PageSessions:
        """Return the sessions of a page.

        Args:
            connector: Charger id and connector id.
            page: The page.
            events: Whether events are loaded.
        """
        reports = page.items
        sessions = [*map(_read_session, reports, page.ids, page.keys)]
        keys = [compute_key(connector, session.identity) for session in sessions]
        suffix = b" with events" if events else b" without events"
        digests = [_digest(report, suffix) for report in reports]
        last = {key: index for index, key in enumerate(keys)}
        return cls(connector, page, sessions, keys, digests, last)

    def seen(self, stored: Container[int]) -> pa.Table:
        """Return the rows that note that the reading has returned the sessions.

        Args:
            stored: Keys of the sessions that the database held before the page.
        """
        columns = [
            *_repeat(self.connector, len(self.sessions)),
            pa.array(self.keys, pa.int64()),
            pa.array([session.session_id for session in self.sessions], pa.int64()),
            pa.array([session.start for session in self.sessions], TIME),
            pa.array([session.end for session in self.sessions], TIME),
            pa.array([key in stored for key in self.keys], pa.bool_()),
        ]
        return pa.table(dict(zip(SEEN.schema.names, columns, strict=True)), SEEN.schema)

    def decode(self, indexes: Sequence[int]) -> DecodedReports:
        """Decode the page. Return some of its reports.

        Raises:
            SchemaError: A report of the page is invalid. The error has the cursor before it.
        """
        found = rows_of(self.page)
        for refused in found.refused:
            raise refused.error
        return DecodedReports(
            self.connector,
            found.batch.take(pa.array(indexes, pa.int64())),
            pa.array([self.keys[index] for index in indexes], pa.int64()),
            pa.array([self.digests[index] for index in indexes], pa.string()),
            count_reports(found.unknown),
        )


def _digest(report: msgspec.Raw, suffix: bytes) -> str:
    """Return a digest of a report. SHA-256 takes half the time of BLAKE2 on current processors."""
    digest = sha256(report)
    digest.update(suffix)
    return digest.hexdigest()[:32]


def _read_session(report: msgspec.Raw, session_id: int | None, key: int) -> Session:
    """Return a session with its id and times as the database holds them."""
    # The report may be invalid, and still belong to another span.
    session = Session.read(report, storable_id(session_id), key)
    start, end = (time and truncate(time) for time in (session.start, session.end))
    return attrs.evolve(session, start=start, end=end)


@attrs.frozen(eq=False)
class DecodedReports:
    """Reports as Arrow data, with their keys and digests.

    Attributes:
        connector: Charger id and connector id.
        batch: The reports.
        keys: Key of each session.
        digests: Digest of each report's bytes.
        unknown_fields: Number of reports of the page by the path of a field that no column holds.
    """

    connector: tuple[str, str]
    batch: pa.RecordBatch = attrs.field(repr=False)
    keys: pa.Array[Any]
    digests: pa.Array[Any]
    unknown_fields: Mapping[str, int]

    def reports(self, loaded_at: datetime) -> pa.Table:
        """Return the rows of the table `session_reports`."""
        count = self.batch.num_rows
        charger_id, connector_id = _repeat(self.connector, count)
        columns = {
            "charger_id": charger_id,
            "connector_id": connector_id,
            "session_key": self.keys,
            **dict(_flatten(self.batch)),
            "digest": self.digests,
            "loaded_at": pa.array([loaded_at] * count, TIME),
            "vanished_at": pa.nulls(count, TIME),
        }
        return pa.table({name: columns[name] for name in REPORTS.schema.names}, REPORTS.schema)

    def events(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield the rows of the events, by the name of their table."""
        for path, table in EVENTS.items():
            name = path.partition(".")[0]
            rows = pa.table({"session_key": self.keys, name: self.batch[name]})
            yield table.name, events(rows, path).select(table.schema.names).cast(table.schema)


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
