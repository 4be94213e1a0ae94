"""State of the dlt resource: how far each connector is loaded, and which sessions may change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NotRequired, TypeAlias, TypedDict

import attrs
import msgspec

from depotclient.keys import compute_digest
from depotclient.reading import Coverage, changed_from, find_absent
from depotclient.sessions import Identity, Session, Span

__all__ = ["LOOK_BACK", "ConnectorRun", "Known", "Progress", "Stored", "digest_of"]

LOOK_BACK: Final = timedelta(days=3)
"""Time before the latest known session that a run reads again, for late reports."""

Entry: TypeAlias = tuple[int | None, str | None, str | None, str, str]
"""Id, start, end, key and digest of a report. JSON makes a list of it."""


Stored = TypedDict("Stored", {"from": str, "latest": str, "sessions": NotRequired[list[Entry]]})
"""Progress of a connector in dlt's state, which is JSON."""


def digest_of(report: bytes | msgspec.Raw) -> str:
    """Return a digest of the bytes of a report, which changes with the report."""
    return compute_digest(report).hex()


def _dump_time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _load_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@attrs.frozen
class Known:
    """Session that the table has.

    Attributes:
        session: The session.
        digest: Digest of its report.
    """

    session: Session
    digest: str

    @classmethod
    def load(cls, entry: Entry) -> Known:
        """Return the session in an entry of the state."""
        session_id, start, end, key, digest = entry
        times = _load_time(start), _load_time(end)
        return cls(Session(session_id, *times, int(key, 16)), digest)

    def dump(self) -> Entry:
        """Return the entry for the state."""
        session, key = self.session, f"{self.session.key:016x}"
        times = _dump_time(session.start), _dump_time(session.end)
        return session.session_id, *times, key, self.digest


@attrs.frozen
class Progress:
    """Position of one connector.

    Attributes:
        from_: Start of the last run's span. Nothing is missing between it and `latest`.
        latest: Latest known time of a session. Later sessions may be loaded, but some may be
            missing.
        known: Sessions that a later run may read again.
    """

    from_: datetime
    latest: datetime
    known: tuple[Known, ...] = ()

    @classmethod
    def load(cls, stored: Stored | None, now: datetime) -> Progress | None:
        """Return the progress in dlt's state, or None if the state has no valid one."""
        if stored is None:
            return None
        from_, latest = map(datetime.fromisoformat, (stored["from"], stored["latest"]))
        # An earlier version of this library stored no sessions.
        known = tuple(Known.load(entry) for entry in stored.get("sessions", ()))
        # A fast clock may have stored a time in the future, which hides all sessions until then.
        return cls(from_, latest, known) if latest <= now else None

    def dump(self) -> Stored:
        """Return the value for dlt's state."""
        return {
            "from": self.from_.isoformat(),
            "latest": self.latest.isoformat(),
            "sessions": [known.dump() for known in self.known],
        }


def start_of_run(progress: Progress | None, from_: datetime, look_back: timedelta) -> datetime:
    """Return the time from which a run must read a connector."""
    if progress is None or from_ < progress.from_:
        return from_
    return changed_from(from_, progress.latest, look_back)


@attrs.define(eq=False)
class ConnectorRun:
    """One run over one connector: which reports to load, and the progress after it.

    Attributes:
        progress: Progress before the run.
        span: Span of the resource, up to the end of the run.
        start: Start of the time that the run reads.
        read_to: End of the last query, or a time before it.
        look_back: Time before the latest known session that the next run reads again.
    """

    progress: Progress | None
    span: Span
    start: datetime
    read_to: datetime
    look_back: timedelta
    _returned: dict[Identity, Known] = attrs.field(init=False, factory=dict[Identity, Known])
    _held: Mapping[Identity, Known] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        known = () if self.progress is None else self.progress.known
        self._held = {each.session.identity: each for each in known}

    def select(self, sessions: Iterable[Session], items: Iterable[msgspec.Raw]) -> list[bool]:
        """Record reports that the server returned. Return True for each report to load.

        A report is loaded if it belongs to the span and has changed since the last run. If two
        windows return a session, only the first report is loaded.
        """
        return [
            self._is_new(session, digest_of(item))
            for session, item in zip(sessions, items, strict=True)
        ]

    def _is_new(self, session: Session, digest: str) -> bool:
        identity = session.identity
        if identity in self._returned:
            return False
        self._returned[identity] = Known(session, digest)
        held = self._held.get(identity)
        return self.span.includes(session) and (held is None or held.digest != digest)

    def moved(self) -> tuple[Session, ...]:
        """Return the sessions that have another start now. The table must drop their old rows."""
        coverage = Coverage(self.start - self.span.margin, self.read_to, self.span)
        return find_absent(
            (known.session for known in self._held.values()),
            (known.session for known in self._returned.values()),
            coverage,
        ).moved

    def progress_after(self, moved: Iterable[Session]) -> Progress | None:
        """Return the progress after the run. None means that the connector has no session.

        Args:
            moved: Sessions that the table drops.
        """
        if self.progress is not None and self.span.end < self.progress.from_:
            # The span ends before the known one. A longer span must read the gap.
            return self.progress
        gone = {session.identity for session in moved}
        held = {identity: each for identity, each in self._held.items() if identity not in gone}
        every = (held | self._returned).values()
        known = [each for each in every if self.span.includes(each.session)]
        if self.progress is None and not known:
            return None
        times = [self.span.time_of(each.session) for each in known]
        before = self.span.start if self.progress is None else self.progress.latest
        latest = max([before, *(time for time in times if time is not None)])
        next_start = max(self.span.start, latest - self.look_back) - self.span.margin
        recent = (each for each in known if self._may_be_read(each.session, next_start))
        return Progress(self.span.start, latest, tuple(recent))

    def _may_be_read(self, session: Session, start: datetime) -> bool:
        """Return True if a run that reads from `start` on may return a session again."""
        times = self.span.times_of(session)
        if not times:
            return session.identity in self._returned
        return max(times) >= start
