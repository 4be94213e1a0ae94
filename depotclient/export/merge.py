"""Merge at the end of a reading: its reports and the rows of the earlier files become new files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import attrs
import msgspec

from depotclient.export.files import NewFile
from depotclient.export.layout import ConnectorFolder
from depotclient.export.manifest import LIBRARY, Departure, Manifest
from depotclient.export.placement import Placement, place_held
from depotclient.export.plan import CalendarWindow, Options, Reading
from depotclient.query import format_time
from depotclient.reading import Absent, Coverage, find_absent, is_unique
from depotclient.sessions import Identity, Session

__all__ = ["Merge"]


@attrs.frozen
class _Source:
    """Rows of a file, and the window that keeps each of them."""

    path: Path
    manifest: Manifest
    sessions: Sequence[Session]
    targets: Sequence[str | None]


@attrs.define(eq=False)
class Merge:
    """Merge of one complete reading into the files of its connector. The methods block.

    Attributes:
        folder: Folder of the connector.
        placement: Sessions of the reading.
        options: Options of the export.
        read_at: Time of the reading.
        create: Function that creates the new file of a window.
        files: New files, by window, with the reports of the reading.
        bytes_read: Total size of the pages of the reading, in bytes.
        absent: Sessions that the reading did not return.
    """

    folder: ConnectorFolder
    placement: Placement
    options: Options
    read_at: datetime
    create: Callable[[str], NewFile]
    files: dict[str, NewFile]
    bytes_read: int = 0
    absent: Absent = attrs.field(factory=Absent)
    _current: dict[str, Manifest | None] = attrs.field(factory=dict[str, "Manifest | None"])
    _later: set[str] = attrs.field(factory=set[str])

    @property
    def _reading(self) -> Reading:
        return self.placement.homes.reading

    def commit(self) -> None:
        """Replace the files that change.

        Raises:
            FileExistsError: Another program wrote a file that must change.
            OSError: A file can't be read or written.
        """
        with self.folder.lock():
            known = dict(self.folder.manifests)
            for name in self._concerned():
                self._current[name] = current = self.folder.refresh(name)
                if current is None or current == known.get(name):
                    continue
                if current.read_at >= self.read_at:
                    self._later.add(name)
            held = {
                name: self._read_sessions(name, manifest)
                for name, manifest in self._current.items()
                if manifest is not None
            }
            self._find_absent(held)
            self._replace(self._place(held))

    def _concerned(self) -> set[str]:
        """Return the windows whose files the reading may change."""
        manifests, homes = self.folder.manifests, self.placement.homes
        returned = {session.session_id for session in self.placement.returned.values()} - {None}
        concerned = {window.name for window in self._reading.windows} | self.files.keys()
        concerned |= {w.name for w in self.folder.held if self._reading.overlaps(w)}
        for name, manifest in manifests.items():
            strays = [*manifest.strays, *manifest.vanished]
            ids = {*(stray.session_id for stray in strays), *manifest.missing_start.values()}
            if not returned.isdisjoint(ids):
                concerned.add(name)
            for home in map(homes.home_of, manifest.strays):
                if home is not None and home != name:
                    concerned |= {name, home}
            if manifest.departures:
                departed = {departure.window for departure in manifest.departures}
                concerned |= {name, *(departed & manifests.keys())}
        return concerned

    def _read_sessions(self, name: str, manifest: Manifest) -> tuple[Session, ...]:
        path = self.folder.file_of(name)
        try:
            return self.folder.format.read_sessions(path, manifest.missing_start)
        except ValueError as error:
            raise FileExistsError(
                f"{path} does not match its manifest: move it away to read the window again"
                f" ({error})"
            ) from None

    def _find_absent(self, held: Mapping[str, Sequence[Session]]) -> None:
        coverage = Coverage(
            self._reading.from_, self._reading.to, self.placement.homes.span, self._expected(held)
        )
        earlier = [
            session
            for name, sessions in held.items()
            if name not in self._later
            for session in sessions
            if not self.placement.may_be_rejected(session)
        ]
        valid = [
            session
            for identity, session in self.placement.returned.items()
            if identity not in self.placement.rejected
        ]
        self.absent = find_absent(earlier, valid, coverage)

    def _expected(self, held: Mapping[str, Sequence[Session]]) -> frozenset[Identity]:
        """Return sessions that the reading must return, but that its times don't show as such."""
        span = self.placement.homes.span
        timeless = {
            session.identity
            for window in self._reading.windows
            if self._reading.covers(window, span.margin)
            for session in held.get(window.name, ())
            if span.time_of(session) is None
        }
        # A vanished session may come back with another start, in any later reading.
        vanished = {
            session.identity
            for manifest in self._current.values()
            if manifest is not None
            for session in manifest.vanished
            if is_unique(session.session_id)
        }
        return frozenset(timeless | vanished)

    def _place(self, held: Mapping[str, Sequence[Session]]) -> dict[str, _Source]:
        """Return the rows of the files that are there, with their new places."""
        dropped = {session.identity for session in self.absent.moved}
        if self.options.accept_deletions:
            dropped |= {session.identity for session in self.absent.vanished}
        departed = {
            (departure.window, departure.session.identity)
            for manifest in self._current.values()
            if manifest is not None
            for departure in manifest.departures
        }
        # The rows of a later reading win.
        won = {session.identity for name in self._later for session in held[name]}
        replaced = self.placement.placed.keys() - won
        homes = attrs.evolve(self.placement.homes, names=frozenset(self._current))
        targets = place_held(held, homes, replaced, dropped - won, departed)
        return {
            name: _Source(self.folder.file_of(name), manifest, held[name], targets[name])
            for name, manifest in self._current.items()
            if manifest is not None
        }

    def _replace(self, sources: Mapping[str, _Source]) -> None:
        """Write the files that change, then rename them.

        Files that lose sessions to others come last: if the run is killed in between, a session is
        in two files rather than in none.
        """
        departures = self._departures(sources)
        losers = {each.window for group in departures.values() for each in group}
        order = sorted(self._changed(sources), key=lambda name: (name in losers, name))
        manifests = dict[str, Manifest]()
        for name in order:
            file = self._fill(name, sources)
            vanished = self._vanished(name, sources.get(name))
            manifests[name] = self._describe(name, file, vanished, departures.get(name, ()))
            file.finish(msgspec.json.encode(manifests[name]))
        for name in order:
            committed = self.files[name].commit(manifests[name], self._current.get(name))
            # Otherwise the next reading takes the file for that of another run.
            self.folder.manifests[name] = committed

    def _departures(self, sources: Mapping[str, _Source]) -> dict[str, list[Departure]]:
        """Return the sessions that leave files, by the windows of the files that take them in."""
        new_homes = dict[int | None, set[str]]()
        for (session_id, _), home in self.placement.placed.items():
            new_homes.setdefault(session_id, set()).add(home)
        moved = {session.identity for session in self.absent.moved}
        departures = dict[str, list[Departure]]()
        for name, source in sources.items():
            for session, target in zip(source.sessions, source.targets, strict=True):
                homes = set[str]()
                if target is not None:
                    homes = {target}
                elif session.identity in moved:
                    homes = new_homes.get(session.session_id, homes)
                elif session.identity in self.placement.placed:
                    homes = {self.placement.placed[session.identity]}
                for home in homes - {name}:
                    departure = Departure(window=name, session=session)
                    departures.setdefault(home, []).append(departure)
        return departures

    def _changed(self, sources: Mapping[str, _Source]) -> set[str]:
        """Return the windows of the files that change."""
        changed = {
            window.name for window in self._reading.windows if window.name not in self._later
        }
        changed |= self.files.keys()
        for name, source in sources.items():
            manifest = source.manifest
            has_changed = any(target != name for target in source.targets)
            # Forget the departures of an earlier reading: the other files lack these rows by now.
            if (
                has_changed
                or manifest.departures
                or self._vanished(name, source) != manifest.vanished
            ):
                changed.add(name)
            changed |= {t for t in source.targets if t is not None and t != name}
        return changed

    def _fill(self, name: str, sources: Mapping[str, _Source]) -> NewFile:
        """Return the new file of a window, with the rows that stay or arrive."""
        staged = self.files.get(name)
        file = self.files[name] = self.create(name) if staged is None else staged
        if staged is not None and name in self._later:
            file = self.files[name] = self.create(name)
            won = {session.identity for session in sources[name].sessions}
            kept = [n for n, each in enumerate(staged.sessions) if each.identity not in won]
            staged.finish(b"{}")
            file.copy(staged.staging, staged.sessions, kept)
            staged.discard()
        for source in sources.values():
            indexes = [n for n, target in enumerate(source.targets) if target == name]
            if indexes:
                file.copy(source.path, source.sessions, indexes)
        return file

    def _describe(
        self,
        name: str,
        file: NewFile,
        vanished: tuple[Session, ...],
        departures: Sequence[Departure],
    ) -> Manifest:
        """Return the manifest of a new file."""
        window = self.folder.windows[name]
        current = self._current.get(name)
        is_read = window in self._reading.windows and name not in self._later
        if is_read or current is None:
            manifest = self._describe_reading(window, current)
        else:
            manifest = current
        return msgspec.structs.replace(
            manifest,
            reports=len(file.sessions),
            missing_start={each.key: each.session_id for each in file.sessions if not each.start},
            strays=tuple(each for each in file.sessions if not window.contains_start(each)),
            vanished=vanished,
            departures=tuple(departures),
            size=None,
        )

    def _describe_reading(self, window: CalendarWindow, current: Manifest | None) -> Manifest:
        """Return the manifest of a window that was read, without its rows."""
        options, first = self.options, window.start - self.options.margin
        bytes_read = self.bytes_read
        if self._reading.covers(window, options.margin):
            from_, verify = format_time(first), options.verify
        elif current is not None:
            from_, verify = current.from_, current.verify and options.verify
            bytes_read += current.bytes_read
        else:  # The file was deleted during the reading: the next run reads the window whole.
            from_, verify = format_time(window.end), options.verify
        return Manifest(
            library=LIBRARY,
            charger_id=self.folder.charger_id,
            connector_id=self.folder.connector_id,
            window=window.name,
            from_=from_,
            to=format_time(min(window.end + options.margin, self._reading.to)),
            verify=verify,
            read_at=self.read_at,
            reports=0,
            bytes_read=bytes_read,
            missing_start={},
        )

    def _vanished(self, name: str, source: _Source | None) -> tuple[Session, ...]:
        """Return the sessions that stay in a file although the server no longer has them."""
        if source is None:
            return ()
        known = {session.identity: session for session in source.manifest.vanished}
        if name not in self._later:
            known |= {session.identity: session for session in self.absent.vanished}
        kept = {
            session.identity
            for session, target in zip(source.sessions, source.targets, strict=True)
            if target == name
        }
        return tuple(known[identity] for identity in known if identity in kept)
