"""Parquet files of session reports (extra `arrow`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa
from pyarrow import parquet

from depotclient.arrow import SESSION_REPORTS, batch_of
from depotclient.models import SessionReport
from depotclient.partitions import Membership
from depotclient.reports import Page

if TYPE_CHECKING:
    from depotclient.files import WindowRecord

__all__ = ["Rows", "read_record"]

RECORD: Final = "depotclient.export"
"""The key of a file's metadata under which it says what it holds."""

ROW_GROUP_BYTES: Final = 16 * 2**20
"""So much, uncompressed, is held before it is written as one row group: some 200 large reports."""


def read_record(path: Path) -> bytes | None:
    """What a file says of itself, as JSON; None where it says nothing.

    Raises:
        FileExistsError: It is no Parquet file.
    """
    try:
        found = parquet.read_metadata(path).metadata or {}
    except pa.ArrowInvalid:
        return None
    return found.get(RECORD.encode())


class Rows:
    """Session reports as the rows of a Parquet file."""

    into: type[Any] = SessionReport

    def __init__(self, path: Path) -> None:
        self._writer = parquet.ParquetWriter(path, SESSION_REPORTS, compression="zstd")
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0

    def write(self, page: Page[Any], membership: Membership) -> int:
        """Add those reports of a page that belong here; how many they are."""
        batch = batch_of(page, SESSION_REPORTS)
        heads = batch.select(["session_id", "session_time_start"]).to_pylist()
        taken = [membership.takes(head["session_id"], head["session_time_start"]) for head in heads]
        batch = batch.filter(pa.array(taken))
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._write_group()
        return batch.num_rows

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._held, SESSION_REPORTS)
        self._writer.write_table(group, row_group_size=max(1, group.num_rows))
        self._held, self._bytes = [], 0

    def finish(self, record: WindowRecord) -> None:
        """Write what is still held, and the record into the file's metadata."""
        self._write_group()
        self._writer.add_key_value_metadata({RECORD: msgspec.json.encode(record).decode()})

    def close(self) -> None:
        """Write the file's footer, and close it."""
        self._writer.close()
