"""Driver of a walk: how many requests are in flight, and that none outlives the walk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from evtransport.errors import ConnectionFailed, PaginationError
from evtransport.paging import PageDriver, PageRequest
from tests.evtransport.paging.model import Page, page_of, paginator

ROWS = range(100)


@attrs.define
class Server:
    """Server that responds when the test decides, or at once.

    Attributes:
        is_manual: The test decides.
        responses: Rows or errors to respond with first.
        pending: Requests without a response.
    """

    is_manual: bool = False
    responses: list[Sequence[int] | Exception] = attrs.field(
        factory=list["Sequence[int] | Exception"]
    )
    pending: dict[PageRequest, asyncio.Future[None]] = attrs.field(
        factory=dict[PageRequest, "asyncio.Future[None]"]
    )
    retired: int = 0

    async def fetch(self, request: PageRequest) -> Page:
        if self.is_manual:
            self.pending[request] = asyncio.get_running_loop().create_future()
            try:
                await self.pending[request]
            finally:
                del self.pending[request]
        rows = ROWS[(request.page - 1) * request.limit :][: request.limit]
        response = self.responses.pop(0) if self.responses else rows
        if isinstance(response, Exception):
            raise response
        return page_of(response)

    def retire(self) -> None:
        self.retired += 1

    def respond(self, index: int, error: Exception | None = None) -> None:
        """Respond to a pending request."""
        future = list(self.pending.values())[index]
        future.set_exception(error) if error else future.set_result(None)

    @asynccontextmanager
    async def driver(
        self, *, limit: int | None = 20, read_ahead: int = 1
    ) -> AsyncIterator[PageDriver[Page]]:
        driver = PageDriver(paginator(limit, read_ahead=read_ahead), self.fetch, self.retire)
        yield driver
        await driver.aclose()
        assert not self.pending
        assert asyncio.all_tasks() == {asyncio.current_task()}

    @asynccontextmanager
    async def waiting_driver(
        self, read_ahead: int
    ) -> AsyncIterator[tuple[PageDriver[Page], asyncio.Task[Any]]]:
        """Yield a driver, and a task that waits for its first page."""
        self.is_manual = True
        async with self.driver(read_ahead=read_ahead) as driver:
            waiting = asyncio.create_task(driver.next_page())
            await iterate_loop()
            yield driver, waiting


async def rows_of(driver: PageDriver[Page]) -> list[int]:
    rows: list[int] = []
    while (found := await driver.next_page()) is not None:
        page, new = found
        rows += [page.keys[index] for index in new.indexes]
    return rows


async def iterate_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("read_ahead", [0, 8])
async def test_all_rows_are_returned_in_order(read_ahead: int) -> None:
    async with Server().driver(read_ahead=read_ahead) as driver:
        assert await rows_of(driver) == list(ROWS)
        assert await driver.next_page() is None


@pytest.mark.parametrize(
    ("read_ahead", "awaited", "consumed"), [(0, 1, 0), (1, 1, 1), (2, 2, 2), (4, 4, 4)]
)
async def test_requests_are_in_flight_while_a_page_is_awaited_and_consumed(
    read_ahead: int, awaited: int, consumed: int
) -> None:
    server = Server()
    async with server.waiting_driver(read_ahead) as (_, waiting):
        assert [request.page for request in server.pending] == list(range(1, awaited + 1))
        server.respond(0)
        assert await waiting
        await iterate_loop()
        assert len(server.pending) == consumed


async def test_a_page_that_arrives_early_waits_for_the_pages_before_it() -> None:
    server = Server()
    async with server.waiting_driver(2) as (_, waiting):
        server.respond(1)
        await iterate_loop()
        assert not waiting.done()
        server.respond(0)

        page, _ = await waiting
        assert page.keys[0] == 0


@pytest.mark.parametrize("early_error", [None, ConnectionFailed("closed")], ids=repr)
async def test_a_cancelled_wait_cancels_the_requests_and_loses_no_row(
    early_error: Exception | None,
) -> None:
    server = Server()
    async with server.waiting_driver(3) as (driver, waiting):
        if early_error:
            server.respond(1, early_error)
            await iterate_loop()
        waiting.cancel()
        await asyncio.wait([waiting])

        assert waiting.cancelled()
        assert not server.pending
        server.is_manual = False
        assert await rows_of(driver) == list(ROWS)


async def test_an_error_has_the_cursor_and_the_walk_continues_after_it() -> None:
    server = Server()
    async with server.waiting_driver(3) as (driver, waiting):
        server.respond(0, ConnectionFailed("closed"))

        with pytest.raises(ConnectionFailed) as raised:
            await waiting
        assert raised.value.cursor == driver.paginator.cursor
        assert "fetch" not in {
            frame.name for frame in raised.traceback
        }  # A frame may hold the page.
        assert not server.pending
        server.is_manual = False
        assert await rows_of(driver) == list(ROWS)


async def test_an_error_of_the_paginator_names_the_request_for_its_page() -> None:
    async with Server(responses=[ROWS[:20]] * 100).driver() as driver:
        with pytest.raises(PaginationError, match=r"^page of 20: ") as raised:
            await rows_of(driver)

        assert raised.value.cursor == driver.paginator.cursor


async def test_an_unexpected_exception_cancels_the_other_requests() -> None:
    async with Server(responses=[KeyError("bug")]).driver(read_ahead=3) as driver:
        with pytest.raises(KeyError):
            await driver.next_page()


@pytest.mark.parametrize(
    ("limit", "response", "last_row", "retired"),
    [(20, range(500, 519), 37, 1), (None, ConnectionFailed("closed"), 39, 0)],
    ids=["a suspect response retires the connections", "a failed trial is not raised"],
)
async def test_a_dropped_response_is_followed_by_another_page(
    limit: int | None, response: Sequence[int] | Exception, last_row: int, retired: int
) -> None:
    server = Server()
    async with server.driver(limit=limit, read_ahead=0) as driver:
        await driver.next_page()
        server.responses.append(response)
        found = await driver.next_page()

    assert found is not None
    assert (found[0].keys[-1], server.responses, server.retired) == (last_row, [], retired)


async def test_a_closed_driver_raises_for_waiting_and_further_calls() -> None:
    server = Server()
    async with server.waiting_driver(2) as (driver, waiting):
        await driver.aclose()
        await driver.aclose()

        assert not server.pending
        for call in (waiting, driver.next_page()):
            with pytest.raises(RuntimeError, match="the walk is closed"):
                await call
