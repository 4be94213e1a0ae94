"""The `depotclient` command: session reports, a probe of the API, and a sandbox."""

from __future__ import annotations

from depotclient.cli.export import export
from depotclient.cli.follow import follow
from depotclient.cli.load import load
from depotclient.cli.options import ONE_CONNECTOR
from depotclient.cli.plot import plot
from depotclient.cli.probe import probe
from depotclient.cli.reports import reports
from depotclient.cli.sandbox import sandbox
from evtransport.cli.app import command_line
from evtransport.cli.commands import Command

__all__ = ["app"]

app = command_line(
    "Read session reports of the chargers of a Siemens Depot. Credentials are read from the"
    " environment variables DEPOT_CLIENT_ID and DEPOT_CLIENT_SECRET, or DEPOT_TOKEN. DEPOT_REGION,"
    " DEPOT_BASE_URL and DEPOT_TOKEN_URL change the server's address."
)
app.command(cls=Command, context_settings=ONE_CONNECTOR)(reports)
app.command(cls=Command)(export)
app.command(cls=Command)(load)
app.command(cls=Command)(follow)
app.command(cls=Command, context_settings=ONE_CONNECTOR)(plot)
app.command(cls=Command, context_settings=ONE_CONNECTOR)(probe)
app.command(cls=Command)(sandbox)
