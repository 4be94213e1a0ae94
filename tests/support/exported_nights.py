"""Exports of one connector at several times, while its sessions change."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from depotclient import DepotClient
from depotclient.export import ConnectorExport, export_session_reports
from depotclient.export.files import NewFile
from depotclient.export.formats import Format
from depotclient.export.manifest import Manifest
from depotclient.sandbox import DepotSandbox, make_report
from tests.support.exports import FIRST, rows_in
from tests.support.nights import at, times

DAY = timedelta(days=1)


@attrs.define
class Nights:
    """One connector, exported from January 2026 on at several times."""

    sandbox: DepotSandbox
    depot: DepotClient
    folder: Path
    format: Format

    def add(self, session_id: int, start: str | None, end: str | None = None) -> None:
        """Add a session. The default end is an hour after the start."""
        fields = times(start, end)
        if end is None and start is not None:
            fields["session_time_end"] = at(start) + DAY / 24
        self.sandbox.add(*FIRST[0], make_report(session_id, **fields))

    def correct(self, session_id: int, start: str) -> None:
        """Correct the start of a session."""
        self.sandbox.correct(*FIRST[0], session_id, session_time_start=at(start))

    def remove(self, session_id: int) -> None:
        """Delete a session."""
        self.sandbox.remove(*FIRST[0], session_id)

    async def export(self, now: str, **options: Any) -> ConnectorExport:
        """Export at a time. The export must not fail."""
        export = await self.try_to_export(now, **options)
        assert export.error is None, repr(export.error)
        return export

    async def try_to_export(self, now: str, **options: Any) -> ConnectorExport:
        """Export at a time."""
        self.depot.now = lambda: at(now)
        given = {"from_": at("01-01 00:00"), "format": self.format, **options}
        export = await export_session_reports(self.depot, FIRST, self.folder, **given)
        return export.connectors[0]

    async def stop_after(
        self, files: int, monkeypatch: pytest.MonkeyPatch, now: str, **options: Any
    ) -> None:
        """Export at a time, but stop the run after some files."""
        commit, committed = NewFile.commit, list[Path]()

        def stop(file: NewFile, *args: Any) -> Manifest:
            if len(committed) == files:
                raise RuntimeError("stopped")
            committed.append(file.path)
            return commit(file, *args)

        with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="stopped"):
            patched.setattr(NewFile, "commit", stop)
            await self.export(now, **options)

    def ids(self) -> dict[str, list[object]]:
        """Return the session ids in the file of each window."""
        rows = rows_in(self.folder)
        return {window: [session_id for session_id, _ in rows[window]] for window in sorted(rows)}
