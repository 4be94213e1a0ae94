"""Pytest fixtures that run Thor sandboxes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from thorclient.sandbox import ThorSandbox


@pytest.fixture
def thor_sandbox(thor_sandbox_factory: Callable[..., ThorSandbox]) -> ThorSandbox:
    """Return a new, running `ThorSandbox` in its own thread, for sync and async tests.

    Example:
        >>> def test_mine(thor_sandbox: ThorSandbox) -> None:
        ...     print(thor_sandbox.base_url)
    """
    return thor_sandbox_factory()


@pytest.fixture
def thor_sandbox_factory() -> Iterator[Callable[..., ThorSandbox]]:
    """Yield a function that starts a `ThorSandbox` with settings. All stop at the end of the test.

    The function takes the arguments of `ThorSandbox`. Each sandbox runs in its own thread. The
    call blocks until the sandbox listens. Within an event loop, prefer `async with`.

    Example:
        >>> def test_mine(thor_sandbox_factory: Callable[..., ThorSandbox]) -> None:
        ...     sandbox = thor_sandbox_factory(chargeboxes=40, fault_rate=0.1)
    """
    # Pytest loads this plugin wherever the package is installed. Most tests never use it.
    from thorclient.sandbox import ThorSandbox, running_in_thread

    with ExitStack() as running:
        yield lambda **settings: running.enter_context(running_in_thread(ThorSandbox(**settings)))
