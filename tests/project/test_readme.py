"""The README says what is so: its commands, its output, and its examples, which all run."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import aiohttp
import msgspec
import pytest
from aiohttp import web

from depotclient.sandbox import DepotSandbox, Fault, ReportShape
from depotclient.sandbox import running_in_thread as in_thread
from thorclient.sandbox import ThorSandbox

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
README = (ROOT / "README.md").read_text(encoding="utf-8")

MAIN_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install '.[cli,arrow,plot]' duckdb"
    " && .venv/bin/depotclient export lake --from 2026-01-01 --to 2026-02-01 --sandbox"
)
TEST_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install --upgrade pip"
    " && .venv/bin/pip install -e '.[cli,arrow,plot,dask,dlt]' --group test"
    " && .venv/bin/python -m pytest"
)

_BLOCK = re.compile(r"<!-- examples/(\w+)\.py -->\n```python\n(.*?)\n```\n", re.DOTALL)
_REGION = re.compile(r"^# region README\n(.*?)\n# endregion$", re.DOTALL | re.MULTILINE)

CHARGER = ("CP-001", "1")
SMALL = ReportShape.small()


# The text.


@pytest.mark.parametrize(("name", "block"), _BLOCK.findall(README))
def test_a_block_is_the_region_of_its_example(name: str, block: str) -> None:
    (region,) = _REGION.findall((EXAMPLES / f"{name}.py").read_text())
    assert block == region.strip()


def test_every_python_block_is_of_an_example() -> None:
    assert README.count("```python") == len(_BLOCK.findall(README))


def test_every_example_is_in_the_readme() -> None:
    for example in EXAMPLES.glob("*.py"):
        assert f"examples/{example.name}" in README


def test_both_commands_stand_in_the_readme_once() -> None:
    lines = README.splitlines()
    assert lines.count(MAIN_COMMAND) == 1
    assert lines.count(TEST_COMMAND) == 1


def test_the_gate_runs_both_commands_to_the_letter() -> None:
    gate = (ROOT / ".ci" / "run").read_text()
    assert MAIN_COMMAND in gate
    assert TEST_COMMAND in gate


def test_every_link_into_the_repository_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!https://)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def shown_after(first: str) -> list[str]:
    """The lines of the README's output that begins so."""
    (block,) = re.findall(
        rf"^```text\n({re.escape(first)}.*?)\n```$", README, re.DOTALL | re.MULTILINE
    )
    return [line for line in str(block).splitlines() if line != "..."]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_the_commands_print_what_the_readme_shows(
    clean_environment: dict[str, str], tmp_path: Path
) -> None:
    lake = str(tmp_path / "lake")
    span = ("--from", "2026-01-01", "--to", "2026-02-01", "--sandbox")
    on = functools.partial(on_a_terminal, environment=clean_environment)
    printed = {
        "Connector ": on("depotclient", "export", lake, *span),
        "┌": output_of("energy.py", lake, environment=clean_environment),
        "Session ": on("depotclient", "reports", *CHARGER, "--sandbox"),
    }
    for first, text in printed.items():
        for line in shown_after(first):
            assert line in text


def test_the_picture_of_the_readme_is_what_the_command_draws(
    clean_environment: dict[str, str], tmp_path: Path
) -> None:
    line = "depotclient plot session.png CP-001/1 --session 100000004 --sandbox"
    assert f".venv/bin/{line}`" in README
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", *line.split()], cwd=tmp_path, env=clean_environment, check=True
    )
    sizes = [
        int.from_bytes(png.read_bytes()[16:24])
        for png in (tmp_path / "session.png", ROOT / "docs" / "session.png")
    ]
    assert sizes[0] == sizes[1]


# The examples, each as a program of its own.


