"""Results of the commands that copy reports, as JSON, a table and messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

import attrs
import msgspec
from rich.table import Table

from depotclient.copying.result import ConnectorCopy, Copy
from evtransport.cli.output import cell, escape_controls, format_error, plain_table
from evtransport.errors import ResponseTooLarge, SchemaError, StatusError
from evtransport.retry import is_retryable

__all__ = ["describe_changes", "encode_result", "name_sessions", "name_some", "next_steps"]
__all__ += ["result_table"]

C = TypeVar("C", bound=ConnectorCopy)

_MAX_NAMED: Final = 5
"""Maximum number of connectors, sessions or fields that a message names."""


def encode_result(result: ConnectorCopy) -> bytes:
    """Return the result of one connector as a JSON object."""
    error = None if result.error is None else escape_controls(format_error(result.error))
    values = attrs.asdict(result, recurse=False, filter=lambda each, _: each.name != "has_ended")
    return msgspec.json.encode({**values, "error": error})


def result_table(result: Copy[C], columns: Mapping[str, Callable[[C], int]]) -> Table:
    """Return a table with one row for the result of each connector.

    Args:
        result: Result of the command.
        columns: Values of a connector by the titles of their columns.
    """
    table = plain_table()
    table.add_column("Connector", overflow="fold")
    for title in (*columns, "MB read"):
        table.add_column(title, justify="right")
    table.add_column("")
    for each in result.connectors:
        table.add_row(
            cell(each.name),
            *(cell(f"{value(each):,}") for value in columns.values()),
            cell(f"{each.bytes_read / 1e6:,.1f}"),
            cell("complete" if each.is_complete else "not complete"),
        )
    return table


def describe_changes(result: Copy[C], *, accept_deletions: bool) -> Iterator[str]:
    """Yield lines that count and name sessions and fields that a user does not expect.

    Args:
        result: Result of the command.
        accept_deletions: Whether the command has removed the vanished sessions.
    """
    kept = "removed" if accept_deletions else "kept (--accept-deletions removes them)"
    yield from name_sessions(
        "moved to another start", ((each.name, each.moved) for each in result.connectors)
    )
    yield from name_sessions(
        f"no longer on the server, and {kept}",
        ((each.name, each.vanished) for each in result.connectors),
    )
    yield from name_sessions(
        "without a start in the time span", ((each.name, each.strays) for each in result.connectors)
    )
    fields = Counter[str]()
    for each in result.connectors:
        fields.update(each.unknown_fields)
    if fields:
        names = [f"{path} ({count:,})" for path, count in sorted(fields.items())]
        yield f"fields that have no column, by number of reports: {name_some(names)}"


def name_sessions(
    what: str, connectors: Iterable[tuple[str, Sequence[int | None]]]
) -> Iterator[str]:
    """Yield a line that counts sessions and names some of them, or nothing without sessions.

    Args:
        what: What has happened to them.
        connectors: Names of connectors, with the ids of their sessions.
    """
    names = [
        f"{'(no id)' if number is None else number} at {name}"
        for name, ids in connectors
        for number in ids
    ]
    if names:
        sessions = "session" if len(names) == 1 else "sessions"
        yield f"{len(names):,} {sessions} {what}: {name_some(names)}"


def next_steps(result: Copy[C]) -> Iterator[str]:
    """Yield lines that count the incomplete connectors and advise the next command."""
    missing = [each for each in result.connectors if not each.is_complete]
    if not missing:
        return
    yield f"{len(missing)} of {len(result.connectors)} connectors are not complete"
    permanent = [each.name for each in missing if _is_permanent(each.error)]
    if permanent:
        yield f"the same command fails again for {name_some(permanent)}: correct the cause first"
    if len(permanent) < len(missing):
        yield f"run the same command again to complete {'the others' if permanent else 'them'}"


def _is_permanent(error: Exception | None) -> bool:
    """Return True if the same command fails again until the user corrects the cause."""
    if isinstance(error, StatusError):
        return not is_retryable(error)
    return isinstance(error, SchemaError | ResponseTooLarge | FileExistsError)


def name_some(names: Sequence[str]) -> str:
    """Return the first names as a text, and the number of the others."""
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")
