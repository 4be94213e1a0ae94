"""Folders and files of an export: their names, their manifests, and how a file is replaced."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args
from urllib.parse import quote

import attrs
import msgspec

from depotclient.atomic import AtomicWriter, write_atomically
from depotclient.export.manifest import Manifest, parse_manifest
from depotclient.export.ndjson import NdjsonWriter, sidecar
from depotclient.pages import Page
from depotclient.partitions.calendar import WINDOWS, Partition, WindowFilter

__all__ = ["FORMATS", "STAGING", "ConnectorFolder", "Format", "WindowFile", "Writer"]
__all__ += ["prepare_folder", "require_distinct_folders"]

Format: TypeAlias = Literal["parquet", "ndjson"]
"""File format."""

FORMATS: Final[tuple[Format, ...]] = get_args(Format)

STAGING: Final = ".depotclient"
"""Folder of the incomplete files."""

ABANDONED_SECONDS: Final = 24 * 3600
"""Age after which a staging file counts as left by a killed run."""


class Writer(Protocol):
    """Writer of a file format. The methods block; use them from one thread at a time."""

    into: type[Any]
    """Class to structure the reports into."""

    def write(self, page: Page[Any], window_filter: WindowFilter) -> int:
        """Add the reports of a page that belong to the window. Return their number."""
        ...

    def finish(self, manifest: bytes) -> None:
        """Complete the file. Store the manifest in the file if the format allows it."""
        ...

    def close(self) -> None:
        """Close the file, complete or not. A second call does nothing."""
        ...


@attrs.define(eq=False)
class WindowFile:
    """New file of one window. The methods block.

    Attributes:
        reports: Number of reports so far.
        bytes_read: Total size of the pages so far, in bytes.
    """

    _file: AtomicWriter
    _writer: Writer
    _previous_reports: int
    reports: int = 0
    bytes_read: int = 0

    @property
    def into(self) -> type[Any]:
        """Return the class to structure the reports into."""
        return self._writer.into

    def write(self, page: Page[Any], window_filter: WindowFilter) -> None:
        """Add the reports of a page that belong to the window."""
        self.reports += self._writer.write(page, window_filter)
        self.bytes_read += len(page.raw)

    def commit(self, manifest: Manifest) -> None:
        """Complete the file, sync it to disk, and give it its final name.

        Raises:
            FileExistsError: The file of an earlier reading holds more reports.
            OSError: The disk is full, or the file can't be renamed.
        """
        path = self._file.path
        if self.reports < self._previous_reports:
            raise FileExistsError(
                f"{path} holds {self._previous_reports} reports, but the server has only"
                f" {self.reports} now: the file is kept; move it away to write the window again"
            )
        self._writer.finish(msgspec.json.encode(manifest))
        self._writer.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            self._file.commit()
            return
        size = self._file.staging.stat().st_size
        text = msgspec.json.encode(msgspec.structs.replace(manifest, size=size))
        write_sidecar = partial(write_atomically, sidecar(path), text, self._file.staging.parent)
        if not sidecar(path).exists():
            # A later run rejects a file without any sidecar as a file of another program.
            write_sidecar()
        self._file.commit()
        write_sidecar()

    def discard(self) -> None:
        """Close the file, and delete it if it was not committed."""
        with suppress(OSError):  # A full disk fails again here.
            self._writer.close()
        self._file.discard()


@attrs.define(eq=False)
class ConnectorFolder:
    """Files of one connector in one format.

    Attributes:
        path: Folder of the connector, `charger_id=.../connector_id=...`.
        format: File format.
        manifests: Manifests of the files, by window.
    """

    path: Path
    format: Format
    _staging: Path
    manifests: dict[str, Manifest] = attrs.field(factory=dict[str, Manifest])

    @classmethod
    def open(cls, root: Path, partition: Partition, format_: Format) -> ConnectorFolder:
        """Return the folder of a connector, with the manifests of its files.

        Args:
            root: Folder of the export.
            partition: Any window of the connector.
            format_: File format.

        Raises:
            FileExistsError: The folder holds the other kind of windows, or something that no
                export of this version wrote.
            OSError: A file can't be read.
        """
        path = root.joinpath(*_folder_names(partition.charger_id, partition.connector_id))
        folder = cls(path, format_, root / STAGING)
        for kind in WINDOWS:
            if kind != partition.kind and any(path.glob(f"{kind}=*/reports.*")):
                raise FileExistsError(
                    f"{path} holds a file for each {kind}: files for each {partition.kind} would"
                    " duplicate every report; export into another folder"
                )
        # A link without a target is not a regular file.
        for file in filter(_is_regular, sorted(path.glob(f"{partition.kind}=*/reports.{format_}"))):
            folder._add(file, partition)
        return folder

    def _add(self, file: Path, partition: Partition) -> None:
        manifest = parse_manifest(file, _read_manifest(file))
        held = Partition(manifest.charger_id, manifest.connector_id, manifest.window)
        is_in_place = file.parent.name == f"{partition.kind}={held.window}"
        if not is_in_place or held != attrs.evolve(partition, window=held.window):
            raise FileExistsError(
                f"{file} holds {held.key} according to its manifest: move it to the folder of that"
                f" {held.kind}"
            )
        # A sidecar does not match its file if a run was killed between the two writes, or if two
        # runs wrote at the same time.
        if manifest.size in {None, file.stat().st_size}:
            self.manifests[manifest.window] = manifest

    def keys_without_start(self, partition: Partition) -> frozenset[int]:
        """Return the keys of the reports without a start that other windows hold."""
        others = self.manifests.keys() - {partition.window}
        return frozenset(key for window in others for key in self.manifests[window].missing_start)

    def drop_superseded(
        self,
        partition: Partition,
        window_filter: WindowFilter,
        margin: timedelta,
        kept: Collection[str],
    ) -> set[str]:
        """Drop superseded reports without a start from the manifests of other windows.

        Args:
            partition: Window that was read.
            window_filter: Reports of the reading.
            margin: Time read on both sides of each window.
            kept: Other windows with manifests that must not change.

        Returns:
            The windows that must be read again.
        """
        changed: dict[str, Manifest] = {}
        for window in self.manifests.keys() - {partition.window, *kept}:
            # In a distant window, the same id belongs to another session.
            if partition.may_share_sessions(window, margin):
                before = self.manifests[window]
                after = before.without_superseded(window_filter)
                if after.reports < before.reports:
                    changed[window] = after
        self.manifests.update(changed)
        return set(changed)

    def new_file(self, partition: Partition) -> WindowFile:
        """Create the new file of a window in the staging folder.

        Raises:
            OSError: The file can't be created.
        """
        path = self.path / f"{partition.kind}={partition.window}" / f"reports.{self.format}"
        manifest = self.manifests.get(partition.window)
        file = AtomicWriter(path, self._staging)
        try:
            writer = _open_writer(self.format, file.staging)
            return WindowFile(file, writer, 0 if manifest is None else manifest.reports)
        except BaseException:
            file.discard()
            raise


def _open_writer(format_: Format, path: Path) -> Writer:
    if format_ == "ndjson":
        return NdjsonWriter(path)
    from depotclient.export.parquet import ParquetWriter

    return ParquetWriter(path)


def _read_manifest(file: Path) -> bytes | None:
    if file.suffix == ".parquet":
        from depotclient.export.parquet import read_manifest

        return read_manifest(file)
    return sidecar(file).read_bytes() if _is_regular(sidecar(file)) else None


def _is_regular(path: Path) -> bool:
    """Return True for a regular file, False if the path does not exist.

    Raises:
        FileExistsError: The path is something else. Opening a pipe may block forever.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if not S_ISREG(mode):
        raise FileExistsError(
            f"{path} is not a regular file: move it away or export into another folder"
        )
    return True


