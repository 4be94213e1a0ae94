"""The command `depotclient follow`, as its user sees it."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest

from depotclient.cli.app import app
from depotclient.cli.follow import HEADER
from depotclient.sandbox import DepotSandbox, make_report, server
from tests.support.commands import Command, Terminal, signal_when

OpenDepot = Callable[..., DepotSandbox]
Capture = pytest.CaptureFixture[str]

SINCE = ("--since", "2026-01-01", "--every", "1s")
COMMAND = Command(app, "depotclient")
run = COMMAND.run


def ids_in(text: str) -> list[int]:
    """Return the session ids of NDJSON in the order of the ids."""
    lines = [msgspec.json.decode(line) for line in text.splitlines() if line]
    return sorted(line["report"]["sessionId"] for line in lines)


def add(depot: DepotSandbox, session_id: int) -> None:
    """Add a session that ended a minute ago."""
    end = datetime.now(UTC) - timedelta(minutes=1)
    report = make_report(
        session_id, session_time_start=end - timedelta(hours=1), session_time_end=end
    )
    depot.add("CP-1", "1", report)


def readings(depot: DepotSandbox, count: int) -> Callable[[], bool]:
    """Return a condition: from now on, a number of readings of CP-1 is over, and another began."""

    def begun() -> int:
        # Each reading ends at the time at which it began.
        return len({r.query["to"] for r in depot.requests if r.query["chargerId"] == "CP-1"})

    before = begun()
    return lambda: begun() > before + count


@pytest.mark.parametrize(
    ("number", "status", "end"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
    ],
)
def test_a_run_that_is_ended_continues_after_its_last_line(
    depot: DepotSandbox, tmp_path: Path, capsys: Capture, number: int, status: int, end: str
) -> None:
    state = str(tmp_path / "state")
    argv = ("follow", "CP-1/1", *SINCE, "--state", state)
    with signal_when(number, readings(depot, 1)):
        assert run(*argv) == status
    out, err = capsys.readouterr()
    assert ids_in(out) == depot.session_ids("CP-1", "1")
    *_, stopped, next_step, last = err.splitlines()
    assert re.fullmatch(r"stopped after 0:00:\d\d: 12 sessions shown", stopped)
    assert (next_step, last) == (f"{state} has them: run the same command again to continue", end)

    add(depot, 7)
    with signal_when(number, readings(depot, 1)):
        assert run(*argv) == status
    assert ids_in(capsys.readouterr().out) == [7]


def test_a_pipe_gets_the_connector_and_the_vendors_own_report(
    depot: DepotSandbox, capsys: Capture
) -> None:
    with signal_when(signal.SIGINT, readings(depot, 1)):
        assert run("follow", "CP-1/1", *SINCE) == 130
    out, err = capsys.readouterr()
    start = b'{"charger_id":"CP-1","connector_id":"1","is_new":true,"report":'
    expected = [start + report + b"}" for report in depot.reports("CP-1", "1")]
    assert out.encode().splitlines() == expected
    assert err.splitlines()[-2:] == [
        "without --state FILE, the next run starts again at --since",
        "interrupted",
    ]


def test_a_terminal_gets_one_line_a_session_of_at_most_80_columns(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    with signal_when(signal.SIGINT, readings(depot, 1)):
        assert run("follow", "CP-1/1", *SINCE) == 130
    header, *lines = screen.text.splitlines()
    assert header == HEADER
    assert [int(line.split()[3]) for line in lines] == depot.session_ids("CP-1", "1")
    assert {len(line) for line in (header, *lines)} == {len(HEADER)}
    assert len(HEADER) <= 72  # and a space and "changed"


def test_a_changed_session_is_shown_again_and_marked(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    changed = depot.session_ids("CP-1", "1")[-1]

    has_read = readings(depot, 1)

    def change() -> bool:
        if not has_read():
            return False
        depot.correct("CP-1", "1", changed, vehicle_id="V-9")
        return True

    with signal_when(signal.SIGINT, lambda: "V-9" in screen.text), signal_when(0, change):
        assert run("follow", "CP-1/1", *SINCE, "--changes", "--lag", "366d") == 130
    *_, last = screen.text.splitlines()
    assert re.fullmatch(rf"\S+ \S+ CP-1/1 +{changed} V-9 .* changed", last)


def test_a_connector_that_fails_is_one_line_on_stderr_and_the_others_go_on(
    depot: DepotSandbox, capsys: Capture
) -> None:
    with signal_when(signal.SIGINT, readings(depot, 2)):
        assert run("follow", "CP-404/1", "CP-1/1", *SINCE) == 130
    out, err = capsys.readouterr()
    assert ids_in(out) == depot.session_ids("CP-1", "1")
    failures = [line for line in err.splitlines() if line.startswith("error")]
    assert re.fullmatch(
        r"error: CP-404/1: GET sessionReports CP-404/1 page 1: 404 Not Found: .*;"
        r" next attempt at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC",
        failures[0],
    )


def test_the_built_in_sandbox_has_sessions_that_end_while_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "DepotSandbox", partial(DepotSandbox, live_interval=0.5))
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    with signal_when(signal.SIGINT, lambda: screen.text.count("CP-00") >= 2):
        assert run("follow", "--sandbox", "--every", "1s") == 130


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "no connector: add one, such as CP-001/1, or --connectors FILE"),
        (
            ("CP-1/1", "--every", "60"),
            "--every must be a time greater than 0, such as 30s or 5m, got '60'",
        ),
        (("CP-1/1", "--lag", "soon"), "--lag must be a duration such as 1d, 36h, 5m or 30s"),
        (("CP-1/1", "--since", "9999-01-01"), "--since "),
        (("CP-1/1", "--state", "not-a-state"), "not-a-state"),
    ],
)
def test_an_invalid_argument_exits_with_2_before_any_request(
    depot: DepotSandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: tuple[str, ...],
    message: str,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "not-a-state").write_text("{}")
    assert run("follow", *argv) == 2
    out, err = capsys.readouterr()
    assert (out, depot.requests) == ("", [])
    assert f"error: {message}" in err
    assert (tmp_path / "not-a-state").read_text() == "{}"


# Processes.


def test_a_reader_that_closes_the_pipe_ends_a_command_that_waits(
    open_depot: OpenDepot, tmp_path: Path
) -> None:
    depot = open_depot()
    argv = ("follow", "CP-1/1", "--since", "2026-01-01", "--every", "1h")
    with COMMAND.started(*argv, "--state", str(tmp_path / "state")) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in depot.session_ids("CP-1", "1")]
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert ids_in(b"".join(lines).decode()) == depot.session_ids("CP-1", "1")


def test_a_line_that_was_not_written_comes_again(open_depot: OpenDepot, tmp_path: Path) -> None:
    depot = open_depot(sessions=60, shape=None)
    argv = ("follow", "CP-1/1", *SINCE, "--state", str(tmp_path / "state"))
    with COMMAND.started(*argv) as process:
        assert process.stdout is not None
        found = process.stdout.readline()
        # The pipe can't hold another report, so that the command waits for its reader.
        process.send_signal(signal.SIGTERM)
        whole, _, _ = process.stdout.read().rpartition(b"\n")
        assert process.wait(60) == 143
    found += whole + b"\n"
    missing = {*depot.session_ids("CP-1", "1")} - {*ids_in(found.decode())}
    assert missing
    with COMMAND.started(*argv) as process:
        assert process.stdout is not None
        # The last line comes again too if the signal arrived before the request for the next item.
        for line in process.stdout:
            missing -= {*ids_in(line.decode())}
            if not missing:
                break
