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
from depotclient.cli.export import encode_export, next_steps
from depotclient.export import ConnectorExport, Export
from depotclient.sandbox import DepotSandbox, Fault
from evtransport import ApiError, ConnectionFailed, NotFoundError, SchemaError, ServerError
from tests.support.commands import Command, Terminal, signal_when

parquet = pytest.importorskip("pyarrow.parquet")

OpenDepot = Callable[..., DepotSandbox]
Capture = pytest.CaptureFixture[str]

SINCE = ("--from", "2026-01-01")
JANUARY = (*SINCE, "--to", "2026-02-01")
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
        (SINCE, "no connector to export: add one, such as CP-001/1, or --connectors"),
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
    error, *lines = err.splitlines()
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
            "moved": [],
            "vanished": [],
            "strays": [],
            "unknown_fields": {},
            "error": None,
        }
        assert bad["error"] == error.removeprefix("error: CP-9/1: ")
    assert ids_in(lake) == depot.session_ids("CP-1", "1")


PERMANENT = "the same command fails again for CP-1/1: correct the cause first"
TEMPORARY = "run the same command again to read the missing windows"


def failed(charger_id: str, error: ApiError | OSError) -> ConnectorExport:
    return ConnectorExport(charger_id, "1", 1, missing=1, error=error)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (NotFoundError("", status=404), PERMANENT),
        (SchemaError(("",)), PERMANENT),
        (FileExistsError(), PERMANENT),
        (ServerError("", status=503), TEMPORARY),
        (ConnectionFailed(), TEMPORARY),
        (OSError(28, "No space left on device"), TEMPORARY),
    ],
)
def test_the_same_command_is_advised_only_if_it_may_succeed(
    error: ApiError | OSError, advice: str
) -> None:
    complete = ConnectorExport("CP-2", "1", 1, written=1)
    lines = list(next_steps(Export((failed("CP-1", error), complete))))
    assert lines == ["1 of 2 connectors are not complete", advice]
    assert list(next_steps(Export((complete,)))) == []


def test_only_a_few_of_many_failed_connectors_are_named() -> None:
    permanent = [failed(f"CP-{n}", NotFoundError("", status=404)) for n in range(7)]
    _, *lines = next_steps(Export((*permanent, failed("CP-8", ConnectionFailed()))))
    names = "CP-0/1, CP-1/1, CP-2/1, CP-3/1, CP-4/1 and 2 more"
    assert lines == [PERMANENT.replace("CP-1/1", names), f"{TEMPORARY} of the others"]


def test_the_name_of_a_folder_may_have_bytes_that_are_not_utf8() -> None:
    result = encode_export(failed("CP-1", FileExistsError("lake-\udcff is in the way")))
    assert msgspec.json.decode(result)["error"] == "lake-\\udcff is in the way"


def test_ctrl_c_leaves_complete_files(open_depot: OpenDepot, lake: Path, capsys: Capture) -> None:
    # The last fault keeps the command from ending before the signal.
    depot = open_depot(faults=[*[None] * 20, *[Fault.stall(60)] * 2])
    with signal_when(signal.SIGINT, lambda: len(depot.requests) >= 20):
        assert run("export", str(lake), "CP-1/1", "CP-1/2", *JANUARY, "--window", "day") == 130
    assert capsys.readouterr().err.splitlines() == [
        f"the files in {lake} are complete; run the same command again to continue",
        "interrupted",
    ]
    assert list((lake / ".depotclient").iterdir()) == []
    assert [*lake.rglob("*.parquet")]
    # Every file can be read.
    assert len({*ids_in(lake)}) == len(ids_in(lake))


# Processes.


@pytest.mark.usefixtures("depot")
def test_connectors_are_also_read_from_standard_input(lake: Path) -> None:
    line = f"export {lake} CP-1/1 --connectors - {' '.join(JANUARY)}"
    status, out, err = COMMAND.in_shell(line, "ChargerID,ConnectorID\n\nCP-1,2\n")
    assert (status, err) == (0, "")
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