def prepare_folder(root: Path, format_: Format) -> None:
    """Create the folder of an export, and delete old staging files of killed runs.

    Raises:
        ImportError: The format needs pyarrow, which is not installed.
        OSError: The folder is a file, or can't be created or written to.
    """
    if format_ == "parquet":
        import depotclient.export.parquet  # noqa: F401 - names the missing extra before any request
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(f"{root} is a file: an export needs a folder")
    staging = root / STAGING
    if staging.is_symlink() or (staging.exists() and not staging.is_dir()):
        raise NotADirectoryError(
            f"{staging} is a link or a file: an export needs a folder there, to create and delete"
            " files; move it away"
        )
    staging.mkdir(parents=True, exist_ok=True)
    probe = AtomicWriter(staging / "probe")
    probe.staging.touch()
    probe.discard()
    for file in staging.glob("*.part"):
        with suppress(OSError):  # Another run may delete the same file.
            found = file.lstat()
            if S_ISREG(found.st_mode) and time.time() - found.st_mtime > ABANDONED_SECONDS:
                file.unlink()


def require_distinct_folders(connectors: Iterable[tuple[str, str]]) -> None:
    """Check that no two connectors share a folder on a disk that ignores case.

    Raises:
        ValueError: The names of two folders differ only in case.
    """
    known: dict[str, str] = {}
    for charger_id, connector_id in connectors:
        charger, connector = _folder_names(charger_id, connector_id)
        for path in (charger, f"{charger}/{connector}"):
            # All names are ASCII: other characters are percent-encoded.
            other = known.setdefault(path.lower(), path)
            if other != path:
                raise ValueError(
                    f"{other} and {path} are one folder on a disk that ignores case:"
                    " export them into different folders"
                )


def _folder_names(charger_id: str, connector_id: str) -> tuple[str, str]:
    """Return the names of the two nested folders of a connector."""
    return _folder_name("charger_id", charger_id), _folder_name("connector_id", connector_id)


def _folder_name(key: str, value: str) -> str:
    name = f"{key}={quote(value, safe='')}"
    # Windows drops a dot at the end of a name.
    return f"{name[:-1]}%2E" if name.endswith(".") else name
