"""Thread of a load, which uses the database and repeats failed transactions."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from depotclient.copying.concurrency import Worker
from depotclient.database.errors import DatabaseError

__all__ = ["TransactionWorker"]

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Waits before a failed transaction is repeated, in seconds. A server restarts in this time."""


class TransactionWorker(Worker):
    """Thread that uses the connection, which is for one thread at a time."""

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
