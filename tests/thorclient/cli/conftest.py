"""Fixtures of the tests of the `thorclient` command."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.commands import sandboxes
from thorclient.sandbox import ThorSandbox

OpenThor = Callable[..., ThorSandbox]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the key, and let tables have 80 columns without colours."""
    monkeypatch.delenv("THOR_API_KEY", raising=False)
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture
def open_thor(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenThor]:
    """Start sandboxes with settings. The environment directs clients to the last one."""
    with sandboxes(monkeypatch) as start:
        yield lambda **settings: start(ThorSandbox(**settings))


@pytest.fixture
def thor(open_thor: OpenThor) -> ThorSandbox:
    """A sandbox with 20 chargeboxes."""
    return open_thor()
