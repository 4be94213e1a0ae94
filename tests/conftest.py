"""What all tests share: mocked answers that work on every aiohttp, and retries that don't sleep."""

from __future__ import annotations

import inspect
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import aioresponses.core
import pytest
import stamina
from aioresponses import aioresponses as AioResponses  # noqa: N812

from tests.support.blocking import no_blocking
from tests.support.figures import FIGURES, Figures, Record, table


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("promises")
    group.addoption(
        "--full",
        action="store_true",
        help="measure the promises with the counts that they name (about 15 minutes)",
    )
    group.addoption(
        "--soak",
        type=float,
        metavar="SECONDS",
        help="how long the soak test runs; by default 300 with --full, else 6",
    )
    group.addoption(
        "--figures",
        type=Path,
        metavar="FILE",
        help="a JSON file to note the figures in, next to those of earlier runs",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = {}


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


@pytest.fixture(autouse=True)
def signals_of_a_shell() -> Iterator[None]:
    """Heed the signals that a background job or `nohup` ignores, here and in child processes."""
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


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether the promises are measured with the counts that they name."""
    return bool(pytestconfig.getoption("--full"))


@pytest.fixture(scope="session")
def record(pytestconfig: pytest.Config) -> Record:
    """Notes what a test of a promise has measured, for the end of the run."""
    noted = pytestconfig.stash[FIGURES]

    def note(promise: str, figures: Figures) -> None:
        assert promise not in noted, f"{promise} has been measured already"
        noted[promise] = figures

    return note


def _client_response(method: str, url: object, **given: Any) -> aiohttp.ClientResponse:
    """Build a `ClientResponse` as aioresponses wants to, with what aiohttp has come to require.

    aiohttp 3.14 added `stream_writer`, which aioresponses 0.7.9 does not pass (its issue 289).
    Any other difference between the two fails here, where it is explained.
    """
    parameters = inspect.signature(aiohttp.ClientResponse.__init__).parameters
    missing = {
        name
        for name, parameter in parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
        and parameter.default is parameter.empty
        and name not in given
    }
    if missing - {"stream_writer"}:
        raise AssertionError(f"aiohttp.ClientResponse now wants {missing}, which the shim lacks")
    if "stream_writer" in missing:
        given["stream_writer"] = Mock(output_size=0)
    return aiohttp.ClientResponse(method, url, **given)  # type: ignore[arg-type]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[AioResponses]:
    """Mocked answers, for the shape of requests: no pool, parser or timeout runs under them."""
    monkeypatch.setattr(aioresponses.core, "ClientResponse", _client_response)
    with AioResponses() as mocked:
        yield mocked


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No session can be made and nothing be connected."""

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("something was opened")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(aiohttp.ClientSession, "__init__", forbidden)


@pytest.fixture(autouse=True)
def no_proxies_from_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxies of the machine, so that a test uses only its own."""
    for name in tuple(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """A blocking call within a running event loop raises `BlockingError`, wherever it stands."""
    with no_blocking():
        yield


@pytest.fixture(autouse=True)
def retries_without_sleep() -> Iterator[None]:
    """Every retry happens, as often as the policy says, and none of its waits."""
    with stamina.set_testing(True, attempts=1_000_000, cap=True):
        yield
