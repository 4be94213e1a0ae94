"""Tasks that fetch the pages of a walk: how many there are, and that none outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from evtransport.errors import ApiError, ConnectionFailed
from evtransport.paging.cursor import Cursor
from evtransport.paging.driver import PageDriver
from evtransport.paging.sizes import PageRequest
from tests.evtransport.paging.model import Page, paginator

ROWS = range(100)
UNEXPECTED_END = (Page((), 0), None)


@attrs.define
class Server:
    """Answers when the test says so, or at once."""

    rows: Sequence[int] = ROWS
    is_manual: bool = False
    requested: list[PageRequest] = attrs.field(factory=list[PageRequest])
    pending: dict[PageRequest, asyncio.Future[None]] = attrs.field(
        factory=dict[PageRequest, asyncio.Future[None]]
    )
    strays: list[Sequence[int]] = attrs.field(factory=list[Sequence[int]])
    errors: list[BaseException] = attrs.field(factory=list[BaseException])
    cancelled: int = 0
    retired: int = 0

    async def fetch(self, request: PageRequest) -> Page:
        self.requested.append(request)
        if self.is_manual:
            self.pending[request] = asyncio.get_running_loop().create_future()
            try:
                await self.pending[request]
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                del self.pending[request]
        if self.errors:
            raise self.errors.pop(0)
        if self.strays:
            keys = self.strays.pop(0)
        else:
            keys = self.rows[(request.page - 1) * request.limit :][: request.limit]
        return Page(tuple(keys), 1000 * len(keys))

    def retire(self) -> None:
        self.retired += 1

    @asynccontextmanager
    async def driver(
        self, *, read_ahead: int = 1, limit: int = 20
    ) -> AsyncIterator[PageDriver[Page]]:
        start = paginator(limit, read_ahead=read_ahead)(Cursor(query={}, limit=limit))
        driver = PageDriver(start, self.fetch, self.retire)
        yield driver
        await driver.aclose()
        assert not self.pending
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def rows_of(driver: PageDriver[Page]) -> list[int]:
    rows: list[int] = []
    while (found := await driver.next_page()) is not None:
        page, new = found
        rows += [page.keys[index] for index in new.indexes]
    return rows


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("read_ahead", [0, 1, 2, 4, 8])
async def test_all_rows_come_in_order_whatever_is_in_flight(read_ahead: int) -> None:
    server = Server()
    async with server.driver(read_ahead=read_ahead) as driver:
        assert await rows_of(driver) == list(ROWS)
        assert await driver.next_page() is None


@pytest.mark.parametrize(("read_ahead", "count"), [(0, 1), (1, 1), (2, 2), (4, 4)])
async def test_requests_are_in_flight_while_the_first_page_is_awaited(
    read_ahead: int, count: int
) -> None:
    server = Server(is_manual=True)
    async with server.driver(read_ahead=read_ahead) as driver:
        waiting = asyncio.create_task(driver.next_page())
        await turns()

        assert [request.page for request in server.pending] == list(range(1, count + 1))
        await cancel(waiting)


@pytest.mark.parametrize(("read_ahead", "count"), [(0, 0), (1, 1), (2, 2), (4, 4)])
async def test_requests_are_in_flight_while_a_page_is_consumed(read_ahead: int, count: int) -> None:
    server = Server(is_manual=True)
    async with server.driver(read_ahead=read_ahead) as driver:
        waiting = asyncio.create_task(driver.next_page())
        await turns()
        next(iter(server.pending.values())).set_result(None)
        assert await waiting
        await turns()

        assert len(server.pending) == count


async def test_a_page_that_arrives_early_waits_for_those_before_it() -> None:
    server = Server(is_manual=True)
    async with server.driver(read_ahead=2) as driver:
        waiting = asyncio.create_task(driver.next_page())
        await turns()
        first, second = server.pending.values()
        second.set_result(None)
        await turns()
        assert not waiting.done()
        first.set_result(None)

        assert (await waiting or UNEXPECTED_END)[0].keys[0] == 0


async def test_a_cancelled_wait_cancels_the_requests_and_loses_no_row() -> None:
    server = Server(is_manual=True)
    async with server.driver(read_ahead=3) as driver:
        waiting = asyncio.create_task(driver.next_page())
        await turns()
        await cancel(waiting)

        assert server.cancelled == 3
        assert not server.pending
        server.is_manual = False
        assert await rows_of(driver) == list(ROWS)


async def test_an_error_has_the_cursor_and_cancels_the_other_requests() -> None:
    server = Server(is_manual=True)
    async with server.driver(read_ahead=3) as driver:
        waiting = asyncio.create_task(driver.next_page())
        await turns()
        server.errors.append(ConnectionFailed("closed"))
        next(iter(server.pending.values())).set_result(None)

        with pytest.raises(ConnectionFailed) as raised:
            await waiting
        assert raised.value.cursor == driver.paginator.cursor
        assert not server.pending
        server.is_manual = False
        assert await rows_of(driver) == list(ROWS)


async def test_an_unexpected_exception_passes_and_cancels_the_other_requests() -> None:
    server = Server(errors=[KeyError("bug")])
    async with server.driver(read_ahead=3) as driver:
        with pytest.raises(KeyError):
            await driver.next_page()


async def test_an_error_of_a_prefetched_page_that_is_not_needed_any_more_stays_unseen() -> None:
    server = Server(is_manual=True)
    async with server.driver(read_ahead=2) as driver:
        waiting = asyncio.create_task(driver.next_page())
        await turns()
        first, second = server.pending.values()
        second.set_exception(ConnectionFailed("closed"))
        await turns()
        await cancel(waiting)
        assert first.cancelled()


async def test_a_suspect_answer_is_dropped_and_retires_the_connections() -> None:
    server = Server()
    async with server.driver() as driver:
        await driver.next_page()
        server.strays.append(range(500, 519))

        assert (await driver.next_page() or UNEXPECTED_END)[0].keys[-1] == 37
    assert server.retired == 1


@pytest.mark.parametrize("is_waiting", [False, True])
async def test_a_closed_driver_refuses_further_calls(is_waiting: bool) -> None:
    server = Server(is_manual=True)
    async with server.driver(read_ahead=2) as driver:
        waiting = asyncio.create_task(driver.next_page()) if is_waiting else None
        await turns()
        await driver.aclose()
        await driver.aclose()

        assert not server.pending
        with pytest.raises(RuntimeError, match="the walk is closed"):
            await (waiting or driver.next_page())


async def test_errors_keep_no_frames_of_the_page() -> None:
    server = Server(errors=[ConnectionFailed("closed")])
    async with server.driver() as driver:
        with pytest.raises(ApiError) as raised:
            await driver.next_page()

    names = {frame.name for frame in raised.traceback}
    assert "fetch" not in names