@pytest.fixture
def clean_environment() -> dict[str, str]:
    """The environment without anything that would steer a client or the terminal."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DEPOT_", "THOR_"))}
    return {**kept, "COLUMNS": "80", "LINES": "24", "TERM": "xterm", "PYTHONUTF8": "1"}


@contextlib.contextmanager
def depot(
    *faults: Fault | None,
    sessions: int = 60,
    latency: float = 0.0,
    shape: ReportShape | None = SMALL,
) -> Iterator[DepotSandbox]:
    """A Depot sandbox in a thread of its own, with small reports unless `shape` is given."""
    served = DepotSandbox(
        shape=shape,
        start=datetime(2026, 1, 1, tzinfo=UTC),
        faults=faults,
        sessions=sessions,
        latency=latency,
    )
    with in_thread(served) as sandbox:
        yield sandbox


# asyncio, in debug mode, also says where a busy machine let it wait.
NOTICE = re.compile(r"stamina\.retry_scheduled\n|Executing <.* took .* seconds\n")


def program(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLES / name), *arguments]


def run(
    name: str, *arguments: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    return subprocess.run(  # noqa: S603
        program(name, *arguments),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def output_of(name: str, *arguments: str, environment: Mapping[str, str]) -> str:
    """Return the output of an example that succeeds and reports nothing but retries."""
    ended = run(name, *arguments, environment=environment)
    assert (ended.returncode, NOTICE.sub("", ended.stderr)) == (0, "")
    return ended.stdout


def on_a_terminal(name: str, *arguments: str, environment: Mapping[str, str]) -> str:
    """What a console script prints on a terminal, without escape sequences."""
    import pty

    ours, its = pty.openpty()
    script = Path(sys.executable).with_name(name)
    with subprocess.Popen(  # noqa: S603
        [script, *arguments], env=environment, stdin=its, stdout=its, stderr=subprocess.DEVNULL
    ) as process:
        os.close(its)
        chunks = iter(functools.partial(_read, ours), b"")
        printed = b"".join(chunks).decode()
        os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux reports that the other end is closed
        return b""


def test_quickstart_prints_a_line_for_every_session() -> None:
    with depot() as sandbox:
        lines = output_of("quickstart.py", *CHARGER, environment=sandbox.environment).splitlines()
        assert [int(line.split()[0]) for line in lines] == sandbox.session_ids(*CHARGER)


def test_into_adds_up_the_energy() -> None:
    with depot() as sandbox:
        printed = output_of("into.py", *CHARGER, environment=sandbox.environment)
        reports = [msgspec.json.decode(report) for report in sandbox.reports(*CHARGER)]
    energy = sum(it["energyChargeEnd"] - it["energyChargeStart"] for it in reports)
    assert printed == f"{energy / 1000:.1f} kWh\n"


def test_own_session_prints_the_first_ids() -> None:
    with depot() as sandbox:
        printed = output_of("own_session.py", *CHARGER, environment=sandbox.environment)
        assert [int(word) for word in printed.split()] == sandbox.session_ids(*CHARGER)[:5]


def test_arrow_hands_the_same_on_to_all() -> None:
    with depot() as sandbox:
        lines = output_of("arrow.py", *CHARGER, environment=sandbox.environment).splitlines()
    assert [line.split()[0] for line in lines] == ["pandas", "polars", "DuckDB"]
    assert len({re.sub(r"[^0-9.]", "", line) for line in lines}) == 1


def test_the_arrow_example_accepts_a_connector_without_sessions() -> None:
    with depot(sessions=0) as sandbox:
        printed = output_of("arrow.py", *CHARGER, environment=sandbox.environment)
    assert printed == "pandas <NA>\npolars None\nDuckDB [(None,)]\n"


def test_export_tells_how_far_it_is_and_what_failed(tmp_path: Path) -> None:
    with depot() as sandbox:
        done = run(
            *("export.py", str(tmp_path), "CP-001", "CP-404"), environment=sandbox.environment
        )
    months = len(list(tmp_path.rglob("*.parquet")))
    assert f"CP-001 {months} of {months}" in done.stdout
    assert done.stderr.startswith("CP-404: NotFoundError(")
    assert done.returncode == 1


def test_logging_keys_writes_json(thor_sandbox: ThorSandbox) -> None:
    ended = run("logging_keys.py", "TB-0001", environment=thor_sandbox.environment)
    assert ended.returncode == 0
    (line,) = ended.stderr.splitlines()
    record = json.loads(line)
    assert record.pop("elapsed") > 0
    path = "/latest/integration/chargeboxes/TB-0001"
    assert record == {"method": "GET", "path": path, "status": 200, "attempt": 1}


@pytest.mark.parametrize(
    ("faults", "printed"),
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
            r"the vendor has changed something:\n  \$\.items\[0\]\.sessionId: .*\n0 sessions\n",
        ),
        ((Fault.status(302),), r"RedirectError: .*\n0 sessions\n"),
    ],
)
def test_errors_tells_them_apart(faults: tuple[Fault | None, ...], printed: str) -> None:
    with depot(*faults) as sandbox:
        assert re.fullmatch(
            printed, output_of("errors.py", *CHARGER, environment=sandbox.environment)
        )


def test_service_polls_until_it_is_interrupted() -> None:
    ids = [f"TB-{n:04}" for n in range(1, 6)]
    with in_thread(ThorSandbox(broken=["TB-0003"])) as sandbox:
        process = subprocess.Popen(  # noqa: S603
            program("service.py", *ids),
            env={**os.environ, **sandbox.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            lines = [process.stdout.readline() for _ in range(4)]
            complaints = iter(process.stderr.readline, "")
            failed = next(line for line in complaints if not NOTICE.fullmatch(line))
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert (output, NOTICE.sub("", errors)) == ("", "")
    assert sorted(line.split(":")[0] for line in lines) == [
        name for name in ids if name != "TB-0003"
    ]
    assert failed.startswith("TB-0003: InternalServerError(")


def test_the_users_tests_pass_outside_of_this_project(tmp_path: Path) -> None:
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


# The web handler, as a server.


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@contextlib.asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """The application on loopback, by its address."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def example(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("chargebox_id", "settings", "key", "status"),
    [
        ("TB-0001", {}, None, 200),
        ("TB-9999", {}, None, 404),
        ("%00", {}, None, 400),
        ("TB-0001", {"latency": 2.5}, None, 504),
        ("TB-0001", {"faults": [Fault.status(429, retry_after=500)]}, None, 503),
        ("TB-0001", {"faults": [Fault.disconnect()]}, None, 200),
        ("TB-0001", {}, "a-key-that-is-refused", 502),
    ],
)
async def test_the_web_handler_answers_in_time_with_the_right_status(
    browser: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    chargebox_id: str,
    settings: dict[str, object],
    key: str | None,
    status: int,
) -> None:
    async with ThorSandbox(**settings) as sandbox:  # type: ignore[arg-type]
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        if key is not None:
            monkeypatch.setenv("THOR_API_KEY", key)
        async with serving(example("web_handler").make_app()) as address:
            started = asyncio.get_running_loop().time()
            async with browser.get(f"{address}/chargeboxes/{chargebox_id}/charges") as answer:
                text = await answer.text()
            assert asyncio.get_running_loop().time() - started < 3
        assert answer.status == status, text
        if status == 200:
            known = msgspec.json.decode(sandbox.analytics(chargebox_id))
            assert json.loads(text) == {"charges": known["charges"]["last_7"]}
        if status == 503:
            assert answer.headers["Retry-After"] == "500"
        assert "a-key-that-is-refused" not in text


