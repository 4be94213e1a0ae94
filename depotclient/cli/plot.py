"""The command `depotclient plot`: one session as a picture."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import attrs
import typer

from depotclient.cli.connection import Connected, connected
from depotclient.models import STRUCTURES, SessionReport
from depotclient.partitions.calendar import Connector
from depotclient.text import TIME, parse_connector, parse_time
from evtransport.cli.base import SandboxOption, clean, reporting, result_of
from evtransport.errors import ApiError

__all__ = ["plot"]


def plot(
    picture: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="Where the picture goes: .png or .svg.")
    ],
    connector: Annotated[
        str | None,
        typer.Argument(
            metavar="CHARGER/CONNECTOR", help="Whose session, such as CP-001/1.", show_default=False
        ),
    ] = None,
    session: Annotated[
        int | None,
        typer.Option(metavar="ID", help="Which session; by default the first that comes."),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="T", help=f"Look for it from this time on: {TIME}"),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="T", help="Until this time, by default now.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take it from an exported file: .parquet or .ndjson."),
    ] = None,
    sandbox: SandboxOption = False,
) -> None:
    """One session as a picture: current, voltage, power, energy, SoC, states and errors by time.

    It comes from the API, from an exported file (--file) or from a sandbox.
    """
    wanted = Wanted(connector, session, from_, to)
    # Files are read and written outside the event loop, so that a signal ends that at once.
    with reporting():
        _require(picture)  # before a long walk
        report = wanted.from_file(file) if file else result_of(wanted.from_api(sandbox))
        _draw(report, picture)
        print(clean(f"session {report.session_id}: {picture}"))


@attrs.frozen
class Wanted:
    """Arguments of the `plot` command that choose a session, as they were typed."""

    connector: str | None
    session: int | None
    from_: str | None
    to: str | None

    async def from_api(self, sandbox: bool) -> SessionReport:
        """Return the session from the API.

        Raises:
            ValueError: An argument is not usable, or there is no such session.
            ApiError: The walk failed.
        """
        from_, to = parse_time("--from", self.from_), parse_time("--to", self.to)
        async with connected(sandbox) as it:
            charger, connector = self._whose(it)
            found = it.client.session_reports(
                charger,
                connector,
                from_=from_,
                to=to,
                limit=10 if self.session is None else None,
                read_ahead=0 if self.session is None else 1,
                into=_Id,
            )
            ids: list[int] = []
            async with aclosing(found.pages()) as pages:
                async for page in pages:
                    for head, text in zip(page.reports, page.raw_reports, strict=True):
                        if self.session in {None, head.session_id}:
                            return _report(text)
                        ids.append(head.session_id)
        raise self._missing(ids, f"of {charger}/{connector}")

    def _whose(self, it: Connected) -> Connector:
        if self.connector is not None:
            return parse_connector(self.connector)
        if it.sandbox_connectors:
            return it.sandbox_connectors[0]
        raise ValueError("name a connector, such as CP-001/1, or give --file")

    def from_file(self, file: Path) -> SessionReport:
        """Return the session of an exported file.

        Raises:
            ValueError: An argument is not usable, or there is no such session.
            ImportError: The file is Parquet, and pyarrow is not installed.
            OSError: The file can't be read.
        """
        if self.connector or self.from_ or self.to:
            raise ValueError("--file goes without a connector and without --from and --to")
        report, ids = _find(file, self.session)
        if report is None:
            raise self._missing(ids, f"in {file}")
        return report

    def _missing(self, ids: list[int], where: str) -> ValueError:
        what = "session" if self.session is None else f"session {self.session}"
        there = f"{len(ids)} others, {min(ids)} to {max(ids)}" if ids else "none at all"
        return ValueError(f"there is no {what} {where} ({there})")


@attrs.frozen
class _Id:
    """All that is needed to find a session."""

    session_id: int


def _require(picture: Path) -> None:
    from depotclient.plot.figure import require_picture

    require_picture(picture)


def _draw(report: SessionReport, picture: Path) -> None:
    from depotclient.plot.figure import save_figure, session_figure

    save_figure(session_figure(report), picture)


def _report(text: bytes) -> SessionReport:
    return STRUCTURES.of(SessionReport)(text)


def _find(file: Path, session_id: int | None) -> tuple[SessionReport | None, list[int]]:
    """The session of an exported file, by default the first, and the ids that were met."""
    match file.suffix:
        case ".ndjson":
            return read_session_line(file, session_id)
        case ".parquet":
            from depotclient.export.parquet import read_session

            return read_session(file, session_id)
        case _:
            raise ValueError(f"--file must be .parquet or .ndjson, not {str(file)!r}")


def read_session_line(file: Path, session_id: int | None) -> tuple[SessionReport | None, list[int]]:
    """The session of an NDJSON file, by default the first, and the ids before it.

    Raises:
        ValueError: A line up to it is no session report.
        OSError: The file can't be read.
    """
    structure = STRUCTURES.of(_Id)
    ids: list[int] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                found = structure(line).session_id
                if session_id in {None, found}:
                    return _report(line), ids
            except ApiError as error:
                problem = str(error)
            else:
                ids.append(found)
                continue
            raise ValueError(f"{file}, line {number} is no session report: {problem}")
    return None, ids
