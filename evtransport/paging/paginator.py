"""A walk over numbered pages, without I/O: what to request next, and what an answer means.

Consecutive pages overlap: page sizes vary between half of the limit and the limit, so that each
page begins with rows that are known. A page shows a contiguous stretch of the server's order at one
moment. If it holds a known row, it joins: no row that stays on the server is missing between the
two. This holds whatever moved between the two readings, and in any order of reading.

Invariants:
 1. The walk has delivered all rows that stay on the server, up to the farthest row met. Behind a
    full page followed by an exact one, this holds only if no row is deleted.
 2. A page is taken only if it joins or is exact; other pages are dropped. Exact pages are page 1,
    and the page right behind the page taken last, requested after that one arrived. The walk
    requests the latter if the page taken last was short, or if no size overlaps.
 3. No row is delivered twice, as long as it is remembered.
 4. Offsets and page sizes are estimates. A wrong one costs requests, never rows.
 5. The requests that should be in flight follow from the state alone.
 6. A pass ends at an empty page only: page 1, or an exact one.
 7. A walk ends. Each page that is taken advances it or counts toward a bound. Pages are dropped
    only during a search or a trial, and both are bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

import attrs

from evtransport.errors import ApiError, PaginationError
from evtransport.paging.cursor import RECENT_KEYS, Cursor
from evtransport.paging.known import KnownRows, PageRows
from evtransport.paging.search import Search
from evtransport.paging.sizes import PageLimits, PageRequest, PageSizes

__all__ = ["Dropped", "End", "EndOfPass", "NewRows", "Outcome", "PageContent", "Paginator"]

MAX_PASSES = 20
"""Passes of a walk with `verify`."""

MAX_IDLE = 8
"""Pages in a row that may hold known rows only, besides those that moved rows explain."""

MAX_REPEATS = 3
"""Pages in a row that end at the same row, after which a server counts as one of fixed sizes."""


class PageContent(Protocol):
    """Content of a page, as far as a paginator reads it."""

    @property
    def keys(self) -> Sequence[int]:
        """Keys of the rows, in the server's order: ints below 2**64 that tell rows apart."""
        ...

    @property
    def length(self) -> int:
        """Size in bytes."""
        ...


@attrs.frozen(eq=False)
class NewRows:
    """New rows of a page, to deliver.

    Attributes:
        before: The cursor before the first of them.
    """

    before: Cursor
    _after: Cursor = attrs.field(alias="after")
    _request: PageRequest = attrs.field(alias="request")
    _keys: Sequence[int] = attrs.field(alias="keys")
    _rows: PageRows = attrs.field(alias="rows")
    _appends: bool = attrs.field(alias="appends")

    @property
    def indexes(self) -> tuple[int, ...]:
        """Indexes of the new rows on the page."""
        return self._rows.new

    def cursor(self, taken: int) -> Cursor:
        """Return the cursor after the first `taken` rows."""
        if taken == 0:
            return self.before
        index, delivered = self.indexes[taken - 1], self._after.delivered
        return attrs.evolve(
            self._after,
            offset=self._request.offset_behind(index + 1),
            recent=self._recent_at(index),
            delivered=delivered and delivered.first(len(self.before.delivered) + taken),
        )

    def _recent_at(self, index: int) -> tuple[int, ...]:
        """Return the known rows that stand farthest in the server's order."""
        known_behind = (self._keys[known] for known in self._rows.known if known > index)
        page = (*self._keys[: index + 1], *known_behind)
        recent, shared = list(self.before.recent), set(self.before.recent).intersection(page)
        if self._appends:
            return (*(key for key in recent if key not in shared), *page)[-RECENT_KEYS:]
        if not shared:
            return self.before.recent
        # Rows on the page stand next to those that are recent already.
        position = next(recent.index(key) for key in page if key in shared)
        first = max(0, len(page) - RECENT_KEYS)
        for key in (key for key in page[:first] if key in shared):
            position = recent.index(key) + 1
        for key in page[first:]:
            if key in shared:
                position = recent.index(key)
            else:
                recent.insert(position, key)
            position += 1
        return tuple(recent[-RECENT_KEYS:])


