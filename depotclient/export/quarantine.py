"""Quarantine of an export: reports that can't be read, kept until they can be or are corrected."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

import attrs
import msgspec

from depotclient.copying.invalid import session_of
from depotclient.export.placement import Placement
from depotclient.reading import Coverage, find_absent
from depotclient.sessions import Identity, Session
from evtransport.atomic import write_atomically

__all__ = ["ON_BAD_REPORT", "OnBadReport", "Quarantine", "RejectedReport", "rejected_folder"]

OnBadReport: TypeAlias = Literal["fail", "quarantine"]
"""Effect of an invalid report."""

ON_BAD_REPORT: Final[tuple[OnBadReport, ...]] = get_args(OnBadReport)

REJECTED: Final = "_rejected"
"""Name of the folder of all quarantines."""


class RejectedReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Report that can't be read, a line of a quarantine.

    Attributes:
        charger_id: Charger id.
        connector_id: Connector id.
        window: Window that the report belongs to.
        path: JSON path of the first problem in the report, such as `$.energySocEnd`.
        problem: The problem, such as `expected float, got str`.
        session_id: Session id, or None if the report has no valid one.
        rejected_at: Time at which the report was first read with these bytes.
        library: Name and version of the library that rejected it.
        report: The report, as received.
    """

    charger_id: str
    connector_id: str
    window: str
    path: str
    problem: str
    session_id: int | None
    rejected_at: datetime
    library: str
    report: str

    @property
    def session(self) -> Session:
        """Return the session of the report."""
        return session_of(self.report.encode())


@attrs.frozen
class Quarantine:
    """Rejected reports of one connector, in a file. The methods block.

    Attributes:
        path: NDJSON file. It does not exist if no report is rejected.
        reports: The reports, by the identity of their sessions.
    """

    path: Path
    reports: Mapping[Identity, RejectedReport] = attrs.field(factory=dict[Identity, RejectedReport])

    @classmethod
    def open(cls, path: Path) -> Quarantine:
        """Read a quarantine.

        Raises:
            FileExistsError: No export of this version wrote the file.
            OSError: The file can't be read.
        """
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            return cls(path)
        try:
            reports = [msgspec.json.decode(line, type=RejectedReport) for line in lines]
        except (ValueError, RecursionError):
            raise FileExistsError(
                f"{path} was not written by an export of this version: move it away"
            ) from None
        return cls(path, {report.session.identity: report for report in reports})

    @property
    def ids(self) -> tuple[int | None, ...]:
        """Return the session ids of the reports."""
        return tuple(report.session_id for report in self.reports.values())

    def has(self, report: RejectedReport) -> bool:
        """Return True if the same bytes were rejected before."""
        known = self.reports.get(report.session.identity)
        return known is not None and known.report == report.report

    def find_resolved(self, placement: Placement, *, accept_deletions: bool) -> set[Identity]:
        """Return the rejected sessions that a complete reading has shown to be corrected or gone.

        Args:
            placement: Sessions of the reading.
            accept_deletions: Whether to include sessions that the server no longer has.
        """
        span, reading = placement.homes.span, placement.homes.reading
        whole = {window.name for window in reading.windows if reading.covers(window, span.margin)}
        held = [(report.session, report.window) for report in self.reports.values()]
        timeless = frozenset(each.identity for each, window in held if window in whole)
        coverage = Coverage(reading.from_, reading.to, span, timeless)
        absent = find_absent([each for each, _ in held], placement.returned.values(), coverage)
        resolved = {each.identity for each, _ in held if each.identity in placement.placed}
        resolved |= {each.identity for each in absent.moved}
        if accept_deletions:
            resolved |= {each.identity for each in absent.vanished}
        return resolved

    def update(
        self,
        lock: Callable[[], AbstractContextManager[object]],
        rejected: Collection[RejectedReport],
        resolved: Collection[Identity],
    ) -> Quarantine:
        """Add and remove reports, and return the new state.

        The file is read again first, because another run may have written it.

        Args:
            lock: Function that keeps other runs from writing the file.
            rejected: Reports to add. They replace reports of the same sessions.
            resolved: Identities of the sessions to remove.

        Raises:
            OSError: The file can't be read or written.
        """
        if not rejected and not resolved:
            return self
        with lock():
            current = self.open(self.path)
            kept = {key: report for key, report in current.reports.items() if key not in resolved}
            new = [report for report in rejected if not current.has(report)]
            kept |= {report.session.identity: report for report in new}
            if kept != current.reports:
                _write(self.path, kept.values())
        return Quarantine(self.path, kept)


def _write(path: Path, reports: Collection[RejectedReport]) -> None:
    if not reports:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, b"".join(msgspec.json.encode(report) + b"\n" for report in reports))


def rejected_folder(root: Path) -> Path:
    """Return the folder of the quarantines of an export.

    It is `_rejected/lake` next to `lake`, because readers of a lake fail on other files, or take
    Parquet files in any of its folders for data. It is `_rejected` inside the lake if the
    place next to it is on another disk, or can't be written to.
    """
    inner, resolved = root / REJECTED, root.resolve()
    outer = resolved.parent / REJECTED / resolved.name
    if inner.is_dir() or not resolved.name:
        return inner
    if outer.is_dir():
        return outer
    parent = resolved.parent
    is_usable = os.access(parent, os.W_OK) and parent.stat().st_dev == resolved.stat().st_dev
    return outer if is_usable else inner
