"""Placement of sessions: which file keeps each session of a reading and of the earlier files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from depotclient.export.manifest import Manifest
from depotclient.export.plan import CalendarWindow, Reading
from depotclient.partitions.calendar import Window, window_of
from depotclient.reading import Coverage, is_unique
from depotclient.sessions import Identity, Session, Span

__all__ = ["Homes", "Placement", "place_held"]


@attrs.frozen
class Homes:
    """Files that can keep the sessions of a reading.

    Attributes:
        span: Span of the copy.
        kind: Kind of the windows.
        reading: The reading.
        names: Windows with a file, and those of the reading.
        timeless: Windows of the sessions without a usable time, by identity.
    """

    span: Span
    kind: Window
    reading: Reading
    names: frozenset[str]
    timeless: Mapping[Identity, str]

    @classmethod
    def of(
        cls, span: Span, kind: Window, reading: Reading, manifests: Mapping[str, Manifest]
    ) -> Homes:
        """Return the homes for a reading of a connector whose files have these manifests."""
        names = {*manifests, *(window.name for window in reading.windows)}
        timeless = dict[Identity, str]()
        for name, manifest in manifests.items():
            # A file of an earlier version names only the sessions without a start.
            timeless |= {(number, key): name for key, number in manifest.missing_start.items()}
            timeless |= {stray.identity: name for stray in manifest.strays}
        return cls(span, kind, reading, frozenset(names), timeless)

    def home_of(self, session: Session) -> str | None:
        """Return the window that a session belongs to by its times, if it can have a file."""
        time = self.span.time_of(session)
        if time is None or not self.span.includes(session):
            return None
        name = window_of(time, self.kind)
        return name if name in self.names else None

    def target_of(self, session: Session) -> str | None:
        """Return the window whose file keeps a session that the reading has returned.

        Returns:
            The window, or None if no file of this reading keeps the session. The session is then an
            ordinary one of a neighbour, which another reading returns too, or it is unchanged in a
            file that the reading need not replace.
        """
        time = self.span.time_of(session)
        first = self.reading.windows[0].name
        if time is None:
            held = self.timeless.get(session.identity, first)
            # Without a start, the identity depends on the bytes of the report.
            is_unchanged = session.start is None and not self.reads(held)
            return None if is_unchanged else held
        if not self.span.includes(session):
            return None
        home = CalendarWindow.of(window_of(time, self.kind), self.kind)
        if home.name in self.names:
            return home.name
        margin = self.span.margin
        whole = Coverage(home.start - margin, home.end + margin, self.span)
        # Until the file of its home exists, the first window keeps it.
        return None if whole.covers(session) else first

    def reads(self, name: str) -> bool:
        """Return True if a window is one of the reading."""
        return any(window.name == name for window in self.reading.windows)


@attrs.define(eq=False)
class Placement:
    """Sessions of one reading, and the windows whose files keep them.

    Attributes:
        homes: Files that can keep the sessions.
        returned: All sessions so far, by identity.
        placed: Windows of the sessions that belong to the copy, by identity.
        reports: Number of reports in the windows of the reading.
        rejected: Identities of the sessions whose reports can't be read.
        rejected_ids: Ids of these sessions, except for an id such as -1 with a start.
    """

    homes: Homes
    returned: dict[Identity, Session] = attrs.field(factory=dict[Identity, Session])
    placed: dict[Identity, str] = attrs.field(factory=dict[Identity, str])
    reports: int = 0
    rejected: set[Identity] = attrs.field(factory=set[Identity])
    rejected_ids: set[int | None] = attrs.field(factory=set["int | None"])
    _seen: set[int] = attrs.field(factory=set[int])

    def place(self, sessions: Iterable[Session]) -> dict[str, list[int]]:
        """Record the sessions of a page. Return the indexes of the new ones, by their windows."""
        indexes = dict[str, list[int]]()
        for index, session in enumerate(sessions):
            if session.key in self._seen:
                continue
            self._seen.add(session.key)
            self.returned[session.identity] = session
            name = self.homes.target_of(session)
            if name is not None:
                self.placed[session.identity] = name
                self.reports += self.homes.reads(name)
                indexes.setdefault(name, []).append(index)
        return indexes

    def reject(self, session: Session) -> str | None:
        """Record the session of a report that can't be read.

        Returns:
            The window that the session belongs to, or None if no file of this reading keeps it.
        """
        if session.key in self._seen:
            return None
        self._seen.add(session.key)
        self.returned[session.identity] = session
        self.rejected.add(session.identity)
        number = session.session_id
        if number is None or is_unique(number) or session.start is None:
            self.rejected_ids.add(number)
        return self.homes.target_of(session)

    def may_be_rejected(self, session: Session) -> bool:
        """Return True if a session may be one whose report can't be read: its file keeps it."""
        return session.session_id in self.rejected_ids or session.identity in self.rejected

    def restore(self, session: Session, window: str) -> None:
        """Record a session that comes from the quarantine instead of the server."""
        self.returned[session.identity] = session
        self.placed[session.identity] = window


def place_held(
    held: Mapping[str, Sequence[Session]],
    homes: Homes,
    replaced: Collection[Identity],
    dropped: Collection[Identity],
    departed: Collection[tuple[str, Identity]],
) -> dict[str, list[str | None]]:
    """Return the windows that keep the sessions of the files after a reading.

    Args:
        held: Sessions of the files, by window.
        homes: Files that can keep sessions.
        replaced: Identities of sessions that the reading has placed, with newer reports.
        dropped: Identities that the copy no longer keeps.
        departed: Windows and identities of sessions that have left these windows. A killed run has
            not removed them from the files.

    Returns:
        The window of each session, in the order of the file. None if no file keeps the session.
    """

    def place(name: str, session: Session) -> str | None:
        identity = session.identity
        if identity in replaced or identity in dropped or (name, identity) in departed:
            return None
        return homes.home_of(session) or name

    placed = {
        name: [place(name, session) for session in sessions] for name, sessions in held.items()
    }
    at_home = {
        (name, session.identity)
        for name, sessions in held.items()
        for session, home in zip(sessions, placed[name], strict=True)
        if home == name
    }
    # A killed run may have copied a session to its home without removing it here.
    return {
        name: [
            None if home != name and (home, session.identity) in at_home else home
            for session, home in zip(held[name], windows, strict=True)
        ]
        for name, windows in placed.items()
    }
