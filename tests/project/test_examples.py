"""Every example does what the README says."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer

from depotclient.profile import Profile
from depotclient.sandbox import DepotSandbox, Fault, ReportShape, make_report
from tests.support.blocking import no_blocking
from tests.support.commands import sandboxes
from tests.support.examples import CHARGER, EXAMPLES, OpenDepot, RunExample, start_example
from tests.support.proxy import CERTIFICATE
from tests.support.retries import no_retry_delays
from tests.support.waiting import loop_until
from thorclient.sandbox import ThorSandbox

IDS = [f"TB-{n:04}" for n in range(1, 6)]


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Raise an error from blocking calls of the libraries. The examples may write files."""
    with no_blocking(["evtransport", "thorclient", "depotclient"]):
        yield


@pytest.fixture
def thor(monkeypatch: pytest.MonkeyPatch, no_account: None) -> Iterator[ThorSandbox]:
    """Sandbox with a chargebox that fails. The environment directs clients to it."""
    with sandboxes(monkeypatch) as start:
        yield start(ThorSandbox(broken=["TB-0003"]))


def test_quickstart_prints_a_line_for_each_session(
    open_depot: OpenDepot, run_example: RunExample
) -> None:
    sandbox = open_depot()
    lines = run_example("quickstart.py", *CHARGER).out.splitlines()
    assert [int(line.split()[0]) for line in lines] == sandbox.session_ids(*CHARGER)


def test_into_adds_up_the_energy(open_depot: OpenDepot, run_example: RunExample) -> None:
    reports = [msgspec.json.decode(report) for report in open_depot().reports(*CHARGER)]
    energy = sum(report["energyChargeEnd"] - report["energyChargeStart"] for report in reports)
    assert run_example("into.py", *CHARGER).out == f"{energy / 1000:.1f} kWh\n"


def test_own_session_prints_the_first_ids(open_depot: OpenDepot, run_example: RunExample) -> None:
    sandbox = open_depot()
    output = run_example("own_session.py", *CHARGER).out
    assert [int(word) for word in output.split()] == sandbox.session_ids(*CHARGER)[:5]


def test_other_endpoints_prints_json_and_objects(
    thor: ThorSandbox, run_example: RunExample
) -> None:
    analytics, *names = run_example("other_endpoints.py", "TB-0001").out.splitlines()
    assert "'charges': {" in analytics
    assert [name.split()[0] for name in names] == list(thor.chargebox_ids)


def test_pydantic_models_prints_the_vehicles(
    open_depot: OpenDepot, run_example: RunExample
) -> None:
    pytest.importorskip("pydantic")
    sandbox = open_depot(sessions=10)
    lines = run_example("pydantic_models.py", *CHARGER).out.splitlines()
    assert [int(line.split()[0]) for line in lines] == sandbox.session_ids(*CHARGER)


def test_certificates_uses_the_authority_of_the_file(
    thor: ThorSandbox, run_example: RunExample
) -> None:
    run_example("certificates.py", CERTIFICATE, "TB-0001")
    assert [request.status for request in thor.requests] == [200]


def test_energy_adds_up_the_files_of_an_export(
    open_depot: OpenDepot, run_example: RunExample, tmp_path: Path
) -> None:
    open_depot(sessions=10)
    run_example("export.py", str(tmp_path), "CP-001")
    assert "BUS-0" in run_example("energy.py", str(tmp_path)).out


def test_load_counts_the_sessions_and_names_a_connector_that_failed(
    open_depot: OpenDepot, run_example: RunExample, tmp_path: Path
) -> None:
    pytest.importorskip("adbc_driver_manager")
    open_depot(sessions=10)
    result = run_example("load.py", str(tmp_path / "depot.duckdb"), "CP-001", "CP-404")
    assert result.out == "CP-001/1 10 new, 0 changed\nCP-404/1 0 new, 0 changed\n"
    assert result.err.startswith("CP-404/1: NotFoundError(")
    assert result.status == 1


