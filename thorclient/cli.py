"""The `thorclient` command: analytics and chargeboxes, readable or as JSON, and the sandbox."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Annotated

import attrs
import msgspec
import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from evtransport.auth import Secret
from evtransport.cli.base import (
    FAILED,
    JsonOption,
    PortOption,
    SandboxOption,
    cell,
    command_line,
    echo_error,
    format_error,
    output_console,
    plain_table,
    progress_line,
    run,
    serve,
    wants_json,
    write_json,
)
from evtransport.errors import ApiError
from evtransport.structure import JsonValue
from thorclient.client import ThorClient
from thorclient.models import Analytics, Chargebox, ChargeboxType, Connector, Coordinates

__all__ = ["app"]

app = command_line(
    "Analytics and chargeboxes of a Thor integration. The API key comes from the environment:"
    " THOR_API_KEY; and where it is needed, THOR_BASE_URL."
)


@app.command()
def analytics(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="The ids of chargeboxes.")],
    json: JsonOption = False,
    sandbox: SandboxOption = False,
) -> None:
    """Charges, disconnections, energy and users of chargeboxes over 7, 30 and 60 days.

    A table on a terminal, with the energy in kWh; else one JSON object for each chargebox as soon
    as it has arrived, with the energy in Wh. One that fails does not stop the others.
    """
    run(_analytics(tuple(dict.fromkeys(ids)), as_json=wants_json(json), sandbox=sandbox))


@app.command()
def chargebox(
    chargebox_id: Annotated[str, typer.Argument(metavar="ID", help="The chargebox's id.")],
    json: JsonOption = False,
    sandbox: SandboxOption = False,
) -> None:
    """One chargebox and its connectors; tokens of payment terminals are masked."""
    run(_chargebox(chargebox_id, as_json=wants_json(json), sandbox=sandbox))


@app.command()
def sandbox(port: PortOption = 0) -> None:
    """Run a server that behaves as the Thor API, and print how to reach it."""
    from thorclient.sandbox import ThorSandbox

    server = ThorSandbox(port=port)
    run(serve(server, f"chargeboxes {', '.join(server.chargebox_ids)}"))


@asynccontextmanager
async def _client(sandbox: bool) -> AsyncGenerator[ThorClient]:
    if not sandbox:
        async with ThorClient.from_env() as client:
            yield client
        return
    from thorclient.sandbox import ThorSandbox

    async with (
        ThorSandbox() as server,
        ThorClient(api_key=server.api_key, base_url=server.base_url, proxy=False) as client,
    ):
        yield client


async def _analytics(ids: Sequence[str], *, as_json: bool, sandbox: bool) -> int:
    found: dict[str, Analytics] = {}
    try:
        failures = await _ask(ids, found, as_json=as_json, sandbox=sandbox)
    finally:  # what has arrived is shown, however this ends
        if found:
            in_order = {name: found[name] for name in ids if name in found}
            output_console().print(analytics_table(in_order))
    return FAILED if failures else 0


async def _ask(
    ids: Sequence[str], found: dict[str, Analytics], *, as_json: bool, sandbox: bool
) -> int:
    """Print JSON and errors as they come, gather what the table is to show, count the errors."""
    failures = 0
    async with (
        _client(sandbox) as client,
        aclosing(client.get_analytics_many(ids)) as results,
    ):
        with progress_line(_so_far(0, len(ids))) as meter:
            count = 0
            async for chargebox_id, result in results:
                count += 1
                if isinstance(result, ApiError):
                    failures += 1
                    with meter.paused():
                        echo_error(f"error: {chargebox_id}: {format_error(result)}")
                elif as_json:
                    with meter.paused():
                        write_json(analytics_json(chargebox_id, result))
                else:
                    found[chargebox_id] = result
                meter.show(_so_far(count, len(ids)))
    return failures


def _so_far(count: int, total: int) -> str:
    return f"{count:,} of {total:,} chargeboxes"


def analytics_json(chargebox_id: str, analytics: Analytics) -> bytes:
    """The analytics as a JSON object that begins with the id; energy in Wh."""
    return msgspec.json.encode({"id": chargebox_id, **attrs.asdict(analytics)})


def analytics_table(found: Mapping[str, Analytics]) -> Table:
    """Three rows for each chargebox: the last 7, 30 and 60 days."""
    table = plain_table()
    table.add_column("Chargebox", overflow="fold")
    table.add_column("Active since", no_wrap=True)
    for name in ("Days", "Charges", "Disconnections", "Energy kWh", "Users"):
        table.add_column(name, justify="right", no_wrap=True)
    for chargebox_id, analytics in found.items():
        since = analytics.active_since
        names: tuple[object, object] = (chargebox_id, f"{since:%Y-%m-%d}" if since else None)
        for days in ("7", "30", "60"):
            numbers = _numbers(analytics, f"last_{days}")
            table.add_row(*map(cell, (*names, days, *numbers)), end_section=days == "60")
            names = ("", "")
    return table


def _numbers(analytics: Analytics, window: str) -> tuple[str, ...]:
    charges, disconnections, energy, users = (
        getattr(counts, window)
        for counts in (
            analytics.charges,
            analytics.disconnections,
            analytics.energy,
            analytics.users,
        )
    )
    return f"{charges:,}", f"{disconnections:,}", f"{energy / 1000:,.1f}", f"{users:,}"


async def _chargebox(chargebox_id: str, *, as_json: bool, sandbox: bool) -> int:
    async with _client(sandbox) as client:
        with progress_line(f"asking for {chargebox_id}"):
            box = await client.get_chargebox(chargebox_id)
    if as_json:
        write_json(chargebox_json(box))
    else:
        output_console().print(chargebox_view(box))
    return 0


def chargebox_json(box: Chargebox) -> bytes:
    """The chargebox as a JSON object, tokens masked."""
    # asdict keeps the order of the fields, which msgspec sorts. But it can't copy deeply nested
    # lists. These two are the last fields.
    untyped = ("occupied_connectors", "reserved_connectors")
    typed = attrs.asdict(box, filter=attrs.filters.exclude(*untyped))
    lists = {name: getattr(box, name) for name in untyped}
    return msgspec.json.encode(typed | lists, enc_hook=_masked)


def _masked(value: object) -> str:
    if isinstance(value, Secret):
        return str(value)
    raise NotImplementedError(f"no JSON for {type(value).__name__}")


def chargebox_view(box: Chargebox) -> Group:
    """What is known of a chargebox, one line for each thing, and its connectors as a table."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(box):
        facts.add_row(name, cell(value))
    return Group(facts, Text(), _connectors_table(box.connectors))


