"""The command `thorclient probe`: how an account's API behaves, as a table, JSON and a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from evtransport.atomic import write_atomically
from evtransport.cli.app import JsonOption, SandboxOption, VerboseOption
from evtransport.cli.measurements import measurement_table, require_folder
from evtransport.cli.output import echo_error, output_console, prints_json, write_json
from evtransport.cli.progress import progress_line
from evtransport.cli.run import run_async
from evtransport.probing import MAX_REQUESTS
from thorclient.cli.options import open_client
from thorclient.probe import Measurement, measure
from thorclient.probe.words import describe_measurement

__all__ = ["encode_measurement", "probe"]

_PROFILE = typer.Option(
    metavar="FILE",
    dir_okay=False,
    writable=True,
    help="Also write what was measured to a JSON file. It holds no id, secret or value."
    " `thorclient sandbox --profile FILE` then behaves as the account does.",
)


def probe(
    chargebox_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a chargebox.")],
    profile: Annotated[Path | None, _PROFILE] = None,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Measure how the API of your account behaves where the vendor documents nothing.

    The command sends at most 40 requests, which only read: the chargebox, the list of all
    chargeboxes, analytics, and ids that do not exist. It prints what it measured, and why the rest
    is unknown.
    """
    require_folder(profile)

    measurement = run_async(_measure(chargebox_id, sandbox=sandbox))
    if profile is not None:
        write_atomically(profile, measurement.profile.to_json())
    _print(measurement, as_json=prints_json(json))


async def _measure(chargebox_id: str, *, sandbox: bool) -> Measurement:
    with progress_line("probing") as line:
        async with open_client(sandbox) as client:
            return await measure(
                client,
                chargebox_id,
                on_request=lambda number: line.show(f"request {number} of at most {MAX_REQUESTS}"),
            )


def _print(measurement: Measurement, *, as_json: bool) -> None:
    if as_json:
        write_json(encode_measurement(measurement))
        return
    output_console().print(measurement_table(describe_measurement(measurement)))
    echo_error(
        f"{measurement.requests} requests, reads only; fields of {measurement.chargeboxes:,}"
        f" chargeboxes and {measurement.analytics:,} analytics"
    )


def encode_measurement(measurement: Measurement) -> bytes:
    """Return the result of a probe as a JSON object."""
    return msgspec.json.encode(
        {
            "profile": msgspec.Raw(measurement.profile.to_json()),
            "unknown": measurement.reasons,
            "requests": measurement.requests,
            "chargeboxes": measurement.chargeboxes,
            "analytics": measurement.analytics,
        }
    )
