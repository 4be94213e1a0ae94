"""Thread that uses a database for the tasks of a load, and repeats failed transactions."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

import attrs

from depotclient.copying.concurrency import run_to_the_end
from depotclient.database.errors import DatabaseError

__all__ = ["Worker"]

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Waits before a failed transaction is repeated, in seconds. A server restarts in this time."""


def _new_thread() -> Executor:
    return ThreadPoolExecutor(1, "load")


@attrs.define(eq=False)
class Worker:
    """One thread for all connectors.

    A connection is for one thread at a time. The thread also converts pages: a conversion uses
    several times the memory of its page, and allocators keep memory for each thread.
    """

    _thread: Executor = attrs.field(init=False, factory=_new_thread)

    async def call(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function in the thread. A cancellation waits until it returns."""
        return await run_to_the_end(self._thread, partial(work, *args, **kwargs))

    async def transact(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function that makes one transaction. Repeat it if the database fails.

        Args:
            work: Function. It may run again after its commit, because the connection can break
                before the database confirms.
            *args: Arguments of the function.
            **kwargs: Keyword arguments of the function.

        Raises:
            DatabaseError: The database failed each time.
        """
        for delay in RETRY_DELAYS:
            try:
                return await self.call(work, *args, **kwargs)
            except DatabaseError:
                pass
            await sleep(delay)
        try:
            return await self.call(work, *args, **kwargs)
        except DatabaseError as error:
            error.add_note("the database holds all pages before this error: run the load again")
            raise

    def shut_down(self) -> None:
        """End the thread, which must be idle."""
        self._thread.shutdown(wait=False)  # Waiting blocks the event loop.
