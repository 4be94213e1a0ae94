"""The jobs among the examples lose nothing and copy nothing twice."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from depotclient.sandbox import Fault, ReportShape, make_report
from tests.support.blocking import no_blocking
from tests.support.examples import CHARGER, OpenDepot, RunExample, start_example


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Raise an error from blocking calls of the libraries. The jobs may write files."""
    with no_blocking(["evtransport", "thorclient", "depotclient"]):
        yield


def test_the_job_resumes_after_an_error_and_loses_nothing(
    open_depot: OpenDepot, run_example: RunExample, tmp_path: Path
) -> None:
    target = tmp_path / "reports.ndjson"
    argv = ("etl_resume.py", *CHARGER, str(target))
    sandbox = open_depot(None, None, Fault.status(404), sessions=150)
    with pytest.raises(Exception, match="404"):
        run_example(*argv)
    assert not target.exists()
    requests = len(sandbox.requests)
    with target.with_suffix(".part").open("ab") as part:
        part.write(b'{"sessionId": 1, "an incomplete line')
    run_example(*argv)
    assert target.read_bytes().splitlines() == sandbox.reports(*CHARGER)
    assert sandbox.requests[requests].query["page"] != "1"
    assert [path.name for path in tmp_path.iterdir()] == ["reports.ndjson"]


def test_the_job_keeps_the_bytes_of_invalid_reports(
    open_depot: OpenDepot, run_example: RunExample, tmp_path: Path
) -> None:
    target = tmp_path / "reports.ndjson"
    invalid = b'{"sessionId": 9,\n "vehicleId": "BUS-\\ud83d"}'
    sandbox = open_depot(sessions=3)
    sandbox.add(*CHARGER, invalid)
    run_example("etl_resume.py", *CHARGER, str(target))
    expected = [*sandbox.reports(*CHARGER)[:-1], invalid.replace(b"\n", b" ")]
    assert target.read_bytes().splitlines() == expected


@pytest.mark.slow
def test_the_job_can_be_killed_repeatedly(open_depot: OpenDepot, tmp_path: Path) -> None:
    target = tmp_path / "reports.ndjson"
    kills = 0
    # A page of 8 MiB holds 40 of these reports.
    sandbox = open_depot(sessions=150, shape=ReportShape())
    sandbox.latency = 0.1
    while not target.exists():
        requests = len(sandbox.requests)
        with start_example("etl_resume.py", *CHARGER, str(target)) as process:
            while process.poll() is None and len(sandbox.requests) < requests + 3:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.01)
            kills += process.poll() is None
            process.kill()
    assert target.read_bytes().splitlines() == sandbox.reports(*CHARGER)
    assert kills > 1


def test_the_nightly_job_copies_what_is_new_late_and_corrected(
    open_depot: OpenDepot, run_example: RunExample, tmp_path: Path
) -> None:
    def copied() -> list[bytes]:
        with contextlib.closing(sqlite3.connect(database)) as db:
            rows = db.execute("SELECT report FROM reports WHERE connector = '1'")
            return sorted(row[0].encode() for row in rows)

    def add(session_id: int, age: timedelta) -> bytes:
        start = now - age
        report = make_report(session_id, session_time_start=start, session_time_end=start)
        sandbox.add(*CHARGER, report)
        return report

    database = str(tmp_path / "reports.sqlite")
    argv = ("nightly.py", database, "CP-001/1", "CP-404/1", "CP-001/2")
    now = datetime.now(UTC)
    sandbox = open_depot()
    offline = add(-1, timedelta(hours=9))
    first = run_example(*argv)
    assert (first.status, first.err.partition("(")[0]) == (1, "CP-404/1: NotFoundError")
    assert copied() == sorted(sandbox.reports(*CHARGER))

    sandbox.remove(*CHARGER, -1)
    add(-1, timedelta(hours=8))  # Another session of a charger that was offline.
    add(7, timedelta(days=2))
    requests = len(sandbox.requests)
    run_example(*argv)
    sandbox.correct(*CHARGER, 7, vehicle_id="BUS-corrected")
    run_example(*argv)
    assert copied() == sorted([*sandbox.reports(*CHARGER), offline])
    # A new window each night, and the old one of the charger that failed.
    starts = {
        (request.query["chargerId"], request.query["from"][:10])
        for request in sandbox.requests[requests:]
        if "chargerId" in request.query
    }
    overlap = (now - timedelta(days=4)).date().isoformat()
    assert starts == {("CP-001", overlap), ("CP-404", "2025-12-31")}


def test_the_nightly_job_first_completes_what_it_left(
    open_depot: OpenDepot, run_example: RunExample, tmp_path: Path
) -> None:
    argv = ("nightly.py", str(tmp_path / "reports.sqlite"), "CP-001/1")
    sandbox = open_depot(None, None, Fault.status(404), sessions=150)
    assert run_example(*argv).status == 1
    requests = len(sandbox.requests)
    assert run_example(*argv).status == 0
    assert sandbox.requests[requests].query["page"] != "1"
    with contextlib.closing(sqlite3.connect(argv[1])) as db:
        reports = [row[0].encode() for row in db.execute("SELECT report FROM reports")]
        assert db.execute("SELECT cursor FROM windows").fetchall() == [(None,)]
    assert sorted(reports) == sorted(sandbox.reports(*CHARGER))
