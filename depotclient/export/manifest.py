"""Manifest of an exported file: its window, and how that window was read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from depotclient.sessions import Session
from evtransport._version import __version__

__all__ = ["LIBRARY", "Departure", "Manifest", "parse_manifest"]

LIBRARY: Final = f"thor-depot-clients {__version__}"
"""Name and version of this library, as files store them."""

WireTime: TypeAlias = Annotated[
    str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
]
"""Time as `format_time` formats it. Such strings sort in the order of their times."""


class Departure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A session that has left the file of another window.

    Attributes:
        window: Window of that file. If the run was killed, the file may still have the session.
        session: The session, with the times that it has in that file.
    """

    window: str
    session: Session


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Description of an exported file, stored as JSON in the file or in its sidecar.

    Attributes:
        version: Version of the file format.
        library: Name and version of the library that wrote the file.
        charger_id: Charger id.
        connector_id: Connector id.
        window: Calendar window, such as `2026-10`.
        from_: Start of the time that readings have covered without a gap.
        to: End of that time.
        verify: Whether all of these readings were walked until a pass found nothing new.
        read_at: Time of the last reading.
        reports: Number of reports in the file.
        size: Size of the file in bytes, or None if the manifest is stored in the file itself.
        bytes_read: Total size of the pages that were read for the file, in bytes.
        missing_start: Session ids of the reports without a start, by their key, in the order of
            the file.
        strays: Sessions in the file that start outside of the window, or whose start is missing.
        vanished: Sessions in the file that the server no longer has.
        departures: Sessions that the same reading has taken out of other files. These files are
            replaced after this one.
        previous: Manifest of the file before, while an NDJSON file is replaced.
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
    strays: tuple[Session, ...] = ()
    vanished: tuple[Session, ...] = ()
    departures: tuple[Departure, ...] = ()
    previous: Manifest | None = None


_DECODER: Final = msgspec.json.Decoder(Manifest)


def parse_manifest(path: str, text: bytes | None) -> Manifest:
    """Return the manifest of a file.

    Args:
        path: File to name in the message.
        text: JSON text, or None if the file has no manifest.

    Raises:
        FileExistsError: There is no manifest of this version.
    """
    try:
        return _DECODER.decode(text or b"")
    except (ValueError, RecursionError):
        raise FileExistsError(
            f"{path} was not written by an export of this version:"
            " move it away or export into another folder"
        ) from None
