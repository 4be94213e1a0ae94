"""Options and fixtures of all tests."""

from __future__ import annotations

import inspect
import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import aioresponses.core
import pytest
from aioresponses import aioresponses as AioResponses  # noqa: N812
from hypothesis import settings

from tests.support.blocking import no_blocking
from tests.support.figures import FIGURES, Figures, Record, table
from tests.support.postgres import PostgresMissing, PostgresServer, running_postgres
from tests.support.retries import no_retry_delays

# Choose one with --hypothesis-profile.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=500, deadline=None, print_blob=True)
settings.load_profile("ci")

FULL_TIMEOUT = 1800
"""Time limit of a test with --full, in seconds."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("promises")
    group.addoption(
        "--full",
        action="store_true",
        help="measure the promises with their full counts (about 15 minutes)",
    )
    group.addoption(
        "--soak",
        type=float,
        metavar="SECONDS",
        help="duration of the soak test (default: 300 with --full, otherwise 3)",
    )
    group.addoption(
        "--figures",
        type=Path,
        metavar="FILE",
        help="JSON file to add the measured figures to; needs -n0",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--figures") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--figures needs -n0: figures are collected in one process")
    config.stash[FIGURES] = {}


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.config.getoption("--full"):
        item.add_marker(pytest.mark.timeout(FULL_TIMEOUT))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    measured = config.stash[FIGURES]
    if (file := config.getoption("--figures")) and measured:
        earlier = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(earlier | measured, indent=2))
    if lines := table(measured):
        terminalreporter.section("figures" + (" (full)" if config.getoption("--full") else ""))
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Return True if the promises are measured with their full counts."""
    return bool(pytestconfig.getoption("--full"))


@pytest.fixture(scope="session")
def record(pytestconfig: pytest.Config) -> Record:
    """Return a function that records the figures of a promise for the end of the run."""
    recorded = pytestconfig.stash[FIGURES]

    def add(promise: str, figures: Figures) -> None:
        assert promise not in recorded, f"{promise} was measured twice"
        recorded[promise] = figures

    return add


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server for the tests of this process."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres())
        except PostgresMissing as missing:
            pytest.skip(str(missing))
        yield server


@pytest.fixture
def postgres_address(postgres_server: PostgresServer) -> str:
    """Return the address of an empty database."""
    return postgres_server.new_database()


@pytest.fixture(autouse=True)
def handled_signals() -> Iterator[None]:
    """Handle the signals that `nohup` or a background job ignores, in child processes too."""
    defaults: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGQUIT: signal.SIG_DFL,
    }
    ignored = [number for number in defaults if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, defaults[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the machine's proxies from the environment."""
    for name in tuple(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Raise `BlockingError` from every blocking call inside a running event loop."""
    with no_blocking():
        yield


@pytest.fixture(autouse=True)
def retries_do_not_wait() -> Iterator[None]:
    """Skip the waits before retries, but not the retries."""
    with no_retry_delays():
        yield


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[AioResponses]:
    """Mock aiohttp's responses, for tests of the requests only."""
    monkeypatch.setattr(aioresponses.core, "ClientResponse", _client_response)
    with AioResponses() as responses:
        yield responses


def _client_response(method: str, url: object, **arguments: Any) -> aiohttp.ClientResponse:
    """Return a `ClientResponse` for aioresponses 0.7.9, which doesn't know aiohttp 3.14.

    See issue 289 of aioresponses: `stream_writer` is missing.
    """
    if "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters:
        arguments.setdefault("stream_writer", Mock(output_size=0))
    return aiohttp.ClientResponse(method, url, **arguments)  # type: ignore[arg-type]


@pytest.fixture
def offline(nothing_blocks_the_loop: None) -> Iterator[None]:
    """Raise an error for each new session or connection."""

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a session or connection was opened")

    # A separate context: it must end before the detector of blocking calls is removed.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", forbidden)
        patch.setattr(aiohttp.ClientSession, "__init__", forbidden)
        yield
