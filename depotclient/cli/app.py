"""The `depotclient` command: session reports, a probe of the API, and a sandbox."""

from __future__ import annotations

from typing import Final

from evtransport.cli.app import add_command, command_line

__all__ = ["app"]

_ONE_CONNECTOR: Final = {"allow_extra_args": True}
"""Settings of a command with one connector. `parse_one_connector` explains extra ones."""

_PROBE: Final = "Measure how the API of your account behaves where the vendor documents nothing."

app = command_line(
    "Read session reports of the chargers of a Siemens Depot. Credentials are read from the"
    " environment variables DEPOT_CLIENT_ID and DEPOT_CLIENT_SECRET, or DEPOT_TOKEN. DEPOT_REGION,"
    " DEPOT_BASE_URL and DEPOT_TOKEN_URL change the server's address."
)
for path, summary, settings in (
    ("reports:reports", "Show the session reports of one connector.", _ONE_CONNECTOR),
    ("export:export", "Export session reports into files.", {}),
    ("load:load", "Load session reports into a database: DuckDB, SQLite or PostgreSQL.", {}),
    ("follow:follow", "Show new sessions as they come, one line each, until Ctrl-C.", {}),
    ("plot:plot", "Draw one session as a picture.", _ONE_CONNECTOR),
    ("probe:probe", _PROBE, _ONE_CONNECTOR),
    ("sandbox:sandbox", "Run a local server that simulates the API.", {}),
):
    add_command(app, f"depotclient.cli.{path}", summary, settings)
