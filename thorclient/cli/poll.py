"""The command `thorclient poll`: analytics of chargeboxes again and again, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer

from evtransport.cli.app import JsonOption, SandboxOption, VerboseOption
from evtransport.cli.output import echo_error, format_error, prints_json, write_json, write_line
from evtransport.cli.reader import ending_with_reader
from evtransport.cli.run import run
from evtransport.durations import parse_interval
from evtransport.errors import ApiError
from thorclient.cli.analytics import result_fields
from thorclient.cli.options import open_client
from thorclient.models import Analytics

__all__ = ["encode_polled", "format_week", "poll"]

_EVERY = typer.Option(
    metavar="TIME", help="How often to ask for each chargebox, such as 30s, 5m or 1h."
)


def poll(
    chargebox_id: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ID",
            help="Ids of chargeboxes. Default: all active ones, listed again each time.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[str, _EVERY] = "5m",
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show analytics of chargeboxes again and again, one line each, until Ctrl-C.

    A terminal receives the values of the last 7 days, with energy in kWh. A pipe receives one JSON
    object for each result: the id, the time, and the analytics, with energy in Wh, or the error. An
    error is also reported on stderr. A chargebox that fails is requested less often until it
    succeeds.
    """
    interval = parse_interval("--every", every)
    run(_show(chargebox_id, interval, as_json=prints_json(json), sandbox=sandbox))


async def _show(
    ids: Sequence[str] | None, every: timedelta, *, as_json: bool, sandbox: bool
) -> int:
    """Show results until the command is cancelled or its output is closed."""
    async with (
        open_client(sandbox) as client,
        ending_with_reader(),
        aclosing(client.poll(ids or None, every=every)) as results,
    ):
        async for chargebox_id, result in results:
            now = datetime.now(UTC)
            if isinstance(result, ApiError):
                echo_error(f"error: {format_error(result)}")
            if as_json:
                write_json(encode_polled(chargebox_id, now, result))
            elif isinstance(result, Analytics):
                write_line(f"{now:%Y-%m-%d %H:%M:%S} UTC, {chargebox_id}: {format_week(result)}")
    return 0


def encode_polled(chargebox_id: str | None, time: datetime, result: Analytics | ApiError) -> bytes:
    """Return a result as a JSON object. The id is null for the list of chargeboxes."""
    return msgspec.json.encode({"id": chargebox_id, "time": time} | result_fields(result))


def format_week(analytics: Analytics) -> str:
    """Return the values of the last 7 days."""
    return (
        f"{analytics.charges.last_7:,} charges, {analytics.energy.last_7 / 1000:,.1f} kWh,"
        f" {analytics.users.last_7:,} users, {analytics.disconnections.last_7:,} disconnections"
        " in 7 days"
    )
