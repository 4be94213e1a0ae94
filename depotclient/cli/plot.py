"""The command `depotclient plot`: one session as a picture."""

from __future__ import annotations

from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Annotated

import attrs
import typer

from depotclient.cli.options import CONNECTOR, FROM, TO, open_client, parse_one_connector
from depotclient.models import STRUCTURES, SessionReport
from depotclient.partitions.calendar import Connector, connector_key
from evtransport.cli.app import SandboxOption, VerboseOption
from evtransport.cli.output import escape_controls
from evtransport.cli.run import run_async
from evtransport.errors import ApiError

__all__ = ["plot"]


def plot(
    context: typer.Context,
    picture: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="File for the picture: .png or .svg.")
    ],
    connector: Annotated[
        str | None,
        typer.Argument(metavar=CONNECTOR, help="Connector, such as CP-001/1."),
    ] = None,
    session: Annotated[
        int | None, typer.Option(metavar="ID", help="Id of the session. Default: the first one.")
    ] = None,
    from_: Annotated[datetime | None, FROM] = None,
    to: Annotated[datetime | None, TO] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Exported file: .parquet or .ndjson."),
    ] = None,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw one session as a picture.

    It shows current, voltage, power, energy, SoC, states and errors over time. The session is
    read from the API, from an exported file (--file), or from a sandbox.
    """
    from depotclient.plot.figure import save_figure, session_figure, validate_picture_path

    # Fail before a long walk.
    validate_picture_path(picture)
    if file is None:
        selected = None if connector is None else parse_one_connector(connector, context.args)
        report = run_async(_read_from_api(selected, session, from_, to, sandbox))
    elif connector or from_ or to:
        raise ValueError("--file can't be combined with a connector, --from or --to")
    else:
        report = _read_from_file(file, session)
    save_figure(session_figure(report), picture)
    print(escape_controls(f"session {report.session_id}: {picture}"))


@attrs.frozen
class _SessionId:
    """Id of a session report. Only the report to draw is decoded completely."""

    session_id: int


async def _read_from_api(
    connector: Connector | None,
    session_id: int | None,
    from_: datetime | None,
    to: datetime | None,
    sandbox: bool,
) -> SessionReport:
    async with open_client(sandbox) as (client, sandbox_connectors):
        connectors = [connector] if connector else sandbox_connectors
        if not connectors:
            raise ValueError("no connector to plot: add one, such as CP-001/1, or --file")
        charger, name = connectors[0]
        session_reports = client.session_reports(
            charger,
            name,
            from_=from_,
            to=to,
            # The first session needs one small page.
            limit=10 if session_id is None else None,
            read_ahead=0 if session_id is None else 1,
            into=_SessionId,
        )
        ids: list[int] = []
        async with aclosing(session_reports.pages()) as pages:
            async for page in pages:
                for report, text in zip(page.reports, page.raw_reports, strict=True):
                    if session_id in {None, report.session_id}:
                        return STRUCTURES.of(SessionReport)(text)
                    ids.append(report.session_id)
    raise _no_session(session_id, f"of {connector_key(charger, str(name))}", ids)


def _read_from_file(file: Path, session_id: int | None) -> SessionReport:
    match file.suffix:
        case ".ndjson":
            report, ids = find_in_ndjson(file, session_id)
        case ".parquet":
            from depotclient.export.parquet import read_session

            report, ids = read_session(file, session_id)
        case _:
            raise ValueError(f"--file must be .parquet or .ndjson, got {str(file)!r}")
    if report is None:
        raise _no_session(session_id, f"in {file}", ids)
    return report


def _no_session(session_id: int | None, place: str, ids: list[int]) -> ValueError:
    session = "session" if session_id is None else f"session {session_id}"
    others = f"{len(ids)} others, {min(ids)} to {max(ids)}" if ids else "no sessions at all"
    return ValueError(f"there is no {session} {place} ({others})")


def find_in_ndjson(file: Path, session_id: int | None) -> tuple[SessionReport | None, list[int]]:
    """Return the session with this id, or the first one, and the ids before it.

    Raises:
        ValueError: A line before the session is not a session report.
        OSError: The file can't be read.
    """
    decode_id, decode = STRUCTURES.of(_SessionId), STRUCTURES.of(SessionReport)
    ids: list[int] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line_id = decode_id(line).session_id
                if session_id in {None, line_id}:
                    return decode(line), ids
            except ApiError as error:
                message = f"{file}, line {number} is not a session report: {error}"
                raise ValueError(message) from None
            ids.append(line_id)
    return None, ids
