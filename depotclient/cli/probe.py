"""The command `depotclient probe`: how an account's API behaves, as a table, JSON and a file."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import attrs
import msgspec
import typer
from rich.table import Table

from depotclient.cli.options import CONNECTOR, FROM, TO, open_client, parse_one_connector
from depotclient.probe import Measurement, Recommendation, measure, recommend
from depotclient.probe.words import describe_measurement, describe_setting
from depotclient.query import Connector
from evtransport.atomic import write_atomically
from evtransport.cli.app import JsonOption, SandboxOption, VerboseOption
from evtransport.cli.measurements import (
    NAME_WIDTH,
    RESULT_WIDTH,
    measurement_table,
    require_folder,
)
from evtransport.cli.output import (
    cell,
    echo_error,
    output_console,
    plain_table,
    prints_json,
    write_json,
)
from evtransport.cli.progress import progress_line
from evtransport.cli.run import run_async
from evtransport.probing import MAX_REQUESTS

__all__ = ["probe"]

_PROFILE = typer.Option(
    metavar="FILE",
    dir_okay=False,
    writable=True,
    help="Also write what was measured to a JSON file. It holds no id, secret, vehicle or value of"
    " a report. `depotclient sandbox --profile FILE` then behaves as the account does.",
)


def probe(
    context: typer.Context,
    connector: Annotated[
        str, typer.Argument(metavar=CONNECTOR, help="Connector, such as CP-001/1.")
    ],
    from_: Annotated[datetime | None, FROM] = None,
    to: Annotated[datetime | None, TO] = None,
    profile: Annotated[Path | None, _PROFILE] = None,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Measure how the API of your account behaves where the vendor documents nothing.

    The command sends at most 40 requests, which only read. It prints what it measured, why the rest
    is unknown, and which settings suit the account. Choose a connector with many sessions. Without
    `--from`, it reads the last 31 days, or more if these have fewer than 10 sessions.
    """
    charger, name = parse_one_connector(connector, context.args)
    require_folder(profile)

    measurement = run_async(_measure((charger, name), from_, to, sandbox=sandbox))
    if profile is not None:
        write_atomically(profile, measurement.profile.to_json())
    _print(measurement, as_json=prints_json(json))


async def _measure(
    connector: Connector, from_: datetime | None, to: datetime | None, *, sandbox: bool
) -> Measurement:
    with progress_line("probing") as line:
        async with open_client(sandbox) as (client, _):
            return await measure(
                client,
                *connector,
                from_=from_,
                to=to,
                on_request=lambda number: line.show(f"request {number} of at most {MAX_REQUESTS}"),
            )


def _print(measurement: Measurement, *, as_json: bool) -> None:
    recommendation = recommend(measurement.profile)
    if as_json:
        write_json(encode_measurement(measurement, recommendation))
        return
    console = output_console()
    console.print(measurement_table(describe_measurement(measurement)))
    console.print()
    console.print(recommendation_table(recommendation))
    echo_error(f"{measurement.requests} requests, reads only")


def encode_measurement(measurement: Measurement, recommendation: Recommendation) -> bytes:
    """Return the result of a probe as a JSON object, with durations in seconds."""
    return msgspec.json.encode(
        {
            "profile": msgspec.Raw(measurement.profile.to_json()),
            "unknown": measurement.reasons,
            "recommendation": attrs.asdict(recommendation, value_serializer=_in_seconds),
            "requests": measurement.requests,
        }
    )


def _in_seconds(_: object, __: object, value: object) -> object:
    return value.total_seconds() if isinstance(value, timedelta) else value


def recommendation_table(recommendation: Recommendation) -> Table:
    """Return a table with a line for each recommended setting."""
    table = plain_table()
    table.add_column("Setting", width=NAME_WIDTH)
    table.add_column("Use", width=RESULT_WIDTH, overflow="fold")
    table.add_column("Because", overflow="fold")
    for field in attrs.fields(Recommendation):
        advice = getattr(recommendation, field.name)
        table.add_row(cell(field.name), cell(describe_setting(advice)), cell(advice.reason))
    return table
