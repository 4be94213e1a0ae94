"""Connectors side by side, and blocking work in a thread that a cancellation waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

__all__ = ["CallbackFailed", "run_all", "run_to_the_end"]

R = TypeVar("R")


class CallbackFailed(Exception):
    """Error of the caller's callback. It must not count as an error of a connector."""

    def __init__(self, error: Exception) -> None:
        self.error = error


async def run_to_the_end(thread: Executor, work: Callable[[], R]) -> R:
    """Run a blocking function in a thread. A cancellation waits until the function returns.

    Otherwise a file could be deleted, or a connection closed, while the thread still uses it.
    """
    running = asyncio.get_running_loop().run_in_executor(thread, work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return running.result()
    running.exception()  # Mark it as retrieved; the cancellation takes precedence.
    raise cancelled


async def run_all(runs: Sequence[Callable[[], Awaitable[R]]], concurrency: int) -> tuple[R, ...]:
    """Run coroutine functions, several at a time. Return the results in the same order.

    Raises:
        Exception: The first error. The other runs are cancelled and awaited. The error of a
            `CallbackFailed` is raised instead of it.
    """
    results: dict[int, R] = {}
    waiting = iter(enumerate(runs))

    async def worker() -> None:
        for index, run in waiting:
            results[index] = await run()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(runs))):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        error = failures.exceptions[0]
        raise error.error if isinstance(error, CallbackFailed) else error from None
    return tuple(results[index] for index in sorted(results))
