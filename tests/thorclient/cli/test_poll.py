"""The command `thorclient poll`, as its user sees it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.support.commands import Command, Terminal, signal_when
from thorclient.cli.app import app
from thorclient.models import structure_analytics
from thorclient.sandbox import ThorSandbox

OpenThor = Callable[..., ThorSandbox]
Capture = pytest.CaptureFixture[str]

COMMAND = Command(app, "thorclient")
run = COMMAND.run


def test_a_pipe_receives_one_json_object_for_each_result(
    open_thor: OpenThor, capsys: Capture
) -> None:
    thor = open_thor(chargeboxes=["TB-1"])
    with signal_when(signal.SIGTERM, lambda: len(thor.requests) >= 6):
        assert run("poll", "TB-1", "gone", "TB-1", "--every", "0.05s") == 143
    out, err = capsys.readouterr()
    lines = [msgspec.json.decode(line) for line in out.splitlines()]
    assert {line["id"] for line in lines} == {"TB-1", "gone"}
    first = next(line for line in lines if line["id"] == "TB-1")
    age = datetime.now(UTC) - datetime.fromisoformat(first["time"])
    assert timedelta() <= age < timedelta(minutes=5)
    expected = structure_analytics(thor.analytics("TB-1"))
    assert structure_analytics(msgspec.json.encode(first)) == expected
    errors = [line["error"] for line in lines if line["id"] == "gone"]
    assert all(text.startswith("GET analytics/gone: 404 ChargeboxNotFound") for text in errors)
    assert err.startswith(f"error: {errors[0]}\n")
    assert err.endswith("\nended by SIGTERM\n")


def test_a_terminal_receives_one_line_for_each_active_chargebox(
    open_thor: OpenThor, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    thor = open_thor(chargeboxes=3)
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    with signal_when(signal.SIGINT, lambda: screen.text.count("\n") >= 3):
        assert run("poll", "--every", "0.1s") == 130
    week = structure_analytics(thor.analytics("TB-0001"))
    line = screen.text.splitlines()[0]
    assert " UTC, TB-0001: " in line
    assert line.endswith(
        f": {week.charges.last_7} charges, {week.energy.last_7 / 1000:,.1f} kWh,"
        f" {week.users.last_7} users, {week.disconnections.last_7} disconnections in 7 days"
    )
    assert capsys.readouterr().err == "interrupted\n"


def test_an_error_of_the_list_is_a_line_without_an_id(open_thor: OpenThor, capsys: Capture) -> None:
    thor = open_thor(enabled=False)
    with signal_when(signal.SIGINT, lambda: len(thor.requests) >= 2):
        assert run("poll", "--every", "0.05s") == 130
    out, err = capsys.readouterr()
    line = msgspec.json.decode(out.splitlines()[0])
    assert line["id"] is None
    assert line["error"].startswith("GET chargeboxes: 403 RestAPINotEnabled; check api_key")
    assert err.startswith(f"error: {line['error']}\n")


@pytest.mark.usefixtures("thor")
def test_it_ends_when_the_reader_of_its_pipe_is_gone() -> None:
    with COMMAND.started("poll", "TB-0001", "--every", "1h") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"id":"TB-0001"')  # It arrives at once.
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--every", "0s"), "--every must be a time greater than 0"),
        (("--every", "60"), "--every must be a time greater than 0, such as 30s or 5m, got '60'"),
        (("TB-1", ".."), "ID must not consist only of dots"),
    ],
)
def test_invalid_arguments_are_rejected_at_once(
    argv: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert run("poll", *argv, "--sandbox") == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
