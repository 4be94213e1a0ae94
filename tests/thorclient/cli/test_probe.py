"""The command `thorclient probe`, as its user sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import msgspec
import pytest

from tests.support.commands import Command, Terminal
from thorclient.cli.app import app
from thorclient.profile import Profile
from thorclient.sandbox import ThorSandbox

OpenThor = Callable[..., ThorSandbox]
Capture = pytest.CaptureFixture[str]

COMMAND = Command(app, "thorclient")
run = COMMAND.run


def test_a_pipe_receives_the_measurement_and_a_file_the_profile(
    open_thor: OpenThor, capsys: Capture, tmp_path: Path
) -> None:
    thor = open_thor(chargeboxes=["1"], error_shape="error.code")
    file = tmp_path / "profile.json"
    assert run("probe", "1", "--profile", str(file)) == 0
    out, err = capsys.readouterr()
    found = msgspec.json.decode(out)
    profile = Profile.parse(file.read_bytes())
    assert Profile.parse(msgspec.json.encode(found["profile"])) == profile
    assert profile.error_shape == "error.code"
    assert found["unknown"]["case_sensitive"] == "no id has letters"
    assert (found["requests"], found["chargeboxes"], found["analytics"]) == (6, 1, 1)
    assert len(thor.requests) == 6
    assert (out.count("\n"), err) == (1, "")


def test_a_terminal_receives_a_table(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("probe", "TB-0001", "--sandbox") == 0
    lines = [line.rstrip() for line in screen.text.splitlines()]
    assert lines[2:6] == [
        "API key               measured  accepted",
        "Unknown chargebox     measured  status 404",
        "Its analytics         measured  status 404",
        "Name of an error      measured  in the JSON key message",
    ]
    assert len(lines) == 2 + 1 + len(attrs.fields(Profile))
    end = "26 requests, reads only; fields of 20 chargeboxes and 20 analytics\n"
    assert capsys.readouterr().err == end


def test_a_sandbox_behaves_as_the_profile_in_a_file_unless_an_option_differs(
    tmp_path: Path,
) -> None:
    file = tmp_path / "profile.json"
    file.write_bytes(Profile(error_shape="text", latency=5).to_json())
    with COMMAND.started_sandbox("--profile", str(file), "--latency", "0") as output:
        status, out, _ = COMMAND.in_shell("probe TB-0001", before=output)
    assert (status, msgspec.json.decode(out)["profile"]["error_shape"]) == (0, "text")


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (("TB-0001", "--profile", "/nowhere/profile.json"), 2, "the folder /nowhere does not exi"),
        (("nowhere",), 1, "error: GET chargeboxes/nowhere: 404 ChargeboxNotFound"),
    ],
)
def test_a_probe_that_can_not_succeed_is_a_message_on_stderr(
    argv: tuple[str, ...], status: int, message: str, capsys: Capture
) -> None:
    assert run("probe", *argv, "--sandbox") == status
    assert message in capsys.readouterr().err
