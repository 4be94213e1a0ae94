"""The command `thorclient analytics`: analytics of chargeboxes as a table or NDJSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Annotated

import attrs
import msgspec
import typer
from rich.table import Table

from evtransport.cli.app import JsonOption, SandboxOption, VerboseOption
from evtransport.cli.output import (
    cell,
    echo_error,
    escape_controls,
    format_error,
    output_console,
    plain_table,
    prints_json,
    write_json,
)
from evtransport.cli.progress import progress_line
from evtransport.cli.run import FAILED, run
from evtransport.errors import ApiError
from thorclient.cli.options import open_client
from thorclient.models import Analytics

__all__ = ["analytics", "encode_result", "render_analytics", "result_fields"]


def analytics(
    chargebox_id: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of chargeboxes.")],
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show analytics of chargeboxes.

    Analytics are charges, disconnections, energy and users of the last 7, 30 and 60 days. A
    terminal receives a table, with energy in kWh. A pipe receives one JSON object for each
    chargebox as soon as it arrives, with energy in Wh, or with the error if there is one. If one
    chargebox fails, the others are still read.
    """
    unique = tuple(dict.fromkeys(chargebox_id))
    run(_print_analytics(unique, as_json=prints_json(json), sandbox=sandbox))


async def _print_analytics(ids: Sequence[str], *, as_json: bool, sandbox: bool) -> int:
    """Print analytics and errors as they arrive. Print the table at the end, in order of `ids`."""
    found: dict[str, Analytics] = {}
    total = len(ids)
    failures = 0
    try:
        async with (
            open_client(sandbox) as client,
            aclosing(client.get_analytics_many(ids)) as results,
        ):
            with progress_line(_format_progress(0, total)) as line:
                count = 0
                async for chargebox_id, result in results:
                    count += 1
                    if isinstance(result, ApiError):
                        failures += 1
                        echo_error(f"error: {format_error(result)}")
                    elif not as_json:
                        found[chargebox_id] = result
                    if as_json:
                        with line.paused():
                            write_json(encode_result(chargebox_id, result))
                    line.show(_format_progress(count, total))
    finally:  # An error or a signal must not hide the results before it.
        if found:
            in_order = {name: found[name] for name in ids if name in found}
            output_console().print(render_analytics(in_order))
    return FAILED if failures else 0


def _format_progress(count: int, total: int) -> str:
    return f"{count:,} of {total:,} chargeboxes"


def encode_result(chargebox_id: str, result: Analytics | ApiError) -> bytes:
    """Return a result as a JSON object that starts with the id."""
    return msgspec.json.encode({"id": chargebox_id} | result_fields(result))


def result_fields(result: Analytics | ApiError) -> dict[str, object]:
    """Return analytics, with energy in Wh, or an error as fields of a JSON object."""
    if isinstance(result, ApiError):
        return {"error": escape_controls(format_error(result))}
    return attrs.asdict(result)


def render_analytics(found: Mapping[str, Analytics]) -> Table:
    """Return a table with three rows for each chargebox: the last 7, 30 and 60 days."""
    table = plain_table()
    table.add_column("Chargebox", overflow="fold")
    table.add_column("Active since", no_wrap=True)
    for name in ("Days", "Charges", "Disconnections", "Energy kWh", "Users"):
        table.add_column(name, justify="right", no_wrap=True)
    for chargebox_id, analytics in found.items():
        since = analytics.active_since
        heading: tuple[object, object] = (chargebox_id, f"{since:%Y-%m-%d}" if since else None)
        for days in ("7", "30", "60"):
            numbers = _format_counts(analytics, f"last_{days}")
            table.add_row(*map(cell, (*heading, days, *numbers)), end_section=days == "60")
            heading = ("", "")
    return table


def _format_counts(analytics: Analytics, window: str) -> tuple[str, ...]:
    counts = (analytics.charges, analytics.disconnections, analytics.energy, analytics.users)
    charges, disconnections, energy, users = (getattr(count, window) for count in counts)
    return f"{charges:,}", f"{disconnections:,}", f"{energy / 1000:,.1f}", f"{users:,}"
