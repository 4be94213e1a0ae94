"""What all tests stand on does what it says."""

from __future__ import annotations

import time

import pytest
from blockbuster import BlockingError


async def test_a_blocking_call_in_an_event_loop_is_an_error() -> None:
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        time.sleep(0)  # noqa: ASYNC251 - that is the point


def test_a_blocking_call_outside_of_event_loops_is_none() -> None:
    time.sleep(0)
