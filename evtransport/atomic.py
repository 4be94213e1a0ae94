"""Files that appear under their names only when they are complete."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["AtomicWriter", "write_atomically"]


class AtomicWriter:
    """Replacement for a file, written under another name until it is complete.

    The methods block.

    Args:
        path: Final path. A file with this path is replaced.
        folder: Folder for the incomplete file, on the same disk. None means the folder of `path`.

    Attributes:
        path: Final path.
        staging: Path of the incomplete file. The caller creates it.
    """

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        self.path = path
        self.staging = (folder or path.parent) / f".{secrets.token_hex(8)}.part"

    def commit(self) -> None:
        """Sync the staging file, rename it to `path`, and sync the folder.

        Raises:
            OSError: The disk is full, or the file can't be renamed.
        """
        _sync(self.staging)
        self.staging.replace(self.path)
        if os.name == "posix":  # pragma: no branch - other systems can't open a folder
            _sync(self.path.parent)

    def discard(self) -> None:
        """Delete the staging file if it was not committed."""
        self.staging.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes, folder: Path | None = None) -> None:
    """Write a small file that appears under its name only when it is complete.

    Args:
        path: Final path.
        content: Content of the file.
        folder: Folder for the incomplete file, see `AtomicWriter`.

    Raises:
        OSError: The file can't be written.
    """
    writer = AtomicWriter(path, folder)
    try:
        writer.staging.write_bytes(content)
        writer.commit()
    finally:
        writer.discard()


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)