# The job that resumes.


def ids_in(target: Path) -> list[int]:
    return [msgspec.json.decode(line)["sessionId"] for line in target.read_bytes().splitlines()]


def test_the_job_goes_on_after_an_error_and_loses_nothing(tmp_path: Path) -> None:
    target = tmp_path / "reports.ndjson"
    with depot(None, None, Fault.status(404), sessions=150) as sandbox:
        broken = run("etl_resume.py", *CHARGER, str(target), environment=sandbox.environment)
        assert broken.returncode != 0
        assert not target.exists()
        before = len(sandbox.requests)
        with target.with_suffix(".part").open("ab") as part:
            part.write(b'{"sessionId": 1, "written": "and not noted"')
        output_of("etl_resume.py", *CHARGER, str(target), environment=sandbox.environment)
        assert ids_in(target) == sandbox.session_ids(*CHARGER)
        assert target.read_bytes().splitlines() == sandbox.reports(*CHARGER)
        assert sandbox.requests[before].query["page"] != "1"
    assert [path.name for path in tmp_path.iterdir()] == ["reports.ndjson"]


def test_the_job_keeps_the_bytes_of_invalid_reports(tmp_path: Path) -> None:
    target = tmp_path / "reports.ndjson"
    odd = b'{"sessionId": 9,\n "vehicleId": "BUS-\\ud83d"}'
    with depot(sessions=3) as sandbox:
        sandbox.insert(*CHARGER, odd)
        output_of("etl_resume.py", *CHARGER, str(target), environment=sandbox.environment)
        expected = [*sandbox.reports(*CHARGER)[:-1], odd.replace(b"\n", b" ")]
    assert target.read_bytes().splitlines() == expected


def test_the_job_can_be_killed_again_and_again(tmp_path: Path) -> None:
    target = tmp_path / "reports.ndjson"
    kills = 0
    # Pages of 8 MiB hold 40 of these reports.
    with depot(sessions=150, latency=0.1, shape=None) as sandbox:
        environment = {**os.environ, **sandbox.environment}
        while not target.exists():
            seen = len(sandbox.requests)
            with subprocess.Popen(  # noqa: S603
                program("etl_resume.py", *CHARGER, str(target)), env=environment
            ) as process:
                while process.poll() is None and len(sandbox.requests) < seen + 3:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.01)
                if process.poll() is None:
                    process.kill()
                    kills += 1
        assert ids_in(target) == sandbox.session_ids(*CHARGER)
    assert kills > 1
