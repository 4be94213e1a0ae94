"""A pytest fixture that runs the Depot sandbox; loaded by pytest itself, so it imports little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from depotclient.sandbox.server import DepotSandbox


@pytest.fixture
def depot_sandbox() -> Iterator[DepotSandbox]:
    """A running `DepotSandbox`, new for each test, in a thread of its own.

    Synchronous tests can use it as well as those of any asyncio plugin.
    """
    # Imported here: the plugin is loaded into every run of whoever installs the library.
    from depotclient.sandbox.server import DepotSandbox, running_in_thread

    with running_in_thread(DepotSandbox()) as sandbox:
        yield sandbox
