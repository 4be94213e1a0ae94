"""Pauses let other tasks and expired timers run."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from evtransport.pauses import Pauses, pause


async def test_a_pause_runs_timers_that_have_expired() -> None:
    loop, fired = asyncio.get_running_loop(), asyncio.Event()
    loop.call_at(loop.time() - 1, fired.set)

    await pause()

    assert fired.is_set()


async def test_work_pauses_after_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    now, turns = 0.0, 0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    pauses = Pauses()

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    for now, paused in (  # noqa: B007 - `perf_counter` reads `now`
        (0.0005, False),
        (0.002, True),
        (0.0025, False),
        (0.004, True),
    ):
        before = turns
        await pauses.pause_if_needed()
        assert (turns > before) is paused
    counting.cancel()


async def test_a_cancelled_pause_reports_nothing_to_the_loop() -> None:
    loop, reported = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    for _ in range(20):
        task = asyncio.create_task(pause())
        loop.call_soon(task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    assert reported == []
