"""The command `depotclient reports`, as its user sees it."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
import msgspec
import pytest
from rich.console import Console

from depotclient import Cursor
from depotclient.cli.app import app
from depotclient.cli.reports import ReportSummary, report_table
from depotclient.sandbox import DepotSandbox, Fault
from tests.support.commands import Command, Terminal

OpenDepot = Callable[..., DepotSandbox]
BytesCapture = pytest.CaptureFixture[bytes]
Capture = pytest.CaptureFixture[str]

COMMAND = Command(app, "depotclient")
run = COMMAND.run


def test_a_pipe_gets_the_vendors_own_reports_one_a_line(
    depot: DepotSandbox, capsysbinary: BytesCapture
) -> None:
    assert run("reports", "CP-1", "1") == 0
    out, err = capsysbinary.readouterr()
    assert (out.splitlines(), err) == (depot.reports("CP-1", "1"), b"")
    assert out.endswith(b"\n")


def test_the_built_in_sandbox_needs_no_account(capsysbinary: BytesCapture) -> None:
    assert run("reports", "CP-002", "1", "--sandbox", "--from", "2026-01-06") == 0
    expected = [
        report
        for report in DepotSandbox().reports("CP-002", "1")
        if msgspec.json.decode(report)["sessionTimeStart"] >= "2026-01-06"
    ]
    assert expected
    out, err = capsysbinary.readouterr()
    assert (out.splitlines(), err) == (expected, b"")


def test_a_terminal_gets_a_table(
    open_depot: OpenDepot, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    depot = open_depot(sessions=25)
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("reports", "CP-1", "1") == 0
    heading, rule, *rows = screen.text.splitlines()
    assert heading.split("  ")[0] == "Session"
    assert heading.endswith("h:min     kWh     SoC %")
    assert set(rule) == {"─"}
    assert [int(row.split()[0]) for row in rows] == depot.session_ids("CP-1", 1)
    assert max(map(len, (heading, rule, *rows))) == 80
    assert capsys.readouterr().err == ""


def test_an_empty_table_is_reported_on_stderr(
    open_depot: OpenDepot, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    open_depot(sessions=0)
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("reports", "CP-1", "1") == 0
    assert (screen.text, capsys.readouterr().err) == ("", "no session reports\n")
    assert run("reports", "CP-1", "1", "--json") == 0
    assert (screen.text, capsys.readouterr().err) == ("", "")


def test_window_and_limit_are_sent(depot: DepotSandbox) -> None:
    window = ("--from", "2026-01-01T02:00:00+01:00", "--to", "2026-01-02")
    assert run("reports", "CP-1", "1", *window, "--limit", "7") == 0
    query = depot.requests[0].query
    assert query["from"] == "2026-01-01T01:00:00.000Z"
    assert query["to"] == "2026-01-02T00:00:00.000Z"
    assert query["limit"] == "7"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--from", "yesterday"), "Invalid value for '--from': value must be a date or time"),
        (("--to", "2026-13-01"), "Invalid value for '--to'"),
        (("--from", "2026-01-02", "--to", "2026-01-02"), "error: "),
        (("--limit", "0"), "Invalid value for '--limit'"),
        (("--resume", "evc2.garbled"), "error: "),
        (("--resume", str(Cursor(query={"chargerId": "other"}, limit=10))), "error: "),
        (("--token", "t"), "No such option: --token"),
    ],
)
def test_a_wrong_argument_exits_with_2_before_any_request(
    depot: DepotSandbox, wrong: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert run("reports", "CP-1", "1", *wrong) == 2
    out, err = capsys.readouterr()
    assert (out, depot.requests) == ("", [])
    assert message in err


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (("CP-1", "1"), 2, "error: no credentials: set DEPOT_TOKEN"),
        (("CP-9", "1", "--sandbox"), 1, "error: the server responded with 404"),
    ],
)
def test_a_failure_is_one_line_on_stderr(
    argv: tuple[str, ...], status: int, message: str, capsys: Capture
) -> None:
    assert run("reports", *argv) == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(message)


def cursor_in(err: str) -> str:
    """Return the cursor in the second and last line."""
    _, line = err.splitlines()
    advice, cursor = line.rsplit(" ", 1)
    assert advice == "continue with: --resume"
    return cursor


def test_a_failed_walk_can_be_resumed(open_depot: OpenDepot, capsysbinary: BytesCapture) -> None:
    depot = open_depot(sessions=25, faults=[None, None, Fault.status(404)])
    assert run("reports", "CP-1", "1", "--limit", "10") == 1
    first = capsysbinary.readouterr()
    assert first.err.startswith(b"error: the server responded with 404")
    cursor = cursor_in(first.err.decode())
    assert run("reports", "CP-1", "1", "--limit", "10", "--resume", cursor) == 0
    second = capsysbinary.readouterr()
    assert (first.out + second.out).splitlines() == depot.reports("CP-1", 1)


def test_a_table_shows_the_reports_before_an_invalid_one(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    first, second, *_ = map(msgspec.json.decode, depot.reports("CP-1", 1))
    between = datetime.fromisoformat(second["sessionTimeStart"]) - timedelta(milliseconds=1)
    invalid = {"sessionId": 7, "vehicleId": 5, "sessionTimeStart": between}
    depot.insert("CP-1", 1, msgspec.json.encode(invalid))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", screen := Terminal())
        assert run("reports", "CP-1", "1") == 1
    assert [row.split()[0] for row in screen.text.splitlines()[2:]] == [str(first["sessionId"])]
    err = capsys.readouterr().err
    assert err.startswith("error: $.items[1].vehicleId: expected str, got int\n")
    assert run("reports", "CP-1", "1", "--resume", cursor_in(err)) == 0
    out = capsys.readouterr().out.encode()
    assert out.splitlines() == depot.reports("CP-1", 1)[1:]


TIMES = "2026-01-31 23:50  2026-02-02 00:59"
START = datetime(2026, 1, 31, 23, 50, tzinfo=UTC)
SUMMARY = ReportSummary(
    session_id=100000001,
    vehicle_id="BUS-001",
    session_time_start=START,
    session_time_end=START + timedelta(hours=25, minutes=9, seconds=59),
    energy_charge_start=1_000_000.0,
    energy_charge_end=1_123_456.0,
    energy_soc_start=20.4,
    energy_soc_end=100.0,
)


def render(row: ReportSummary, width: int = 80) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=width).print(report_table([row], width, header=False))
    return screen.getvalue().splitlines()


@pytest.mark.parametrize(
    ("vehicle_id", "width", "lines"),
    [
        (
            "BUS-001",
            80,
            ["100000001  BUS-001    2026-01-31 23:50 2026-02-02 00:59  25:09   123.5 20 -> 100"],
        ),
        # Long ids are folded. Markup and control characters are text.
        (
            "[red]\x1b[2J",
            80,
            [
                "100000001  [red]\\u001 2026-01-31 23:50 2026-02-02 00:59  25:09   123.5 20 -> 100",
                "           b[2J" + " " * 65,
            ],
        ),
        (
            "WDB9634031L123456",
            120,
            [f"100000001     WDB9634031L123456     {TIMES}   25:09    123.5   20 -> 100"],
        ),
    ],
)
def test_a_report_is_one_row(vehicle_id: str, width: int, lines: list[str]) -> None:
    assert render(attrs.evolve(SUMMARY, vehicle_id=vehicle_id), width) == lines


def test_a_missing_value_is_a_dash() -> None:
    (row,) = render(ReportSummary(session_id=1))
    assert row.split() == ["1", "-", "-", "-", "-", "-", "?", "->", "?"]


def test_a_negative_duration_has_a_sign() -> None:
    end = START - timedelta(minutes=61)
    (row,) = render(ReportSummary(1, session_time_start=START, session_time_end=end))
    assert "-1:01" in row.split()


# Processes.


def test_a_reader_may_leave_early(open_depot: OpenDepot) -> None:
    open_depot(shape=None)
    with COMMAND.started("reports", "CP-1", "1") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"sessionId"')
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_ctrl_c_ends_a_command_that_waits_for_its_reader(
    open_depot: OpenDepot, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    open_depot(shape=None)
    with COMMAND.started("reports", "CP-1", "1") as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"{"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b"interrupted\n"


def shows_cursor(output: str) -> bool:
    return output.rindex("\x1b[?25h") > output.rindex("\x1b[?25l")


def test_a_real_terminal_gets_table_and_progress(depot: DepotSandbox) -> None:
    status, output = COMMAND.on_terminal(("reports", "CP-1", "1"))
    assert status == 0
    assert "Session" in output
    assert all(str(session_id) in output for session_id in depot.session_ids("CP-1", 1))
    assert "0 reports" in output
    assert shows_cursor(output)


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGINT, 130, "interrupted"),
        pytest.param(signal.SIGTERM, 143, "ended by SIGTERM", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, "ended by SIGHUP", marks=pytest.mark.slow),
        pytest.param(signal.SIGQUIT, 131, "ended by SIGQUIT", marks=pytest.mark.slow),
    ],
)
def test_a_signal_leaves_the_terminal_with_a_visible_cursor(
    open_depot: OpenDepot, number: int, status: int, message: str
) -> None:
    open_depot(latency=60)
    ended, output = COMMAND.on_terminal(("reports", "CP-1", "1"), interrupt=("0 reports", number))
    assert ended == status
    assert output.endswith(f"{message}\r\n")
    assert shows_cursor(output)
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("line", "status", "err"),
    [
        ("--help >/dev/full", 1, "error: standard output can't be written: No space"),
        ("reports CP-1 1 >&-", 1, "error: standard output is closed: use >/dev/null to"),
        pytest.param("reports CP-1 2>&-", 2, "", marks=pytest.mark.slow),
        pytest.param("reports CP-9 1 2>/dev/full", 1, "", marks=pytest.mark.slow),
    ],
)
def test_an_unwritable_stream_gives_a_message_and_a_status(
    depot: DepotSandbox, line: str, status: int, err: str
) -> None:
    ended, output, messages = COMMAND.in_shell(line)
    assert (ended, output) == (status, "")
    assert messages.startswith(err)
    assert messages.count("\n") == bool(err)
