"""State of a run: what it knows of each connector, and the bytes that a `FollowState` saves."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

import attrs
import msgspec

from depotclient.reading import MARGIN
from depotclient.sessions import Identity, Session, Span, truncate

__all__ = ["Changes", "ConnectorState", "Known", "join_state", "split_state"]

KIND: Final = "depotclient.follow"
VERSION: Final = 1

_MILLISECOND: Final = timedelta(milliseconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)

_RECORD: Final = struct.Struct(">BqqqQ8s")
"""Flags, session id, start, end, key and digest of a session. Times are in microseconds."""

_HAS_ID, _HAS_START, _HAS_END, _IS_DELIVERED = (1 << bit for bit in range(4))

_ADVICE: Final = ": pass one that an earlier run saved, or none, such as a path without a file"

_INVALID: Final = (msgspec.MsgspecError, ValueError, RecursionError, struct.error, OverflowError)

_Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


@attrs.frozen
class Known:
    """Session that a run has delivered.

    Attributes:
        session: The session.
        digest: Digest of its report, see `compute_digest`.
        is_delivered: False if the report was invalid, so that only its error was delivered.
        record: The same in a saved state.
    """

    session: Session
    digest: bytes
    is_delivered: bool = True
    record: bytes = attrs.field(
        default=attrs.Factory(lambda known: _pack(known), takes_self=True),
        init=False,
        repr=False,
        eq=False,
    )

    @classmethod
    def unpack(
        cls, flags: int, session_id: int, start: int, end: int, key: int, digest: bytes
    ) -> Known:
        """Return the session with the values of a record.

        Raises:
            OverflowError: A time is out of range.
        """
        session = Session(
            session_id if flags & _HAS_ID else None,
            _EPOCH + start * _MICROSECOND if flags & _HAS_START else None,
            _EPOCH + end * _MICROSECOND if flags & _HAS_END else None,
            key,
        )
        return cls(session, digest, bool(flags & _IS_DELIVERED))


Changes: TypeAlias = Mapping[Identity, Known | None]
"""Sessions to remember by their identity. None forgets a session."""


@attrs.define(eq=False)
class ConnectorState:
    """State of one connector.

    Attributes:
        since: Time from which sessions are delivered.
        floor: Time before which nothing is remembered. No query asks for earlier sessions, so that
            a delivered session never appears new again.
        read_at: Time at which the last complete reading began, or None.
        reconciled_at: Time at which the last complete reconcile began, or None.
        report_bytes: Average size of a report in the last reading, in bytes. 0 if unknown.
        known: Delivered sessions that the server may return again.
    """

    since: datetime
    floor: datetime
    read_at: datetime | None = None
    reconciled_at: datetime | None = None
    report_bytes: int = 0
    known: dict[Identity, Known] = attrs.field(factory=dict[Identity, Known])

    @classmethod
    def starting_at(cls, since: datetime) -> ConnectorState:
        """Return the state of a connector that was never read."""
        # The server may exclude the start of a query.
        return cls(since, truncate(since) - _MILLISECOND)

    @property
    def span(self) -> Span:
        """Return the span of the sessions to deliver. It has no end."""
        return Span(self.since, _END, MARGIN)

    def last_time_of(self, session: Session) -> datetime | None:
        """Return the last usable time of a session, or None without one."""
        return max(self.span.times_of(session), default=None)

    def expects(self, session: Session) -> bool:
        """Return False for a session before `since`, or one that may have been forgotten."""
        last = self.last_time_of(session)
        return last is None or (last >= self.floor and self.span.includes(session))

    def apply(self, changes: Changes) -> Changes:
        """Remember and forget sessions. Return the changes that undo this."""
        before = {identity: self.known.get(identity) for identity in changes}
        for identity, known in changes.items():
            if known is None:
                self.known.pop(identity, None)
            else:
                self.known[identity] = known
        return before

    def forget_before(self, now: datetime, period: timedelta) -> None:
        """Forget the sessions that ended more than `period` before the last one.

        The period counts from the last session instead of the time: a run with a wrong clock must
        not forget them all.
        """
        times = {identity: self.last_time_of(k.session) for identity, k in self.known.items()}
        latest = max((time for time in times.values() if time and time <= now), default=self.floor)
        if latest - self.floor > period:  # Otherwise, the difference may be before the year 1.
            self.floor = truncate(latest) - period
        for identity, time in times.items():
            if time is not None and time < self.floor:
                del self.known[identity]

    def encode(self, ids: tuple[str, str]) -> bytes:
        """Return the part of the state that describes this connector, which is JSON."""
        records = b"".join([known.record for known in self.known.values()])
        return msgspec.json.encode(
            _Connector(
                *ids,
                since=self.since,
                floor=self.floor,
                read_at=self.read_at,
                reconciled_at=self.reconciled_at,
                report_bytes=self.report_bytes,
                sessions=base64.b64encode(records).decode(),
            )
        )

    @classmethod
    def decode(cls, part: bytes) -> ConnectorState:
        """Return the state of a connector from its part.

        Raises:
            ValueError: The part is damaged.
        """
        try:
            found = msgspec.json.decode(part, type=_Connector)
            records = _RECORD.iter_unpack(base64.b64decode(found.sessions, validate=True))
            known = [Known.unpack(*record) for record in records]
        except _INVALID as error:
            raise ValueError(f"it is damaged: {error}{_ADVICE}") from None
        return cls(
            found.since,
            found.floor,
            found.read_at,
            found.reconciled_at,
            found.report_bytes,
            {each.session.identity: each for each in known},
        )


class _Connector(msgspec.Struct):
    charger_id: str
    connector_id: str
    since: _Time
    floor: _Time
    read_at: _Time | None
    reconciled_at: _Time | None
    report_bytes: Annotated[int, msgspec.Meta(ge=0)]
    sessions: str


class _Header(msgspec.Struct):
    kind: str
    version: int


class _Ids(msgspec.Struct):
    charger_id: str
    connector_id: str


class _State(msgspec.Struct):
    connectors: list[msgspec.Raw]


def join_state(parts: Iterable[bytes]) -> bytes:
    """Return the state of a run, which is JSON.

    Args:
        parts: Part of each connector, see `ConnectorState.encode`.
    """
    header = msgspec.json.encode(_Header(KIND, VERSION))
    listed = [piece for part in parts for piece in (b",", part)][1:]
    # One copy only: the state of a large fleet has several MB.
    return b"".join([header[:-1], b',"connectors":[', *listed, b"]}"])


def split_state(state: bytes) -> dict[tuple[str, str], bytes]:
    """Return the part of each connector in a saved state, by its ids.

    Raises:
        ValueError: The bytes are not a state of `follow`, or one of another version.
    """
    if not isinstance(state, bytes):
        raise ValueError(f"load() must return bytes or None, got {type(state).__name__}")
    try:
        header = msgspec.json.decode(state, type=_Header)
    except _INVALID:
        raise ValueError(f"it is not a state of follow{_ADVICE}") from None
    if header.kind != KIND:
        raise ValueError(f"it is a {header.kind[:40]!r}, not a state of follow{_ADVICE}")
    if header.version != VERSION:
        raise ValueError(
            f"it has version {header.version}, but this release reads version {VERSION}:"
            " use the release that wrote it, or start without a state"
        )
    try:
        parts = msgspec.json.decode(state, type=_State).connectors
        ids = [msgspec.json.decode(part, type=_Ids) for part in parts]
    except _INVALID as error:
        raise ValueError(f"it is damaged: {error}{_ADVICE}") from None
    return {
        (each.charger_id, each.connector_id): bytes(part)
        for each, part in zip(ids, parts, strict=True)
    }


def _pack(known: Known) -> bytes:
    """Return the record of a session."""
    session = known.session
    flags = (
        _HAS_ID * (session.session_id is not None)
        | _HAS_START * (session.start is not None)
        | _HAS_END * (session.end is not None)
        | _IS_DELIVERED * known.is_delivered
    )
    times = (_microseconds(session.start), _microseconds(session.end))
    return _RECORD.pack(flags, session.session_id or 0, *times, session.key, known.digest)


def _microseconds(time: datetime | None) -> int:
    return 0 if time is None else (time - _EPOCH) // _MICROSECOND
