"""Tasks that run at the same time and are received in the order of completion."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from evtransport.closing import AsyncCloseable

__all__ = ["TaskPool"]

T = TypeVar("T")


class TaskPool(AsyncCloseable, Generic[T]):
    """Tasks of one owner, which receives their results in the order of completion.

    Use it with `async with`, or call `aclose()` at the end. `len(pool)` is the number of running
    tasks and of results that are not yet received.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[T]] = set()
        self._finished: asyncio.Queue[asyncio.Task[T]] = asyncio.Queue()
        self._closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T]) -> None:
        """Start a task."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._finished.put_nowait)
        self._tasks.add(task)

    async def receive(self) -> T:
        """Wait for the next task to finish, and return its result or raise its error.

        If the receiver is cancelled, no result is lost.

        Raises:
            RuntimeError: The pool was closed while the caller was waiting.
        """
        task = await self._finished.get()
        if self._closed:
            raise RuntimeError("closed while another task was waiting")
        self._tasks.remove(task)
        return task.result()

    async def aclose(self) -> None:
        """Cancel and await all tasks. Further calls do nothing."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
