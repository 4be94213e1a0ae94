"""The `thorclient` command: read and poll chargeboxes, probe the API, and run the sandbox."""

from __future__ import annotations

from evtransport.cli.app import add_command, command_line

__all__ = ["app"]

app = command_line(
    "Read analytics and chargeboxes of a Thor integration. The environment variable THOR_API_KEY"
    " holds the API key. THOR_BASE_URL changes the server's address."
)
for path, summary in (
    ("analytics:analytics", "Show analytics of chargeboxes."),
    ("chargeboxes:chargebox", "Show one chargebox and its connectors."),
    ("chargeboxes:chargeboxes", "Show all chargeboxes."),
    ("poll:poll", "Show analytics of chargeboxes again and again, one line each, until Ctrl-C."),
    (
        "probe:probe",
        "Measure how the API of your account behaves where the vendor documents nothing.",
    ),
    ("sandbox:sandbox", "Run a local server that simulates the API."),
):
    add_command(app, f"thorclient.cli.{path}", summary)
