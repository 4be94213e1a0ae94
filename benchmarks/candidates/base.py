"""Interface of the candidates, and the loops that the hand-written ones share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path
from typing import TypeVar

import attrs
import msgspec

from benchmarks.workloads import CONCURRENCY, LOOP_LIMIT

T = TypeVar("T")

Work = Callable[[], object]
Walk = Callable[[str, str], AsyncGenerator[object, None]]
"""Yields the reports of a charger and connector."""

Poll = Callable[[Iterable[str], Work], Awaitable[None]]
"""Requests the analytics of each id, and calls a function after each response."""


class SplitPage(msgspec.Struct):
    """Page split into its reports, which are not decoded."""

    items: list[msgspec.Raw]


@attrs.frozen
class Access:
    """Address of a server, and the token or key that it accepts."""

    base_url: str
    credential: str = attrs.field(repr=False)


class Candidate:
    """One way to do the work. A candidate overrides the methods of its workloads."""

    def with_read_ahead(self, count: int) -> Candidate:
        """Return the same candidate with another number of pages ahead."""
        raise NotImplementedError

    def decoder(self, page: bytes, reports: Sequence[bytes]) -> Work:
        """Return a function that decodes all reports of a page, given whole and split."""
        raise NotImplementedError

    def write_parquet(self, pages: Sequence[bytes], file: Path) -> None:
        """Write the reports of some pages into one file, compressed with zstd."""
        raise NotImplementedError

    def depot(
        self, access: Access, limiter: asyncio.Semaphore | None = None
    ) -> AbstractAsyncContextManager[Walk]:
        """Return a client of session reports that enters a limiter around each request."""
        raise NotImplementedError

    def thor(self, access: Access) -> AbstractAsyncContextManager[Poll]:
        """Return a client of analytics with `CONCURRENCY` connections."""
        raise NotImplementedError


def decode_each(decode: Callable[[T], object], items: Sequence[T]) -> Work:
    """Return a function that decodes each item and drops the result."""

    def work() -> None:
        for item in items:
            decode(item)

    return work


async def walk_pages(
    fetch: Callable[[dict[str, str | int]], Awaitable[Sequence[object]]],
    charger_id: str,
    connector_id: str,
) -> AsyncGenerator[object, None]:
    """Yield the reports of page after page until a page is empty."""
    for page in count(1):
        query: dict[str, str | int] = {"chargerId": charger_id, "connectorId": connector_id}
        reports = await fetch(query | {"page": page, "limit": LOOP_LIMIT})
        if not reports:
            return
        for report in reports:
            yield report


async def poll_with_tasks(
    call: Callable[[str], Awaitable[object]], ids: Iterable[str], on_response: Work
) -> None:
    """Request the ids in `CONCURRENCY` tasks, each of which takes one id after another."""
    remaining = iter(ids)

    async def work() -> None:
        for chargebox_id in remaining:
            await call(chargebox_id)
            on_response()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(work())
