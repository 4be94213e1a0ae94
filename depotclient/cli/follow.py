"""The command `depotclient follow`: new sessions as they come, one line each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, TypeVar

import attrs
import msgspec
import typer

from depotclient.cli.options import CONNECTORS, FILE, SINCE, open_client, select_connectors
from depotclient.cli.summary import ReportSummary
from depotclient.follow import FileState, FollowedReport, FollowError
from depotclient.partitions.calendar import Connector, connector_key
from evtransport.cli.app import JsonOption, SandboxOption, VerboseOption
from evtransport.cli.output import echo_error, format_error, prints_json, write_json, write_line
from evtransport.cli.reader import ending_with_reader
from evtransport.cli.run import run
from evtransport.cli.signals import Interrupted
from evtransport.durations import parse_duration, parse_interval
from evtransport.structure import Into

__all__ = ["HEADER", "encode_item", "follow", "format_failure", "format_item"]

T = TypeVar("T")

_RECENT: Final = timedelta(days=1)
"""Long enough for the sessions that are in progress at the start."""

_RECONCILE: Final = timedelta(days=31)

_STATE = typer.Option(
    metavar="FILE", help="File that remembers what was shown, so that the next run continues."
)
_EVERY = typer.Option(
    metavar="TIME", help="How often to ask for each connector, such as 30s, 5m or 1h."
)
_LAG = typer.Option(
    metavar="DAYS",
    help="How long after its end a session can still change or arrive, such as 3d or 36h. Each"
    " request covers this time. Once a day, the last 31 days are searched for later ones.",
)
_CHANGES = typer.Option("--changes", help="Show a session again when its report has changed.")


@attrs.frozen(kw_only=True)
class _Arguments:
    """Arguments of the command, except for the output."""

    connectors: Sequence[Connector]
    since: datetime | None
    state: Path | None
    every: timedelta
    lag: timedelta
    changes: bool
    sandbox: bool


def follow(
    connectors: Annotated[list[str] | None, CONNECTORS] = None,
    *,
    connector_file: Annotated[str | None, FILE] = None,
    since: Annotated[datetime | None, SINCE] = None,
    state: Annotated[Path | None, _STATE] = None,
    every: Annotated[str, _EVERY] = "60s",
    lag: Annotated[str, _LAG] = "3d",
    changes: Annotated[bool, _CHANGES] = False,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show new sessions as they come, one line each, until Ctrl-C.

    A terminal gets the end of each session in UTC, its vehicle and its energy. A pipe gets NDJSON:
    the connector and the vendor's own report. A connector that fails is reported on stderr, and is
    asked again. With --state, the next run continues: a line that was not written comes again.
    """
    arguments = _Arguments(
        connectors=select_connectors(connectors or (), connector_file),
        since=since,
        state=state,
        every=parse_interval("--every", every),
        lag=parse_duration("--lag", lag),
        changes=changes,
        sandbox=sandbox,
    )
    if prints_json(json):
        run(_show(arguments, _keep_json, lambda item: write_json(encode_item(item))))
    run(_show(arguments, ReportSummary, lambda item: write_line(format_item(item)), HEADER))


async def _show(
    arguments: _Arguments,
    into: Into[T],
    show: Callable[[FollowedReport[T]], None],
    header: str | None = None,
) -> int:
    """Show sessions until the command is cancelled or its output is closed."""
    async with open_client(arguments.sandbox, live=True) as (client, sandbox_connectors):
        connectors = arguments.connectors or sandbox_connectors
        if not connectors:
            raise ValueError("no connector: add one, such as CP-001/1, or --connectors FILE")
        reports = client.follow(
            connectors,
            since=arguments.since or client.now() - _RECENT,
            every=arguments.every,
            lag=arguments.lag,
            reconcile=max(_RECONCILE, arguments.lag),
            state=None if arguments.state is None else FileState(arguments.state),
            changes=arguments.changes,
            into=into,
        )
        count, started = 0, time.monotonic()
        try:
            async with ending_with_reader(), reports.run() as items:
                if header is not None:
                    write_line(header)
                async for item in items:
                    if isinstance(item, FollowError):
                        echo_error(format_failure(item))
                    else:
                        show(item)
                        count += 1
        except (asyncio.CancelledError, Interrupted):
            elapsed = timedelta(seconds=int(time.monotonic() - started))
            echo_error(f"stopped after {elapsed}: {count:,} sessions shown")
            echo_error(_next_step(arguments.state))
            raise
    return 0


def _next_step(state: Path | None) -> str:
    if state is None:
        return "without --state FILE, the next run starts again at --since"
    return f"{state} has them: run the same command again to continue"


def _keep_json(text: bytes) -> bytes:
    return text


def encode_item(item: FollowedReport[bytes]) -> bytes:
    """Return a session as a JSON object: the connector, `is_new` and the vendor's report."""
    charger_id, connector_id = item.connector
    fields = {"charger_id": charger_id, "connector_id": connector_id, "is_new": item.is_new}
    return msgspec.json.encode({**fields, "report": msgspec.Raw(item.report)})


def _row(
    end: str,
    connector: str,
    session: str,
    vehicle: str,
    duration: str,
    energy: str,
    soc: str,
    mark: str = "",
) -> str:
    columns = f"{end:<16} {connector:<9} {session:<9} {vehicle:<9} {duration:>6} {energy:>7}"
    return f"{columns} {soc:>10} {mark}".rstrip()


HEADER: Final = _row("End (UTC)", "Connector", "Session", "Vehicle", "h:min", "kWh", "SoC %")


def format_item(item: FollowedReport[ReportSummary]) -> str:
    """Return a session as one line, 80 columns wide at most unless an id is long."""
    report = item.report
    return _row(
        report.end or "-",
        connector_key(*item.connector),
        str(report.session_id),
        report.vehicle_id or "-",
        report.duration or "-",
        report.energy or "-",
        report.soc,
        "" if item.is_new else "changed",
    )


def format_failure(failure: FollowError) -> str:
    """Return the error of a connector and the time of its next attempt, as one line."""
    name = connector_key(*failure.connector)
    attempt = f"{failure.next_attempt.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return f"error: {name}: {format_error(failure.error)}; next attempt at {attempt} UTC"
