"""NDJSON files: the vendor's own reports, one on each line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from depotclient.copying.invalid import read_time
from depotclient.drift import count_reports, find_unknown
from depotclient.export.formats import DecodedPage, Format
from depotclient.keys import compute_session_key, read_session_id
from depotclient.models import STRUCTURES
from depotclient.pages import Page, Refused
from depotclient.sessions import Session
from evtransport.errors import ApiError
from evtransport.structure import JsonValue
from evtransport.surrogates import join_lines

__all__ = ["NdjsonFormat", "NdjsonWriter", "sidecar"]


@attrs.frozen
class _Times:
    """Times of a report, of which only the start must be valid."""

    session_time_start: datetime | None = None
    session_time_end: JsonValue = None


_decode_times: Final = STRUCTURES.of(_Times)


class NdjsonWriter:
    """Writer of the vendor's own reports. The manifest goes into a sidecar."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, rows: Sequence[bytes], indexes: Sequence[int]) -> None:
        """Add lines of a page."""
        self._file.writelines(rows[index] + b"\n" for index in indexes)

    def copy(self, path: Path, indexes: Collection[int]) -> None:
        """Add lines of another file."""
        kept = set(indexes)
        with path.open("rb") as file:
            self._file.writelines(line for index, line in enumerate(file) if index in kept)

    def finish(self, manifest: bytes) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Write buffered lines and close the file."""
        self._file.close()


@attrs.frozen
class NdjsonFormat:
    """NDJSON as a format of an export."""

    name: Format = attrs.field(default="ndjson", init=False)
    into: type[Any] = attrs.field(default=_Times, init=False)

    def decode(self, page: Page[Any]) -> DecodedPage[Sequence[bytes]]:
        """Return the new reports of a page as lines. Only the start of a report must be valid."""
        lines, sessions, refused = list[bytes](), list[Session](), list[Refused]()
        for index, item in enumerate(page.items):
            try:
                times: _Times = page.reports[index]
            except ApiError as error:
                refused.append(Refused(index, error))
                continue
            line = _line_of(bytes(item))
            lines.append(line)
            sessions.append(_session(line, times))
        unknown_fields = count_reports(map(find_unknown, lines))
        return DecodedPage(lines, sessions, refused, unknown_fields)

    def decode_report(self, report: bytes) -> tuple[Sequence[bytes], Session]:
        """Return one report as a line, and its session.

        Raises:
            SchemaError: The start is invalid.
        """
        line = _line_of(report)
        return [line], _session(line, _decode_times(msgspec.Raw(line)))

    def create(self, path: Path) -> NdjsonWriter:
        """Open a writer of a new file."""
        return NdjsonWriter(path)

    def read_sessions(
        self, path: Path, missing_start: Mapping[int, int | None]
    ) -> tuple[Session, ...]:
        """Return the session of each line of a file. `missing_start` is not needed."""
        del missing_start
        with path.open("rb") as file:
            return tuple(
                _session(line, _decode_times(msgspec.Raw(line))) for line in map(bytes.strip, file)
            )


def _session(line: bytes, times: _Times) -> Session:
    """Return the session of a line.

    The key is computed from the line, which may differ from the report in white space.
    """
    session_id = read_session_id(line)
    key = compute_session_key(session_id, line)
    return Session(session_id, times.session_time_start, read_time(times.session_time_end), key)


def _line_of(report: bytes) -> bytes:
    """Return a report as one line. Only a report with line breaks loses its white space."""
    return join_lines(report) if b"\n" in report or b"\r" in report else report


def sidecar(path: Path) -> Path:
    """Return the path of the file that holds the manifest of an NDJSON file."""
    # Readers of folders ignore names that start with an underscore.
    return path.with_name(f"_{path.name}.json")