def _facts(box: Chargebox) -> Iterable[tuple[str, object]]:
    heartbeat = box.last_heartbeat
    return (
        ("Chargebox", box.id),
        ("Alias", box.alias),
        ("Active", _yes_or_no(box.active)),
        ("Connected", _yes_or_no(box.connected)),
        ("Public", _yes_or_no(box.public)),
        ("Reservable", _yes_or_no(box.reservable)),
        ("Last heartbeat", f"{heartbeat:%Y-%m-%d %H:%M:%S} UTC" if heartbeat else None),
        ("Time zone", box.timezone),
        ("Coordinates", _place(box.coordinates)),
        ("Type", _kind(box.type)),
        ("Occupied", _list(box.occupied_connectors)),
        ("Reserved", _list(box.reserved_connectors)),
    )


def _connectors_table(connectors: Sequence[Connector]) -> Table | Text:
    if not connectors:
        return Text("No connectors.")
    table = plain_table()
    table.add_column("#", justify="right", no_wrap=True)
    for name in ("Type", "Format"):
        table.add_column(name, overflow="fold")
    for name in ("Power", "Max A"):  # the vendor leaves the power's unit open
        table.add_column(name, justify="right", overflow="fold")
    for name in ("Power type", "Terminal", "Token"):
        table.add_column(name, overflow="fold")
    for number, it in enumerate(connectors, 1):
        values = (it.type, it.format, it.power, it.max_amperage, it.power_type, it.terminal_id)
        table.add_row(*map(cell, (number, *values, it.token)))
    return table


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _place(place: Coordinates | None) -> str | None:
    if place is None or place.latitude is None or place.longitude is None:
        return None
    return f"{place.latitude}, {place.longitude}"


def _kind(kind: ChargeboxType | None) -> str | None:
    if kind is None:
        return None
    ocpp = " ".join(filter(None, (kind.version, kind.msg)))
    return ", ".join(filter(None, (kind.vehicle, ocpp and f"OCPP {ocpp}"))) or None


def _list(values: Sequence[JsonValue]) -> str | None:
    return ", ".join(msgspec.json.encode(value).decode() for value in values) or None
