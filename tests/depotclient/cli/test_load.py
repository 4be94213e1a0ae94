"""The command `depotclient load`, as its user sees it."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import msgspec
import pytest

from depotclient.cli.app import app
from depotclient.cli.load import choose_target
from depotclient.sandbox import DepotSandbox, Fault
from tests.support.commands import Command, Terminal, signal_when

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("adbc_driver_manager")

OpenDepot = Callable[..., DepotSandbox]
Capture = pytest.CaptureFixture[str]

SINCE = ("--from", "2026-01-01")
JANUARY = (*SINCE, "--to", "2026-02-01")
PASSWORD = "s3cret/of the+database"
ADDRESS = "postgresql://loader:s3cret%2Fof%20the%2Bdatabase@db.example/depot"
COMMAND = Command(app, "depotclient")
run = COMMAND.run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty working folder."""
    monkeypatch.delenv("DEPOT_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def value_of(query: str, database: str = "depot.duckdb") -> object:
    with duckdb.connect(database, read_only=True) as connection:
        (row,) = connection.sql(query).fetchall()
        return row[0]


def test_a_later_run_writes_only_what_is_new_or_has_changed(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run("load", "depot.duckdb", "CP-1/1", *JANUARY) == 0
    result = msgspec.json.decode(capsys.readouterr().out)
    assert result.pop("bytes_read") > 12_000
    assert result == {
        "charger_id": "CP-1",
        "connector_id": "1",
        "reports": 12,
        "new": 12,
        "changed": 0,
        "unchanged": 0,
        "moved": [],
        "vanished": [],
        "strays": [],
        "unknown_fields": {},
        "error": None,
    }
    depot.correct("CP-1", "1", depot.session_ids("CP-1", "1")[3], vehicle_id="V-9")
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("load", "depot.duckdb", "CP-1/1", *JANUARY, "--lag", "366d") == 0
    heads, _, row = (line.split() for line in screen.text.splitlines())
    assert heads == ["Connector", "New", "Changed", "Unchanged", "MB", "read"]
    assert [*row[:4], row[-1]] == ["CP-1/1", "0", "1", "11", "complete"]
    assert value_of("select count(*) from sessions where vehicle_id = 'V-9'") == 1


def test_the_options_choose_the_rows_and_the_schema(depot: DepotSandbox, capsys: Capture) -> None:
    options = ("--no-events", "--schema", "night", "--accept-deletions")
    assert run("load", "depot.duckdb", "CP-1/1", *SINCE, *options) == 0
    depot.remove("CP-1", "1", depot.session_ids("CP-1", "1")[3])
    assert run("load", "depot.duckdb", "CP-1/1", *SINCE, *options, "--lag", "366d") == 0
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"1 session no longer on the server, and removed: \d+ at CP-1/1", lines[-1])
    assert value_of("select count(*) from night.session_reports") == 11
    assert value_of("select count(*) from night.meter_values") == 0


@pytest.mark.parametrize("variable", [None, "", "depot.duckdb"])
def test_the_database_is_an_argument_or_comes_from_the_environment(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    if variable is not None:
        monkeypatch.setenv("DEPOT_DATABASE_URL", variable)
    target = [] if variable else ["depot.duckdb"]
    assert run("load", *target, "CP-1/1", "CP-1/2", *JANUARY) == 0
    assert value_of("select count(*) from sessions") == 24


@pytest.mark.parametrize(
    ("arguments", "url", "expected"),
    [
        (["a.duckdb", "CP-1/1"], None, ("a.duckdb", ["CP-1/1"])),
        (["a.duckdb"], None, ("a.duckdb", [])),
        (["depot"], None, ("depot", [])),
        (["data/a.db", "CP-1/1"], None, ("data/a.db", ["CP-1/1"])),
        (["./CP-1/1", "CP-1/1"], None, ("./CP-1/1", ["CP-1/1"])),
        (["sqlite:///a.db"], None, ("a.db", [])),
        (["CP-1/1", "CP-1/2"], "a.duckdb", ("a.duckdb", ["CP-1/1", "CP-1/2"])),
        ([], ADDRESS, ("postgresql://loader@db.example/depot", [])),
    ],
)
def test_a_connector_and_a_database_are_told_apart(
    arguments: list[str], url: str | None, expected: tuple[str, list[str]]
) -> None:
    from depotclient.database import parse_target

    target, connectors = choose_target(arguments, parse_target(url) if url else None)
    assert (target.name, connectors) == expected


@pytest.mark.parametrize(
    ("arguments", "url", "message"),
    [
        ([], None, "no database: use depotclient load depot.duckdb CHARGER/CONNECTOR ..., or set"),
        (["CP-1/1"], None, "no database before CP-1/1: use depotclient load depot.duckdb CP-1/1"),
        (["CP-1/1", "sqlite:///a.db"], None, "TARGET must be one address before the connectors"),
        (["CP-1/1", ADDRESS], None, "PGPASSWORD"),
        ([ADDRESS, "CP-1/1"], None, "DEPOT_DATABASE_URL, the password into PGPASSWORD"),
        ([ADDRESS, "CP-1/1"], ADDRESS, "~/.pgpass"),
        (["a.duckdb", "CP-1/1"], ADDRESS, "or use env -u DEPOT_DATABASE_URL depotclient load a.d"),
        (["CP-1", "1"], ADDRESS, "such as CP-001/1; did you mean CP-1/1?"),
        (["depot"], ADDRESS, "expected CHARGER/CONNECTOR, such as CP-001/1, got 'depot'"),
        (["mysql://db.example/depot", "CP-1/1"], None, "TARGET has the scheme mysql://"),
        (["CP-1/1"], "mysql://loader:s3cret@db", "DEPOT_DATABASE_URL has the scheme mysql://"),
        (["a.duckdb", "CP-1/1", "--lag", "nan"], None, "--lag must be a duration"),
        (
            ["a.duckdb", "CP-1/1", "--to", "2025-01-01"],
            None,
            "--from 2026-01-01T00:00:00+00:00 mus",
        ),
        (["sqlite:///a.db", "CP-1/1", "--schema", "x"], None, "sqlite has no schemas"),
        (["a.duckdb"], None, "no connector: add one, such as CP-001/1, or --connectors FILE"),
    ],
)
def test_an_unclear_argument_exits_with_2_before_any_request(
    depot: DepotSandbox,
    folder: Path,
    arguments: list[str],
    url: str | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    if url is not None:
        monkeypatch.setenv("DEPOT_DATABASE_URL", url)
    assert run("load", *arguments, *SINCE) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert "s3cret" not in out + err
    assert (depot.requests, [*folder.iterdir()]) == ([], [])


def test_a_signal_leaves_complete_sessions_and_the_command_says_how_to_continue(
    open_depot: OpenDepot, capsys: Capture
) -> None:
    # The faults keep the command from ending before the signal.
    stall = [Fault.stall(60)]
    depot = open_depot(max_limit=2, faults=(stall[0] if n > 2 and stall else None for n in count()))
    with signal_when(signal.SIGTERM, lambda: len(depot.requests) >= 3):
        assert run("load", "depot.duckdb", "CP-1/1", *JANUARY) == 143
    stopped, *lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"stopped after 0:00:\d\d: 0 of 1 connectors complete, \d+ new or changed, .*", stopped
    )
    assert lines == [
        "every session in depot.duckdb is complete; run the same command again to continue",
        "ended by SIGTERM",
    ]
    stall.clear()
    assert run("load", "depot.duckdb", "CP-1/1", *JANUARY) == 0
    assert value_of("select count(*) from sessions") == 12


def test_the_password_of_a_database_never_shows(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    address = ADDRESS.replace("db.example", "127.0.0.1:9")
    monkeypatch.setenv("DEPOT_DATABASE_URL", address)
    assert run("load", "CP-1/1", *JANUARY, "--verbose") == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: postgresql://loader@127.0.0.1:9/depot: ")
    for spelling in (PASSWORD, "s3cret"):
        assert spelling not in out + err
