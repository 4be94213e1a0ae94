"""Walking numbered pages: what to ask next, when it is over, and pages fetched ahead.

The server orders the reports, counts pages from 1 and cuts them to a size that it chooses itself:
mostly the `limit` it was asked for, but it may serve fewer (a maximum of its own) or more (a
minimum). All that is relied on is that one `limit` always gets one page size. `Position` draws the
conclusions, without I/O; `PageWalk` asks.

Rows may come while they are read. That pushes others to later places, where a walk that reads one
page after another meets them, some for the second time. Where several pages are under way at once,
a page may be older than the one before it, and a row that was pushed from this to that is on
neither. But then rows come twice soon after, and from that a walk knows where to read again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import attrs

from evtransport.errors import PaginationError, ResponseTooLarge

__all__ = ["Ask", "PageWalk", "Position", "ServedPage", "Step"]

FIRST_LIMIT = 10
"""Where an adaptive limit starts; no lower one is documented as safe."""

MAX_LIMIT = 2000

GROWTH_BYTES = 8 * 2**20
"""An adaptive limit is doubled while pages of twice the size should stay under this."""

REMEMBERED_IDS = 10_000
"""How many ids of the latest pages are kept, to tell reports that have been served before."""

MAX_PASSES = 20
"""A window in which reports still come or go after this many whole passes will not settle."""


MISSED = 1e-6
"""How many reports a verified walk may be expected to miss by chance."""


@attrs.frozen
class Ask:
    """One page to ask for."""

    page: int
    limit: int


@attrs.frozen
class Position:
    """Where a walk stands in the server's order, and what follows from that for the next request.

    Attributes:
        page: The page to ask for next.
        limit: The `limit` to ask for it with.
        skip: How many reports at the head of that page lie behind already.
        size: The page size that the server gives for this limit; None before its first answer.
        adaptive: The limit may still be doubled.
        proven: While a doubled limit is on trial: the one to return to when the server gives less.
        partial: The page before was not full and had this many reports; if another one follows
            all the same, rows have moved.
        returning: This page was not full when it was read before, and is read again for the rest.
    """

    page: int = 1
    limit: int = FIRST_LIMIT
    skip: int = 0
    size: int | None = None
    adaptive: bool = False
    proven: int | None = None
    partial: int | None = None
    returning: bool = False

    @classmethod
    def at(cls, offset: int, limit: int, size: int | None, *, adaptive: bool) -> Position:
        """The position with `offset` reports behind it.

        A limit of which the page size is not known yet is tried on page 1, where every server
        that has reports must show some: a page that does not exist would look like the end.
        """
        if size is None:
            return cls(limit=limit, skip=offset, adaptive=adaptive)
        page, skip = divmod(offset, size)
        # Where the limit is not honoured, a larger one would change nothing.
        adaptive = adaptive and size == limit
        return cls(page=page + 1, limit=limit, skip=skip, size=size, adaptive=adaptive)

    @property
    def offset(self) -> int:
        """How many reports lie behind."""
        return (self.page - 1) * (self.size or 0) + self.skip

    def asks(self, count: int) -> tuple[Ask, ...]:
        """The next pages to ask for, up to `count`, as far as no answer decides on them."""
        trial = self.size is None or self.adaptive or self.proven is not None
        if trial or self.partial is not None:
            count = min(1, count)
        return tuple(Ask(self.page + ahead, self.limit) for ahead in range(count))

    def after(self, count: int, length: int) -> Position:
        """The position after a page that was not empty.

        Args:
            count: How many reports the page held.
            length: How many bytes.

        Raises:
            PaginationError: The page cannot be, by what the pages before it showed.
        """
        if self.proven is not None and count != self.limit:
            # Either the end, or a maximum that the doubled limit has run into. Which one, the
            # page does not tell; with the limit that is known to be honoured it does not matter.
            return Position.at(self.offset, self.proven, self.proven, adaptive=False)
        if self.size is None:
            return self._sized(count)._perhaps_doubled(length)
        if count > self.size:
            return Position.at(self.offset, self.limit, count, adaptive=False)
        if self.partial is not None:
            return attrs.evolve(
                self, page=self.page - 1, skip=self.partial, partial=None, returning=True
            )
        if self.returning and count <= self.skip:
            raise PaginationError(
                f"page {self.page} of limit {self.limit} holds {count} of {self.size} reports"
                " and yet another page follows it"
            )
        step = attrs.evolve(self, page=self.page + 1, skip=0, proven=None, returning=False)
        if count < self.size:
            return attrs.evolve(step, partial=count)
        return step._perhaps_doubled(length)

    def takes(self, count: int) -> bool:
        """Whether the reports of a page that holds this many are the ones that come next."""
        moved = self.size is not None and count > self.size
        return not moved and self.partial is None and (self.proven is None or count == self.limit)

    def after_too_large(self) -> Position | None:
        """The position with a smaller limit; None when there is none."""
        if self.proven is not None:
            return Position.at(self.offset, self.proven, self.proven, adaptive=False)
        limit = min(self.limit, self.size or self.limit) // 2
        return Position.at(self.offset, limit, None, adaptive=False) if limit else None

    def _sized(self, count: int) -> Position:
        offset = max(self.skip, count)
        return Position.at(offset, self.limit, count, adaptive=self.adaptive)

    def _perhaps_doubled(self, length: int) -> Position:
        doubled = self.limit * 2
        if not self.adaptive or self.skip or self.offset % doubled:
            return self
        if doubled > MAX_LIMIT or length * 2 > GROWTH_BYTES:
            return attrs.evolve(self, adaptive=False)
        page = self.offset // doubled + 1
        return attrs.evolve(self, page=page, limit=doubled, size=doubled, proven=self.limit)


class ServedPage(Protocol):
    """What a walk has to know of a page's content."""

    @property
    def ids(self) -> Sequence[int]:
        """The reports' ids, in the server's order."""
        ...

    @property
    def length(self) -> int:
        """Bytes."""
        ...


