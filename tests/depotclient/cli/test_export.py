"""`depotclient export` and `depotclient plot`, as their user sees them."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stamina.instrumentation import set_on_retry_hooks

from depotclient.cli.app import app
from depotclient.cli.export import next_steps, so_far, summary_json
from depotclient.cli.plot import read_session_line
from depotclient.export import ConnectorExport, Export
from depotclient.sandbox import DepotSandbox, ReportShape
from depotclient.text import read_connectors
from evtransport import (
    ApiError,
    AuthError,
    ConnectionFailed,
    DeadlineExceeded,
    DecodeError,
    NotFoundError,
    RateLimitedError,
    RedirectError,
    ResponseTooLarge,
    SchemaError,
    ServerError,
)
from tests.support.commands import Command, Servers, Terminal, in_shell, read_terminal

parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("matplotlib")

SINCE = ("--from", "2026-01-01")
JANUARY = (*SINCE, "--to", "2026-02-01")
COMMAND = Command(app, "depotclient")
run, started, completed = COMMAND.run, COMMAND.started, COMMAND.completed

OpenDepot = Callable[..., DepotSandbox]


@pytest.fixture
def open_depot(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenDepot]:
    """Starts sandboxes and has the environment point at the one started last."""
    monkeypatch.setenv("TERM", "dumb")  # 80 columns and no colours
    with ExitStack() as running:
        servers = Servers(monkeypatch, running)

        def start(**settings: object) -> DepotSandbox:
            given = {"sessions": 12, "shape": ReportShape.small(), "chargers": {"CP-1": ["1", "2"]}}
            return servers.start(DepotSandbox(**(given | settings)))  # type: ignore[arg-type]

        yield start
    set_on_retry_hooks(None)


@pytest.fixture
def depot(open_depot: OpenDepot) -> DepotSandbox:
    return open_depot()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def ids_in(folder: Path) -> list[int]:
    return sorted(
        session_id
        for file in folder.rglob("*.parquet")
        for session_id in parquet.ParquetFile(file).read()["session_id"].to_pylist()
    )


# Export.


@pytest.mark.parametrize(
    ("streams", "status", "lines", "messages"),
    [
        ("2>&-", 1, 2, 0),
        (">&-", 1, 0, 4),  # three on the connector that fails, one on the output
        (">/dev/full", 1, 0, 4),
    ],
)
def test_an_export_completes_even_if_its_output_cannot_be_written(
    depot: DepotSandbox, lake: Path, streams: str, status: int, lines: int, messages: int
) -> None:
    line = f"export {lake} CP-1/1 CP-9/1 {' '.join(JANUARY)} {streams}"
    ended, out, err = in_shell("depotclient", line)
    assert ended == status
    assert (len(out.splitlines()), len(err.splitlines())) == (lines, messages)
    assert err.startswith("error: CP-9/1: the server answered 404") is bool(messages)
    assert "Traceback" not in err
    assert ids_in(lake) == depot.session_ids("CP-1", "1")


def test_a_pipe_gets_one_json_object_for_each_connector(depot: DepotSandbox, lake: Path) -> None:
    status, out, err = completed("export", str(lake), "CP-1/1", "CP-1/2", *JANUARY)
    assert (status, err) == (0, b"")
    first, second = map(msgspec.json.decode, out.splitlines())
    assert first.pop("bytes_read") > 12_000
    assert first == {
        "charger_id": "CP-1",
        "connector_id": "1",
        "windows": 1,
        "written": 1,
        "skipped": 0,
        "missing": 0,
        "reports": 12,
        "error": None,
    }
    assert second["connector_id"] == "2"
    assert ids_in(lake) == sorted(depot.session_ids("CP-1", "1") + depot.session_ids("CP-1", "2"))


def test_a_terminal_gets_a_table(
    depot: DepotSandbox, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    assert run("export", str(lake), "CP-1/1", *JANUARY) == 0
    heading, _, row = screen.text.splitlines()
    names = ["Connector", "Written", "Skipped", "Failed", "Reports", "MB", "read"]
    assert heading.split() == names
    assert re.fullmatch(r"CP-1/1 +1 +0 +0 +12 +0\.\d +complete *", row)


def test_a_real_terminal_gets_a_bar_for_each_connector(open_depot: OpenDepot, lake: Path) -> None:
    open_depot(latency=0.3)
    status, shown = read_terminal(
        "depotclient",
        ("export", str(lake), "CP-1/1", "CP-1/2", *JANUARY),
        os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    assert status == 0
    for name in ("CP-1/1", "CP-1/2"):
        assert re.search(rf"{name} .*━.* \d+ reports +\d+\.\d MB/s +\d months? left", shown)
    assert "Traceback" not in shown


def test_a_sandbox_is_exported_whole_where_no_connector_is_named(lake: Path) -> None:
    status, out, _ = completed("export", str(lake), *JANUARY, "--sandbox", "--format", "ndjson")
    assert status == 0
    assert [msgspec.json.decode(line)["reports"] for line in out.splitlines()] == [60, 60, 60]
    assert len(list(lake.rglob("reports.ndjson"))) == 3


def test_connectors_can_be_read_from_standard_input(depot: DepotSandbox, lake: Path) -> None:
    line = f"export {lake} CP-1/1 --connectors - {' '.join(JANUARY)} --json"
    status, out, err = in_shell("depotclient", line, "ChargerID,ConnectorID\n\nCP-1,2\n")
    assert (status, err) == (0, "")
    assert [msgspec.json.decode(line)["connector_id"] for line in out.splitlines()] == ["1", "2"]
    status, out, err = in_shell("depotclient", f"{line.replace('CP-1/1', '')} <&-")
    assert (status, out) == (2, "")
    assert err.startswith("error: /dev/stdin names no connector")


@pytest.mark.parametrize(
    "text",
    [
        '"CP,1", 2\nCP/3,4\n',
        '\ufeffcharger_id,connector_id\n"CP,1",2\nCP/3,4',
        '\ufeffChargerID,ConnectorID\r\n"CP,1",2\r\n\r\nCP/3,4\r\n',
        '# depot north\n\n  # and\nCharge Point, Connector-Id\n"CP,1",2\n#CP-9,1\nCP/3,4\n',
        'chargeboxId,CONNECTOR\n"CP,1",2\ncharger,connector\nCP/3,4\n',
    ],
)
def test_a_list_of_connectors_may_have_comments_headers_and_quotes(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "connectors.csv"
    file.write_bytes(text.encode())
    assert read_connectors(file) == [("CP,1", "2"), ("CP/3", "4")]


@pytest.mark.parametrize(
    "connector",
    [
        ("#1", "2"),
        ("charger_1", "connector_1"),
        ("charger", "1"),
        ("CP-1", "connector"),
        ("🚌", "ß"),
    ],
)
def test_an_id_that_resembles_a_comment_or_a_header_is_an_id(
    tmp_path: Path, connector: tuple[str, str]
) -> None:
    file = tmp_path / "connectors.csv"
    file.write_bytes('"{}","{}"\n'.format(*connector).encode())
    assert read_connectors(file) == [connector]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"# none\n", r"connectors\.csv names no connector: its lines must be CHARGER,CONNECTOR"),
        (b"connector,charger\n1,CP-1\n", r"csv, line 1: the columns must be CHARGER,CONNECTOR"),
        (b"#\nCP-1;1\n", r"csv, line 2: a line is CHARGER,CONNECTOR, not 'CP-1;1'"),
        ("CP-1,1\n".encode("utf-16"), r"csv is not text in UTF-8: 'utf-8' codec can't decode"),
        (None, r"No such file or directory: '.*csv'"),
    ],
)
def test_a_list_without_connectors_is_reported_before_any_request(
    tmp_path: Path, data: bytes | None, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "connectors.csv"
    if data is not None:
        file.write_bytes(data)
    status = run("export", str(tmp_path / "lake"), "--connectors", str(file), *SINCE, "--sandbox")
    assert status == (1 if data is None else 2)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert re.search(message, line)


@pytest.mark.parametrize("line", ["CP-1", "CP-1,", "CP-1,1,2"])
def test_a_line_that_names_no_connector_is_shown_with_its_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "connectors.csv"
    file.write_text(f"CP-1,1\n{line}\n")
    with pytest.raises(ValueError, match=r"connectors\.csv, line 2: a line is CHARGER,CONNECTOR"):
        read_connectors(file)


def test_a_field_that_is_too_long_is_shown_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "connectors.csv"
    file.write_text(f"CP-1,1\n{'C' * 200_000},1\n")
    with pytest.raises(ValueError, match=r"connectors\.csv, line 2: field larger than"):
        read_connectors(file)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "--from is missing: the time at which to begin, such as 2026-01-01"),
        (SINCE, "name what to export, such as CP-001/1, or give --connectors FILE"),
        (("--from", "x", "CP-1/1"), "--from must be a date or time in ISO 8601"),
        (("CP-1", *SINCE), "a connector is named as CHARGER/CONNECTOR, such as CP-001/1: 'CP-1'"),
        (("CP-1/", *SINCE), "a connector is named as CHARGER/CONNECTOR"),
        (("CP-1/1", "--from", "2200-01-01"), "is in the future: there is nothing to export"),
        (("CP-1/1", *SINCE, "--window", "week"), "--window must be month or day, not 'week'"),
        (("CP-1/1", *SINCE, "--format", "csv"), "--format must be parquet or ndjson, not 'csv'"),
        (("CP-1/1", *SINCE, "--margin", "nan"), "--margin must be a number of days, such as 1"),
        (("CP-1/1", *SINCE, "--margin", "-1"), "margin must be from 0 to 366 days"),
        (("CP-1/1", "cp-1/1", *SINCE), "are one folder on a disk that ignores case"),
    ],
)
def test_a_wrong_argument_is_explained_and_nothing_made(
    depot: DepotSandbox,
    lake: Path,
    capfd: pytest.CaptureFixture[str],
    argv: tuple[str, ...],
    message: str,
) -> None:
    assert run("export", str(lake), *argv) == 2
    assert message in capfd.readouterr().err
    assert not lake.exists()


def test_a_connector_that_fails_shows_in_status_summary_and_on_stderr(
    depot: DepotSandbox, lake: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("export", str(lake), "CP-1/1", "CP-9/1", *JANUARY) == 1
    captured = capfd.readouterr()
    good, bad = map(msgspec.json.decode, captured.out.splitlines())
    assert (good["error"], good["reports"]) == (None, 12)
    assert bad["error"].startswith("the server answered 404")
    assert captured.err.splitlines() == [
        f"error: CP-9/1: {bad['error']}",
        "1 of 2 connectors not complete",
        "the same command fails again for CP-9/1: remove the cause of the error first",
    ]


AGAIN = "the same command again reads what is missing, and only that"
FIRST = "remove the cause of the error first"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (NotFoundError("", status=404), FIRST),
        (AuthError("", status=403), FIRST),
        (RedirectError("", status=302), FIRST),
        (SchemaError(("",)), FIRST),
        (ResponseTooLarge(), FIRST),
        (FileExistsError(), FIRST),
        (RateLimitedError("", status=429), AGAIN),
        (ServerError("", status=503), AGAIN),
        (ConnectionFailed(), AGAIN),
        (DeadlineExceeded(), AGAIN),
        (DecodeError(), AGAIN),
        (OSError(28, "No space left on device"), AGAIN),
    ],
)
def test_the_same_command_is_advised_only_where_it_may_succeed(
    error: ApiError | OSError, advice: str
) -> None:
    failed = ConnectorExport("CP-1", "1", 1, missing=1, error=error)
    done = ConnectorExport("CP-2", "1", 1, written=1)
    first, second = next_steps(Export((failed, done)))
    assert first == "1 of 2 connectors not complete"
    assert second.endswith(advice)
    assert list(next_steps(Export((done,)))) == []


def test_only_a_few_of_many_failed_connectors_are_named() -> None:
    unknown = [
        ConnectorExport(f"CP-{n}", "1", 1, missing=1, error=NotFoundError("", status=404))
        for n in range(7)
    ]
    later = ConnectorExport("CP-8", "1", 1, missing=1, error=ConnectionFailed())
    _, to_correct, retriable = next_steps(Export((*unknown, later)))
    names = "CP-0/1, CP-1/1, CP-2/1, CP-3/1, CP-4/1 and 2 more"
    assert to_correct == f"the same command fails again for {names}: {FIRST}"
    assert retriable == "the same command again reads what is missing for the others, and only that"


def test_a_folder_that_is_a_file_is_named(
    depot: DepotSandbox, lake: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lake.write_text("mine")
    assert run("export", str(lake), "CP-1/1", *SINCE) == 1
    assert capfd.readouterr().err == f"error: {lake} is a file: an export needs a folder\n"


def test_ctrl_c_leaves_whole_files_and_says_how_to_go_on(open_depot: OpenDepot, lake: Path) -> None:
    depot = open_depot(latency=0.05)
    with started("export", str(lake), "CP-1/1", "CP-1/2", *JANUARY, "--window", "day") as process:
        deadline = time.monotonic() + 60
        while len(depot.requests) < 20:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read().decode().splitlines() == [
            f"what is in {lake} is whole; the same command again goes on",
            "interrupted",
        ]
    assert list((lake / ".depotclient").iterdir()) == []
    before = {file: file.read_bytes() for file in lake.rglob("*.parquet")}
    assert before
    status, out, _ = completed("export", str(lake), "CP-1/1", "CP-1/2", *JANUARY, "--window", "day")
    assert status == 0
    assert sum(msgspec.json.decode(line)["skipped"] for line in out.splitlines()) == len(before)
    assert {file: file.read_bytes() for file in before} == before
    assert ids_in(lake) == sorted(depot.session_ids("CP-1", "1") + depot.session_ids("CP-1", "2"))


def test_progress_is_told_in_words() -> None:
    export = ConnectorExport("CP-1", "1", 12, written=10, skipped=1, reports=1234, bytes_read=10**7)
    assert so_far(export, 2.0, "month") == "  1,234 reports    5.0 MB/s    1 month left"
    assert so_far(ConnectorExport("a", "b", 2), 0.0, "day") == (
        "      0 reports    0.0 MB/s    2 days left"
    )


def test_the_summary_tells_the_reason_of_a_failure() -> None:
    export = ConnectorExport("CP-1", "1", 1, error=PermissionError(13, "Permission denied", "/x"))
    error = msgspec.json.decode(summary_json(export))["error"]
    assert error == "[Errno 13] Permission denied: '/x'"


def test_the_summary_is_json_even_if_the_name_of_the_folder_is_not_utf_8() -> None:
    export = ConnectorExport("CP-1", "1", 1, error=FileExistsError("lake-\udcff is in the way"))
    assert msgspec.json.decode(summary_json(export))["error"] == "lake-\\udcff is in the way"


# Plot.

PNG, SVG = b"\x89PNG\r\n\x1a\n", b"<?xml"


@pytest.mark.parametrize(("name", "magic"), [("session.png", PNG), ("session.svg", SVG)])
def test_the_first_session_of_a_connector_becomes_a_picture(
    depot: DepotSandbox, tmp_path: Path, name: str, magic: bytes
) -> None:
    picture = tmp_path / name
    status, out, err = completed("plot", str(picture), "CP-1/1")
    first = depot.session_ids("CP-1", "1")[0]
    assert (status, out.decode(), err) == (0, f"session {first}: {picture}\n", b"")
    assert picture.read_bytes().startswith(magic)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_session_is_the_same_from_the_api_and_from_exported_files(
    depot: DepotSandbox, lake: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wanted = depot.session_ids("CP-1", "1")[7]
    sources = [["CP-1/1", *JANUARY]]
    for format_ in ("parquet", "ndjson"):
        assert run("export", str(lake), "CP-1/1", *JANUARY, "--format", format_) == 0
        (file,) = lake.rglob(f"reports.{format_}")
        sources.append(["--file", str(file)])
    pictures = []
    for n, source in enumerate(sources):
        picture = tmp_path / f"{n}.svg"
        assert run("plot", str(picture), *source, "--session", str(wanted)) == 0
        pictures.append(picture.read_bytes())
    assert pictures[0] == pictures[1] == pictures[2]
    assert capfd.readouterr().err == ""


def test_a_sandbox_has_a_session_to_show(tmp_path: Path) -> None:
    status, out, _ = completed("plot", str(tmp_path / "a.png"), "--sandbox")
    assert status == 0
    assert out.startswith(b"session ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("a.pdf", "CP-1/1"), "the picture's file must end in .png or .svg, not 'a.pdf'"),
        (("none/a.png", "CP-1/1"), "there is no folder"),
        (("/proc/a.png", "CP-1/1"), "No such file or directory: '/proc/a.png'"),
        (("a.png",), "name a connector, such as CP-001/1, or give --file"),
        (("a.png", "CP-1"), "a connector is named as CHARGER/CONNECTOR"),
        (("a.png", "CP-1/1", "--session", "7"), "there is no session 7 of CP-1/1 (12 others, "),
        (("a.png", "CP-1/1", "--to", "2020-01-01"), "there is no session of CP-1/1 (none at all)"),
        (("a.png", "CP-1/1", "--file", "x.ndjson"), "--file goes without a connector"),
        (("a.png", "--file", "x.csv"), "--file must be .parquet or .ndjson, not 'x.csv'"),
        (("a.png", "--file", "x.ndjson"), "No such file or directory: 'x.ndjson'"),
        (("a.png", "--file", "x.parquet"), "No such file or directory"),
    ],
)
def test_what_can_not_be_drawn_is_explained(
    depot: DepotSandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    argv: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("plot", *argv) in {1, 2}
    assert message in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_name_is_not_the_current_folder(
    depot: DepotSandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("export", "", "CP-1/1", *SINCE) == 2  # as of an unset "$LAKE"
    assert capfd.readouterr().err == "error: folder must be a path, such as 'lake' or '.', got ''\n"
    assert list(tmp_path.iterdir()) == []
    assert depot.requests == []


def test_a_pipe_is_refused_as_a_parquet_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pipe.parquet"
    os.mkfifo(file)
    assert run("plot", str(tmp_path / "a.png"), "--file", str(file)) == 2
    assert (
        "is no Parquet file of session reports: it is not a regular file" in capfd.readouterr().err
    )


def test_files_without_session_reports_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import pyarrow as pa

    no_parquet, other = tmp_path / "no.parquet", tmp_path / "other.parquet"
    no_parquet.write_bytes(b"text")
    parquet.write_table(pa.table({"a": [1]}), other)
    for file, message in ((no_parquet, "is no Parquet file"), (other, "no column session_id")):
        assert run("plot", str(tmp_path / "a.png"), "--file", str(file)) == 2
        assert message in capfd.readouterr().err


def test_columns_of_other_types_are_refused_with_the_name_of_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import pyarrow as pa

    from depotclient.arrow import SESSION_REPORTS

    row = dict.fromkeys(SESSION_REPORTS.names) | {"session_id": 1}
    good = pa.Table.from_pylist([row], SESSION_REPORTS)
    odd: dict[str, Any] = {"ocpp_status": pa.array([5]), "session_time_start": pa.array(["soon"])}
    for name, column in odd.items():
        file = tmp_path / f"{name}.parquet"
        place = SESSION_REPORTS.get_field_index(name)
        parquet.write_table(good.set_column(place, name, column), file)
        assert run("plot", str(tmp_path / "a.png"), "--file", str(file)) == 2
        shown = capfd.readouterr().err
        assert shown.startswith(f"error: {file} is no Parquet file of session reports: ")
        assert "Traceback" not in shown
    file = tmp_path / "nulls.parquet"
    parquet.write_table(good, file)
    assert run("plot", str(tmp_path / "a.png"), "--file", str(file)) == 0


def test_a_line_that_is_no_report_is_named(tmp_path: Path) -> None:
    file = tmp_path / "reports.ndjson"
    file.write_text('{"sessionId": 1, "sessionTimeStart": "2026-01-01T00:00:00Z"}\n{"a": 1}\n')
    report, ids = read_session_line(file, 1)
    assert report is not None
    assert (report.session_time_start, ids) == (datetime(2026, 1, 1, tzinfo=UTC), [])
    with pytest.raises(ValueError, match=r"ndjson, line 2 is no session report: \$\.sessionId"):
        read_session_line(file, 2)
