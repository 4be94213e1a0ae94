"""The command `thorclient sandbox`: a local server that simulates the Thor API."""

from __future__ import annotations

from typing import Annotated

import typer

from evtransport.cli.run import run
from evtransport.cli.sandbox import (
    FaultRateOption,
    LatencyOption,
    PortOption,
    ProfileOption,
    SeedOption,
    given_settings,
    serve,
)

__all__ = ["sandbox"]


def sandbox(
    port: PortOption = 0,
    chargeboxes: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Number of chargeboxes.")
    ] = 20,
    profile: ProfileOption = None,
    seed: SeedOption = 0,
    latency: LatencyOption = None,
    fault_rate: FaultRateOption = 0.0,
    api_key: Annotated[
        str, typer.Option(metavar="KEY", help="API key that the server accepts.")
    ] = "sandbox-key",
) -> None:
    """Run a local server that simulates the API.

    The output can be pasted into a second terminal: it sets the environment variables of a client.
    """
    from thorclient.sandbox import ThorSandbox

    server = ThorSandbox(
        port=port,
        chargeboxes=chargeboxes,
        seed=seed,
        fault_rate=fault_rate,
        api_key=api_key,
        **given_settings(profile=profile, latency=latency),
    )
    first, last = server.chargebox_ids[0], server.chargebox_ids[-1]
    data = f"Data: {chargeboxes} chargeboxes from {first} to {last}."
    run(serve(server, data, f"Try: thorclient analytics {first}"))
