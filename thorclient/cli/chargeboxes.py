"""The commands `thorclient chargebox` and `chargeboxes`, as a table or NDJSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import attrs
import msgspec
import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from evtransport.cli.app import JsonOption, SandboxOption, VerboseOption
from evtransport.cli.output import (
    cell,
    output_console,
    plain_table,
    prints_json,
    write_json,
)
from evtransport.cli.progress import progress_line
from evtransport.cli.run import run
from evtransport.structure import JsonValue
from thorclient.cli.options import open_client
from thorclient.models import Chargebox, ChargeboxType, Connector, Coordinates
from thorclient.selection import Area, validate_area

__all__ = ["chargebox", "chargeboxes", "encode_chargebox", "render_chargebox"]
__all__ += ["render_chargeboxes"]


def chargebox(
    chargebox_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the chargebox.")],
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show one chargebox and its connectors. Tokens of payment terminals are masked."""
    run(_print_chargebox(chargebox_id, as_json=prints_json(json), sandbox=sandbox))


def chargeboxes(
    every: Annotated[
        bool,
        typer.Option("--all", help="Include chargeboxes that are not active in the dashboard."),
    ] = False,
    connector_type: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="Type of at least one connector, such as ccs."),
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            metavar="S,W,N,E",
            help="South, west, north and east edges of a rectangle, in degrees, such as"
            " 44.4,11.2,44.6,11.5.",
        ),
    ] = None,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show all chargeboxes. Tokens of payment terminals are masked."""
    area = None if within is None else _parse_area(within)
    run(
        _print_chargeboxes(
            not every, area, connector_type, as_json=prints_json(json), sandbox=sandbox
        )
    )


async def _print_chargebox(chargebox_id: str, *, as_json: bool, sandbox: bool) -> int:
    async with open_client(sandbox) as client:
        with progress_line(f"requesting {chargebox_id}"):
            box = await client.get_chargebox(chargebox_id)
    if as_json:
        write_json(encode_chargebox(box))
    else:
        output_console().print(render_chargebox(box))
    return 0


def encode_chargebox(box: Chargebox) -> bytes:
    """Return a chargebox as a JSON object with masked tokens."""
    # attrs.asdict can't copy deeply nested lists. The fields with such lists are the last ones, so
    # the order of the fields stays.
    untyped = ("occupied_connectors", "reserved_connectors")
    typed = attrs.asdict(box, filter=attrs.filters.exclude(*untyped))
    lists = {name: getattr(box, name) for name in untyped}
    # The hook receives the secrets only, and their text is masked.
    return msgspec.json.encode(typed | lists, enc_hook=str)


def render_chargebox(box: Chargebox) -> Group:
    """Return a chargebox as one line for each field and a table of its connectors."""
    fields = Table.grid(padding=(0, 2, 0, 0))
    fields.add_column(style="bold", no_wrap=True)
    fields.add_column(overflow="fold")
    for name, value in _list_fields(box):
        fields.add_row(name, cell(value))
    return Group(fields, Text(), _render_connectors(box.connectors))


def _parse_area(text: str) -> Area:
    try:
        return validate_area("value", tuple(map(float, text.split(","))))
    except ValueError:
        raise typer.BadParameter(
            "must be the edges S,W,N,E in degrees, such as 44.4,11.2,44.6,11.5, with S less than N,"
            f" got {text!r}",
            param_hint="'--within'",
        ) from None


async def _print_chargeboxes(
    only_active: bool,
    within: Area | None,
    connector_type: str | None,
    *,
    as_json: bool,
    sandbox: bool,
) -> int:
    async with open_client(sandbox) as client:
        with progress_line("requesting chargeboxes"):
            boxes = await client.get_chargeboxes(
                only_active=only_active, within=within, connector_type=connector_type
            )
    if as_json:
        write_json(*map(encode_chargebox, boxes))
    else:
        output_console().print(render_chargeboxes(boxes))
    return 0


def render_chargeboxes(boxes: Sequence[Chargebox]) -> Table | Text:
    """Return a table with one row for each chargebox."""
    if not boxes:
        return Text("No chargeboxes.")
    table = plain_table()
    for name in ("Chargebox", "Alias", "Active", "Connected", "Last heartbeat", "Connectors"):
        table.add_column(name, overflow="fold", no_wrap=name == "Last heartbeat")
    for box in boxes:
        heartbeat, types = box.last_heartbeat, [each.type or "-" for each in box.connectors]
        values = (
            *(box.id, box.alias, _format_bool(box.active), _format_bool(box.connected)),
            *(f"{heartbeat:%Y-%m-%d %H:%M}" if heartbeat else None, ", ".join(types) or None),
        )
        table.add_row(*map(cell, values))
    return table


def _list_fields(box: Chargebox) -> Iterable[tuple[str, object]]:
    heartbeat = box.last_heartbeat
    return (
        ("Chargebox", box.id),
        ("Alias", box.alias),
        ("Active", _format_bool(box.active)),
        ("Connected", _format_bool(box.connected)),
        ("Public", _format_bool(box.public)),
        ("Reservable", _format_bool(box.reservable)),
        ("Last heartbeat", f"{heartbeat:%Y-%m-%d %H:%M:%S} UTC" if heartbeat else None),
        ("Time zone", box.timezone),
        ("Coordinates", _format_coordinates(box.coordinates)),
        ("Type", _format_type(box.type)),
        ("Occupied", _format_list(box.occupied_connectors)),
        ("Reserved", _format_list(box.reserved_connectors)),
    )


def _render_connectors(connectors: Sequence[Connector]) -> Table | Text:
    if not connectors:
        return Text("No connectors.")
    table = plain_table()
    table.add_column("#", justify="right", no_wrap=True)
    # The vendor does not document the unit of the power.
    numeric = ("Power", "Max A")
    for name in ("Type", "Format", *numeric, "Power type", "Terminal", "Token"):
        table.add_column(name, overflow="fold", justify="right" if name in numeric else "left")
    for number, connector in enumerate(connectors, 1):
        values = (
            *(number, connector.type, connector.format, connector.power, connector.max_amperage),
            *(connector.power_type, connector.terminal_id, connector.token),
        )
        table.add_row(*map(cell, values))
    return table


def _format_bool(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _format_coordinates(place: Coordinates | None) -> str | None:
    if place is None or place.latitude is None or place.longitude is None:
        return None
    return f"{place.latitude}, {place.longitude}"


def _format_type(kind: ChargeboxType | None) -> str | None:
    if kind is None:
        return None
    ocpp = " ".join(filter(None, (kind.version, kind.msg)))
    return ", ".join(filter(None, (kind.vehicle, ocpp and f"OCPP {ocpp}"))) or None


def _format_list(values: Sequence[JsonValue]) -> str | None:
    return ", ".join(msgspec.json.encode(value).decode() for value in values) or None