P = TypeVar("P", bound=ServedPage)


@attrs.frozen(eq=False)
class Step(Generic[P]):
    """A page that brought something new.

    Attributes:
        page: The page.
        ask: What it was asked for with.
        size: The page size in force.
        fresh: The places on the page of the reports that have not been delivered before.
        rereads: The walk has gone back, and some reports further on have been delivered already.
    """

    page: P
    ask: Ask
    size: int
    fresh: tuple[int, ...]
    rereads: bool

    def offset_after(self, place: int) -> int:
        """How many reports of the server's order lie behind when the one at `place` does."""
        return (self.ask.page - 1) * self.size + place + 1


@attrs.frozen(eq=False)
class _Served:
    """A page as it is remembered.

    Attributes:
        end: How many reports of the server's order lie behind with it.
        added: The ids that were on no page before.
        redo: Where to read again if its reports come once more, since rows were pushed on then: a
            page before it, which was read later, may have lost one to it too late to show here.
            None where all pages before it had come first.
    """

    end: int
    added: frozenset[int]
    redo: int | None


class _Memory:
    """The ids of the latest pages of one pass, and how long nothing has been added to them.

    Args:
        rows_may_move: A page that looks like the one before is no error.
        pages: How many pages are kept at the least.
    """

    STALE_PAGES = 3

    def __init__(self, *, rows_may_move: bool, pages: int) -> None:
        self._rows_may_move = rows_may_move
        self._pages = pages
        self._served: deque[_Served] = deque()
        self._ids: set[int] = set()
        self._previous: tuple[Ask, frozenset[int]] | None = None
        self._stale = 0

    def __contains__(self, report_id: int) -> bool:
        return report_id in self._ids

    def redo_of(self, ids: Iterable[int]) -> int | None:
        """Where to read again if these reports have come once more; None where nowhere."""
        known = self._ids.intersection(ids)
        if not known:
            return None
        return min(
            (
                served.redo
                for served in self._served
                if served.redo is not None and not known.isdisjoint(served.added)
            ),
            default=None,
        )

    def since(self, offset: int) -> tuple[int, ...]:
        """The ids that were first met on pages that reach beyond there."""
        return tuple(
            report_id
            for served in self._served
            if served.end > offset
            for report_id in served.added
        )

    def refuse_repetition(self, ask: Ask, ids: Iterable[int], *, read_before: bool) -> None:
        """Check that the page is not the page before once more.

        Raises:
            PaginationError: It is.
        """
        # A page's worth of rows, inserted at the right moment, makes the next page look the same.
        if self._previous is None or read_before or self._rows_may_move:
            return
        earlier, there = self._previous
        if frozenset(ids) == there and earlier.page < ask.page:
            raise PaginationError(
                f"page {ask.page} repeats page {earlier.page} (limit {ask.limit}):"
                " the server seems to ignore the page number"
            )

    def add(
        self, ask: Ask, ids: Iterable[int], *, end: int, redo: int | None, read_before: bool
    ) -> None:
        """Remember a page.

        Args:
            ask: What it was asked for with.
            ids: Its reports.
            end: How many reports of the server's order lie behind with it.
            redo: Where to read again if its reports come once more.
            read_before: A part of it was expected to be old.

        Raises:
            PaginationError: It is one of several in a row that bring nothing but what was served
                before.
        """
        here = frozenset(ids)
        self._previous = ask, here
        added = here - self._ids
        self._stale = 0 if added or read_before else self._stale + 1
        if self._stale >= self.STALE_PAGES:
            raise PaginationError(
                f"{self._stale} pages in a row up to page {ask.page} (limit {ask.limit})"
                " hold only reports of earlier pages"
            )
        self._served.append(_Served(end, added, redo))
        self._ids |= added
        while len(self._ids) > REMEMBERED_IDS and len(self._served) > self._pages:
            self._ids -= self._served.popleft().added


