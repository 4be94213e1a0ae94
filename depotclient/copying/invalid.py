"""Sessions of reports that may be invalid, because a copy must know where these belong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import attrs
import msgspec

from depotclient.keys import compute_session_key, read_session_id
from depotclient.models import STRUCTURES
from depotclient.sessions import Session
from evtransport.errors import ApiError
from evtransport.structure import JsonValue

__all__ = ["read_time", "session_of"]


@attrs.frozen
class _Times:
    session_time_start: JsonValue = None
    session_time_end: JsonValue = None


_Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]

_decode_times: Final = STRUCTURES.of(_Times)


def session_of(report: bytes) -> Session:
    """Return the session of a report. An invalid id or time is None.

    Example:
        >>> session = session_of(b'{"sessionId": 7, "sessionTimeStart": 1}')
        >>> session.session_id, session.start
        (7, None)
    """
    try:
        times = _decode_times(msgspec.Raw(report))
    except ApiError:  # The report is not an object, or has a lone surrogate in a time.
        times = _Times()
    session_id = read_session_id(report)
    start, end = map(read_time, (times.session_time_start, times.session_time_end))
    return Session(session_id, start, end, compute_session_key(session_id, report))


def read_time(value: JsonValue) -> datetime | None:
    """Return a time of a report in UTC, or None if it is missing or invalid."""
    try:
        return msgspec.convert(value, _Time).astimezone(UTC)
    except (ValueError, OverflowError):  # A ValidationError is a ValueError.
        return None
