"""Pytest fixtures that run Depot sandboxes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from depotclient.sandbox import DepotSandbox


@pytest.fixture
def depot_sandbox(depot_sandbox_factory: Callable[..., DepotSandbox]) -> DepotSandbox:
    """Return a new, running `DepotSandbox` in its own thread, for sync and async tests.

    Example:
        >>> def test_mine(depot_sandbox: DepotSandbox) -> None:
        ...     print(depot_sandbox.base_url)
    """
    return depot_sandbox_factory()


@pytest.fixture
def depot_sandbox_factory() -> Iterator[Callable[..., DepotSandbox]]:
    """Yield a function that starts a `DepotSandbox` with settings. All stop at the end of the test.

    The function takes the arguments of `DepotSandbox`. Each sandbox runs in its own thread. The
    call blocks until the sandbox listens. Within an event loop, prefer `async with`.

    Example:
        >>> def test_mine(depot_sandbox_factory: Callable[..., DepotSandbox]) -> None:
        ...     sandbox = depot_sandbox_factory(chargers=40, fault_rate=0.1)
    """
    # Pytest loads this plugin wherever the package is installed. Most tests never use it.
    from depotclient.sandbox import DepotSandbox, running_in_thread

    with ExitStack() as running:
        yield lambda **settings: running.enter_context(running_in_thread(DepotSandbox(**settings)))