def test_read_table_prints_three_vehicles(open_depot: OpenDepot, run_example: RunExample) -> None:
    pytest.importorskip("pandas")  # pyarrow imports it at first use, within the loop
    open_depot(sessions=10)
    lines = run_example("read_table.py").out.splitlines()
    assert [line.partition("-")[0] for line in lines[1:4]] == ["BUS"] * 3


def test_many_prints_each_session_once_and_continues_in_the_next_run(
    open_depot: OpenDepot, run_example: RunExample, tmp_path: Path
) -> None:
    sandbox = open_depot(chargers=3, start=datetime(2026, 1, 3, tzinfo=UTC), sessions=40)
    names = ["CP-001/1", "CP-404/1", "CP-003/2", "CP-001/1"]
    first = run_example("many.py", str(tmp_path / "state"), *names)
    requests = len(sandbox.requests)
    second = run_example("many.py", str(tmp_path / "state"), *names)

    expected = [f"CP-001 1 {n}" for n in sandbox.session_ids("CP-001", "1")]
    expected += [f"CP-003 2 {n}" for n in sandbox.session_ids("CP-003", "2")]
    assert sorted(first.out.splitlines()) == expected
    assert first.err.startswith("CP-404/1: NotFoundError(")
    assert (second.out, len(sandbox.requests)) == ("", requests + 1)


def test_probe_writes_the_profile_and_prints_settings(
    open_depot: OpenDepot, run_example: RunExample, tmp_path: Path
) -> None:
    open_depot(max_limit=20, shape=ReportShape.small())
    output = run_example("probe.py", *CHARGER, str(tmp_path / "profile.json")).out
    assert [line.partition("=")[0] for line in output.splitlines()] == ["lag", "margin"]
    profile = Profile.parse((tmp_path / "profile.json").read_bytes())
    assert DepotSandbox(profile=profile).max_limit == 20


@pytest.mark.slow
def test_follow_prints_each_session_once_across_restarts(
    open_depot: OpenDepot, tmp_path: Path
) -> None:
    def run(*expected: int) -> None:
        argv = (str(tmp_path / "state"), "CP-001/1", "CP-404/1")
        with start_example("follow.py", *argv) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in expected]
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=30)
        assert (process.returncode, rest) == (0, "")
        assert lines == [f"CP-001 1 {session_id}\n" for session_id in expected]

    sandbox = open_depot(sessions=0)
    for session_id in (1, 2):
        start = datetime.now(UTC) - timedelta(hours=3 - session_id)
        sandbox.add(*CHARGER, make_report(session_id, session_time_start=start))
        run(session_id)


@pytest.mark.parametrize(
    ("sessions", "output"),
    [
        (60, r"pandas ([\d.]+)\npolars \1\nDuckDB \[\(\1,\)\]\n"),
        (0, r"pandas <NA>\npolars None\nDuckDB \[\(None,\)\]\n"),
    ],
)
def test_arrow_gives_all_engines_the_same_sum(
    open_depot: OpenDepot, run_example: RunExample, sessions: int, output: str
) -> None:
    open_depot(sessions=sessions)
    assert re.fullmatch(output, run_example("arrow.py", *CHARGER).out)


def test_export_prints_its_progress_and_its_failures(
    open_depot: OpenDepot, run_example: RunExample, tmp_path: Path
) -> None:
    open_depot()
    result = run_example("export.py", str(tmp_path), "CP-001", "CP-404")
    months = len(list(tmp_path.rglob("*.parquet")))
    assert f"CP-001 {months} of {months}" in result.out
    assert result.err.startswith("CP-404: NotFoundError(")
    assert result.status == 1


