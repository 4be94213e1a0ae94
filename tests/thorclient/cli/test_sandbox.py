"""The command `thorclient sandbox`, as its user sees it."""

from __future__ import annotations

import msgspec

from tests.support.commands import Command
from thorclient.cli.app import app
from thorclient.models import structure_chargebox
from thorclient.sandbox import ThorSandbox

COMMAND = Command(app, "thorclient")


def test_the_output_of_the_sandbox_can_be_pasted_into_a_second_terminal() -> None:
    options = ("--chargeboxes", "2", "--seed", "5", "--api-key", "it's $HOME")
    with COMMAND.started_sandbox(*options, "--latency", "0.001", "--fault-rate", "0.1") as output:
        assert "# Data: 2 chargeboxes from TB-0001 to TB-0002.\n" in output
        status, out, _ = COMMAND.in_shell("chargebox TB-0002", before=output)
    simulated = structure_chargebox(ThorSandbox(chargeboxes=2, seed=5).chargebox("TB-0002"))
    assert (status, msgspec.json.decode(out)["alias"]) == (0, simulated.alias)
