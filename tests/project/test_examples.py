"""Every example does what the README says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from depotclient.sandbox import DepotSandbox, Fault, ReportShape, running_in_thread
from tests.support.blocking import no_blocking
from tests.support.examples import EXAMPLES, RunExample
from thorclient import ThorClient
from thorclient.sandbox import ThorSandbox

CHARGER = ("CP-001", "1")
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Raise an error from blocking calls of the libraries. The examples may write files."""
    with no_blocking(["evtransport", "thorclient", "depotclient"]):
        yield


@contextlib.contextmanager
def depot(
    monkeypatch: pytest.MonkeyPatch,
    *faults: Fault | None,
    sessions: int = 60,
    shape: ReportShape | None = None,
) -> Iterator[DepotSandbox]:
    """Run a sandbox in a thread, and set the environment for its clients."""
    shape = shape or ReportShape.small()
    sandbox = DepotSandbox(shape=shape, start=START, faults=faults, sessions=sessions)
    with running_in_thread(sandbox):
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield sandbox


@contextlib.contextmanager
def thor(monkeypatch: pytest.MonkeyPatch, sandbox: ThorSandbox) -> Iterator[ThorSandbox]:
    with running_in_thread(sandbox):
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield sandbox


def command(name: str, *argv: str) -> list[str]:
    return [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLES / name), *argv]


def test_quickstart_prints_a_line_for_each_session(
    monkeypatch: pytest.MonkeyPatch, run_example: RunExample
) -> None:
    with depot(monkeypatch) as sandbox:
        lines = run_example("quickstart.py", *CHARGER).out.splitlines()
        assert [int(line.split()[0]) for line in lines] == sandbox.session_ids(*CHARGER)


def test_into_adds_up_the_energy(monkeypatch: pytest.MonkeyPatch, run_example: RunExample) -> None:
    with depot(monkeypatch) as sandbox:
        output = run_example("into.py", *CHARGER).out
        reports = [msgspec.json.decode(report) for report in sandbox.reports(*CHARGER)]
    energy = sum(report["energyChargeEnd"] - report["energyChargeStart"] for report in reports)
    assert output == f"{energy / 1000:.1f} kWh\n"


def test_own_session_prints_the_first_ids(
    monkeypatch: pytest.MonkeyPatch, run_example: RunExample
) -> None:
    with depot(monkeypatch) as sandbox:
        output = run_example("own_session.py", *CHARGER).out
        assert [int(word) for word in output.split()] == sandbox.session_ids(*CHARGER)[:5]


def test_arrow_gives_all_engines_the_same_sum(
    monkeypatch: pytest.MonkeyPatch, run_example: RunExample
) -> None:
    with depot(monkeypatch):
        lines = run_example("arrow.py", *CHARGER).out.splitlines()
    assert [line.split()[0] for line in lines] == ["pandas", "polars", "DuckDB"]
    assert len({re.sub(r"[^0-9.]", "", line) for line in lines}) == 1


def test_arrow_accepts_a_connector_without_sessions(
    monkeypatch: pytest.MonkeyPatch, run_example: RunExample
) -> None:
    with depot(monkeypatch, sessions=0):
        output = run_example("arrow.py", *CHARGER).out
    assert output == "pandas <NA>\npolars None\nDuckDB [(None,)]\n"


def test_export_prints_its_progress_and_its_failures(
    monkeypatch: pytest.MonkeyPatch, run_example: RunExample, tmp_path: Path
) -> None:
    with depot(monkeypatch):
        result = run_example("export.py", str(tmp_path), "CP-001", "CP-404")
    months = len(list(tmp_path.rglob("*.parquet")))
    assert f"CP-001 {months} of {months}" in result.out
    assert result.err.startswith("CP-404: NotFoundError(")
    assert result.status == 1


def test_logging_keys_writes_json(monkeypatch: pytest.MonkeyPatch, run_example: RunExample) -> None:
    with thor(monkeypatch, ThorSandbox()):
        result = run_example("logging_keys.py", "TB-0001")
    (line,) = result.err.splitlines()
    record = json.loads(line)
    assert record.pop("elapsed") > 0
    path = "/latest/integration/chargeboxes/TB-0001"
    assert record == {"method": "GET", "path": path, "status": 200, "attempt": 1}


@pytest.mark.parametrize(
    ("faults", "output"),
    [
        ((), r"60 sessions\n"),
        ((Fault.status(403),), r"check the credentials: .*403.*\n0 sessions\n"),
        (
            (None, Fault.status(429, retry_after=300)),
            r"wait 300 s, then resume='evc2\.[\w-]+'\n10 sessions\n",
        ),
        ((Fault.status(503, retry_after=0),) * 3, r"try later \(3 requests were sent\).*\n0 s.*\n"),
        (
            (Fault.status(200, body='{"items": [{"sessionId": "7"}]}'),),
            r"[\w ]+:\n  \$\.items\[0\]\.sessionId: .*\n0 sessions\n",
        ),
        ((Fault.status(302),), r"RedirectError: .*\n0 sessions\n"),
    ],
)
def test_errors_handles_each_error(
    monkeypatch: pytest.MonkeyPatch,
    run_example: RunExample,
    faults: tuple[Fault | None, ...],
    output: str,
) -> None:
    with depot(monkeypatch, *faults):
        assert re.fullmatch(output, run_example("errors.py", *CHARGER).out)