def test_telemetry_prints_a_line_for_each_span(
    open_depot: OpenDepot, run_example: RunExample
) -> None:
    open_depot(Fault.status(503), sessions=3)
    with no_retry_delays():
        *spans, last = run_example("telemetry.py", *CHARGER).out.splitlines()
    assert spans[:4] == [
        *("CLIENT POST /oauth2/token ok", "CLIENT GET /sessionReports 503"),
        *("CLIENT GET /sessionReports ok", "INTERNAL call GET /sessionReports ok"),
    ]
    assert last == "3 reports"


@pytest.mark.usefixtures("thor")
def test_telemetry_prometheus_counts_calls_requests_and_retries(run_example: RunExample) -> None:
    with no_retry_delays():
        lines = run_example("telemetry_prometheus.py", "TB-0001", "TB-0003").out.splitlines()
    path = 'template="/chargeboxes/{chargebox_id}"'
    assert f'ev_calls_count{{error="",{path}}} 1.0' in lines
    assert f'ev_calls_count{{error="InternalServerError",{path}}} 1.0' in lines
    assert f'ev_requests_count{{status="500",{path}}} 3.0' in lines
    assert 'ev_retries_total{error="InternalServerError"} 2.0' in lines


@pytest.mark.usefixtures("thor")
def test_telemetry_statsd_sends_datagrams(run_example: RunExample) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(10)
        run_example("telemetry_statsd.py", str(statsd.getsockname()[1]), "TB-0001")
        assert re.fullmatch(r"ev\.requests\.200:\d+\|ms", statsd.recv(1000).decode())


@pytest.mark.usefixtures("thor")
def test_logging_keys_writes_json(run_example: RunExample) -> None:
    (line,) = run_example("logging_keys.py", "TB-0001").err.splitlines()
    record = json.loads(line)
    assert record.pop("elapsed") > 0
    path = "chargeboxes/TB-0001"
    assert record == {"method": "GET", "path": path, "status": 200, "attempt": 1}


@pytest.mark.parametrize(
    ("faults", "output"),
    [
        ((), r"60 sessions\n"),
        ((Fault.status(403),), r"the credentials were rejected: .*403.*\n0 sessions\n"),
        (
            (None, Fault.status(429, retry_after=300)),
            r"wait 300 s, then resume='evc2\.[\w-]+'\n10 sessions\n",
        ),
        ((Fault.status(503, retry_after=0),) * 3, r"try later: .*\(3 attempts, .*\n0 s.*\n"),
        (
            (Fault.status(200, body='{"items": [{"sessionId": "7"}]}'),),
            r"[\w ]+:\n  \$\.items\[0\]\.sessionId: .*\n0 sessions\n",
        ),
        ((Fault.status(302),), r"RedirectError: .*\n0 sessions\n"),
    ],
)
def test_errors_handles_each_error(
    open_depot: OpenDepot, run_example: RunExample, faults: tuple[Fault | None, ...], output: str
) -> None:
    open_depot(*faults)
    assert re.fullmatch(output, run_example("errors.py", *CHARGER).out)


async def test_service_prints_results_and_errors(
    thor: ThorSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runpy.run_path(str(EXAMPLES / "service.py"))["main"]
    service = asyncio.ensure_future(run(IDS, timedelta(seconds=0.1)))
    await loop_until(lambda: len(thor.requests) >= 3 * len(IDS))
    service.cancel()
    await asyncio.wait([service])
    captured = capsys.readouterr()
    printed = {line.split(":")[0] for line in captured.out.splitlines()}
    assert printed == {*IDS} - {"TB-0003"}
    assert captured.err.startswith("TB-0003: InternalServerError(")


@pytest.mark.slow
@pytest.mark.usefixtures("thor")
def test_service_polls_all_chargeboxes_and_ends_at_an_interrupt() -> None:
    with start_example("service.py") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("TB-00")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "")


