"""R5: no command line shows a secret."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

import attrs
import pytest

import depotclient.cli.app
import thorclient.cli.app
from tests.promises.candidates import CHARGEBOX
from tests.promises.secret_search import (
    API_KEY,
    CLIENT_ID,
    CLIENT_SECRET,
    TOKEN,
    TOKEN_RESPONSE,
    Search,
)
from tests.promises.test_r05_secrets import ECHOES, TOKEN_ECHOES, echoing
from tests.promises.test_r05_secrets_in_objects import body_of
from tests.support.commands import Command, Terminal
from tests.support.responses import serve
from tests.support.wire import Wire

THOR = Command(thorclient.cli.app.app, "thorclient")
DEPOT = Command(depotclient.cli.app.app, "depotclient")
ANALYTICS = (THOR, "analytics", CHARGEBOX)
CHARGEBOXES = (THOR, "chargebox", CHARGEBOX)
REPORTS = (DEPOT, "reports", "CP-001/1")

Environment = Mapping[str, str]
Run = tuple[tuple[Command, *tuple[str, ...]], Environment]


@attrs.frozen
class Runner:
    """Runner of commands that searches their output."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    search: Search

    async def run(
        self, command: Command, *argv: str, environment: Environment, terminal: bool = True
    ) -> int:
        """Run a command in a thread and return its status.

        In a pipe, the command prints the server's reports unchanged, and they may contain a secret.
        """
        screen = Terminal()
        with self.monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            if terminal:
                patch.setattr(sys, "stdout", screen)
            status = await asyncio.to_thread(command.run, *argv)
        out, err = self.capsys.readouterr()
        assert "Traceback" not in err
        self.search.probe(f"{command.name} {argv}", "output", f"{screen.text}\n{out}\n{err}")
        return status


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    for name in os.environ:
        if name.startswith(("DEPOT_", "THOR_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TERM", "dumb")
    return Runner(monkeypatch, capsys, Search())


async def test_no_command_shows_a_secret_of_a_failing_server(full: bool, runner: Runner) -> None:
    for number, (name, form) in enumerate((ECHOES | TOKEN_ECHOES).items()):
        async with (
            Wire(default=echoing(form)) as wrong,
            Wire(default=serve(lambda _: TOKEN_RESPONSE)) as right,
        ):
            pair = {"DEPOT_CLIENT_ID": CLIENT_ID, "DEPOT_CLIENT_SECRET": CLIENT_SECRET}
            runs: list[Run] = [
                (ANALYTICS, {"THOR_API_KEY": API_KEY, "THOR_BASE_URL": wrong.url}),
                (REPORTS, {"DEPOT_TOKEN": TOKEN, "DEPOT_BASE_URL": wrong.url}),
                (REPORTS, {**pair, "DEPOT_BASE_URL": wrong.url, "DEPOT_TOKEN_URL": right.url}),
                (REPORTS, {**pair, "DEPOT_BASE_URL": right.url, "DEPOT_TOKEN_URL": wrong.url}),
            ]
            if not full:
                runs = [runs[-1 if name in TOKEN_ECHOES else number % 4]]
            for command, environment in runs:
                await runner.run(*command, environment=environment)
    assert runner.search.found == []


async def test_no_command_shows_a_secret_when_it_prints_json(runner: Runner) -> None:
    async with Wire(default=serve(body_of)) as api:
        runs: list[Run] = [
            (CHARGEBOXES, {"THOR_API_KEY": API_KEY, "THOR_BASE_URL": api.url}),
            (REPORTS, {"DEPOT_TOKEN": TOKEN, "DEPOT_BASE_URL": api.url}),
        ]
        for command, environment in runs:
            assert await runner.run(*command, environment=environment, terminal=False) == 0
    assert runner.search.found == []