@attrs.frozen
class Dropped:
    """A page without rows to deliver.

    Attributes:
        retire_connections: The page is suspect: it may be the answer to another request.
    """

    retire_connections: bool = False


@attrs.frozen
class EndOfPass:
    """End of one pass of `verify`. The next one begins."""


@attrs.frozen
class End:
    """End of the walk."""


Outcome: TypeAlias = NewRows | Dropped | EndOfPass | End


@attrs.frozen
class Place:
    """The place of a walk: the end of the page taken last.

    Attributes:
        offset: Estimated number of rows up to here.
        request: Request of that page, None if there is none.
        rows: Number of rows on it.
        repeats: Pages in a row that ended here too.
        is_checked: The page was read again after a page that seemed not to be exact, and it ended
            here again.
        extends: The page held a recent row of the cursor, or followed such a page.
        apart: Rows delivered since a page held the last recent row of the cursor.
    """

    offset: int
    request: PageRequest | None = None
    rows: int = 0
    repeats: int = 0
    is_checked: bool = False
    extends: bool = True
    apart: int = 0

    @property
    def short(self) -> bool:
        """The page has fewer rows than its limit, so it may be the last one."""
        return self.request is not None and self.rows < self.request.limit


@attrs.frozen
class Pass:
    """One way through all pages. Without `verify` a walk has one pass.

    Attributes:
        number: 1 for the first pass.
        whole: The pass began at page 1.
        quiet: The pass has delivered no row.
        joined: All pages but page 1 joined, and the last one was short.
        met: Number of rows met.
        met_before: Number of rows met in the pass before, None if that was not whole.
        idle: Pages in a row that were taken and did not advance the walk.
    """

    number: int = 1
    whole: bool = True
    quiet: bool = True
    joined: bool = True
    met: int = 0
    met_before: int | None = None
    idle: int = 0

    def after_page(self, request: PageRequest, rows: PageRows) -> Pass:
        """Return the pass after a page that was taken."""
        return attrs.evolve(
            self,
            quiet=self.quiet and not rows.new,
            joined=self.joined and (bool(rows.known) or request.page == 1),
            met=self.met + rows.added,
            idle=0 if rows.advances else self.idle + 1,
        )

    @property
    def converged(self) -> bool:
        """No row is missing: the pass has met all rows, and each of them was delivered before."""
        # Deletes may hide rows from pages that did not join. Then fewer rows are met.
        met_all = self.joined or (self.met_before is not None and self.met >= self.met_before)
        return self.whole and self.quiet and met_all


