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
from depotclient.cli.reports import report_table
from depotclient.cli.summary import ReportSummary
from depotclient.sandbox import DepotSandbox, Fault
from tests.support.commands import Command, Terminal

OpenDepot = Callable[..., DepotSandbox]
BytesCapture = pytest.CaptureFixture[bytes]
Capture = pytest.CaptureFixture[str]

COMMAND = Command(app, "depotclient")
run = COMMAND.run


def test_a_pipe_gets_the_vendors_own_reports_one_per_line(
    depot: DepotSandbox, capsysbinary: BytesCapture
) -> None:
    assert run("reports", "CP-1/1") == 0
    out, err = capsysbinary.readouterr()
    assert (out.splitlines(), err) == (depot.reports("CP-1", "1"), b"")
    assert out.endswith(b"\n")


def test_a_table_of_several_pages_has_one_header(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("reports", "CP-1/1", "--limit", "10") == 0
    heading, rule, *rows = screen.text.splitlines()
    assert heading.split("  ")[0] == "Session"
    assert heading.endswith("h:min     kWh     SoC %")
    assert set(rule) == {"─"}
    assert [int(row.split()[0]) for row in rows] == depot.session_ids("CP-1", 1)
    assert capsys.readouterr().err == ""


def test_an_empty_table_is_reported_on_stderr(
    open_depot: OpenDepot, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    open_depot(sessions=0)
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("reports", "CP-1/1") == 0
    assert (screen.text, capsys.readouterr().err) == ("", "no session reports\n")
    assert run("reports", "CP-1/1", "--json") == 0
    assert (screen.text, capsys.readouterr().err) == ("", "")


@pytest.mark.parametrize(
    ("sessions", "argv", "shown", "err"),
    [
        (50, (), 50, ""),
        (51, (), 50, "there are more than 50 reports: add --all, or use a pipe\n"),
        (51, ("--limit", "50"), 50, "there are more than 50 reports: add --all, or use a pipe\n"),
        (51, ("--all",), 51, ""),
        (51, ("--json",), 51, ""),
    ],
)
def test_a_terminal_shows_the_first_reports_of_a_long_history(
    open_depot: OpenDepot,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    sessions: int,
    argv: tuple[str, ...],
    shown: int,
    err: str,
) -> None:
    depot = open_depot(sessions=sessions)
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("reports", "CP-1/1", *argv) == 0
    ids = [str(session_id) for session_id in depot.session_ids("CP-1", 1)]
    lines = screen.text.splitlines()[0 if "--json" in argv else 2 :]
    assert len(lines) == shown
    assert all(name in line for name, line in zip(ids, lines, strict=False))
    assert capsys.readouterr().err == err


def test_window_and_limit_are_sent(depot: DepotSandbox) -> None:
    window = ("--from", "2026-01-01T02:00:00+01:00", "--to", "2026-01-02")
    assert run("reports", "CP-1/1", *window, "--limit", "7") == 0
    query = depot.requests[0].query
    assert query["from"] == "2026-01-01T01:00:00.000Z"
    assert query["to"] == "2026-01-02T00:00:00.000Z"
    assert query["limit"] == "7"


def test_a_margin_finds_the_sessions_that_start_in_the_span(
    depot: DepotSandbox, capsys: Capture
) -> None:
    first, second, *_ = map(msgspec.json.decode, depot.reports("CP-1", "1"))
    span = ("--from", first["sessionTimeStart"], "--to", second["sessionTimeStart"])
    assert run("reports", "CP-1/1", *span, "--margin", "2d") == 0
    out = capsys.readouterr().out
    assert [msgspec.json.decode(line)["sessionId"] for line in out.splitlines()] == [
        first["sessionId"]
    ]
    start = datetime.fromisoformat(first["sessionTimeStart"]) - timedelta(days=2)
    assert datetime.fromisoformat(depot.requests[0].query["from"]) == start


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--from", "yesterday"), "Invalid value for '--from': value must be a date or time"),
        (("--to", "2026-13-01"), "Invalid value for '--to'"),
        (
            ("--from", "2026-01-02", "--to", "2026-01-02"),
            "error: --from 2026-01-02T00:00:00+00:00 must be before --to 2026-01-02T00:00:00+00:00",
        ),
        (("--limit", "0"), "error: --limit must be an int from 1 to 2000, got 0"),
        (("--margin", "1d"), "error: --margin "),
        (("--margin", "soon"), "error: --margin must be a duration such as 1d, 36h, 5m or 30s"),
        (("CP-1/2",), "error: expected one CHARGER/CONNECTOR, got CP-1/1 CP-1/2"),
        (("--resume", str(Cursor(query={"chargerId": "other"}, limit=10))), "error: "),
        (("--token", "t"), "No such option: --token"),
    ],
)
def test_an_invalid_argument_exits_with_2_before_any_request(
    depot: DepotSandbox, wrong: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert run("reports", "CP-1/1", *wrong) == 2
    out, err = capsys.readouterr()
    assert (out, depot.requests) == ("", [])
    assert message in err


def test_missing_credentials_are_one_line_on_stderr(capsys: Capture) -> None:
    assert run("reports", "CP-1/1") == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: no credentials: set DEPOT_TOKEN")


def cursor_in(err: str) -> str:
    """Return the cursor in the second and last line."""
    _, line = err.splitlines()
    advice, cursor = line.rsplit(" ", 1)
    assert advice == "continue with: --resume"
    return cursor


def test_a_failed_walk_can_be_resumed(open_depot: OpenDepot, capsysbinary: BytesCapture) -> None:
    depot = open_depot(sessions=25, faults=[None, None, Fault.status(404)])
    assert run("reports", "CP-1/1", "--limit", "10") == 1
    first = capsysbinary.readouterr()
    assert first.err.startswith(b"error: GET sessionReports CP-1/1 page 3: 404 Not Found: ")
    cursor = cursor_in(first.err.decode())
    assert run("reports", "CP-1/1", "--limit", "10", "--resume", cursor) == 0
    second = capsysbinary.readouterr()
    assert (first.out + second.out).splitlines() == depot.reports("CP-1", 1)


def test_a_table_shows_the_reports_before_an_invalid_one(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    first, second, *_ = map(msgspec.json.decode, depot.reports("CP-1", 1))
    between = datetime.fromisoformat(second["sessionTimeStart"]) - timedelta(milliseconds=1)
    invalid = {"sessionId": 7, "vehicleId": 5, "sessionTimeStart": between}
    depot.add("CP-1", 1, msgspec.json.encode(invalid))
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("reports", "CP-1/1") == 1
    assert [row.split()[0] for row in screen.text.splitlines()[2:]] == [str(first["sessionId"])]
    err = capsys.readouterr().err
    problem = "$.items[1].vehicleId: expected str, got int"
    assert err.startswith(f"error: GET sessionReports CP-1/1 page 1: {problem}\n")
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("reports", "CP-1/1", "--json", "--resume", cursor_in(err)) == 0
    assert screen.text.encode().splitlines() == depot.reports("CP-1", 1)[1:]


START = datetime(2026, 1, 31, 23, 50, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
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


@pytest.mark.parametrize(
    ("report", "width", "lines"),
    [
        (
            SUMMARY,
            80,
            ["100000001 BUS-001 2026-01-31 23:50 2026-02-02 00:59 25:09 123.5 20 -> 100"],
        ),
        (
            attrs.evolve(SUMMARY, vehicle_id="WDB9634031L12", session_time_end=START - MINUTE * 61),
            120,
            ["100000001 WDB9634031L12 2026-01-31 23:50 2026-01-31 22:49 -1:01 123.5 20 -> 100"],
        ),
        # Long ids are folded. Markup and control characters are text.
        (ReportSummary(1, "[red]\x1b[2J"), 80, ["1 [red]\\u001 - - - - ? -> ?", "b[2J"]),
    ],
)
def test_a_report_is_one_row(report: ReportSummary, width: int, lines: list[str]) -> None:
    screen = io.StringIO()
    Console(file=screen, width=width).print(report_table([report], width, header=False))
    assert [" ".join(line.split()) for line in screen.getvalue().splitlines()] == lines


# Processes.


def test_a_reader_may_close_the_pipe_early(open_depot: OpenDepot) -> None:
    open_depot(shape=None)
    with COMMAND.started("reports", "CP-1/1") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"sessionId"')
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("latency", "interrupt", "status", "end"),
    [(0, None, 0, ""), (60, ("0 reports", signal.SIGINT), 130, "interrupted\r\n")],
)
def test_a_real_terminal_has_progress_and_a_visible_cursor_at_the_end(
    open_depot: OpenDepot,
    latency: int,
    interrupt: tuple[str, int] | None,
    status: int,
    end: str,
) -> None:
    depot = open_depot(latency=latency)
    ended, output = COMMAND.on_terminal(("reports", "CP-1/1"), interrupt=interrupt)
    assert ended == status
    assert output.endswith(end)
    assert "0 reports" in output
    shown = [str(session_id) in output for session_id in depot.session_ids("CP-1", 1)]
    assert all(shown) if status == 0 else not any(shown)
    assert output.rindex("\x1b[?25h") > output.rindex("\x1b[?25l")


@pytest.mark.parametrize(
    ("line", "err"),
    [
        ("--help >/dev/full", "error: can't write to standard output: No space"),
        ("reports CP-1/1 >&-", "error: standard output is closed: use >/dev/null to"),
    ],
)
@pytest.mark.usefixtures("depot")
def test_unwritable_output_gives_one_message(line: str, err: str) -> None:
    status, output, messages = COMMAND.in_shell(line)
    assert (status, output) == (1, "")
    assert messages.startswith(err)
    assert messages.count("\n") == 1
