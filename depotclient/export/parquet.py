"""Parquet files of session reports (extra `arrow`)."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

# Import this first: without pyarrow, its error names the extra.
from depotclient.arrow import SESSION_REPORTS, session_reports_from
from depotclient.arrow.batches import batch_of

# isort: split
import pyarrow as pa
from pyarrow import parquet

from depotclient.models import SessionReport
from depotclient.pages import Page
from depotclient.partitions.calendar import WindowFilter

__all__ = ["ParquetWriter", "read_manifest", "read_session"]

MANIFEST_KEY: Final = "depotclient.export"
"""Key of the manifest in the metadata of a file."""

ROW_GROUP_BYTES: Final = 8 * 2**20
"""Minimum size of a row group in memory, about 90 large reports."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_manifest(path: Path) -> bytes | None:
    """Return the manifest of a file as JSON, or None if the file has no manifest.

    Raises:
        OSError: The file can't be read.
    """
    try:
        with _open(path, "rb") as file:
            metadata = parquet.read_metadata(file).metadata or {}
    except (pa.ArrowException, UnicodeDecodeError):  # Arrow can't always describe the damage.
        return None
    return metadata.get(MANIFEST_KEY.encode())


def read_session(path: Path, session_id: int | None) -> tuple[SessionReport | None, list[int]]:
    """Return a session of a file, and the ids of earlier sessions in the file.

    Args:
        path: Parquet file.
        session_id: Session id. None means the first session of the file.

    Returns:
        The session, or None and all ids if the file does not hold it.

    Raises:
        ValueError: The file is not a Parquet file of session reports.
        OSError: The file can't be read.
    """
    if path.exists() and not path.is_file():  # Opening a pipe may block forever.
        raise ValueError(
            f"{path} is not a Parquet file of session reports: it is not a regular file"
        )
    try:
        with _open(path, "rb") as file:
            return _find(parquet.ParquetFile(file), session_id)
    except (pa.ArrowException, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path} is not a Parquet file of session reports: {error}") from None


def _find(
    file: parquet.ParquetFile, session_id: int | None
) -> tuple[SessionReport | None, list[int]]:
    if "session_id" not in file.schema_arrow.names:
        raise ValueError("it has no column session_id")
    earlier: list[int] = []
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=["session_id"]).to_pylist()
        ids = [row["session_id"] for row in rows]
        requested = ids[0] if session_id is None and ids else session_id
        if requested in ids:
            row = file.read_row_group(group).slice(ids.index(requested), 1)
            return session_reports_from(row)[0], earlier
        earlier += (known for known in ids if known is not None)
    return None, earlier


def _filter_page(page: Page[Any], window_filter: WindowFilter) -> pa.RecordBatch:
    """Return the new reports of a page that belong to a window.

    Raises:
        SchemaError: A report is invalid. The error has the cursor before it.
    """
    batch = batch_of(page, SESSION_REPORTS)
    # Read times as numbers: Arrow converts them to datetimes with pandas if it is installed.
    starts = batch["session_time_start"].cast(pa.int64()).to_pylist()
    accepted = [
        window_filter.accept(key, session_id, _time(start))
        for key, session_id, start in zip(page.keys, page.ids, starts, strict=True)
    ]
    return batch if all(accepted) else batch.filter(pa.array(accepted))


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)


class ParquetWriter:
    """Writer of session reports as rows. The manifest goes into the metadata of the file."""

    into: type[Any] = SessionReport

    def __init__(self, path: Path) -> None:
        self._file = _open(path, "wb")
        self._writer = parquet.ParquetWriter(
            self._file, SESSION_REPORTS, compression="zstd", memory_pool=pa.system_memory_pool()
        )
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0

    def write(self, page: Page[Any], window_filter: WindowFilter) -> int:
        """Add the reports of a page that belong to the window. Return their number."""
        batch = _filter_page(page, window_filter)
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._write_group()
        # Otherwise Arrow's pool keeps memory: a quarter of an export's memory growth.
        pa.default_memory_pool().release_unused()
        return batch.num_rows

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._held, SESSION_REPORTS)
        self._writer.write_table(group, row_group_size=max(1, group.num_rows))
        self._held, self._bytes = [], 0

    def finish(self, manifest: bytes) -> None:
        """Write the last rows and the manifest."""
        self._write_group()
        self._writer.add_key_value_metadata({MANIFEST_KEY: manifest.decode()})

    def close(self) -> None:
        """Write the footer and close the file."""
        with self._file:
            self._writer.close()


def _open(path: Path, mode: Literal["rb", "wb"]) -> pa.OSFile:
    # Arrow encodes a str path as UTF-8, but file names may have other bytes.
    return pa.OSFile(os.fsencode(path), mode)  # type: ignore[arg-type]
