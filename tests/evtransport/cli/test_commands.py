"""Help in plain words, suggestions, and errors that name options."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Annotated

import pytest
import typer
from typer.main import get_command

from depotclient.cli.app import app as depot
from evtransport._version import __version__
from evtransport.cli.app import command_line
from evtransport.cli.commands import Command as PlainCommand
from evtransport.cli.commands import Group, LazyCommand, name_options
from tests.support.commands import Command
from thorclient.cli.app import app as thor

Capture = pytest.CaptureFixture[str]

APPS = pytest.mark.parametrize(
    "command", [Command(depot, "depotclient"), Command(thor, "thorclient")]
)


def commands(app: typer.Typer) -> list[str]:
    return [
        str(each.name or getattr(each.callback, "__name__", "")) for each in app.registered_commands
    ]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "limit must be an int from 1 to 2000, got 0",
            "--limit must be an int from 1 to 2000, got 0",
        ),
        ("from_=9 must be before to=8", "--from 9 must be before --to 8"),
        ("from_ must be in the years 2 to 9998", "--from must be in the years 2 to 9998"),
        ("format must be one of a, b", "--format must be one of a, b"),
        ("limit requires from_, the start", "--limit requires --from, the start"),
        ("no limit=5", "no --limit 5"),
        ("charger_id must not be empty", "ID must not be empty"),
        ("a limit to the speed", "a limit to the speed"),
        ("other=5 must be before to", "other=5 must be before to"),
    ],
)
def test_an_error_names_options_instead_of_arguments(message: str, expected: str) -> None:
    names = {name: f"--{name}" for name in ("from", "to", "limit", "format")}
    assert name_options(message, names | {"charger_id": "ID"}) == expected


@pytest.mark.parametrize(
    ("typed", "end"), [("report", "Did you mean 'reports'?\n"), ("zebra", "'zebra'.\n")]
)
def test_only_the_closest_command_is_suggested(typed: str, end: str, capsys: Capture) -> None:
    app = command_line("A summary.")
    for name in ("plot", "export", "reports"):
        app.command(name, cls=PlainCommand)(lambda: None)
    assert Command(app, "program").run(typed) == 2
    assert capsys.readouterr().err.endswith(end)


def test_help_is_as_wide_as_the_terminal_and_has_no_python_types(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    app = command_line("A summary.")

    @app.command("copy", cls=PlainCommand)
    def copy(
        source: str,
        files: Annotated[
            list[str] | None, typer.Argument(metavar="FILE", help="File. " * 30)
        ] = None,
        debug: Annotated[bool, typer.Option(hidden=True)] = False,
    ) -> None:
        """Copy files."""

    app.command("other")(lambda: None)
    assert Command(app, "program").run("copy", "--help") == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: program copy [OPTIONS] SOURCE [FILE]...\n")
    assert 120 < max(map(len, out.splitlines())) < 140
    assert re.findall("[<(].*[>)]|debug", out) == []


@APPS
def test_each_command_that_sends_requests_has_verbose_and_plain_help(
    command: Command, capsys: Capture
) -> None:
    for name in commands(command.app):
        assert command.run(name, "--help") == 0
        out = capsys.readouterr().out
        assert ("--verbose" in out) is (name != "sandbox")
        assert re.search(r"<(list|str|path)|\[\[|default: \(\)", out) is None


@APPS
def test_the_help_has_the_first_sentence_of_each_command(command: Command) -> None:
    group = get_command(command.app)
    assert isinstance(group, Group)
    for lazy in group.commands.values():
        assert isinstance(lazy, LazyCommand)
        assert (lazy.help or "").endswith(".")
        assert (lazy.load().help or "").startswith(lazy.help or "")


@APPS
def test_the_help_imports_no_command(command: Command) -> None:
    code = f"""
import sys
from {command.name}.cli.app import app
try:
    app(["--help"])
except SystemExit:
    print(*sorted(name for name in sys.modules if name.startswith("{command.name}.cli.")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)  # noqa: S603
    assert done.stdout.splitlines()[-1] == f"{command.name}.cli.app"


@APPS
def test_the_version_is_one_line(command: Command, capsys: Capture) -> None:
    assert command.run("--version") == 0
    assert capsys.readouterr() == (f"{command.name} {__version__}\n", "")


@APPS
def test_bash_completes_options(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"_{command.name.upper()}_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"{command.name} sandbox --po")
    monkeypatch.setenv("COMP_CWORD", "2")
    status, out, _ = command.completed()
    assert (status, out.split()) == (0, [b"--port"])
