"""Parquet files of session reports (extra `arrow`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
from pyarrow import parquet

from depotclient.arrow import SESSION_REPORTS, session_reports_from
from depotclient.models import SessionReport
from depotclient.pages import Page
from depotclient.partitions.batches import filter_page
from depotclient.partitions.calendar import WindowFilter

__all__ = ["ParquetWriter", "read_manifest", "read_session"]

RECORD: Final = "depotclient.export"
"""The key of a file's metadata under which it says what it holds."""

ROW_GROUP_BYTES: Final = 8 * 2**20
"""So much, uncompressed, is held before it is written as one row group: some 90 large reports."""


def read_manifest(path: Path) -> bytes | None:
    """What a file says of itself, as JSON; None where it says nothing.

    Raises:
        OSError: It can't be read.
    """
    try:
        with _opened(path, "rb") as file:
            found = parquet.read_metadata(file).metadata or {}
    except (pa.ArrowException, UnicodeDecodeError):  # damaged, and Arrow can't always tell how
        return None
    return found.get(RECORD.encode())


def read_session(path: Path, session_id: int | None) -> tuple[SessionReport | None, list[int]]:
    """One session of a file, by default the first, and the ids of all that were met.

    Raises:
        ValueError: It is no Parquet file, or holds no session reports.
        OSError: It can't be read.
    """
    if path.exists() and not path.is_file():  # opening a pipe may block for ever
        raise ValueError(f"{path} is no Parquet file of session reports: it is not a regular file")
    try:
        with _opened(path, "rb") as file:
            return _find(parquet.ParquetFile(file), session_id)
    except (pa.ArrowException, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path} is no Parquet file of session reports: {error}") from None


def _find(
    file: parquet.ParquetFile, session_id: int | None
) -> tuple[SessionReport | None, list[int]]:
    if "session_id" not in file.schema_arrow.names:
        raise ValueError("it has no column session_id")
    ids: list[int] = []
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=["session_id"]).to_pylist()
        here = [row["session_id"] for row in rows]
        wanted = here[0] if session_id is None and here else session_id
        if wanted in here:
            row = file.read_row_group(group).slice(here.index(wanted), 1)
            return session_reports_from(row)[0], ids
        ids += (it for it in here if it is not None)
    return None, ids


class ParquetWriter:
    """Session reports as the rows of a Parquet file."""

    into: type[Any] = SessionReport

    def __init__(self, path: Path) -> None:
        self._file = _opened(path, "wb")
        self._writer = parquet.ParquetWriter(
            self._file, SESSION_REPORTS, compression="zstd", memory_pool=pa.system_memory_pool()
        )
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0

    def write(self, page: Page[Any], window_filter: WindowFilter) -> int:
        """Add those reports of a page that belong here; how many they are."""
        batch, _ = filter_page(page, window_filter)
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._write_group()
        # What Arrow's own pool would keep otherwise is a quarter of what an export grows by.
        pa.default_memory_pool().release_unused()
        return batch.num_rows

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._held, SESSION_REPORTS)
        self._writer.write_table(group, row_group_size=max(1, group.num_rows))
        self._held, self._bytes = [], 0

    def finish(self, record: bytes) -> None:
        """Write what is still held, and the record into the file's metadata."""
        self._write_group()
        self._writer.add_key_value_metadata({RECORD: record.decode()})

    def close(self) -> None:
        """Write the file's footer, and close it."""
        with self._file:
            self._writer.close()


def _opened(path: Path, mode: Literal["rb", "wb"]) -> pa.OSFile:
    # Arrow encodes a str path as UTF-8, but file names may have other bytes.
    return pa.OSFile(os.fsencode(path), mode)  # type: ignore[arg-type]
