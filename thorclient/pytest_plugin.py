"""A pytest fixture that runs the Thor sandbox; loaded by pytest itself, so it imports little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thorclient.sandbox import ThorSandbox


@pytest.fixture
def thor_sandbox() -> Iterator[ThorSandbox]:
    """A running `ThorSandbox`, new for each test, in a thread of its own.

    Synchronous tests can use it as well as those of any asyncio plugin.
    """
    # Imported here: the plugin is loaded into every run of whoever installs the library.
    from thorclient.sandbox import ThorSandbox, running_in_thread

    with running_in_thread(ThorSandbox()) as sandbox:
        yield sandbox
