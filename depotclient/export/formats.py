"""File formats of an export, as a reading uses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar, get_args

import attrs

from depotclient.pages import Page, Refused
from depotclient.sessions import Session

__all__ = ["FORMATS", "DecodedPage", "FileFormat", "Format", "Writer"]

Format: TypeAlias = Literal["parquet", "ndjson"]
"""Name of a file format."""

FORMATS: Final[tuple[Format, ...]] = get_args(Format)

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


@attrs.frozen(eq=False)
class DecodedPage(Generic[R]):
    """Reports of a page in the form of a file format.

    Attributes:
        rows: Rows of the valid reports.
        sessions: Session of each row.
        refused: Invalid reports.
        unknown_fields: Number of valid reports by the path of a field that `SessionReport` lacks.
    """

    rows: R
    sessions: Sequence[Session]
    refused: Sequence[Refused]
    unknown_fields: Mapping[str, int]


class Writer(Protocol[R_contra]):
    """Writer of one file. The methods block; use them from one thread at a time."""

    def write(self, rows: R_contra, indexes: Sequence[int]) -> None:
        """Add rows of a page."""
        ...

    def copy(self, path: Path, indexes: Sequence[int]) -> None:
        """Add rows of another file of the same format."""
        ...

    def finish(self, manifest: bytes) -> None:
        """Write what is held in memory. Store the manifest in the file if the format allows it."""
        ...

    def close(self) -> None:
        """Close the file, complete or not. A second call does nothing."""
        ...


class FileFormat(Protocol[R]):
    """Format of the files of an export. The methods block, except `into`."""

    @property
    def name(self) -> Format:
        """Name of the format, which is the ending of the files."""
        ...

    @property
    def into(self) -> type[Any]:
        """Class to structure the reports into."""
        ...

    def decode(self, page: Page[Any]) -> DecodedPage[R]:
        """Return the new reports of a page."""
        ...

    def decode_report(self, report: bytes) -> tuple[R, Session]:
        """Return one report as a row, and its session.

        Raises:
            SchemaError: The report is invalid.
        """
        ...

    def create(self, path: Path) -> Writer[R]:
        """Open a writer of a new file."""
        ...

    def read_sessions(
        self, path: Path, missing_start: Mapping[int, int | None]
    ) -> tuple[Session, ...]:
        """Return the session of each row of a file.

        Args:
            path: File.
            missing_start: Session ids of the rows without a start, by key, in the order of the
                file.

        Raises:
            ValueError: The file does not match `missing_start`.
        """
        ...
