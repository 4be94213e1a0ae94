"""Manifest of an exported file: which window it holds, and how that window was read."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from depotclient.partitions.calendar import Partition, WindowFilter, window_start
from depotclient.query import format_time

__all__ = ["Manifest", "parse_manifest"]

WireTime: TypeAlias = Annotated[
    str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
]
"""Time as `format_time` formats it. Such strings sort in the order of their times."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Description of an exported file, stored as JSON in the file or in its sidecar.

    Attributes:
        version: Version of the file format.
        library: Name and version of the library that wrote the file.
        charger_id: Charger id.
        connector_id: Connector id.
        window: Calendar window, such as `2026-10`.
        from_: Start of the query, as it was sent.
        to: End of the query, as it was sent.
        verify: Whether the window was walked until a pass found nothing new.
        read_at: Time at which reading started.
        reports: Number of reports in the file.
        size: Size of the file in bytes, or None if the manifest is stored in the file itself.
        bytes_read: Total size of the pages that were read for the file, in bytes.
        missing_start: Session ids of the reports without a start, by their key.

    Raises:
        ValueError: `window` is not a month or a day.
    """

    version: Literal[1] = 1
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
    missing_start: dict[int, int | None]

    def __post_init__(self) -> None:
        window_start(self.window)

    def is_final(
        self, partition: Partition, now: datetime, margin: timedelta, *, verify: bool
    ) -> bool:
        """Return True if another reading with these options can't change the file."""
        from_, to = partition.query(now, margin)
        return (
            (self.verify or not verify)
            and self.from_ <= format_time(from_)
            and self.to >= format_time(to)
            and partition.is_closed(self.read_at, margin)
            # With a wrong clock, the window may have been read before its end.
            and self.read_at <= now
        )

    def without_superseded(self, window_filter: WindowFilter) -> Manifest:
        """Return the manifest without the reports that the reading of another window supersedes.

        A reading supersedes a report without a start if it accepted the session id but does not
        contain the report itself. The session now has a start, or other bytes.
        """
        kept = {
            key: session_id
            for key, session_id in self.missing_start.items()
            if session_id is None
            or session_id not in window_filter.accepted_ids
            or key in window_filter.seen
        }
        reports = self.reports - len(self.missing_start) + len(kept)
        return msgspec.structs.replace(self, reports=reports, missing_start=kept)


def parse_manifest(path: Path, text: bytes | None) -> Manifest:
    """Return the manifest of a file.

    Args:
        path: File to name in the message.
        text: JSON text, or None if the file has no manifest.

    Raises:
        FileExistsError: There is no manifest of this version.
    """
    try:
        return msgspec.json.decode(text or b"", type=Manifest)
    except (ValueError, RecursionError):
        raise FileExistsError(
            f"{path} was not written by an export of this version:"
            " move it away or export into another folder"
        ) from None
