"""Keys that tell sessions apart, read from the JSON text of their reports."""

from __future__ import annotations

import re
from hashlib import blake2b

import msgspec

__all__ = ["session_id_of", "session_key"]

# In the vendor's example the id comes first, so the rest need not be skipped to find it.
_ID = re.compile(rb'\{\s*"sessionId"\s*:\s*(0|-?[1-9]\d{0,17})\s*[,}]')
_START = re.compile(rb'"sessionTimeStart"\s*:\s*"([^"\\]+)"')
_START_NAME = b'"sessionTimeStart"'


class _Head(msgspec.Struct, rename="camel"):
    session_id: int


_HEAD_DECODER = msgspec.json.Decoder(_Head)


def session_id_of(report: bytes) -> int | None:
    """Return the session id of a report, None if it has no valid one."""
    if first := _ID.match(report):
        return int(first[1])
    try:
        return _HEAD_DECODER.decode(report).session_id
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def session_key(session_id: int | None, report: bytes) -> int:
    """Return a 64-bit number that identifies the session of a report.

    It is computed from the session id and the start of the session: ids may repeat, such as -1 of
    chargers that were offline. A report without a start is identified by its id and its bytes, one
    without a valid id by its bytes.
    """
    place = report.find(_START_NAME)
    start = _START.match(report, place) if place >= 0 and session_id is not None else None
    content = report if start is None else start[1]
    digest = blake2b(b"%d " % session_id if session_id is not None else b"", digest_size=8)
    digest.update(content)
    return int.from_bytes(digest.digest())
