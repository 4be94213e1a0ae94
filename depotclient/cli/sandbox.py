"""The command `sandbox`: a local server that simulates the Depot API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

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

if TYPE_CHECKING:
    from depotclient.sandbox import DepotSandbox

__all__ = ["sandbox"]


def sandbox(
    port: PortOption = 0,
    chargers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            metavar="N",
            help="Number of chargers, with connectors 1 and 2 each. The default is CP-001 with"
            " connectors 1 and 2, and CP-002 with connector 1.",
        ),
    ] = None,
    sessions: Annotated[
        int, typer.Option(min=0, metavar="N", help="Sessions of each connector.")
    ] = 60,
    live: Annotated[
        bool,
        typer.Option("--live", help="Let a session end on each connector every 10 seconds."),
    ] = False,
    profile: ProfileOption = None,
    order: Annotated[
        Literal["ascending", "descending", "shuffled", "changing"] | None,
        typer.Option(help="Order of the reports by time.  [default: ascending]"),
    ] = None,
    time_filter: Annotated[
        Literal["start", "end", "overlap"] | None,
        typer.Option(
            help="Time of a session that the server compares with the requested time span."
            "  [default: start]"
        ),
    ] = None,
    max_limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Largest page.  [default: 2000]")
    ] = None,
    compression: Annotated[
        Literal["identity", "gzip", "deflate"] | None,
        typer.Option(help="Encoding of the pages.  [default: identity]"),
    ] = None,
    bytes_per_second: Annotated[
        float | None,
        typer.Option(min=1, metavar="N", help="Speed of the pages. The default is no bound."),
    ] = None,
    seed: SeedOption = 0,
    latency: LatencyOption = None,
    fault_rate: FaultRateOption = 0.0,
    client_id: Annotated[
        str, typer.Option(metavar="ID", help="Client id that the server accepts.")
    ] = "sandbox",
    client_secret: Annotated[
        str, typer.Option(metavar="TEXT", help="Client secret that the server accepts.")
    ] = "sandbox-secret",  # noqa: S107
) -> None:
    """Run a local server that simulates the API.

    The output can be pasted into a second terminal: it sets the environment variables of a client.
    """
    from depotclient.sandbox import DepotSandbox

    settings = given_settings(
        chargers=chargers,
        profile=profile,
        order=order,
        time_filter=time_filter,
        max_limit=max_limit,
        compression=compression,
        bytes_per_second=bytes_per_second,
        latency=latency,
    )
    server = DepotSandbox(
        port=port,
        sessions=sessions,
        live=live,
        seed=seed,
        fault_rate=fault_rate,
        client_id=client_id,
        client_secret=client_secret,
        **settings,
    )
    run(serve(server, *_describe(server, sessions, live=live)))


def _describe(server: DepotSandbox, sessions: int, *, live: bool) -> Iterator[str]:
    from depotclient.sandbox.simulation import default_start

    names = [f"{charger}/{n}" for charger, ids in server.chargers.items() for n in ids]
    since = f" since {default_start(sessions):%Y-%m-%d}" if sessions else ""
    places = f"{len(names)} connectors from {names[0]} to {names[-1]}"
    yield f"Data: {places}, with {sessions} sessions each{since}."
    if live:
        yield "On each connector, another session ends every 10 seconds."
    yield f"Try: depotclient reports {names[0]}"
