"""What a contestant can be asked to do, whatever it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.protocol import Access
from benchmarks.workloads import PAGE

T = TypeVar("T")

Call = Callable[[], None]


class Depot(Protocol):
    """A client of session reports."""

    def walk(self, charger_id: str, connector_id: str) -> AsyncGenerator[object, None]:
        """All reports of one connector, one by one."""
        ...


class Thor(Protocol):
    """A client of analytics."""

    async def poll(self, ids: Iterable[str], concurrency: int, on_answer: Call) -> None:
        """Ask for each of these, so many at once, and tell of each answer."""
        ...


class Contestant:
    """One way to do the work; each contestant overrides what it takes part in."""

    def decoding(self, page: bytes, reports: Sequence[bytes]) -> Call:
        """What decodes all reports of a page once, each dropped when the next one comes.

        Args:
            page: The answer.
            reports: The same reports, each by itself.
        """
        raise NotImplementedError

    def write_parquet(self, pages: Sequence[bytes], file: Path) -> None:
        """Write the reports of some pages into one file, the times as times, by zstd."""
        raise NotImplementedError

    def depot(
        self, access: Access, limiter: asyncio.Semaphore | None = None
    ) -> AbstractAsyncContextManager[Depot]:
        """A client of session reports; a limiter is entered around each request."""
        raise NotImplementedError

    def thor(self, access: Access, connections: int) -> AbstractAsyncContextManager[Thor]:
        """A client of analytics, with so many connections."""
        raise NotImplementedError


def one_by_one(decode: Callable[[T], object], items: Sequence[T]) -> Call:
    """What decodes each of these and drops it."""

    def decode_all() -> None:
        for item in items:
            decode(item)

    return decode_all


def page_query(charger_id: str, connector_id: str, page: int) -> dict[str, str]:
    """The query string of one page."""
    return {
        "chargerId": charger_id,
        "connectorId": connector_id,
        "page": str(page),
        "limit": str(PAGE),
    }


async def page_by_page(
    fetch: Callable[[dict[str, str]], Awaitable[Sequence[T]]], charger_id: str, connector_id: str
) -> AsyncGenerator[T, None]:
    """The reports of one page after the other, until a page is empty."""
    for page in count(1):
        reports = await fetch(page_query(charger_id, connector_id, page))
        if not reports:
            return
        for report in reports:
            yield report


async def by_workers(
    call: Callable[[str], Awaitable[object]],
    ids: Iterable[str],
    concurrency: int,
    on_answer: Call,
) -> None:
    """Have so many tasks take one id after the other."""
    waiting = iter(ids)

    async def work() -> None:
        for chargebox_id in waiting:
            await call(chargebox_id)
            on_answer()

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
