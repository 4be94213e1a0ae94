"""Writer of the pages of a reading: valid reports go into new files, invalid ones are collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from depotclient.copying.invalid import session_of
from depotclient.drift import add_counts
from depotclient.export.files import NewFile
from depotclient.export.formats import FileFormat
from depotclient.export.manifest import LIBRARY
from depotclient.export.placement import Placement
from depotclient.export.quarantine import RejectedReport
from depotclient.pages import Page
from depotclient.sessions import Identity, Session
from evtransport.errors import ApiError, SchemaError

__all__ = ["PageWriter"]


@attrs.define(eq=False)
class PageWriter:
    """Writer of the pages of one reading into the new files of their windows. The methods block.

    Attributes:
        connector: Charger id and connector id.
        format: Format of the files.
        placement: Sessions of the reading, and their windows.
        create: Function that creates the new file of a window.
        read_at: Time of the reading.
        rejects: Whether an invalid report is collected in `rejected`. Otherwise `write` raises.
        files: New files so far, by window.
        rejected: Reports that belong to the copy, but can't be read.
        errors: Errors of these reports.
        unknown_fields: Number of reports by the path of a field that `SessionReport` lacks.
    """

    connector: tuple[str, str]
    format: FileFormat[Any]
    placement: Placement
    create: Callable[[str], NewFile]
    read_at: datetime
    rejects: bool = False
    files: dict[str, NewFile] = attrs.field(factory=dict[str, NewFile])
    rejected: list[RejectedReport] = attrs.field(factory=list[RejectedReport])
    errors: list[ApiError] = attrs.field(factory=list[ApiError])
    unknown_fields: Mapping[str, int] = attrs.field(factory=dict[str, int])

    def write(self, page: Page[Any]) -> None:
        """Write the new reports of a page.

        Raises:
            SchemaError: A report is invalid, and `rejects` is False.
            OSError: The disk is full.
        """
        decoded = self.format.decode(page)
        if decoded.refused and not self.rejects:
            raise decoded.refused[0].error
        for refused in decoded.refused:
            index = refused.index
            self._reject(page.raw_at(index), refused.error, page.path_at(index))
        self.unknown_fields = add_counts(self.unknown_fields, decoded.unknown_fields)
        for name, indexes in self.placement.place(decoded.sessions).items():
            self._write_rows(name, decoded.rows, decoded.sessions, indexes)

    def _write_rows(
        self, name: str, rows: Any, sessions: Sequence[Session], indexes: Sequence[int]
    ) -> None:
        if name not in self.files:
            self.files[name] = self.create(name)
        self.files[name].write(rows, sessions, indexes)

    def _reject(self, report: bytes, error: ApiError, item: str) -> None:
        session = session_of(report)
        window = self.placement.reject(session)
        if window is None:
            return
        path, problem = _describe(error, item)
        charger_id, connector_id = self.connector
        self.errors.append(error)
        self.rejected.append(
            RejectedReport(
                charger_id=charger_id,
                connector_id=connector_id,
                window=window,
                path=path,
                problem=problem,
                session_id=session.session_id,
                rejected_at=self.read_at,
                library=LIBRARY,
                report=report.decode(),
            )
        )

    def restore(self, reports: Iterable[RejectedReport]) -> set[Identity]:
        """Write the rejected reports that this version can read.

        Returns:
            The identities of their sessions in the quarantine. A report whose window has no file
            stays there.
        """
        restored = set[Identity]()
        for report in reports:
            try:
                rows, session = self.format.decode_report(report.report.encode())
            except ApiError:
                continue
            homes = self.placement.homes
            name = homes.home_of(session) or report.window
            if name in homes.names:
                self.placement.restore(session, name)
                self._write_rows(name, rows, [session], [0])
                restored.add(report.session.identity)
        return restored


def _describe(error: ApiError, item: str) -> tuple[str, str]:
    """Return the path of the first problem of a report, and the problem.

    Args:
        error: Error of the report.
        item: Path of the report in the response, such as `$.items[3]`.
    """
    line = error.problems[0] if isinstance(error, SchemaError) else f"{item}: {error.reason}"
    path, _, problem = line.removeprefix(item).partition(": ")
    return f"${path}", problem
