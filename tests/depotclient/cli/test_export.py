"""The command `depotclient export`, as its user sees it."""

from __future__ import annotations

import io
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from depotclient.cli.app import app
from depotclient.cli.export import advise
from depotclient.export import ConnectorExport, Export
from depotclient.sandbox import DepotSandbox, Fault, make_report
from tests.support.commands import Command, Terminal, signal_when

parquet = pytest.importorskip("pyarrow.parquet")

OpenDepot = Callable[..., DepotSandbox]
Capture = pytest.CaptureFixture[str]

SINCE = ("--from", "2026-01-01")
JANUARY = (*SINCE, "--to", "2026-02-01")
ENDED = r"ended after 0:00:\d\d: {}, \d\.\d MB, \d+\.\d MB/s"
COMMAND = Command(app, "depotclient")
run = COMMAND.run


def ids_in(folder: Path) -> list[int]:
    return sorted(
        session_id
        for file in folder.rglob("*.parquet")
        for session_id in parquet.ParquetFile(file).read()["session_id"].to_pylist()
    )


def test_a_skipped_window_counts_its_reports(
    depot: DepotSandbox, lake: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    results = []
    for _ in range(2):
        assert run("export", str(lake), "CP-1/1", *JANUARY) == 0
        result = msgspec.json.decode(capsys.readouterr().out)
        results.append({name: result[name] for name in ("skipped", "reports", "skipped_reports")})
    assert results == [
        {"skipped": 0, "reports": 12, "skipped_reports": 0},
        {"skipped": 1, "reports": 0, "skipped_reports": 12},
    ]
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("export", str(lake), "CP-1/1", *JANUARY) == 0
    row = screen.text.splitlines()[-1]
    assert row.split() == ["CP-1/1", "0", "1", "0", "12", "0.0", "complete"]


def test_verify_reads_each_window_again(depot: DepotSandbox, tmp_path: Path) -> None:
    assert run("export", str(tmp_path / "plain"), "CP-1/1", *JANUARY) == 0
    count = len(depot.requests)
    assert run("export", str(tmp_path / "verified"), "CP-1/1", *JANUARY, "--verify") == 0
    assert len(depot.requests) > 2 * count


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (SINCE, "no connector: add one, such as CP-001/1, or --connectors FILE"),
        (("CP-1", "1", *SINCE), "such as CP-001/1; did you mean CP-1/1?"),
        (("CP-1/1", *SINCE, "--window", "week"), "'week' is not one of 'month', 'day'"),
        (("CP-1/1", *SINCE, "--margin", "nan"), "--margin must be a duration"),
        (("--connectors", "/dev/null", *SINCE), "contains no connector"),
    ],
)
def test_an_invalid_argument_exits_with_2_before_any_request(
    depot: DepotSandbox, lake: Path, argv: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert run("export", str(lake), *argv) == 2
    assert message in capsys.readouterr().err
    assert (depot.requests, lake.exists()) == ([], False)


class FullDisk(io.BytesIO):
    """Output that fails on write."""

    def write(self, _: object) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("writable", [True, False])
def test_results_go_to_stdout_and_failures_to_stderr_even_if_stdout_is_full(
    depot: DepotSandbox,
    lake: Path,
    writable: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    with monkeypatch.context() as patch:
        if not writable:
            patch.setattr(sys, "stdout", io.TextIOWrapper(FullDisk()))
        assert run("export", str(lake), "CP-1/1", "CP-9/1", *JANUARY) == 1
    out, err = capsys.readouterr()
    ended, error, *lines = err.splitlines()
    assert re.fullmatch(
        ENDED.format("1 of 2 connectors complete, 1 failed, 1 month, 12 reports"), ended
    )
    assert error.startswith("error: CP-9/1: GET sessionReports CP-9/1 page 1: 404 Not Found: ")
    assert lines == [
        "1 of 2 connectors are not complete",
        "the same command fails again for CP-9/1: correct the cause first",
        *([] if writable else ["error: [Errno 28] No space left on device"]),
    ]
    if writable:
        good, bad = map(msgspec.json.decode, out.splitlines())
        assert good.pop("bytes_read") > 12_000
        assert good == {
            "charger_id": "CP-1",
            "connector_id": "1",
            "windows": 1,
            "written": 1,
            "skipped": 0,
            "missing": 0,
            "reports": 12,
            "skipped_reports": 0,
            "rejected": [],
            "moved": [],
            "vanished": [],
            "strays": [],
            "unknown_fields": {},
            "error": None,
        }
        assert bad["error"] == error.removeprefix("error: CP-9/1: ")
    assert ids_in(lake) == depot.session_ids("CP-1", "1")


def test_a_report_in_quarantine_is_an_error_only_in_the_run_that_rejects_it(
    depot: DepotSandbox, lake: Path, capsys: Capture
) -> None:
    invalid = msgspec.json.decode(make_report(session_id=99))
    invalid |= {"energySocStart": "high", "sessionTimeStart": "2026-01-05T00:00:00.000Z"}
    depot.add("CP-1", "1", msgspec.json.encode(invalid))
    command = ("export", str(lake), "CP-1/1", *JANUARY)
    assert run(*command) == 1
    *_, advice = capsys.readouterr().err.splitlines()
    assert advice == "--on-bad-report quarantine exports the other reports of a window"
    for status in (1, 0):
        assert run(*command, "--on-bad-report", "quarantine") == status
        *_, last = capsys.readouterr().err.splitlines()
        assert last == "1 session with an invalid report, in quarantine: 99 at CP-1/1"
    assert ids_in(lake) == depot.session_ids("CP-1", "1")[:-1]


def test_unknown_fields_are_kept_if_wanted_and_advised_otherwise(
    depot: DepotSandbox, tmp_path: Path, capsys: Capture
) -> None:
    report = msgspec.json.decode(make_report(session_id=99))
    report |= {"tariff": "night", "sessionTimeStart": "2026-01-05T00:00:00.000Z"}
    depot.add("CP-1", "1", msgspec.json.encode(report))
    ends = []
    for number, options in enumerate(([], ["--keep-unknown"])):
        assert run("export", str(tmp_path / str(number)), "CP-1/1", *JANUARY, *options) == 0
        ends.append(capsys.readouterr().err.splitlines()[1:])
    counted = "fields that have no column, by number of reports: tariff (1)"
    assert ends == [[counted, "--keep-unknown keeps fields without a column"], [counted]]


def test_a_closed_window_is_read_again_with_a_larger_lag_or_if_refreshed(
    depot: DepotSandbox, lake: Path, capsys: Capture
) -> None:
    counts = []
    for options in ([], [], ["--lag", "366d"], ["--refresh", "--accept-deletions"]):
        assert run("export", str(lake), "CP-1/1", *JANUARY, *options) == 0
        counts.append(msgspec.json.decode(capsys.readouterr().out)["written"])
        depot.remove("CP-1", "1", depot.session_ids("CP-1", "1")[0])
    assert counts == [1, 0, 1, 1]
    assert len(ids_in(lake)) == 9


def test_an_export_of_very_many_windows_advises_a_load() -> None:
    export = Export(tuple(ConnectorExport(f"CP-{n}", "1", 36, skipped=36) for n in range(1000)))
    assert [*advise(export, keeps_unknown=False)] == [
        "36,000 files are slow to read: depotclient load copies into one database"
    ]
    assert [*advise(Export(export.connectors[:10]), keeps_unknown=False)] == []


@pytest.mark.parametrize(
    ("number", "ending"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "ended by SIGTERM"),
        (signal.SIGHUP, "ended by SIGHUP"),
    ],
)
def test_a_signal_leaves_complete_files_and_the_command_says_how_to_continue(
    open_depot: OpenDepot, lake: Path, number: int, ending: str, capsys: Capture
) -> None:
    # The last fault keeps the command from ending before the signal.
    depot = open_depot(faults=[*[None] * 20, *[Fault.stall(60)] * 2])
    with signal_when(number, lambda: len(depot.requests) >= 20):
        status = run("export", str(lake), "CP-1/1", "CP-1/2", *JANUARY, "--window", "day")
    assert status == 128 + number
    stopped, *lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"stopped after 0:00:\d\d: 0 of 2 connectors complete, \d+ days, .*", stopped
    )
    assert lines == [
        f"the files in {lake} are complete; run the same command again to continue",
        ending,
    ]
    assert [path.name for path in lake.parent.iterdir()] == [lake.name]
    assert [*lake.rglob("*.parquet")]
    # Every file can be read.
    assert len({*ids_in(lake)}) == len(ids_in(lake))


# Processes.


@pytest.mark.usefixtures("depot")
def test_connectors_are_also_read_from_standard_input(lake: Path) -> None:
    line = f"export {lake} CP-1/1 --connectors - {' '.join(JANUARY)}"
    status, out, err = COMMAND.in_shell(line, "ChargerID,ConnectorID\n\nCP-1,2\n")
    assert status == 0
    assert re.fullmatch(
        ENDED.format("2 of 2 connectors complete, 2 months, 24 reports"), err.strip()
    )
    results = map(msgspec.json.decode, out.splitlines())
    assert [result["connector_id"] for result in results] == ["1", "2"]


def test_a_real_terminal_gets_a_bar_for_each_connector(open_depot: OpenDepot, lake: Path) -> None:
    open_depot(latency=0.3)
    status, output = COMMAND.on_terminal(
        ("export", str(lake), "CP-1/1", "CP-1/2", *JANUARY), columns=100
    )
    assert status == 0
    for name in ("CP-1/1", "CP-1/2"):
        assert re.search(rf"{name} .*━.* \d+ reports +\d+\.\d MB/s +\d months? left", output)
