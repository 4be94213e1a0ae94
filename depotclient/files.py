"""The files of an export: written aside, renamed when whole, and knowing what they hold."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args
from urllib.parse import quote

import attrs
import msgspec

from depotclient.pages import Page
from depotclient.query import wire_time
from depotclient.windows import WINDOWS, Membership, Partition

__all__ = ["FORMATS", "ConnectorFolder", "Format", "NewFile", "WindowRecord", "prepare"]

Format: TypeAlias = Literal["parquet", "ndjson"]
"""The kinds of files."""

FORMATS: Final[tuple[Format, ...]] = get_args(Format)

VERSION: Final = 1
"""Of what is written; a file of another one is neither read nor replaced."""

ASIDE: Final = ".depotclient"
"""The folder in which files are written until they are whole."""

ABANDONED_SECONDS: Final = 24 * 3600
"""A file written aside that has not grown for so long belongs to a run that was killed."""


class WindowRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
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
        untimed: The ids of the reports in it that have no start.
    """

    version: int = VERSION
    library: str
    charger_id: str
    connector_id: str
    window: str
    from_: str = msgspec.field(name="from")
    to: str
    verify: bool
    read_at: datetime
    reports: int
    size: int | None = None
    bytes_read: int
    untimed: tuple[int, ...]


class _Versioned(msgspec.Struct):
    version: int


def parse_record(path: Path, text: bytes | None) -> WindowRecord:
    """What a file says of itself.

    Raises:
        FileExistsError: Nothing, or nothing that this version understands.
    """
    problem = "was not written by an export"
    if text is not None:
        try:
            version = msgspec.json.decode(text, type=_Versioned).version
            if version == VERSION:
                return msgspec.json.decode(text, type=WindowRecord)
            problem = f"has version {version} of the form of these files, not {VERSION}"
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    raise FileExistsError(f"{path} {problem}: move it away or export into another folder")


class Content(Protocol):
    """What is written into a file; the methods block, and are for one thread at a time."""

    into: type[Any]
    """What the reports of the pages are to be structured into."""

    def write(self, page: Page[Any], membership: Membership) -> int:
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
    records: dict[str, WindowRecord] = attrs.field(factory=dict[str, WindowRecord])

    @classmethod
    def open(cls, root: Path, partition: Partition, format_: Format) -> ConnectorFolder:
        """The folder of a partition's connector, with what is there.

        Args:
            root: Of the whole export.
            partition: Any window of the connector.
            format_: Of the files.

        Raises:
            FileExistsError: There are windows of another kind, or files of another version.
            OSError: A file can't be read.
        """
        path = root / _level("charger_id", partition.charger_id)
        path /= _level("connector_id", partition.connector_id)
        folder = cls(path, format_, root / ASIDE)
        for kind in WINDOWS:
            if kind != partition.kind and any(path.glob(f"{kind}=*/reports.*")):
                raise FileExistsError(
                    f"{path} holds a file for each {kind}: to have one for each {partition.kind}"
                    " as well would double every report, so export into another folder"
                )
        for final in sorted(path.glob(f"{partition.kind}=*/reports.{format_}")):
            window = final.parent.name.removeprefix(f"{partition.kind}=")
            record = folder._read(final, attrs.evolve(partition, window=window))
            if record is not None:
                folder.records[window] = record
        return folder

    def _read(self, final: Path, partition: Partition) -> WindowRecord | None:
        if self.format == "parquet":
            from depotclient.parquet import read_record

            record = parse_record(final, read_record(final))
        else:
            beside = _beside(final)
            record = parse_record(beside, beside.read_bytes() if beside.exists() else None)
        held = Partition(record.charger_id, record.connector_id, record.window)
        if held != partition:
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
        from_, to = (wire_time(time) for time in partition.query(now, margin))
        if record.from_ > from_ or record.to < to:
            return False
        # A reading later than now was made by a clock that was wrong.
        return partition.is_settled(record.read_at, margin) and record.read_at <= now

    def untimed_elsewhere(self, partition: Partition) -> dict[int, str]:
        """The ids of reports without a start that other windows have, with the window of each."""
        return {
            session_id: window
            for window, record in self.records.items()
            if window != partition.window
            for session_id in record.untimed
        }

    def new_file(self, partition: Partition) -> NewFile:
        """Begin a file for a window, aside.

        Raises:
            OSError: It can't be made.
        """
        final = self.path / f"{partition.kind}={partition.window}" / f"reports.{self.format}"
        record = self.records.get(partition.window)
        aside = _file_aside(self._aside)
        try:
            return NewFile(
                final, aside, _content(self.format, aside), 0 if record is None else record.reports
            )
        except BaseException:
            aside.unlink()
            raise


@attrs.define(eq=False)
class NewFile:
    """A window's file while it is written; its methods block.

    Attributes:
        reports: How many it holds so far.
        bytes_read: How many bytes of answers went into it.
    """

    _final: Path
    _aside: Path
    _content: Content
    _least: int
    reports: int = 0
    bytes_read: int = 0

    @property
    def into(self) -> type[Any]:
        """What the reports of the pages are to be structured into."""
        return self._content.into

    def write(self, page: Page[Any], membership: Membership) -> None:
        """Add those reports of a page that belong here."""
        self.reports += self._content.write(page, membership)
        self.bytes_read += len(page.raw)

    def commit(self, record: WindowRecord) -> None:
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
        import depotclient.parquet  # noqa: F401
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(f"{root} is a file: an export needs a folder")
    aside = root / ASIDE
    aside.mkdir(parents=True, exist_ok=True)
    _file_aside(aside).unlink()
    for file in aside.glob("*.part"):
        with suppress(OSError):  # another run may do the same
            if time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
                file.unlink()


def _file_aside(folder: Path) -> Path:
    file = folder / f"{secrets.token_hex(8)}.part"
    file.touch(exist_ok=False)  # not by tempfile: the file is to have the mode of any other
    return file


def _content(format_: Format, path: Path) -> Content:
    if format_ == "ndjson":
        return Lines(path)
    from depotclient.parquet import Rows

    return Rows(path)


def _write(aside: Path, final: Path, record: WindowRecord) -> None:
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

    session_id: int
    session_time_start: datetime | None


class Lines:
    """The vendor's own reports, one a line."""

    into: type[Any] = _Start

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, page: Page[Any], membership: Membership) -> int:
        """Add those reports of a page that belong here; how many they are."""
        taken = [
            text
            for start, text in zip(page.reports, page.raw_reports, strict=True)
            if membership.takes(start.session_id, start.session_time_start)
        ]
        for text in taken:
            # White space between the tokens goes, and only where there are line ends among it.
            ends = b"\n" in text or b"\r" in text
            line = msgspec.json.format(text, indent=-1) if ends else text
            self._file.write(line + b"\n")
        return len(taken)

    def finish(self, record: bytes) -> None:
        """Nothing: the record goes into a file beside."""

    def close(self) -> None:
        """Write out what is still held, and close the file."""
        self._file.close()


def _level(name: str, value: str) -> str:
    return f"{name}={quote(value, safe='')}"


def _beside(final: Path) -> Path:
    # Readers of folders pass over names that begin with an underscore.
    return final.with_name(f"_{final.name}.json")