IDS = [f"TB-{n:04}" for n in range(1, 6)]


def test_service_prints_results_and_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def poll_once() -> None:
        async with ThorClient.from_env() as client:
            await runpy.run_path(str(EXAMPLES / "service.py"))["poll"](client, IDS)

    with thor(monkeypatch, ThorSandbox(broken=["TB-0003"])):
        asyncio.run(poll_once())
    captured = capsys.readouterr()
    printed = sorted(line.split(":")[0] for line in captured.out.splitlines())
    assert printed == [name for name in IDS if name != "TB-0003"]
    assert captured.err.startswith("TB-0003: InternalServerError(")


@pytest.mark.slow
def test_service_ends_at_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    with thor(monkeypatch, ThorSandbox()):
        with subprocess.Popen(  # noqa: S603
            command("service.py", *IDS), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in IDS:
                process.stdout.readline()
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "")


@pytest.mark.slow
def test_the_users_tests_pass_outside_this_project(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "test_with_sandbox.py", tmp_path)
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout


@contextlib.asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Run an application, and provide its address."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


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
    settings: dict[str, object],
    key: str | None,
    status: int,
) -> None:
    make_app = runpy.run_path(str(EXAMPLES / "web_handler.py"))["make_app"]
    async with ThorSandbox(**settings) as sandbox:  # type: ignore[arg-type]
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        if key is not None:
            monkeypatch.setenv("THOR_API_KEY", key)
        async with serving(make_app()) as address, aiohttp.ClientSession() as browser:
            async with browser.get(f"{address}/chargeboxes/{chargebox_id}/charges") as response:
                text = await response.text()
    assert response.status == status, text
    if status == 200:
        analytics = msgspec.json.decode(sandbox.analytics(chargebox_id))
        assert json.loads(text) == {"charges": analytics["charges"]["last_7"]}
    if status == 503:
        assert response.headers["Retry-After"] == "500"
    assert "a-rejected-key" not in text


def ids_in(target: Path) -> list[int]:
    return [msgspec.json.decode(line)["sessionId"] for line in target.read_bytes().splitlines()]


def test_the_job_resumes_after_an_error_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, run_example: RunExample, tmp_path: Path
) -> None:
    target = tmp_path / "reports.ndjson"
    argv = ("etl_resume.py", *CHARGER, str(target))
    with depot(monkeypatch, None, None, Fault.status(404), sessions=150) as sandbox:
        with pytest.raises(Exception, match="404"):
            run_example(*argv)
        assert not target.exists()
        requests = len(sandbox.requests)
        with target.with_suffix(".part").open("ab") as part:
            part.write(b'{"sessionId": 1, "an incomplete line')
        run_example(*argv)
        assert ids_in(target) == sandbox.session_ids(*CHARGER)
        assert target.read_bytes().splitlines() == sandbox.reports(*CHARGER)
        assert sandbox.requests[requests].query["page"] != "1"
    assert [path.name for path in tmp_path.iterdir()] == ["reports.ndjson"]


def test_the_job_keeps_the_bytes_of_invalid_reports(
    monkeypatch: pytest.MonkeyPatch, run_example: RunExample, tmp_path: Path
) -> None:
    target = tmp_path / "reports.ndjson"
    invalid = b'{"sessionId": 9,\n "vehicleId": "BUS-\\ud83d"}'
    with depot(monkeypatch, sessions=3) as sandbox:
        sandbox.insert(*CHARGER, invalid)
        run_example("etl_resume.py", *CHARGER, str(target))
        expected = [*sandbox.reports(*CHARGER)[:-1], invalid.replace(b"\n", b" ")]
    assert target.read_bytes().splitlines() == expected


@pytest.mark.slow
def test_the_job_can_be_killed_repeatedly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = tmp_path / "reports.ndjson"
    kills = 0
    # A page of 8 MiB holds 40 of these reports.
    with depot(monkeypatch, sessions=150, shape=ReportShape()) as sandbox:
        sandbox.latency = 0.1
        while not target.exists():
            requests = len(sandbox.requests)
            with subprocess.Popen(  # noqa: S603
                command("etl_resume.py", *CHARGER, str(target)), env=dict(os.environ)
            ) as process:
                while process.poll() is None and len(sandbox.requests) < requests + 3:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.01)
                if process.poll() is None:
                    process.kill()
                    kills += 1
        assert ids_in(target) == sandbox.session_ids(*CHARGER)
    assert kills > 1
