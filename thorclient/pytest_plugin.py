"""Pytest fixture that runs the Thor sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thorclient.sandbox import ThorSandbox


@pytest.fixture
def thor_sandbox() -> Iterator[ThorSandbox]:
    """Yield a new, running `ThorSandbox` in its own thread, for sync and async tests."""
    # Pytest loads this plugin wherever the package is installed. Most tests never use it.
    from thorclient.sandbox import ThorSandbox, running_in_thread

    with running_in_thread(ThorSandbox()) as sandbox:
        yield sandbox
