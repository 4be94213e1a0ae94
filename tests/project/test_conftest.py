"""The fixtures of all tests work."""

from __future__ import annotations

import time

import pytest
from blockbuster import BlockingError


async def test_a_blocking_call_in_an_event_loop_is_an_error() -> None:
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        time.sleep(0)  # noqa: ASYNC251 - the call under test


def test_a_blocking_call_outside_event_loops_is_allowed() -> None:
    time.sleep(0)
