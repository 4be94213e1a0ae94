"""Manifests are found in the bytes of Parquet files, whatever the size of their footers."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from depotclient.arrow import SESSION_REPORTS
from depotclient.export.footer import MANIFEST_KEY, TAIL_BYTES, find_manifest


def find(path: Path) -> bytes | None:
    with path.open("rb") as file:
        return find_manifest(file.fileno(), os.fstat(file.fileno()).st_size)


def write(path: Path, metadata: dict[str, str], groups: int = 1) -> None:
    rows = pa.Table.from_pylist([{"session_id": 7}], SESSION_REPORTS)
    with pq.ParquetWriter(path, SESSION_REPORTS) as writer:
        for _ in range(groups):
            writer.write_table(rows)
        writer.add_key_value_metadata(metadata)


@pytest.mark.parametrize("length", [0, 127, 128, 20_000])
@pytest.mark.parametrize("groups", [1, 20])
def test_a_manifest_of_any_length_is_found(tmp_path: Path, length: int, groups: int) -> None:
    manifest = "{" + " " * length + "}"
    path = tmp_path / "reports.parquet"
    write(path, {MANIFEST_KEY: manifest, "other": "x" * 300}, groups)
    assert find(path) == manifest.encode()
    assert length < TAIL_BYTES or path.stat().st_size > TAIL_BYTES


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet", b"\x10\0\0\0PAR1", b"a" * 20_000])
def test_other_files_have_no_manifest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "reports.parquet"
    path.write_bytes(content)
    assert find(path) is None
    write(path, {"other": MANIFEST_KEY})
    assert find(path) is None
