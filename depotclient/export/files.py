"""Files of single windows: their manifests, and new files that replace them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

import attrs
import msgspec

from depotclient.export.footer import find_manifest
from depotclient.export.formats import FileFormat, Format, Writer
from depotclient.export.manifest import Manifest, parse_manifest
from depotclient.export.ndjson import NdjsonFormat, sidecar
from depotclient.sessions import Session
from evtransport.atomic import AtomicWriter, write_atomically

__all__ = ["NewFile", "open_format", "read_manifest"]

# Opening a pipe may block for ever.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_format(name: Format, *, keep_unknown: bool = False) -> FileFormat[Any]:
    """Return a file format.

    Args:
        name: Name of the format.
        keep_unknown: Whether Parquet files have the column `unknown_fields`.

    Raises:
        ImportError: The format needs pyarrow, which is not installed.
    """
    if name == "ndjson":
        return NdjsonFormat()
    from depotclient.export.parquet import ParquetFormat

    return ParquetFormat(keep_unknown)


def read_manifest(path: str) -> Manifest | None:
    """Return the manifest of a file, or None if there is no file with a valid sidecar.

    Args:
        path: File. Strings are joined several times faster than `Path` objects.

    Raises:
        FileExistsError: The path is not a regular file, or no export wrote it.
        OSError: The file can't be read.
    """
    opened = _open_regular(path)
    if opened is None:
        return None
    descriptor, size = opened
    try:
        if path.endswith(".parquet"):
            return parse_manifest(path, _read_parquet(path, descriptor, size))
    finally:
        os.close(descriptor)
    manifest = parse_manifest(path, _read_text(str(sidecar(Path(path)))))
    # A sidecar does not match its file if a run was killed between the two writes, or if the file
    # was changed.
    if manifest.previous is not None and manifest.previous.size == size:
        return manifest.previous
    if manifest.size != size:
        return None
    return msgspec.structs.replace(manifest, previous=None)


def _read_parquet(path: str, descriptor: int, size: int) -> bytes | None:
    text = find_manifest(descriptor, size)
    if text is not None:
        return text
    from depotclient.export.parquet import read_manifest

    return read_manifest(Path(path))


def _read_text(path: str) -> bytes | None:
    opened = _open_regular(path)
    if opened is None:
        return None
    with os.fdopen(opened[0], "rb") as file:
        return file.read()


def _open_regular(path: str) -> tuple[int, int] | None:
    """Open a regular file. Return its descriptor and its size.

    Returns:
        None if there is no file, such as for a link without a target.

    Raises:
        FileExistsError: The path is something else.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    found = os.fstat(descriptor)
    if S_ISREG(found.st_mode):
        return descriptor, found.st_size
    os.close(descriptor)
    raise FileExistsError(
        f"{path} is not a regular file: move it away or export into another folder"
    )


@attrs.define(eq=False)
class NewFile:
    """New file of one window, in the staging folder. The methods block.

    Attributes:
        path: Final path.
        sessions: Session of each row so far.
    """

    _file: AtomicWriter
    _writer: Writer[Any]
    sessions: list[Session] = attrs.field(factory=list[Session])

    @classmethod
    def create(cls, path: Path, staging: Path, format_: FileFormat[Any]) -> NewFile:
        """Create the file in the staging folder.

        Raises:
            OSError: The file can't be created.
        """
        file = AtomicWriter(path, staging)
        try:
            return cls(file, format_.create(file.staging))
        except BaseException:
            file.discard()
            raise

    @property
    def path(self) -> Path:
        """Return the final path."""
        return self._file.path

    @property
    def staging(self) -> Path:
        """Return the path of the incomplete file."""
        return self._file.staging

    def write(self, rows: Any, sessions: Sequence[Session], indexes: Sequence[int]) -> None:
        """Add rows of a page."""
        self._writer.write(rows, indexes)
        self.sessions += (sessions[index] for index in indexes)

    def copy(self, path: Path, sessions: Sequence[Session], indexes: Sequence[int]) -> None:
        """Add rows of another file."""
        self._writer.copy(path, indexes)
        self.sessions += (sessions[index] for index in indexes)

    def finish(self, manifest: bytes) -> None:
        """Complete the file, but leave it in the staging folder.

        Raises:
            OSError: The disk is full.
        """
        self._writer.finish(manifest)
        self._writer.close()

    def commit(self, manifest: Manifest, previous: Manifest | None) -> Manifest:
        """Sync the file to disk, and give it its final name.

        Args:
            manifest: Manifest of the file.
            previous: Manifest of the file that is there.

        Returns:
            The manifest as a later run reads it.

        Raises:
            OSError: The disk is full, or the file can't be renamed.
        """
        path = self._file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            self._file.commit()
            return manifest
        size = self._file.staging.stat().st_size
        manifest = msgspec.structs.replace(manifest, size=size)
        write = partial(write_sidecar, path, folder=self._file.staging.parent)
        # The sidecar comes first: a later run rejects a file without one as a file of another
        # program. Until the file is renamed, its previous manifest is valid.
        write(msgspec.structs.replace(manifest, previous=previous))
        self._file.commit()
        if previous is not None:
            write(manifest)
        return manifest

    def discard(self) -> None:
        """Close the file, and delete it if it was not committed."""
        with suppress(OSError):  # A full disk fails again here.
            self._writer.close()
        self._file.discard()


def write_sidecar(path: Path, manifest: Manifest, folder: Path) -> None:
    """Write the manifest of an NDJSON file.

    Args:
        path: NDJSON file.
        manifest: Manifest.
        folder: Staging folder.

    Raises:
        OSError: The sidecar can't be written.
    """
    write_atomically(sidecar(path), msgspec.json.encode(manifest), folder)
