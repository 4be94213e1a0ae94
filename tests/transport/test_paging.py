"""Walking numbered pages: whatever the server does with `limit`, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from itertools import chain, cycle, repeat
from typing import Any

import attrs
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from evtransport.errors import ConnectionFailed, PaginationError, ResponseTooLarge
from evtransport.paging import (
    FIRST_LIMIT,
    GROWTH_BYTES,
    MAX_PASSES,
    REMEMBERED_IDS,
    Ask,
    PageWalk,
    Position,
)

REPORT_BYTES = 100


@attrs.frozen
class FakePage:
    ids: Sequence[int]
    length: int


@attrs.define
class FakeServer:
    """Serves rows as numbered pages, with a minimum and a maximum page size of its own.

    Each request takes so many turns of the event loop until its page is read, and so many more
    until it has come.
    """

    rows: list[int]
    least: int = 1
    most: int = 2000
    report_bytes: int = REPORT_BYTES
    largest_answer: int | None = None
    before_answer: Callable[[Ask], None] = lambda ask: None
    turns: Callable[[], tuple[int, int]] = lambda: (1, 0)
    asks: list[Ask] = attrs.field(factory=list)
    in_flight: int = 0
    peak_in_flight: int = 0

    def served(self, limit: int) -> int:
        return max(self.least, min(limit, self.most))

    async def fetch(self, ask: Ask) -> FakePage:
        self.asks.append(ask)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            before, after = self.turns()
            for _ in range(before):
                await asyncio.sleep(0)
            self.before_answer(ask)
            size = self.served(ask.limit)
            ids = self.rows[(ask.page - 1) * size :][:size]
            length = len(ids) * self.report_bytes
            if self.largest_answer is not None and length > self.largest_answer:
                raise ResponseTooLarge("too large")
            for _ in range(after):
                await asyncio.sleep(0)
            return FakePage(tuple(ids), length)
        finally:
            self.in_flight -= 1


def walk_over(
    server: FakeServer,
    *,
    limit: int | None = None,
    read_ahead: int = 0,
    verify: bool = False,
    start: Position | None = None,
    last: int | None = None,
    fetch: Callable[[Ask], Coroutine[Any, Any, FakePage]] | None = None,
    **callbacks: Any,
) -> PageWalk[FakePage]:
    adaptive = limit is None
    return PageWalk(
        fetch or server.fetch,
        start or Position.at(0, limit or FIRST_LIMIT, None, adaptive=adaptive),
        adaptive=adaptive,
        read_ahead=read_ahead,
        verify=verify,
        last=last,
        **callbacks,
    )


async def ids_of(walk: PageWalk[FakePage]) -> list[int]:
    found = []
    while (step := await walk.next_step()) is not None:
        found += [step.page.ids[place] for place in step.fresh]
    return found


limits = st.none() | st.integers(1, 60)


@given(
    count=st.integers(0, 300),
    limit=limits,
    least=st.integers(1, 30),
    most=st.integers(1, 60),
    read_ahead=st.integers(0, 5),
)
@example(count=2000, limit=50, least=1, most=20, read_ahead=0)
@example(count=22, limit=None, least=1, most=15, read_ahead=1)
def test_every_report_comes_once_and_in_order_whatever_page_size_is_served(
    count: int, limit: int | None, least: int, most: int, read_ahead: int
) -> None:
    server = FakeServer(list(range(count)), least=min(least, most), most=most)
    walk = walk_over(server, limit=limit, read_ahead=read_ahead)

    assert asyncio.run(ids_of(walk)) == server.rows

    served = min(server.served(ask.limit) for ask in server.asks)
    assert len(server.asks) <= 2 * -(-count // served) + 16
    assert server.in_flight == 0


@given(
    count=st.integers(0, 200),
    stop=st.integers(0, 200),
    first_limit=limits,
    second_limit=limits,
    most=st.integers(1, 60),
    least=st.integers(1, 30),
    read_ahead=st.integers(0, 5),
)
@example(
    count=60, stop=30, first_limit=10, second_limit=3, most=60, least=10, read_ahead=0
)  # a server that raises 3 to 10 has no page 11, which must not look like the end
def test_a_walk_resumed_after_any_report_with_any_limit_brings_exactly_the_rest(
    count: int,
    stop: int,
    first_limit: int | None,
    second_limit: int | None,
    most: int,
    least: int,
    read_ahead: int,
) -> None:
    server = FakeServer(list(range(count)), least=min(least, most), most=most)

    async def scenario() -> tuple[list[int], list[int]]:
        first = walk_over(server, limit=first_limit, read_ahead=read_ahead)
        taken: list[int] = []
        offset, limit, size, last = 0, first_limit or FIRST_LIMIT, None, None
        while len(taken) < stop and (step := await first.next_step()) is not None:
            for place in step.fresh[: stop - len(taken)]:
                taken.append(step.page.ids[place])
                offset, limit, size = step.offset_after(place), step.ask.limit, step.size
                last = taken[-1]
        await first.aclose()
        assert server.in_flight == 0
        if second_limit is not None and second_limit != limit:
            limit, size = second_limit, None
        rest = walk_over(
            server,
            limit=second_limit,
            read_ahead=read_ahead,
            start=Position.at(offset, limit, size, adaptive=second_limit is None),
            last=last,
        )
        return taken, await ids_of(rest)

    taken, rest = asyncio.run(scenario())

    assert taken + rest == server.rows


@given(
    count=st.integers(0, 120),
    limit=limits,
    moves=st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(0, 119)), max_size=20),
    read_ahead=st.integers(0, 3),
)
def test_verify_misses_no_row_that_stays_while_others_are_deleted_and_inserted(
    count: int, limit: int | None, moves: list[tuple[int, bool, int]], read_ahead: int
) -> None:
    server = FakeServer(list(range(count)))
    inserted = iter(range(1000, 2000))

    def move(ask: Ask) -> None:
        for number, insert, place in moves:
            if number == len(server.asks):
                if insert:
                    server.rows.insert(place % (len(server.rows) + 1), next(inserted))
                elif server.rows:
                    server.rows.pop(place % len(server.rows))

    server.before_answer = move
    walk = walk_over(server, limit=limit, read_ahead=read_ahead, verify=True)

    try:
        found = asyncio.run(ids_of(walk))
    except PaginationError:
        event("moved so much that it was an error")
        return
    stayed = {row for row in server.rows if row < 1000}
    assert len(found) == len(set(found))
    assert stayed <= set(found)


@given(
    count=st.integers(0, 120),
    limit=st.none() | st.integers(2, 40),
    inserts=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 119)), max_size=15),
    turns=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=7),
    read_ahead=st.integers(0, 5),
)
@example(count=39, limit=10, inserts=[(4, 35), (5, 35)], turns=[(1, 0)], read_ahead=2)
@example(count=33, limit=10, inserts=[(3, 0)], turns=[(0, 0), (9, 0), (0, 0)], read_ahead=2)
def test_rows_that_come_cost_none_that_was_there_whichever_answer_overtakes_which(
    count: int,
    limit: int | None,
    inserts: list[tuple[int, int]],
    turns: list[tuple[int, int]],
    read_ahead: int,
) -> None:
    server = FakeServer(list(range(count)), turns=partial(next, cycle(turns)))
    inserted = iter(range(1000, 2000))
    answers = itertools.count()

    def insert(ask: Ask) -> None:
        number = next(answers)
        for when, place in inserts:
            if when == number:
                server.rows.insert(place % (len(server.rows) + 1), next(inserted))

    server.before_answer = insert
    walk = walk_over(server, limit=limit, read_ahead=read_ahead)

    try:
        found = asyncio.run(ids_of(walk))
    except PaginationError:
        event("so much came that it was an error")
        return
    assert len(found) == len(set(found))
    assert set(range(count)) <= set(found)
    served = min((server.served(ask.limit) for ask in server.asks), default=1)
    assert len(server.asks) <= 2 * -(-len(server.rows) // served) + 16


async def test_a_page_older_than_the_one_before_it_is_read_again_once_rows_come_twice() -> None:
    server = FakeServer(list(range(60)))
    first_answer = {page: asyncio.Event() for page in range(1, 10)}

    async def fetch(ask: Ask) -> FakePage:
        # Page 2 is read when page 3 has been and a row has come before both.
        if ask.page == 2 and not first_answer[2].is_set():
            await first_answer[3].wait()
            server.rows.insert(0, 1000)
        if ask.page == 4:
            await first_answer[2].wait()
        page = await server.fetch(ask)
        first_answer[ask.page].set()
        return page

    retreats: list[tuple[int, list[int]]] = []
    walk = walk_over(
        server,
        limit=10,
        read_ahead=2,
        fetch=fetch,
        on_retreat=lambda offset, ids: retreats.append((offset, sorted(ids))),
    )

    found = await ids_of(walk)

    # Row 19 stood at the end of page 2 and was pushed onto page 3 after that had been read.
    assert found == [*range(19), *range(20, 30), 19, *range(30, 60)]
    assert retreats == [(20, [*range(10, 19), *range(20, 30)])]
    assert [ask.page for ask in server.asks[-6:]] == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize(("count", "twice"), [(55, 6), (60, 7)])
async def test_an_end_that_was_asked_for_too_early_to_be_sure_is_asked_for_again(
    count: int, twice: int, slow: bool
) -> None:
    # The first answer comes before its turn, or is waited for.
    turns = chain(repeat((1, 0), twice - 1), [(50 if slow else 1, 0)], repeat((1, 0)))
    server = FakeServer(list(range(count)), turns=partial(next, turns))

    found = await ids_of(walk_over(server, limit=10, read_ahead=5))

    assert found == server.rows
    pages = [ask.page for ask in server.asks]
    assert [page for page in range(1, 8) if pages.count(page) > 1] == [twice]


async def test_an_empty_page_that_was_read_before_the_last_one_became_full_is_no_end() -> None:
    server = FakeServer(list(range(39)))

    def insert(ask: Ask) -> None:
        # The second time page 4 has become full, and the empty page behind it is out of date.
        if ask.page == 5 or [seen.page for seen in server.asks].count(4) == 2:
            server.rows.insert(35, 1000 + len(server.asks))

    server.before_answer = insert

    found = await ids_of(walk_over(server, limit=10, read_ahead=2))

    assert set(range(39)) <= set(found)
    assert len(found) == len(set(found))


async def test_rows_that_come_twice_in_the_middle_of_a_page_are_noticed() -> None:
    # Page 2 is read after page 3 and a row that comes; then page 4 is too large, so that the walk
    # goes on with a smaller limit, in the middle of a page.
    server = FakeServer(list(range(150)), most=15)
    first_answer = {page: asyncio.Event() for page in range(1, 6)}

    async def fetch(ask: Ask) -> FakePage:
        if ask.limit < 16:
            return await server.fetch(ask)
        if ask.page == 2:
            await first_answer[3].wait()
            server.rows.insert(0, 1000)
        if ask.page == 4:
            await first_answer[2].wait()
            raise ResponseTooLarge("too large")
        page = await server.fetch(ask)
        first_answer[ask.page].set()
        return page

    start = Position.at(0, 16, None, adaptive=True)

    found = await ids_of(walk_over(server, start=start, read_ahead=2, fetch=fetch))

    assert sorted(found) == list(range(150))


@pytest.mark.parametrize("place", [0, 45, 75])
async def test_rows_that_come_while_the_page_size_grows_cost_none(place: int) -> None:
    server = FakeServer(list(range(200)))

    def grow(ask: Ask) -> None:
        if ask.page == 6:
            server.least = 15
        if [seen.page for seen in server.asks].count(5) == 2 and len(server.rows) == 200:
            server.rows.insert(place, 1000)

    server.before_answer = grow

    found = await ids_of(walk_over(server, limit=10, read_ahead=4))

    assert set(range(200)) <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(("read_ahead", "peak"), [(0, 1), (1, 1), (2, 3), (5, 6)])
async def test_several_pages_are_under_way_at_once_from_two_ahead_on(
    read_ahead: int, peak: int
) -> None:
    server = FakeServer(list(range(200)), turns=lambda: (5, 0))

    assert await ids_of(walk_over(server, limit=10, read_ahead=read_ahead)) == server.rows

    assert server.peak_in_flight == peak


def test_the_adaptive_limit_doubles_at_pages_that_are_aligned_with_what_was_read() -> None:
    server = FakeServer(list(range(100)))

    asyncio.run(ids_of(walk_over(server)))

    assert server.asks[:4] == [Ask(1, 10), Ask(2, 10), Ask(2, 20), Ask(2, 40)]


def test_the_adaptive_limit_stops_growing_before_pages_reach_the_target_size() -> None:
    server = FakeServer(list(range(500)), report_bytes=GROWTH_BYTES // 45)

    assert asyncio.run(ids_of(walk_over(server))) == server.rows
    assert max(ask.limit for ask in server.asks) == 40


def test_the_adaptive_limit_never_exceeds_what_the_vendor_documents() -> None:
    server = FakeServer(list(range(6000)), report_bytes=1)

    assert asyncio.run(ids_of(walk_over(server))) == server.rows
    assert max(ask.limit for ask in server.asks) == 1280


@pytest.mark.parametrize("first_large", [0, 25, 45])
def test_the_adaptive_limit_is_halved_when_an_answer_is_too_large(first_large: int) -> None:
    server = FakeServer(list(range(100)), largest_answer=15 * REPORT_BYTES)
    if first_large:
        server.largest_answer = None
        server.before_answer = lambda ask: (
            setattr(server, "largest_answer", 7 * REPORT_BYTES)
            if (ask.page - 1) * ask.limit >= first_large
            else None
        )

    assert asyncio.run(ids_of(walk_over(server))) == server.rows


def test_an_answer_too_large_for_any_limit_is_an_error() -> None:
    server = FakeServer(list(range(100)), largest_answer=REPORT_BYTES - 1)

    with pytest.raises(ResponseTooLarge) as caught:
        asyncio.run(ids_of(walk_over(server)))

    assert [ask.limit for ask in server.asks] == [10, 5, 2, 1]
    assert caught.value.__notes__ == ["asked for with limit=1"]


def test_an_explicit_limit_is_never_lowered() -> None:
    server = FakeServer(list(range(100)), largest_answer=REPORT_BYTES)

    with pytest.raises(ResponseTooLarge):
        asyncio.run(ids_of(walk_over(server, limit=50)))

    assert server.asks == [Ask(1, 50)]


@pytest.mark.parametrize("limit", [10, None])
def test_a_server_that_ignores_the_page_number_is_found_out(limit: int | None) -> None:
    class Ignoring(FakeServer):
        async def fetch(self, ask: Ask) -> FakePage:
            return await super().fetch(Ask(1, ask.limit))

    server = Ignoring(list(range(100)))

    with pytest.raises(PaginationError, match="page 2 repeats page 1"):
        asyncio.run(ids_of(walk_over(server, limit=limit)))


def test_a_server_that_serves_the_same_pages_in_turn_is_found_out() -> None:
    class Turning(FakeServer):
        async def fetch(self, ask: Ask) -> FakePage:
            return await super().fetch(Ask((ask.page - 1) % 2 + 1, ask.limit))

    server = Turning(list(range(100)))

    with pytest.raises(PaginationError, match="hold only reports of earlier pages"):
        asyncio.run(ids_of(walk_over(server, limit=10)))


def test_a_page_that_is_cut_short_though_another_follows_is_found_out() -> None:
    class Cutting(FakeServer):
        async def fetch(self, ask: Ask) -> FakePage:
            page = await super().fetch(ask)
            return attrs.evolve(page, ids=page.ids[:6]) if ask.page == 3 else page

    server = Cutting(list(range(100)))

    with pytest.raises(PaginationError, match="page 3 of limit 10 holds 6 of 10"):
        asyncio.run(ids_of(walk_over(server, limit=10)))


@pytest.mark.parametrize("read_ahead", [0, 2])
@pytest.mark.parametrize("length", [4, 10])
@pytest.mark.parametrize("place", range(2, 6))
def test_another_requests_answer_in_the_place_of_a_page_costs_no_report(
    place: int, length: int, read_ahead: int
) -> None:
    server = FakeServer(list(range(45)))
    doubts: list[int] = []
    strays = {Ask(place, 10): FakePage(tuple(range(length)), 1)}

    async def fetch(ask: Ask) -> FakePage:
        return strays.pop(ask, None) or await server.fetch(ask)

    async def main() -> list[int]:
        walk = walk_over(
            server,
            limit=10,
            read_ahead=read_ahead,
            fetch=fetch,
            on_doubt=lambda: doubts.append(place),
        )
        return await ids_of(walk)

    # Page 2 with all of page 1 would be a repetition, and that is an error.
    if (place, length) == (2, 10):
        with pytest.raises(PaginationError, match="page 2 repeats page 1"):
            asyncio.run(main())
    else:
        assert asyncio.run(main()) == server.rows
        assert doubts == [place]


def test_rows_added_behind_a_last_page_that_was_not_full_are_fetched_in_place() -> None:
    server = FakeServer(list(range(25)))

    def grow(ask: Ask) -> None:
        if ask.page == 4 and len(server.rows) == 25:
            server.rows += range(25, 38)

    server.before_answer = grow

    assert asyncio.run(ids_of(walk_over(server, limit=10))) == list(range(38))


def test_a_page_that_is_larger_than_those_before_is_read_from_where_the_walk_stands() -> None:
    server = FakeServer(list(range(100)), most=7)
    server.before_answer = lambda ask: setattr(server, "most", 10 if ask.page == 4 else server.most)

    assert asyncio.run(ids_of(walk_over(server, limit=10))) == server.rows


def test_reports_that_inserts_push_onto_the_next_page_are_not_doubled() -> None:
    server = FakeServer(list(range(100)))
    newer = iter(range(-1, -100, -1))
    server.before_answer = lambda ask: server.rows.insert(0, next(newer))

    found = asyncio.run(ids_of(walk_over(server, limit=10)))

    assert len(found) == len(set(found))
    assert set(range(100)) <= set(found)


def test_a_report_that_stands_twice_on_one_page_is_taken_once() -> None:
    server = FakeServer([1, 2, 2, 3])

    assert asyncio.run(ids_of(walk_over(server, limit=10))) == [1, 2, 3]


def test_a_resumed_walk_goes_on_behind_the_last_report_where_rows_have_moved() -> None:
    server = FakeServer([*range(1, 40)])  # report 0 has been deleted since

    found = asyncio.run(
        ids_of(walk_over(server, limit=10, start=Position.at(15, 10, 10, adaptive=False), last=14))
    )

    assert found == list(range(15, 40))


@pytest.mark.parametrize("size", [None, 10])
@pytest.mark.parametrize("offset", [15, 20])
def test_a_resumed_walk_does_not_double_what_reports_that_have_come_since_pushed_on(
    offset: int, size: int | None
) -> None:
    server = FakeServer([1000, 1001, *range(40)])
    start = Position.at(offset, 10, size, adaptive=False)

    found = asyncio.run(ids_of(walk_over(server, limit=10, start=start, last=offset - 1)))

    assert found == list(range(offset, 40))


def test_the_memory_for_ids_is_bounded() -> None:
    server = FakeServer(list(range(3 * REMEMBERED_IDS)), report_bytes=1)
    walk = walk_over(server, limit=2000)

    assert asyncio.run(ids_of(walk)) == server.rows
    assert len(walk._memory._ids) <= REMEMBERED_IDS


def test_verify_gives_up_on_a_window_that_never_settles() -> None:
    server = FakeServer(list(range(15)))
    inserted = iter(range(100, 10_000))
    server.before_answer = lambda ask: server.rows.append(next(inserted))

    with pytest.raises(PaginationError, match=f"after {MAX_PASSES} whole passes"):
        asyncio.run(ids_of(walk_over(server, limit=2000, verify=True)))


@pytest.mark.parametrize(("vanishing", "passes"), [(0, 2), (1, 4), (10, 5), (60, 9)])
def test_verify_walks_the_more_often_the_more_rows_vanish(vanishing: int, passes: int) -> None:
    # Rows behind the last page of each pass go, so that no other is ever missed.
    server = FakeServer(list(range(1000)))

    def vanish(ask: Ask) -> None:
        if (ask.page - 1) * ask.limit >= len(server.rows) and vanishing:
            del server.rows[-vanishing:]

    server.before_answer = vanish
    found = asyncio.run(ids_of(walk_over(server, limit=100, verify=True)))

    assert found == list(range(1000))
    assert sum(ask.page == 1 for ask in server.asks) == passes


@pytest.mark.parametrize("read_ahead", [0, 1, 4])
async def test_no_more_pages_are_under_way_than_read_ahead_allows_while_one_is_consumed(
    read_ahead: int,
) -> None:
    server = FakeServer(list(range(200)))
    walk = walk_over(server, limit=10, read_ahead=read_ahead)

    await walk.next_step()
    await asyncio.sleep(0)

    assert server.asks == [Ask(page, 10) for page in range(1, len(server.asks) + 1)]
    assert server.in_flight <= read_ahead
    await walk.aclose()


async def test_nothing_is_under_way_after_a_walk_was_left_early() -> None:
    server = FakeServer(list(range(200)))
    before = asyncio.all_tasks()
    walk = walk_over(server, limit=10, read_ahead=5)
    await walk.next_step()

    await walk.aclose()
    await walk.aclose()

    assert server.in_flight == 0
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("read_ahead", [0, 3])
async def test_a_walk_that_is_closed_while_a_page_is_waited_for_is_over(read_ahead: int) -> None:
    server = FakeServer(list(range(200)))
    before = asyncio.all_tasks()
    walk = walk_over(server, limit=10, read_ahead=read_ahead)
    waiting = asyncio.create_task(walk.next_step())
    while not server.in_flight:
        await asyncio.sleep(0)

    await walk.aclose()

    with pytest.raises(RuntimeError, match="the walk is closed"):
        await waiting
    with pytest.raises(RuntimeError, match="the walk is closed"):
        await walk.next_step()
    assert server.in_flight == 0
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("read_ahead", [0, 4])
async def test_a_walk_goes_on_where_it_stood_after_an_error(read_ahead: int) -> None:
    server = FakeServer(list(range(60)))
    failing = {3, 4, 5}

    def fail(ask: Ask) -> None:
        if ask.page in failing:
            failing.remove(ask.page)
            raise ConnectionFailed("unplugged")

    server.before_answer = fail
    walk = walk_over(server, limit=10, read_ahead=read_ahead)
    found: list[int] = []
    errors = 0
    while len(found) < 60:
        try:
            found += await ids_of(walk)
        except ConnectionFailed:
            errors += 1
            assert server.in_flight == 0
            # What the pages before the error brought was delivered by earlier steps.
            found = list(range(walk.position.offset))

    assert found == server.rows
    assert errors >= 1


async def test_a_walk_goes_on_where_it_stood_after_a_cancelled_wait() -> None:
    class Stalling(FakeServer):
        async def fetch(self, ask: Ask) -> FakePage:
            if ask.page == 2 and Ask(2, 10) not in self.asks:
                self.asks.append(ask)
                await asyncio.Event().wait()
            return await super().fetch(ask)

    server = Stalling(list(range(60)))
    walk = walk_over(server, limit=10, read_ahead=3)
    first = await walk.next_step()
    waiting = asyncio.create_task(walk.next_step())
    await asyncio.sleep(0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert server.in_flight == 0
    assert first is not None
    assert await ids_of(walk) == list(range(10, 60))
