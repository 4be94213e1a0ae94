"""The command `depotclient probe`, as its user sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from depotclient.cli.app import app
from depotclient.profile import Profile
from depotclient.sandbox import DepotSandbox
from tests.support.commands import Command, Terminal

OpenDepot = Callable[..., DepotSandbox]
Capture = pytest.CaptureFixture[str]

COMMAND = Command(app, "depotclient")
run = COMMAND.run


def test_a_pipe_gets_one_json_object_without_ids_of_the_account(
    open_depot: OpenDepot, capsys: Capture
) -> None:
    depot = open_depot(sessions=60)
    assert run("probe", "CP-1/1") == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert (err, len(out.splitlines())) == ("", 1)
    assert list(result) == ["profile", "unknown", "recommendation", "requests"]
    assert result["profile"]["order"] == "ascending"
    assert result["unknown"]["low_limits"] == "no limit is smaller than 1"
    assert result["recommendation"]["lag"]["value"] == 3 * 86_400
    assert result["requests"] == len(depot.requests)
    for secret in ("CP-1", depot.client_id, "BUS-", "2026-"):
        assert secret not in out


def test_a_terminal_gets_a_line_for_each_value_and_each_setting(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    assert run("probe", "CP-1/1") == 0
    lines = terminal.text.splitlines()
    assert max(map(len, lines)) == 80
    text = "\n".join(line.rstrip() for line in lines)
    assert "Order of reports      measured  ascending by start" in text
    assert "Largest limit         unknown   " in text
    assert "margin                0 h       a window has exactly the sessions" in text
    assert capsys.readouterr().err == f"{len(depot.requests)} requests, reads only\n"


def test_a_profile_is_written_that_a_sandbox_reads(
    open_depot: OpenDepot, tmp_path: Path, capsys: Capture
) -> None:
    open_depot(order="descending", max_limit=3)
    path = tmp_path / "account.json"
    assert run("probe", "CP-1/1", "--profile", str(path)) == 0
    profile = Profile.parse(path.read_bytes())
    assert (profile.order, profile.max_limit) == ("descending", 3)
    assert json.loads(capsys.readouterr().out)["profile"] == json.loads(path.read_bytes())
    assert DepotSandbox(profile=path).max_limit == 3
    assert [each.name for each in tmp_path.iterdir()] == ["account.json"]


def test_a_folder_that_does_not_exist_is_noticed_before_any_request(
    depot: DepotSandbox, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "missing" / "account.json"
    assert run("probe", "CP-1/1", "--profile", str(path)) == 2
    assert capsys.readouterr().err == (
        f"error: --profile {path}: the folder {path.parent} does not exist\n"
    )
    assert depot.requests == []


def test_a_window_is_passed_on(depot: DepotSandbox) -> None:
    assert run("probe", "CP-1/1", "--from", "2026-01-01", "--to", "2026-01-03") == 0
    query = depot.requests[0].query
    assert (query["from"], query["to"]) == ("2026-01-01T00:00:00.000Z", "2026-01-03T00:00:00.000Z")


def test_an_unknown_connector_fails_without_a_profile(
    depot: DepotSandbox, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "account.json"
    assert run("probe", "CP-404/1", "--profile", str(path)) == 1
    assert "404 Not Found" in capsys.readouterr().err
    assert not path.exists()


def test_the_built_in_sandbox_needs_no_account(capsys: Capture) -> None:
    assert run("probe", "CP-001/1", "--sandbox") == 0
    assert json.loads(capsys.readouterr().out)["profile"]["time_filter"] == "start"
