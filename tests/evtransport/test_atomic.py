"""Files that appear under their names only when they are complete."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from evtransport.atomic import AtomicWriter, write_atomically


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_by_the_complete_one(tmp_path: Path) -> None:
    path, staging = tmp_path / "file", tmp_path / "staging"
    staging.mkdir()
    path.write_bytes(b"old")
    writer = AtomicWriter(path, staging)
    writer.staging.write_bytes(b"new")
    assert (path.read_bytes(), len(names_in(staging))) == (b"old", 1)

    writer.commit()
    writer.discard()

    assert (path.read_bytes(), names_in(staging)) == (b"new", [])


def test_a_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_atomically(tmp_path / "file", b"old")
    monkeypatch.setattr("evtransport.atomic.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "file", b"new")
    assert names_in(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"
