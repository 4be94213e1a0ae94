"""The command `depotclient load`: session reports into a database."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Final

import typer

from depotclient.cli.copying import CopyCommand
from depotclient.cli.options import (
    ACCEPT_DELETIONS,
    CONCURRENCY,
    CONNECTOR,
    CONNECTORS,
    FILE,
    FROM,
    TO,
    select_connectors,
)
from depotclient.copying import options
from evtransport.cli.app import JsonOption, SandboxOption, VerboseOption
from evtransport.cli.run import run
from evtransport.durations import parse_duration

if TYPE_CHECKING:
    from depotclient.database import ConnectorLoad, Target

__all__ = ["choose_target", "load"]

DATABASE_URL: Final = "DEPOT_DATABASE_URL"

_TARGET = typer.Argument(
    metavar="TARGET",
    help="Database: depot.duckdb, sqlite:///depot.sqlite or postgresql://USER@HOST/DATABASE. Leave"
    f" it out if {DATABASE_URL} is set. A password does not belong here.",
    show_default=False,
)
_LAG = typer.Option(
    metavar="DAYS",
    help="How long after its end a session can still change or arrive, such as 3d or 36h. A later"
    " run reads from this long before the last one.",
)
_NO_EVENTS = typer.Option(
    "--no-events", help="Load only the table session_reports, without meter values and states."
)
_SCHEMA = typer.Option(
    metavar="NAME", help="Schema of the tables in PostgreSQL or DuckDB. Created if missing."
)


def load(
    target: Annotated[str | None, _TARGET] = None,
    connectors: Annotated[list[str] | None, CONNECTORS] = None,
    *,
    from_: Annotated[datetime, FROM],
    to: Annotated[datetime | None, TO] = None,
    connector_file: Annotated[str | None, FILE] = None,
    lag: Annotated[str, _LAG] = "3d",
    no_events: Annotated[bool, _NO_EVENTS] = False,
    schema: Annotated[str | None, _SCHEMA] = None,
    accept_deletions: Annotated[bool, ACCEPT_DELETIONS] = False,
    concurrency: Annotated[int, CONCURRENCY] = options.CONCURRENCY,
    json: JsonOption = False,
    sandbox: SandboxOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Load session reports into a database: DuckDB, SQLite or PostgreSQL.

    The tables are created by the first run. Run the same command again to continue, and each night
    to load what is new or has changed. Each session is in the database once, however a run ends.
    """
    from depotclient.database import load_session_reports

    given = [*filter(None, [target]), *(connectors or ())]
    database, names = choose_target(given, _target_of_variable())
    command = CopyCommand(
        partial(
            load_session_reports,
            target=database,
            from_=from_,
            to=to,
            lag=parse_duration("--lag", lag),
            events=not no_events,
            schema=schema,
            accept_deletions=accept_deletions,
            concurrency=concurrency,
        ),
        kept=f"every session in {database.name} is complete",
        columns=_COLUMNS,
        count=_count_rows,
        accept_deletions=accept_deletions,
    )
    run(command.run(select_connectors(names, connector_file), json=json, sandbox=sandbox))


_COLUMNS: Final[Mapping[str, Callable[[ConnectorLoad], int]]] = {
    "New": lambda load: load.new,
    "Changed": lambda load: load.changed,
    "Unchanged": lambda load: load.unchanged,
}
"""Numbers of sessions."""


def _count_rows(loads: Iterable[ConnectorLoad]) -> str:
    return f"{sum(load.new + load.changed for load in loads):,} new or changed"


def _target_of_variable() -> Target | None:
    """Return the database of the environment variable, or None if it is not set.

    Raises:
        ValueError: The value is invalid.
    """
    from depotclient.database import parse_target

    try:
        # No variable of a frame may hold the address: it can have a password.
        return parse_target(os.environ[DATABASE_URL]) if os.environ.get(DATABASE_URL) else None
    except ValueError as error:
        raise ValueError(str(error).replace("target", DATABASE_URL, 1)) from None


def choose_target(arguments: Sequence[str], variable: Target | None) -> tuple[Target, list[str]]:
    """Return the database and the texts of the connectors.

    Args:
        arguments: Arguments of the command. The first one is the database, unless the variable
            `DEPOT_DATABASE_URL` is set.
        variable: Database of the variable, or None.

    Raises:
        ValueError: The database is missing, is given twice or is invalid.
    """
    from depotclient.database import parse_target

    # A message must not quote an address before this check.
    addresses = [each for each in arguments if "://" in each]
    names = [parse_target(each, allow_password=False).name for each in addresses]
    first, *others = arguments or [""]
    if addresses and addresses != [first]:
        raise ValueError(f"TARGET must be one address before the connectors, got {names[-1]} after")
    if variable is not None:
        if _is_path(first):
            raise ValueError(
                f"{DATABASE_URL} is set, so that each argument is a connector: leave {first} out,"
                f" or use env -u {DATABASE_URL} depotclient load {first} ..."
            )
        return variable, [*arguments]
    if not first:
        raise ValueError(
            f"no database: use depotclient load depot.duckdb {CONNECTOR} ..., or set {DATABASE_URL}"
        )
    if "/" in first and not _is_path(first):
        raise ValueError(
            f"no database before {first}: use depotclient load depot.duckdb {first} ..., or set"
            f" {DATABASE_URL}; ./{first} is a file"
        )
    return parse_target(first), others


def _is_path(text: str) -> bool:
    """Return True for an address, and for a path that does not look like a connector."""
    return (
        "://" in text
        or text.startswith((".", "/", "~"))
        or PurePath(text).suffix in {".duckdb", ".ddb", ".db", ".sqlite", ".sqlite3"}
    )
