"""Pytest fixture that runs the Depot sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from depotclient.sandbox import DepotSandbox


@pytest.fixture
def depot_sandbox() -> Iterator[DepotSandbox]:
    """Yield a new, running `DepotSandbox` in its own thread, for sync and async tests."""
    # Pytest loads this plugin wherever the package is installed. Most tests never use it.
    from depotclient.sandbox import DepotSandbox, running_in_thread

    with running_in_thread(DepotSandbox()) as sandbox:
        yield sandbox