@pytest.mark.parametrize(
    ("seconds", "output"),
    [(60, "49 of 50 arrived within 60 s, 1 failed"), (0, "0 of 50 arrived within 0 s, 0 failed")],
)
def test_fleet_deadline_counts_what_arrives_in_time(
    monkeypatch: pytest.MonkeyPatch,
    no_account: None,
    capsys: pytest.CaptureFixture[str],
    seconds: float,
    output: str,
) -> None:
    ids = [f"TB-{n:04}" for n in range(1, 61)]
    with sandboxes(monkeypatch) as start:
        sandbox = start(ThorSandbox(chargeboxes=ids))
        first = [box for box in ids if b'"active":true' in sandbox.chargebox(box)]
        sandbox.broken = first[:1]
        asyncio.run(runpy.run_path(str(EXAMPLES / "fleet_deadline.py"))["main"]([], seconds))
    assert capsys.readouterr().out == f"{output}\n"


@pytest.mark.parametrize(
    ("files", "count"),
    [
        pytest.param(["test_with_sandbox.py"], 3, marks=pytest.mark.slow),
        (["test_fastapi_service.py", "fastapi_service.py"], 3),
    ],
)
def test_the_users_tests_pass_outside_this_project(
    tmp_path: Path, files: list[str], count: int
) -> None:
    for file in files:
        shutil.copy(EXAMPLES / file, tmp_path)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(  # noqa: S603
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stdout
    assert f"{count} passed" in ended.stdout


def test_the_fleet_logs_rejected_credentials(
    open_depot: OpenDepot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    testclient = pytest.importorskip("fastapi.testclient")
    monkeypatch.syspath_prepend(EXAMPLES)
    service = importlib.import_module("fastapi_service")
    open_depot()
    with sandboxes(monkeypatch) as start:
        start(ThorSandbox(chargeboxes=5, faults=[None, Fault.status(403)]))
        with testclient.TestClient(service.app) as client:
            boxes = client.get("/fleet").json()["boxes"]
    (record,) = [record for record in caplog.records if record.name == "fastapi_service"]
    missing = [box["chargebox"]["id"] for box in boxes if box["analytics"] is None]
    assert "403" in record.message
    assert record.__dict__["context"]["chargebox_id"] in missing


def test_the_service_and_its_tests_are_short() -> None:
    files = ("fastapi_service.py", "test_fastapi_service.py")
    lines = [line for file in files for line in (EXAMPLES / file).read_text().splitlines() if line]
    assert len(lines) <= 120


@pytest.mark.parametrize(
    ("chargebox_id", "settings", "key", "status"),
    [
        ("TB-0001", {}, None, 200),
        ("TB-9999", {}, None, 404),
        ("%00", {}, None, 400),
        pytest.param("TB-0001", {"latency": 2.5}, None, 504, marks=pytest.mark.slow),
        ("TB-0001", {"faults": [Fault.status(429, retry_after=500)]}, None, 503),
        ("TB-0001", {"faults": [Fault.disconnect()]}, None, 200),
        ("TB-0001", {}, "a-rejected-key", 502),
    ],
)
async def test_the_web_handler_responds_with_the_right_status(
    monkeypatch: pytest.MonkeyPatch,
    chargebox_id: str,
    settings: dict[str, Any],
    key: str | None,
    status: int,
) -> None:
    make_app = runpy.run_path(str(EXAMPLES / "web_handler.py"))["make_app"]
    async with ThorSandbox(**settings) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        if key is not None:
            monkeypatch.setenv("THOR_API_KEY", key)
        async with TestClient(TestServer(make_app())) as browser:
            response = await browser.get(f"/chargeboxes/{chargebox_id}/charges")
            text = await response.text()
    assert response.status == status, text
    if status == 200:
        analytics = msgspec.json.decode(sandbox.analytics(chargebox_id))
        assert json.loads(text) == {"charges": analytics["charges"]["last_7"]}
    if status == 503:
        assert response.headers["Retry-After"] == "500"
    assert "a-rejected-key" not in text
