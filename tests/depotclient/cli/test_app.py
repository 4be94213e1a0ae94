"""The `depotclient` command: its sandbox."""

from __future__ import annotations

import signal

import pytest

from depotclient.cli.app import app
from tests.support.commands import Command

COMMAND = Command(app, "depotclient")


def test_the_sandbox_prints_its_environment_and_ends_with_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with COMMAND.started("sandbox") as process:
        assert process.stdout is not None
        lines = []
        while (line := process.stdout.readline().decode()) != "# running until Ctrl-C\n":
            assert line, "the process ended early"
            lines.append(line.rstrip("\n"))
        assert "# charger CP-001 with connectors 1, 2" in lines
        for line in lines:
            if line.startswith("export "):
                monkeypatch.setenv(*line.removeprefix("export ").split("=", 1))
        assert COMMAND.run("reports", "CP-001/2", "--to", "2026-01-02") == 0
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, b"", b"")
