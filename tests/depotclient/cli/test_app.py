"""The `depotclient` command: its start, its extra, and its sandbox."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib import import_module

import pytest

from depotclient.cli.app import app
from depotclient.sandbox import DepotSandbox
from tests.support.commands import Command

COMMAND = Command(app, "depotclient")
run = COMMAND.run


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
        assert run("reports", "CP-001", "2", "--to", "2026-01-02") == 0
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, b"", b"")


def test_a_port_in_use_is_reported_on_one_line(
    depot: DepotSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("sandbox", "--port", depot.origin.rpartition(":")[2]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_wrong_port_exits_with_2(port: str) -> None:
    assert run("sandbox", "--port", port) == 2


def test_the_libraries_load_no_module_of_the_extra() -> None:
    code = (
        "import sys, depotclient.__main__, thorclient.__main__\n"
        "assert not {'typer', 'rich', 'click'} & sys.modules.keys()"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""


@pytest.mark.parametrize("missing", ["typer", "rich"])
@pytest.mark.parametrize("name", ["depotclient", "thorclient"])
def test_a_missing_extra_is_named(name: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as end:
        import_module(f"{name}.__main__").main()
    assert end.value.code == f"{name} needs the cli extra: pip install 'thor-depot-clients[cli]'"
