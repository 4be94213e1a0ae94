"""The command `sandbox` of `depotclient`."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from depotclient.cli.app import app
from depotclient.profile import Profile
from depotclient.sandbox import DepotSandbox
from evtransport.testing.sandbox import Sandbox
from tests.support.commands import Command

COMMAND = Command(app, "depotclient")


def test_the_output_can_be_pasted_into_a_second_terminal() -> None:
    with COMMAND.started_sandbox("--live", "--client-secret", "it's $HOME") as output:
        first, *_, data, live, _, _ = output.splitlines()
        assert first == "# In a second terminal, paste these lines."
        places = "3 connectors from CP-001/1 to CP-002/1"
        assert data == f"# Data: {places}, with 60 sessions each since 2026-01-01."
        assert live == "# On each connector, another session ends every 10 seconds."
        status, reports, _ = COMMAND.in_shell("reports CP-001/2 --to 2026-01-02", before=output)
        assert (status, reports.count("\n") > 5) == (0, True)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[DepotSandbox]:
    """Sandboxes that commands start. They end at once."""
    sandboxes: list[DepotSandbox] = []

    async def start(sandbox: DepotSandbox) -> None:
        sandboxes.append(sandbox)
        raise OSError("the port is in use")

    monkeypatch.setattr(Sandbox, "start", start)
    return sandboxes


def test_the_options_are_the_settings_of_the_sandbox(started: list[DepotSandbox]) -> None:
    settings = {
        "port": 8123,
        "seed": 5,
        "chargers": 2,
        "sessions": 3,
        "latency": 0.25,
        "fault_rate": 0.5,
        "time_filter": "overlap",
        "max_limit": 10,
        "order": "descending",
        "compression": "gzip",
        "bytes_per_second": 1e6,
        "client_id": "id",
        "client_secret": "secret",
    }
    options = [
        word
        for name, value in settings.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    assert COMMAND.run("sandbox", "--live", *options) == 1
    [sandbox] = started
    arguments = {field.alias: field.name for field in attrs.fields(DepotSandbox)}
    found = {name: getattr(sandbox, arguments[name]) for name in (*settings, "live")}
    assert found == {**settings, "live": True}


def test_the_sandbox_behaves_as_a_profile_says_unless_an_option_is_given(
    started: list[DepotSandbox], tmp_path: Path
) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(Profile(order="descending", max_limit=20, latency=0.5).to_json())
    assert COMMAND.run("sandbox", "--profile", str(path), "--max-limit", "2000") == 1
    [sandbox] = started
    profile = sandbox.profile
    assert (profile.order, profile.max_limit, profile.latency) == ("descending", 2000, 0.5)


def test_a_profile_of_another_version_is_refused_before_the_server_starts(
    started: list[DepotSandbox], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(Profile().to_json().replace(b'"version": 1', b'"version": 2'))
    assert COMMAND.run("sandbox", "--profile", str(path)) == 2
    assert "the profile has version 2, but this release reads version 1" in capsys.readouterr().err
    assert started == []


@pytest.mark.parametrize(
    ("option", "value"),
    [("--fault-rate", "2"), ("--chargers", "0"), ("--time-filter", "middle"), ("--latency", "-1")],
)
def test_an_option_out_of_range_is_rejected_by_name(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMAND.run("sandbox", option, value) == 2
    assert option in capsys.readouterr().err
