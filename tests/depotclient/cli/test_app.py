"""The `depotclient` command, as its user sees it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from rich.console import Console
from stamina.instrumentation import set_on_retry_hooks

from depotclient import Cursor
from depotclient.cli.app import ReportHead, app, report_table
from depotclient.sandbox import DepotSandbox, Fault, ReportShape
from depotclient.text import parse_time
from tests.support.commands import Command, Servers, Terminal, in_shell, read_terminal

SETTINGS = ("TOKEN", "CLIENT_ID", "CLIENT_SECRET", "REGION", "BASE_URL", "TOKEN_URL")


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in SETTINGS:
        monkeypatch.delenv(f"DEPOT_{name}", raising=False)
    monkeypatch.setenv("TERM", "dumb")  # 80 columns and no colours
    yield
    set_on_retry_hooks(None)


OpenDepot = Callable[..., DepotSandbox]


@pytest.fixture
def open_depot(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenDepot]:
    """Starts sandboxes and has the environment point at the one started last."""
    with ExitStack() as running:
        servers = Servers(monkeypatch, running)

        def start(**settings: object) -> DepotSandbox:
            given = {"sessions": 25, "shape": ReportShape.small(), "chargers": {"CP-1": ["1"]}}
            return servers.start(DepotSandbox(**(given | settings)))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def depot(open_depot: OpenDepot) -> DepotSandbox:
    return open_depot()


COMMAND = Command(app, "depotclient")
run, started, completed = COMMAND.run, COMMAND.started, COMMAND.completed


def lines_of(out: bytes) -> list[bytes]:
    assert not out or out.endswith(b"\n")
    return out.splitlines()


def test_a_pipe_gets_the_vendors_own_reports_one_a_line(depot: DepotSandbox) -> None:
    status, out, err = completed("reports", "CP-1", "1")
    assert (status, err) == (0, b"")
    assert lines_of(out) == depot.reports("CP-1", "1")


def test_a_report_that_spans_lines_comes_on_one(
    depot: DepotSandbox, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    depot.insert(
        "CP-1", "1", b'{\r\n "sessionId": 7,\n "sessionTimeStart": "2025-01-01T00:00:00Z"}'
    )
    assert run("reports", "CP-1", "1") == 0
    assert lines_of(capsysbinary.readouterr().out)[0] == (
        b'{"sessionId":7,"sessionTimeStart":"2025-01-01T00:00:00Z"}'
    )


def test_a_name_with_a_lone_surrogate_is_printed_unchanged(
    depot: DepotSandbox, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    depot.insert("CP-1", "1", b'{"sessionId": 7,\n "vehicleId": "BUS-\\ud83d"}')
    assert run("reports", "CP-1", "1") == 0
    assert lines_of(capsysbinary.readouterr().out)[-1] == (
        b'{"sessionId": 7,  "vehicleId": "BUS-\\ud83d"}'
    )


def test_the_embedded_sandbox_needs_no_account(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run("reports", "CP-002", "1", "--sandbox", "--from", "2026-01-06") == 0
    captured = capsysbinary.readouterr()
    truth = [
        report
        for report in DepotSandbox().reports("CP-002", "1")
        if msgspec.json.decode(report)["sessionTimeStart"] >= "2026-01-06"
    ]
    assert truth
    assert (lines_of(captured.out), captured.err) == (truth, b"")


def test_a_terminal_gets_a_table(
    open_depot: OpenDepot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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


def test_json_can_be_had_on_a_terminal(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("reports", "CP-1", "1", "--json") == 0
    assert screen.bytes.getvalue().splitlines() == depot.reports("CP-1", 1)


def test_a_terminal_is_told_that_there_is_nothing(
    open_depot: OpenDepot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_depot(sessions=0)
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("reports", "CP-1", "1") == 0
    assert (screen.text, capsys.readouterr().err) == ("", "no session reports\n")


def test_window_and_limit_are_sent_as_they_are_meant(depot: DepotSandbox) -> None:
    window = ("--from", "2026-01-01T02:00:00+01:00", "--to", "2026-01-02")
    assert run("reports", "CP-1", "1", *window, "--limit", "7") == 0
    query = depot.requests[0].query
    assert query["from"] == "2026-01-01T01:00:00.000Z"
    assert query["to"] == "2026-01-02T00:00:00.000Z"
    assert query["limit"] == "7"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T18:00", datetime(2026, 1, 31, 18, tzinfo=UTC)),
        ("2026-01-31 18:00:00.5Z", datetime(2026, 1, 31, 18, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31T18:00:00-02:30", datetime(2026, 1, 31, 20, 30, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_utc(text: str, time: datetime) -> None:
    read = parse_time("--to", text)
    assert read == time
    assert read is not None
    assert read.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--from", "yesterday"),
        ("--from", "0001-01-01T00:00:00+14:00"),
        ("--to", "2026-13-01"),
        ("--from", "2026-01-02", "--to", "2026-01-02"),
        ("--limit", "0"),
        ("--limit", "many"),
        ("--resume", "evc2.garbled"),
        ("--resume", "evc1.older"),
        ("--resume", str(Cursor(query={"chargerId": "other"}, limit=10))),
        ("--colour",),
        ("--token", "t"),
    ],
)
def test_wrong_usage_is_status_2_before_anything_is_asked(
    depot: DepotSandbox, wrong: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("reports", "CP-1", "1", *wrong) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error: " in captured.err.lower()
    assert "Traceback" not in captured.err
    assert depot.requests == []


def test_missing_credentials_are_wrong_usage() -> None:
    status, out, err = completed("reports", "CP-1", "1")
    assert (status, out) == (2, b"")
    assert err.startswith(b"error: no credentials: set DEPOT_TOKEN")
    assert err.count(b"\n") == 1


def test_an_unknown_charger_is_one_line_on_stderr() -> None:
    status, out, err = completed("reports", "CP-9", "1", "--sandbox")
    assert (status, out) == (1, b"")
    assert err.startswith(b"error: ")
    assert b"404" in err
    assert err.count(b"\n") == 1


def test_a_walk_that_breaks_off_can_be_continued(
    open_depot: OpenDepot, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    depot = open_depot(faults=[None, None, Fault.status(404)])
    assert run("reports", "CP-1", "1", "--limit", "10") == 1
    first = capsysbinary.readouterr()
    error, way_on = first.err.decode().splitlines()
    assert error.startswith("error: the server answered 404")
    words, cursor = way_on.rsplit(" ", 1)
    assert words == "continue with: --resume"
    assert run("reports", "CP-1", "1", "--limit", "10", "--resume", cursor) == 0
    second = capsysbinary.readouterr()
    assert lines_of(first.out) + lines_of(second.out) == depot.reports("CP-1", 1)


def test_a_table_shows_what_came_before_a_report_that_cannot_be_read(
    depot: DepotSandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, *_ = map(msgspec.json.decode, depot.reports("CP-1", 1))
    between = datetime.fromisoformat(second["sessionTimeStart"]) - timedelta(milliseconds=1)
    bad = {"sessionId": 7, "vehicleId": 5, "sessionTimeStart": between}
    depot.insert("CP-1", 1, msgspec.json.encode(bad))
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("reports", "CP-1", "1") == 1
    rows = screen.text.splitlines()[2:]
    assert [row.split()[0] for row in rows] == [str(first["sessionId"])]
    error, way_on = capsys.readouterr().err.splitlines()
    assert error == "error: $.items[1].vehicleId: expected str, got int"
    words, cursor = way_on.rsplit(" ", 1)
    assert words == "continue with: --resume"
    status, out, _ = completed("reports", "CP-1", "1", "--resume", cursor)
    assert (status, lines_of(out)) == (0, depot.reports("CP-1", 1)[1:])


def test_retries_are_silent(
    open_depot: OpenDepot, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    depot = open_depot(faults=[Fault.status(503)])
    assert run("reports", "CP-1", "1") == 0
    captured = capsysbinary.readouterr()
    assert (lines_of(captured.out), captured.err) == (depot.reports("CP-1", 1), b"")


def test_a_reader_that_leaves_early_is_no_error(open_depot: OpenDepot) -> None:
    open_depot(shape=None)
    with started("reports", "CP-1", "1") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"sessionId"')
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_ctrl_c_ends_a_walk_that_waits_for_its_reader(
    open_depot: OpenDepot, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    open_depot(shape=None)
    with started("reports", "CP-1", "1") as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"{"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b"interrupted\n"


def head(**fields: object) -> ReportHead:
    day = datetime(2026, 1, 31, 23, 50, tzinfo=UTC)
    given = {
        "session_id": 100000001,
        "vehicle_id": "BUS-001",
        "session_time_start": day,
        "session_time_end": day + timedelta(hours=25, minutes=9, seconds=59),
        "energy_charge_start": 1_000_000.0,
        "energy_charge_end": 1_123_456.0,
        "energy_soc_start": 20.4,
        "energy_soc_end": 100.0,
    }
    return ReportHead(**(given | fields))  # type: ignore[arg-type]


def rendered(*heads: ReportHead, width: int = 80) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=width).print(report_table(heads, width, header=False))
    return screen.getvalue().splitlines()


def test_a_session_is_one_row_of_eighty_columns() -> None:
    assert rendered(head()) == [
        "100000001  BUS-001    2026-01-31 23:50 2026-02-02 00:59  25:09   123.5 20 -> 100"
    ]


def test_a_wider_terminal_has_room_for_a_long_vehicle_id() -> None:
    (row,) = rendered(head(vehicle_id="WDB9634031L123456"), width=120)
    assert "  WDB9634031L123456  " in row


def test_what_a_report_lacks_is_a_dash() -> None:
    (row,) = rendered(ReportHead(session_id=1))
    assert row.split() == ["1", "-", "-", "-", "-", "-", "?", "->", "?"]


def test_a_session_that_ends_before_it_starts_is_shown_as_it_is() -> None:
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    (row,) = rendered(
        head(session_time_start=start, session_time_end=start - timedelta(minutes=61))
    )
    assert "-1:01" in row.split()


def test_a_long_id_is_folded_and_never_cut() -> None:
    first, second = rendered(head(vehicle_id="WDB9634031L123456"))
    assert first.split()[1] + second.strip() == "WDB9634031L123456"


def test_markup_and_control_characters_of_the_server_stay_text() -> None:
    assert rendered(head(vehicle_id="[red]\x1b[2J")) == [
        "100000001  [red]\\x1b[ 2026-01-31 23:50 2026-02-02 00:59  25:09   123.5 20 -> 100",
        "           2J" + " " * 67,
    ]


def test_a_real_terminal_gets_table_and_progress(depot: DepotSandbox) -> None:
    status, shown = read_terminal(
        "depotclient", ("reports", "CP-1", "1"), os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    )
    assert status == 0
    assert "Session" in shown
    assert all(str(session_id) in shown for session_id in depot.session_ids("CP-1", 1))
    assert "0 reports" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is shown again"


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
        (signal.SIGQUIT, 131, "ended by SIGQUIT"),
    ],
)
def test_a_signal_leaves_the_terminal_with_a_visible_cursor(
    open_depot: OpenDepot, number: int, status: int, message: str
) -> None:
    open_depot(latency=60)
    ended, shown = read_terminal(
        "depotclient",
        ("reports", "CP-1", "1"),
        os.environ | {"TERM": "xterm", "COLUMNS": "80"},
        ("0 reports", number),
    )
    assert ended == status
    assert shown.endswith(f"{message}\r\n")
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is shown again"
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("line", "status", "out", "err"),
    [
        ("--help >/dev/full", 1, "", "error: standard output can't be written: No space"),
        ("reports CP-1 1 >&-", 1, "", "error: standard output is closed: use >/dev/null to"),
        ("reports CP-1 2>&-", 2, "", ""),
        ("reports CP-9 1 2>/dev/full", 1, "", ""),
    ],
)
def test_an_unwritable_stream_gives_a_message_and_a_status(
    depot: DepotSandbox, line: str, status: int, out: str, err: str
) -> None:
    ended, *shown = in_shell("depotclient", line)
    assert ended == status
    for text, expected in zip(shown, (out, err), strict=True):
        assert text.startswith(expected)
        assert text.count("\n") == bool(expected)


def test_the_sandbox_tells_how_to_reach_it_and_ends_with_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with started("sandbox") as process:
        assert process.stdout is not None
        told = []
        while (line := process.stdout.readline().decode()) != "# running until Ctrl-C\n":
            assert line, "it ended early"
            told.append(line.rstrip("\n"))
        exports = [line.removeprefix("export ") for line in told if line.startswith("export ")]
        assert "# charger CP-001 with connectors 1, 2" in told
        for export in exports:
            name, value = export.split("=", 1)
            monkeypatch.setenv(name, value)
        assert run("reports", "CP-001", "2", "--to", "2026-01-02") == 0
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, b"", b"")


def test_a_port_that_is_taken_is_one_line(
    depot: DepotSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    port = depot.origin.rpartition(":")[2]
    assert run("sandbox", "--port", port) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_out_of_range_is_wrong_usage(port: str) -> None:
    assert run("sandbox", "--port", port) == 2


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_the_command_tells_how_to_install_it(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from depotclient.__main__ import main; main()"
    )
    done = python(code)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "depotclient needs the cli extra: pip install 'thor-depot-clients[cli]'\n"


def test_the_library_does_without_what_the_command_needs() -> None:
    code = (
        "import sys, depotclient, depotclient.__main__\n"
        "assert not {'typer', 'rich', 'click'} & sys.modules.keys()"
    )
    assert python(code).stderr == ""


def test_the_command_is_called_by_its_name() -> None:
    status, out, _ = completed("--help")
    assert status == 0
    assert b"Usage: depotclient [OPTIONS] COMMAND" in out
