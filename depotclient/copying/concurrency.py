"""Several connectors at a time, and a thread for blocking work that a cancellation waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import attrs

__all__ = ["CallbackFailed", "Worker", "notify", "run_all"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class CallbackFailed(Exception):
    """Error of the caller's callback. It must not count as an error of a connector."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def notify(on_progress: Callable[[T], object], progress: T) -> None:
    """Call the caller's function with the progress of a connector.

    Raises:
        CallbackFailed: The function has raised an error.
    """
    try:
        on_progress(progress)
    except Exception as error:
        raise CallbackFailed(error) from None


def _new_thread() -> Executor:
    return ThreadPoolExecutor(1, "copy")


@attrs.define(eq=False)
class Worker:
    """One thread for the blocking work of all connectors.

    It also converts pages: a conversion uses several times the memory of its page, and allocators
    keep memory for each thread.
    """

    _thread: Executor = attrs.field(init=False, factory=_new_thread)

    async def call(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function in the thread. A cancellation waits until it returns."""
        return await _run_to_the_end(self._thread, partial(work, *args, **kwargs))

    def shut_down(self) -> None:
        """End the thread, which must be idle."""
        self._thread.shutdown(wait=False)  # Waiting blocks the event loop.


async def _run_to_the_end(thread: Executor, work: Callable[[], R]) -> R:
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

    async def run_next() -> None:
        for index, run in waiting:
            results[index] = await run()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(runs))):
                group.create_task(run_next())
    except BaseExceptionGroup as failures:
        error = failures.exceptions[0]
        raise error.error if isinstance(error, CallbackFailed) else error from None
    return tuple(results[index] for index in sorted(results))