@attrs.define(eq=False)
class _Pass:
    """One way through all pages, for `verify`.

    Attributes:
        whole: It began at the first page; another one proves nothing.
        expected: The ids that should be met again, if no row has vanished.
        seen: The ids that were met.
        quiet: It has brought nothing new.
    """

    whole: bool
    expected: frozenset[int]
    seen: set[int] = attrs.field(factory=set)
    quiet: bool = True


@attrs.define(eq=False)
class _Request(Generic[P]):
    """A page that is under way.

    Attributes:
        task: Fetches it.
        settled: The last page that had come, with all before it, when this one was asked for, and
            has not been asked for again since.
    """

    task: asyncio.Task[P]
    settled: int

    def come(self) -> P | None:
        """The page, if it has come."""
        task = self.task
        if not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()


class PageWalk(Generic[P]):
    """Fetches pages in order, ahead of their use where that is wanted, until there are no more.

    It owns the requests that it has under way: `aclose()` cancels and awaits them.

    Args:
        fetch: Asks the server for one page.
        start: Where to begin.
        adaptive: The limit is the walk's to choose: it starts low, is doubled, and is halved
            when an answer is too large.
        read_ahead: How many pages may be under way while one is consumed. Up to 1, each is asked
            for when the one before it has come. Beyond, several are under way at once, until
            reports that come twice show that one can have been missed: then the walk goes back
            to where, and reads one page after another from there.
        verify: Walk again from page 1 until a whole pass has brought nothing new. If rows have
            vanished meanwhile, which may have pulled others past the walk, more such passes have
            to confirm it, the more the more there were.
        last: The id of the report that was delivered last before `start`.
        delivered: The ids of all that were, as far as they are known.
        on_doubt: Called before a page is asked for again because what came may have been meant for
            another request.
        on_retreat: Called when the walk goes back, with how many reports lie behind it then, and
            with the ids of those that it has delivered from further on.
    """

    def __init__(
        self,
        fetch: Callable[[Ask], Coroutine[Any, Any, P]],
        start: Position,
        *,
        adaptive: bool,
        read_ahead: int,
        verify: bool,
        last: int | None = None,
        delivered: Iterable[int] = (),
        on_doubt: Callable[[], None] = lambda: None,
        on_retreat: Callable[[int, tuple[int, ...]], None] = lambda offset, ids: None,
    ) -> None:
        self._fetch = fetch
        self._on_doubt = on_doubt
        self._on_retreat = on_retreat
        self._position = start
        self._adaptive = adaptive
        self._read_ahead = read_ahead
        self._verify = verify
        self._last = last
        self._delivered = set(delivered)
        self._memory = self._new_memory()
        self._doubted: Ask | None = None
        self._turned_at = 0
        self._requests: dict[Ask, _Request[P]] = {}
        self._dropped: set[asyncio.Task[P]] = set()
        self._pass = _Pass(whole=start.offset == 0, expected=frozenset(self._delivered))
        self._passes = 0
        self._quiet_passes = 0
        self._over = False
        self._closed = False

    @property
    def position(self) -> Position:
        """Where the next request goes."""
        return self._position

    async def next_step(self) -> Step[P] | None:
        """The next page that holds a report not delivered yet; None at the end.

        After an error the walk stands where it stood, and may be asked again.

        Raises:
            ApiError: A request failed, or the pages contradict each other.
            RuntimeError: The walk is closed.
        """
        while not self._over:
            try:
                self._check_open()
                answer = await self._answer()
                self._check_open()
                step = self._accept(*answer) if answer is not None else None
            except BaseException:
                await self._cancel()
                raise
            self._keep(() if self._over else self._position.asks(self._read_ahead))
            if step is not None and step.fresh:
                return step  # at once: a cancellation in between would lose the page
            await self._forget_dropped()
        return None

    async def aclose(self) -> None:
        """Cancel and await all requests under way; the walk can't go on."""
        self._closed = True
        await self._cancel()

    async def _cancel(self) -> None:
        self._keep(())
        await self._forget_dropped()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the walk is closed")

    @property
    def _at_once(self) -> int:
        # One ahead is asked for when this one has come, and so is never the older of the two.
        return 1 + self._read_ahead if self._read_ahead > 1 else 1

    def _new_memory(self) -> _Memory:
        return _Memory(rows_may_move=self._verify, pages=2 + self._read_ahead)

    async def _answer(self) -> tuple[P, int] | None:
        """The page at the position, and which pages had come when it was asked for.

        None when it was too large and the limit has been lowered.
        """
        try:
            if self._read_ahead == 0:
                (ask,) = self._position.asks(1)
                return await self._fetch(ask), ask.page - 1
            asks = self._position.asks(self._at_once)
            self._keep(asks)
            settled = self._requests[asks[0]].settled
            return await self._finished(asks[0]), settled
        except ResponseTooLarge as error:
            smaller = self._position.after_too_large() if self._adaptive else None
            if smaller is None:
                error.add_note(f"asked for with limit={self._position.limit}")
                raise
            self._position = smaller
            return None

    async def _finished(self, ask: Ask) -> P:
        try:
            return await self._requests[ask].task
        except asyncio.CancelledError:
            self._check_open()  # it was not this task that was cancelled
            raise
        finally:
            self._requests.pop(ask, None)

    def _accept(self, page: P, settled: int) -> Step[P] | None:
        position = self._position
        count = len(page.ids)
        early = settled < position.page - 1
        rash = early and self._looks_like_the_end(count)
        if count == 0:
            if not rash:
                self._end_pass()
            return None
        following = position.after(count, page.length)
        rereads = position.offset < self._turned_at
        again = position.skip > 0 or rereads
        ask = Ask(position.page, position.limit)
        ahead = page.ids[position.skip :]
        redo = self._memory.redo_of(ahead) if self._at_once > 1 else None
        if redo is None:
            if not position.takes(count):
                self._position = following
                return None
            self._memory.refuse_repetition(ask, page.ids, read_before=again)
        suspects = not (again or self._verify or self._doubted == ask)
        if suspects and all(report_id in self._memory for report_id in page.ids):
            # Nothing new where something new was due: rows that moved can do that, but so can an
            # answer that belongs to another request.
            self._doubted = ask
            self._on_doubt()
            return None
        if rash:  # now that the pages before it have come, it is asked for again
            return None
        if redo is not None:
            self._go_back(redo)
            return None
        # What was on a page when it was read before may be another answer's or have moved, so
        # there the ids tell what is new, and not the count.
        fresh = self._fresh(page.ids, 0 if position.returning else position.skip)
        size = position.size or count
        self._memory.add(
            ask,
            page.ids,
            end=(ask.page - 1) * size + count,
            redo=(settled + 1) * size if early else None,
            read_before=again,
        )
        self._position = following
        return Step(page, ask, size, fresh, rereads)

    def _looks_like_the_end(self, count: int) -> bool:
        """Whether so few reports on a page may mean the end.

        Of a page that was asked for before those before it had come, they may not: rows of these
        can have been pushed there since.
        """
        return count < (self._position.size or 0) and self._position.partial is None

    def _go_back(self, offset: int) -> None:
        """Read again from there, one page after another from now on."""
        position = self._position
        self._read_ahead = 1
        self._turned_at = position.offset
        self._position = Position.at(offset, position.limit, position.size, adaptive=False)
        # With the page before, the end of which may have been pushed to here.
        self._on_retreat(offset, self._memory.since(offset - (position.size or 0)))

    def _fresh(self, ids: Sequence[int], skip: int) -> tuple[int, ...]:
        """The places of the reports that have not been delivered, which from now on they are."""
        if self._last in ids:
            # Rows may have moved since; the report itself tells better than the count.
            skip = ids.index(self._last) + 1
        if skip < len(ids):
            self._last = None
        found: dict[int, int] = {}
        for place in range(skip, len(ids)):
            report_id = ids[place]
            if report_id not in self._memory and report_id not in self._delivered:
                found.setdefault(report_id, place)
        if self._verify:
            self._delivered.update(found)
            self._pass.seen.update(ids)
            self._pass.quiet = self._pass.quiet and not found
        return tuple(found.values())

    def _end_pass(self) -> None:
        ended = self._pass
        self._quiet_passes = self._quiet_passes + 1 if ended.whole and ended.quiet else 0
        if not self._verify or (self._quiet_passes and self._is_settled(ended)):
            self._over = True
            return
        self._passes += 1
        if self._passes >= MAX_PASSES:
            raise PaginationError(
                f"the window has not settled after {self._passes} whole passes:"
                " reports still come or go"
            )
        self._position = Position.at(
            0, self._position.limit, None, adaptive=self._position.adaptive
        )
        self._memory = self._new_memory()
        self._turned_at = 0
        expected = ended.seen if ended.whole else self._delivered
        self._pass = _Pass(whole=True, expected=frozenset(expected))

    def _is_settled(self, ended: _Pass) -> bool:
        """Whether the quiet passes prove that nothing has been missed.

        A row is missed where another one vanishes before it while the walk stands right between
        the two. So the share of the rows that vanish during a pass is the chance of that for each
        row, and only a row that was missed in every pass so far is missing.
        """
        rows = len(ended.expected)
        vanished = len(ended.expected - ended.seen)
        return not vanished or rows * (vanished / rows) ** (self._quiet_passes + 1) < MISSED

    def _keep(self, asks: tuple[Ask, ...]) -> None:
        """Have these requests under way, in their order, as far as the end does not show."""
        for ask in self._requests.keys() - set(asks):
            task = self._requests.pop(ask).task
            task.cancel()
            self._dropped.add(task)
        settled = asks[0].page - 1 if asks else 0
        for ask in asks:
            request = self._requests.get(ask)
            if request is None:
                self._ask_for(ask, settled)
                continue
            page = request.come()
            if page is None:
                continue
            if self._looks_like_the_end(len(page.ids)):
                early = request.settled < settled == ask.page - 1
                if early and not any(report_id in self._memory for report_id in page.ids):
                    self._ask_for(ask, settled)  # while the pages before it are consumed
                break
            if settled == ask.page - 1:
                settled = ask.page

    def _ask_for(self, ask: Ask, settled: int) -> None:
        for other, request in self._requests.items():
            if other.page > ask.page:
                request.settled = min(request.settled, ask.page - 1)
        self._requests[ask] = _Request(asyncio.create_task(self._fetch(ask)), settled)

    async def _forget_dropped(self) -> None:
        """Await what was cancelled, so that no task outlives the walk and no error goes unread."""
        while self._dropped:
            done, self._dropped = await asyncio.wait(self._dropped)
            for task in done:
                if not task.cancelled():
                    task.exception()
