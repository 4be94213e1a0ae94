"""Each call has its whole time and no more, though one timer watches over all of them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport.deadlines import Deadlines
from tests.support.clock import JumpingLoop

T = TypeVar("T")

TOTAL = 10.0


async def call(deadlines: Deadlines, start: float, seconds: float) -> tuple[float, bool]:
    """Begin so late and take so long; when it ended, and whether it ran out of time."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(start)
    scope = asyncio.timeout(None)
    due = deadlines.begin(scope)
    assert due == loop.time() + TOTAL
    try:
        async with scope:
            await asyncio.sleep(seconds)
    except TimeoutError:
        return loop.time(), True
    finally:
        deadlines.end(scope)
    return loop.time(), False


def run(main: Coroutine[Any, Any, T]) -> tuple[T, int]:
    """What comes of it in a loop that never waits, and how many timers that took."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        result = runner.run(main)
        loop = runner.get_loop()
        assert isinstance(loop, JumpingLoop)
        return result, loop.timers


async def all_of(calls: list[tuple[float, float]]) -> list[tuple[float, bool]]:
    deadlines = Deadlines(TOTAL)
    return await asyncio.gather(*(call(deadlines, *each) for each in calls))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=20))
def test_each_call_ends_by_itself_or_when_its_own_time_is_over(
    calls: list[tuple[int, int]],
) -> None:
    found, _ = run(all_of([(start, seconds) for start, seconds in calls]))
    for (start, seconds), (end, late) in zip(calls, found, strict=True):
        if seconds != TOTAL:  # both at once may end either way
            assert late == (seconds > TOTAL)
        assert end == pytest.approx(start + min(seconds, TOTAL))


def test_a_thousand_calls_at_once_that_all_come_back_take_one_timer() -> None:
    calls = 1000
    _, alone = run(all_of([(0.0, 0.0)]))
    # To begin late and to take long is a timer each.
    _, timers = run(all_of([(n / calls, 1.0) for n in range(1, calls + 1)]))
    assert timers == 2 * calls + 1
    assert alone == 1


def test_calls_that_follow_each_other_without_a_gap_take_a_timer_only_as_each_comes_due() -> None:
    # From 0 to 100 s there are always two calls under way, of 2 s each.
    calls = [(float(n), 2.0) for n in range(1, 100)]
    _, timers = run(all_of(calls))
    assert timers - 2 * len(calls) <= 100 / (TOTAL - 2.0) + 1


def test_when_nobody_is_under_way_no_timer_keeps_anything_alive() -> None:
    async def main() -> object:
        deadlines = Deadlines(TOTAL)
        await asyncio.gather(call(deadlines, 0.0, 30.0), call(deadlines, 5.0, 6.0))
        gone = weakref.ref(deadlines)
        del deadlines
        gc.collect()
        return gone()

    left, _ = run(main())
    assert left is None


def test_a_cancelled_call_is_watched_no_more_and_the_others_still_are() -> None:
    async def main() -> tuple[float, bool]:
        deadlines = Deadlines(TOTAL)
        first = asyncio.create_task(call(deadlines, 0.0, 30.0))
        second = asyncio.create_task(call(deadlines, 1.0, 30.0))
        await asyncio.sleep(2.0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    (end, late), _ = run(main())
    assert (end, late) == (1.0 + TOTAL, True)
