"""Tasks that are received in the order of completion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from evtransport.tasks import TaskPool
from tests.support.waiting import iterate_loop


@pytest.fixture
async def pool() -> AsyncIterator[TaskPool[int]]:
    async with TaskPool[int]() as pool:
        yield pool
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def result_of(future: asyncio.Future[int]) -> int:
    return await future


async def test_results_and_errors_are_received_in_the_order_of_completion(
    pool: TaskPool[int],
) -> None:
    futures = [asyncio.Future[int]() for _ in range(3)]
    for future in futures:
        pool.start(result_of(future))
    receiving = asyncio.ensure_future(pool.receive())
    await iterate_loop(3)
    futures[2].set_result(2)
    futures[0].set_exception(LookupError("a failed task"))

    assert await receiving == 2
    with pytest.raises(LookupError):
        await pool.receive()
    assert len(pool) == 1


@pytest.mark.parametrize("count", range(3))
async def test_a_cancelled_receiver_loses_no_result(pool: TaskPool[int], count: int) -> None:
    future = asyncio.Future[int]()
    pool.start(result_of(future))
    receiving = asyncio.ensure_future(pool.receive())
    await iterate_loop(3)
    future.set_result(1)
    await iterate_loop(count)  # The task may have finished, and its receiver has not run.
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving

    assert len(pool) == 1
    assert await pool.receive() == 1


async def test_a_closed_pool_has_ended_all_tasks_and_their_errors(pool: TaskPool[int]) -> None:
    async def fail_at_the_end() -> int:
        try:
            return await asyncio.Future[int]()
        finally:
            raise LookupError("an error while the task is cancelled")

    pool.start(fail_at_the_end())
    receiving = asyncio.ensure_future(pool.receive())
    await iterate_loop(3)
    await pool.aclose()
    await pool.aclose()

    with pytest.raises(RuntimeError, match="closed while another task was waiting"):
        await receiving
    assert asyncio.all_tasks() == {asyncio.current_task()}
