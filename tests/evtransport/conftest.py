"""Fixtures of the tests of the transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from evtransport import ApiKey, ClientCredentials, Secret, Transport
from tests.support.tokens import CLIENT_ID, SECRET, TOKEN_URL, Clock
from tests.support.wire import Wire


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide credentials for all hosts in a netrc file."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login me password n3trc\ndefault login me password n3trc\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Transport]]:
    """Return a function that makes a transport to a wire. The end of the test closes it."""
    opened: list[Transport] = []

    def make(wire: Wire, **options: Any) -> Transport:
        options.setdefault("auth", ApiKey(Secret("s3cr3t/k3y")))
        opened.append(Transport(base_url=URL(wire.url), **options))
        return opened[-1]

    yield make
    for transport in opened:
        await transport.aclose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def credentials(clock: Clock) -> ClientCredentials:
    return ClientCredentials(CLIENT_ID, Secret(SECRET), TOKEN_URL, clock=clock)
