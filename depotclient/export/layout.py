"""The files of an export: written aside, renamed when whole, and knowing what they hold."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Any, Final, Literal, Protocol, TypeAlias, get_args
from urllib.parse import quote

import attrs
import msgspec

from depotclient.pages import Page
from depotclient.partitions.calendar import WINDOWS, Partition, WindowFilter, require_window
from depotclient.query import format_time
from evtransport.surrogates import in_one_line

__all__ = ["FORMATS", "AtomicWriter", "ConnectorFolder", "Format", "Manifest", "folder_path"]
__all__ += ["prepare", "require_distinct_folders"]

Format: TypeAlias = Literal["parquet", "ndjson"]
"""The kinds of files."""

FORMATS: Final[tuple[Format, ...]] = get_args(Format)

VERSION: Final = 1
"""Of what is written; a file of another one is neither read nor replaced."""

ASIDE: Final = ".depotclient"
"""The folder in which files are written until they are whole."""

ABANDONED_SECONDS: Final = 24 * 3600
"""A file written aside that has not grown for so long belongs to a run that was killed."""


WireTime: TypeAlias = Annotated[
    str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
]
"""Time as `format_time` formats it. Texts sort in the same order as times."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a file says of itself.

    Attributes:
        version: The version of the form of the files.
        library: What wrote it, with its version.
        charger_id: The charger.
        connector_id: The connector.
        window: Such as `2026-10`.
        from_: What was asked for, as it was sent.
        to: The end of it.
        verify: Whether the window was walked until nothing new came.
        read_at: When the reading began.
        reports: How many reports the file holds.
        size: How many bytes it has, where this does not stand in the file itself.
        bytes_read: How many bytes the pages had that brought something for it.
        missing_start: Session ids of its reports without a start, None for one without a valid id.
        missing_start_keys: The `session_key` of each of them.

    Raises:
        ValueError: `window` is no month or day.
    """

    version: int = VERSION
    library: str
    charger_id: str
    connector_id: str
    window: str
    from_: WireTime = msgspec.field(name="from")
    to: WireTime
    verify: bool
    read_at: Annotated[datetime, msgspec.Meta(tz=True)]
    reports: int
    size: int | None = None
    bytes_read: int
    missing_start: tuple[int | None, ...]
    missing_start_keys: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        require_window(self.window)


class _Versioned(msgspec.Struct):
    version: int


def parse_manifest(path: Path, text: bytes | None) -> Manifest:
    """What a file says of itself.

    Raises:
        FileExistsError: Nothing, or nothing that this version understands.
    """
    problem = "was not written by an export"
    if text is not None:
        try:
            version = msgspec.json.decode(text, type=_Versioned).version
            if version == VERSION:
                return msgspec.json.decode(text, type=Manifest)
            problem = f"has version {version} of the form of these files, not {VERSION}"
        except (ValueError, RecursionError):
            pass
    raise FileExistsError(f"{path} {problem}: move it away or export into another folder")


class Writer(Protocol):
    """What is written into a file; the methods block, and are for one thread at a time."""

    into: type[Any]
    """What the reports of the pages are to be structured into."""

    def write(self, page: Page[Any], window_filter: WindowFilter) -> int:
        """Add those reports of a page that belong here; how many they are."""
        ...

    def finish(self, record: bytes) -> None:
        """Complete the file, and have it say what it holds, by this JSON, if its format can."""
        ...

    def close(self) -> None:
        """Let go of what is open, whether the file is complete or not."""
        ...


@attrs.define(eq=False)
class ConnectorFolder:
    """The files of one connector, in one format.

    Attributes:
        path: Where they are, `charger_id=.../connector_id=...`.
        format: What they are.
        records: What each of them says of itself, by window.
    """

    path: Path
    format: Format
    _aside: Path
    records: dict[str, Manifest] = attrs.field(factory=dict[str, Manifest])

    @classmethod
    def open(cls, root: Path, partition: Partition, format_: Format) -> ConnectorFolder:
        """The folder of a partition's connector, with what is there.

        Args:
            root: Of the whole export.
            partition: Any window of the connector.
            format_: Of the files.

        Raises:
            FileExistsError: The folder has windows of another kind, or files of another version.
                Or a file's name belongs to something else, such as a pipe.
            OSError: A file can't be read.
        """
        path = root
        for name in _folder_names(partition.charger_id, partition.connector_id):
            _refuse_old_name(path, name)
            path /= name
        folder = cls(path, format_, root / ASIDE)
        for kind in WINDOWS:
            if kind != partition.kind and any(path.glob(f"{kind}=*/reports.*")):
                raise FileExistsError(
                    f"{path} holds a file for each {kind}: to have one for each {partition.kind}"
                    " as well would double every report, so export into another folder"
                )
        for final in sorted(path.glob(f"{partition.kind}=*/reports.{format_}")):
            # Skip a link whose target is missing.
            record = folder._read(final, partition) if _is_file(final) else None
            if record is not None:
                folder.records[record.window] = record
        return folder

    def _read(self, final: Path, partition: Partition) -> Manifest | None:
        if self.format == "parquet":
            from depotclient.export.parquet import read_manifest

            record = parse_manifest(final, read_manifest(final))
        else:
            beside = _beside(final)
            record = parse_manifest(beside, beside.read_bytes() if _is_file(beside) else None)
        held = Partition(record.charger_id, record.connector_id, record.window)
        is_here = final.parent.name == f"{partition.kind}={held.window}"
        if not is_here or held != attrs.evolve(partition, window=held.window):
            raise FileExistsError(
                f"{final} says that it holds {held.key}: move it to where it belongs"
            )
        # Lines that are others than the record tells of are those of a run that was killed when it
        # had written one and not the other, or of two runs at once.
        return record if record.size in {None, final.stat().st_size} else None

    def is_done(
        self, partition: Partition, now: datetime, margin: timedelta, *, verify: bool
    ) -> bool:
        """Whether the window needs no reading any more, or none that is wider or more thorough."""
        record = self.records.get(partition.window)
        if record is None or (verify and not record.verify):
            return False
        from_, to = (format_time(time) for time in partition.query(now, margin))
        if record.from_ > from_ or record.to < to:
            return False
        # A reading later than now was made by a clock that was wrong.
        return partition.is_closed(record.read_at, margin) and record.read_at <= now

    def missing_start_elsewhere(self, partition: Partition) -> set[int]:
        """Return the keys of the reports without a start that other windows hold."""
        return {
            key
            for window, record in self.records.items()
            if window != partition.window
            for key in record.missing_start_keys
        }

    def drop_superseded(
        self,
        partition: Partition,
        window_filter: WindowFilter,
        margin: timedelta,
        kept: Collection[str],
    ) -> set[str]:
        """Drop superseded reports without a start from the records of other windows.

        The reading of a window supersedes a report if it took the session id, but does not contain
        the report itself. The session now has a start, or other bytes. In a window that is far
        away, the same id belongs to another session.

        Args:
            partition: The window that was read.
            window_filter: Reports of the reading.
            margin: Time read on both sides of each window.
            kept: Other windows whose records stay as they are.

        Returns:
            The windows to read again.
        """
        found = set[str]()
        for window in self.records.keys() - {partition.window, *kept}:
            if not partition.may_share_a_session(window, margin):
                continue
            record = self.records[window]
            # Files of earlier versions have no keys.
            held = [*zip_longest(record.missing_start, record.missing_start_keys)]
            left = [
                (session_id, key)
                for session_id, key in held
                if session_id is None
                or session_id not in window_filter.ids
                or key in window_filter.met
            ]
            if len(left) < len(held):
                found.add(window)
                self.records[window] = msgspec.structs.replace(
                    record,
                    reports=record.reports - len(held) + len(left),
                    missing_start=tuple(session_id for session_id, _ in left),
                    missing_start_keys=tuple(key for _, key in left if key is not None),
                )
        return found

    def new_file(self, partition: Partition) -> AtomicWriter:
        """Begin a file for a window, aside.

        Raises:
            OSError: It can't be made.
        """
        final = self.path / f"{partition.kind}={partition.window}" / f"reports.{self.format}"
        record = self.records.get(partition.window)
        aside = _file_aside(self._aside)
        try:
            return AtomicWriter(
                final, aside, _content(self.format, aside), 0 if record is None else record.reports
            )
        except BaseException:
            aside.unlink()
            raise


@attrs.define(eq=False)
class AtomicWriter:
    """A window's file while it is written; its methods block.

    Attributes:
        reports: How many it holds so far.
        bytes_read: How many bytes of answers went into it.
    """

    _final: Path
    _aside: Path
    _content: Writer
    _least: int
    reports: int = 0
    bytes_read: int = 0

    @property
    def into(self) -> type[Any]:
        """What the reports of the pages are to be structured into."""
        return self._content.into

    def write(self, page: Page[Any], window_filter: WindowFilter) -> None:
        """Add those reports of a page that belong here."""
        self.reports += self._content.write(page, window_filter)
        self.bytes_read += len(page.raw)

    def commit(self, record: Manifest) -> None:
        """Complete the file, have the disk take it, and give it its name.

        Raises:
            FileExistsError: The file that it would replace holds more reports.
            OSError: The disk is full, or the like.
        """
        if self.reports < self._least:
            raise FileExistsError(
                f"{self._final} holds {self._least} reports and the server has {self.reports} now:"
                " it is kept; move it away to have the window written again"
            )
        self._content.finish(msgspec.json.encode(record))
        self._content.close()
        self._final.parent.mkdir(parents=True, exist_ok=True)
        if self._final.suffix == ".parquet":
            _replace(self._aside, self._final)
            return
        size = self._aside.stat().st_size
        beside, aside = _beside(self._final), self._aside.with_suffix(".json.part")
        try:
            if not beside.exists():  # lines without any record would be taken for somebody else's
                _write(aside, beside, msgspec.structs.replace(record, size=-1))
            _replace(self._aside, self._final)
            _write(aside, beside, msgspec.structs.replace(record, size=size))
        finally:
            aside.unlink(missing_ok=True)

    def discard(self) -> None:
        """Delete what was not committed."""
        with suppress(OSError):  # a disk that is full fails once more here
            self._content.close()
        self._aside.unlink(missing_ok=True)


def prepare(root: Path, format_: Format) -> None:
    """Make the folder of an export, and delete what killed runs have left aside long ago.

    Raises:
        ImportError: The format needs what is not installed.
        OSError: The folder is a file, or can't be made or written to.
    """
    if format_ == "parquet":
        import depotclient.arrow  # which says what to install
        import depotclient.export.parquet  # noqa: F401
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(f"{root} is a file: an export needs a folder")
    aside = root / ASIDE
    if aside.is_symlink() or (aside.exists() and not aside.is_dir()):
        raise NotADirectoryError(
            f"{aside} is a link or a file: an export needs a folder of its own there, and deletes"
            " old files in it; move it away"
        )
    aside.mkdir(parents=True, exist_ok=True)
    _file_aside(aside).unlink()
    for file in aside.glob("*.part"):
        with suppress(OSError):  # another run may do the same
            found = file.lstat()
            if S_ISREG(found.st_mode) and time.time() - found.st_mtime > ABANDONED_SECONDS:
                file.unlink()


def folder_path(folder: object) -> Path:
    """Return the folder of an export as a path.

    Raises:
        ValueError: It is no path, is empty, or is not possible in a file system.
    """
    text = os.fspath(folder) if isinstance(folder, str | os.PathLike) else None
    if not isinstance(text, str):
        kind = type(folder).__name__
        raise ValueError(f"folder must be a path, such as 'lake', not {kind}")
    if not text.strip():
        raise ValueError("folder must not be empty; use '.' for the current one")
    try:
        os.fsencode(text)
        is_possible = "\0" not in text
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise ValueError(f"folder must be a path that the file system can encode, not {text!r}")
    return Path(text)


def require_distinct_folders(connectors: Iterable[tuple[str, str]]) -> None:
    """Check that no two connectors share a folder on a disk that ignores case.

    Raises:
        ValueError: The names of two folders differ only in case.
    """
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for ids in connectors:
        names = _folder_names(*ids)
        for depth in (1, 2):
            # All names are ASCII: other characters are percent-encoded.
            folded = tuple(name.lower() for name in names[:depth])
            other = known.setdefault(folded, names[:depth])
            if other != names[:depth]:
                raise ValueError(
                    f"{'/'.join(other)} and {'/'.join(names[:depth])} are one folder on a disk that"
                    " ignores case: export them into different folders"
                )


def _file_aside(folder: Path) -> Path:
    file = folder / f"{secrets.token_hex(8)}.part"
    file.touch(exist_ok=False)  # not by tempfile: the file is to have the mode of any other
    return file


def _content(format_: Format, path: Path) -> Writer:
    if format_ == "ndjson":
        return NdjsonWriter(path)
    from depotclient.export.parquet import ParquetWriter

    return ParquetWriter(path)


def _write(aside: Path, final: Path, record: Manifest) -> None:
    aside.write_bytes(msgspec.json.encode(record))
    _replace(aside, final)


def _replace(aside: Path, final: Path) -> None:
    """Rename a file when its bytes are on the disk."""
    _sync(aside)
    aside.replace(final)
    if os.name == "posix":  # pragma: no branch - elsewhere a folder can't be opened
        _sync(final.parent)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@attrs.frozen
class _Start:
    """What tells where a report belongs."""

    session_time_start: datetime | None


class NdjsonWriter:
    """The vendor's own reports, one a line."""

    into: type[Any] = _Start

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, page: Page[Any], window_filter: WindowFilter) -> int:
        """Add those reports of a page that belong here; how many they are."""
        taken = [
            text
            for key, session_id, report, text in zip(
                page.keys, page.ids, page.reports, page.raw_reports, strict=True
            )
            if window_filter.accept(key, session_id, report.session_time_start)
        ]
        for text in taken:
            # White space between the tokens goes, and only where there are line ends among it.
            ends = b"\n" in text or b"\r" in text
            line = in_one_line(text) if ends else text
            self._file.write(line + b"\n")
        return len(taken)

    def finish(self, record: bytes) -> None:
        """Nothing: the record goes into a file beside."""

    def close(self) -> None:
        """Write out what is still held, and close the file."""
        self._file.close()


def _folder_names(charger_id: str, connector_id: str) -> tuple[str, ...]:
    """Return the names of the two nested folders of a connector."""
    ids = {"charger_id": charger_id, "connector_id": connector_id}
    names = (f"{name}={quote(value, safe='')}" for name, value in ids.items())
    # Windows drops dots at the end of a name.
    return tuple(f"{name[:-1]}%2E" if name.endswith(".") else name for name in names)


def _refuse_old_name(parent: Path, name: str) -> None:
    """Check that no folder has the name that earlier versions gave it.

    Raises:
        FileExistsError: There is one. A new folder next to it would hold the same sessions again.
    """
    old = parent / f"{name.removesuffix('%2E')}."
    if name.endswith("%2E") and parent.exists() and old in parent.iterdir():
        raise FileExistsError(f"{old} has a name that Windows can't hold: rename it to {name}")


def _is_file(path: Path) -> bool:
    """Return True if there is a file, False if there is nothing.

    Raises:
        FileExistsError: There is something else, such as a pipe. Opening it may block for ever.
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


def _beside(final: Path) -> Path:
    # Readers of folders pass over names that begin with an underscore.
    return final.with_name(f"_{final.name}.json")