class Paginator:
    """State of one walk.

    Args:
        cursor: Where to begin.
        limit: Largest limit to ask for. None lets the paginator choose.
        limits: Limits that the API documents.
        read_ahead: Number of requests to keep in flight.
        verify: Walk the pages again until a whole pass brings nothing new.
    """

    def __init__(
        self,
        cursor: Cursor,
        *,
        limit: int | None,
        limits: PageLimits,
        read_ahead: int,
        verify: bool,
    ) -> None:
        self.read_ahead: Final = read_ahead
        self._verify: Final = verify
        self._cursor = cursor
        self._sizes = PageSizes.at(cursor, limit, limits)
        self._known = KnownRows.at(cursor, verify=verify)
        self._place = Place(cursor.offset)
        self._pass = Pass(whole=cursor.offset == 0)
        self._search: Search | None = None

    @property
    def cursor(self) -> Cursor:
        """The cursor after all rows delivered so far."""
        return self._sizes.saved(self._cursor)

    def next_requests(self) -> list[PageRequest]:
        """Return the requests that should be in flight, the next one to receive first."""
        sizes, requests = self._sizes, [self._next_request()]
        is_uncertain = self._search or self._place.short or sizes.limit > sizes.safe
        while len(requests) < self.read_ahead and not is_uncertain:
            # Prefetch as if all pages were full.
            following = sizes.overlapping(requests[-1].offset_behind(requests[-1].limit))
            if following is None:
                break
            requests.append(following)
        return requests

    def _next_request(self) -> PageRequest:
        """Return the request for the page to receive next (invariants 2 and 5)."""
        sizes, place, taken = self._sizes, self._place, self._place.request
        if self._search:
            return sizes.request(self._search.page, sizes.safe)
        if place.offset == 0:
            return sizes.request(1, sizes.limit, exact=True)
        if not place.short and (overlapping := sizes.overlapping(place.offset)):
            return overlapping
        if taken and (place.short or taken.limit <= sizes.limit):
            return sizes.request(taken.page + 1, taken.limit, exact=True)
        return sizes.holding(place.offset, sizes.limit)

    def receive(self, request: PageRequest, page: PageContent) -> Outcome:
        """Return what follows from a page.

        Args:
            request: The first of `next_requests()`.
            page: The answer to it.

        Raises:
            PaginationError: The pages contradict each other, or rows move too fast.
        """
        if not page.keys and (request.exact or request.page == 1):
            return self._end_pass()
        # Invariant 2.
        joins = not self._known.met.keys().isdisjoint(page.keys)
        if joins or self._is_exact(request, len(page.keys)):
            return self._take(request, page)
        return self._drop(request, page)

    def refused(self, request: PageRequest, error: ApiError) -> Dropped:
        """Return what follows from a failed request: smaller pages, where they may help.

        Args:
            request: The first of `next_requests()`.
            error: How it failed.

        Raises:
            ApiError: `error`. If the page size may be the reason, the next page is smaller.
        """
        is_first = self._place.offset == 0
        sizes, goes_on = self._sizes.after_failure(request, error, is_first=is_first)
        if sizes != self._sizes:
            self._sizes, self._search = sizes, None
            self._place = attrs.evolve(self._place, request=None)
            # The last page is read again, which advances nothing.
            self._pass = attrs.evolve(self._pass, idle=self._pass.idle - 1)
        if not goes_on:
            raise error
        return Dropped()

    def _is_exact(self, request: PageRequest, rows: int) -> bool:
        """Return True if no row can be missing between the place and a page (invariant 2)."""
        place = self._place
        if not request.exact or request.page == 1:
            return request.exact
        # With more rows than before, the page size may have grown. Behind a short page, it may have
        # shrunk, and the rows may have been delivered and forgotten.
        may_have_shrunk = place.short and self._sizes.overlap and not self._known.complete
        is_likely = rows <= place.rows and not may_have_shrunk
        return not self._may_be_clamped and (is_likely or place.is_checked)

    @property
    def _may_be_clamped(self) -> bool:
        """The page taken last is short, perhaps since the server serves no larger one."""
        place, sizes = self._place, self._sizes
        return sizes.overlap and place.short and place.rows >= sizes.limits.least

    def _take(self, request: PageRequest, page: PageContent) -> NewRows | Dropped:
        """Take a page that joins or is exact (invariants 1 to 3)."""
        keys, before = page.keys, self.cursor
        rows = self._known.take(keys)
        holds_last = not before.recent or before.recent[-1] in keys
        follows = self._place.extends and not rows.known
        apart = 0 if holds_last or follows else self._place.apart + len(rows.new)
        # After so many other rows, the last recent one has moved or left the server.
        appends = follows or apart > RECENT_KEYS
        extends = appends or not set(before.recent).isdisjoint(keys)
        is_refetched = self._place.request is None or self._search is not None
        self._move(request, page, rows)
        self._place = attrs.evolve(self._place, extends=extends, apart=0 if appends else apart)
        self._pass = self._pass.after_page(request, rows)
        if not rows.new:
            self._check_idle(len(keys))
            may_be_misplaced = not (rows.advances or self._place.short or is_refetched)
            return Dropped(retire_connections=may_be_misplaced)
        after = self.cursor
        if self._known.delivered is not None:
            delivered = before.delivered.plus(keys[index] for index in rows.new)
            after = attrs.evolve(after, delivered=delivered)
        outcome = NewRows(before, after, request, keys, rows, appends)
        self._cursor = outcome.cursor(len(rows.new))
        return outcome

    def _move(self, request: PageRequest, page: PageContent, rows: PageRows) -> None:
        """Move the place to the end of a page (invariant 4)."""
        place, count, offset = self._place, len(page.keys), request.offset_behind(len(page.keys))
        sizes = self._sizes.after_page(request.limit, count, page.length)
        # A page that is read again after a failure ends where it ended before.
        stays = offset == place.offset and not rows.advances
        repeats = place.repeats + 1 if stays and place.request else 0
        follows_short = request.exact and place.short and not rows.known
        if follows_short or repeats == MAX_REPEATS:
            # The server serves other sizes than those that it is asked for.
            sizes = sizes.fixed()
        is_checked = stays and place.is_checked
        self._place = Place(offset, request, count, repeats % MAX_REPEATS, is_checked)
        self._sizes, self._search = sizes, None

    def _drop(self, request: PageRequest, page: PageContent) -> Dropped:
        """Correct the estimates after a page that was not taken (invariant 4)."""
        rows, sizes = len(page.keys), self._sizes
        if request.exact:
            self._sizes = sizes.clamped(self._place.rows) if self._may_be_clamped else sizes
            self._place = attrs.evolve(self._place, request=None, is_checked=True)
        elif rows > request.limit and sizes.overlap:
            self._sizes, self._search = sizes.fixed(), None
            self._place = attrs.evolve(self._place, request=None)
        elif request.trial and rows < request.limit and not sizes.overlap:
            self._sizes = sizes.reduced(request, sizes.safe)
        elif self._search:
            self._search = self._search.after_miss(empty=not rows)
            if self._search is None:
                self._begin_again()
        else:
            self._search = Search(sizes.holding(self._place.offset, sizes.safe).page)
            return Dropped(retire_connections=True)
        return Dropped()

    def _begin_again(self) -> None:
        """Begin again at page 1, since no known row is left.

        Raises:
            PaginationError: Rows that are forgotten may be delivered again.
        """
        self._place, self._cursor = Place(0), attrs.evolve(self._cursor, offset=0)
        if not self._known.complete:
            raise PaginationError(
                "none of the reports delivered last was found where the walk stood: the walk, if it"
                " goes on, begins again at page 1 and may deliver earlier reports again"
            )

    def _check_idle(self, rows: int) -> None:
        """Check that pages still advance the walk (invariant 7).

        Raises:
            PaginationError: Fewer do than known rows that moved can explain.
        """
        idle = self._pass.idle
        if idle > MAX_IDLE + 2 * len(self._known.met) // max(1, rows):
            self._pass = attrs.evolve(self._pass, idle=0)
            raise PaginationError(
                f"{idle} pages in a row hold only reports of earlier pages:"
                " the server seems to ignore the page number"
            )

    def _end_pass(self) -> EndOfPass | End:
        """End the pass at an empty page (invariant 6)."""
        place = self._place
        # Behind a full page, deletes may have pulled the rest forward.
        is_proven = place.offset == 0 or (place.short and self._sizes.overlap)
        ended = attrs.evolve(self._pass, joined=self._pass.joined and is_proven)
        if not self._verify or ended.converged:
            return End()
        if ended.number == MAX_PASSES:
            raise PaginationError(
                f"reports still come or go after {MAX_PASSES} passes over the window"
            )
        self._pass = Pass(ended.number + 1, met_before=ended.met if ended.whole else None)
        self._place, self._search = Place(0), None
        self._cursor = attrs.evolve(self._cursor, offset=0, recent=())
        self._known.met.clear()
        return EndOfPass()
