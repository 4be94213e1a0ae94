"""The `thorclient` command: read and poll chargeboxes, probe the API, and run the sandbox."""

from __future__ import annotations

from evtransport.cli.app import command_line
from evtransport.cli.commands import Command
from thorclient.cli.analytics import analytics
from thorclient.cli.chargeboxes import chargebox, chargeboxes
from thorclient.cli.poll import poll
from thorclient.cli.probe import probe
from thorclient.cli.sandbox import sandbox

__all__ = ["app"]

app = command_line(
    "Read analytics and chargeboxes of a Thor integration. The environment variable THOR_API_KEY"
    " holds the API key. THOR_BASE_URL changes the server's address."
)
app.command(cls=Command)(analytics)
app.command(cls=Command)(chargebox)
app.command(cls=Command)(chargeboxes)
app.command(cls=Command)(poll)
app.command(cls=Command)(probe)
app.command(cls=Command)(sandbox)
