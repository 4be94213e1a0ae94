"""Paginator: a walk over numbered pages, without I/O.

Consecutive pages overlap: page sizes vary between half of the limit and the limit, so that each
page starts with known rows. A page shows a contiguous part of the server's order at one moment. A
page that holds a known row joins the pages before it: no row that stays on the server is missing
between them. This holds whatever rows move between the requests, and for any order of requests.

Invariants:
 1. The walk has delivered all rows that stay on the server, up to the farthest row seen. After a
    full page followed by an exact page, this holds only if no row is deleted.
 2. The walk accepts a page only if it joins or is exact, and drops other pages. Exact pages are
    page 1, and the page right after the last accepted page, requested after that page arrived. The
    walk requests the latter if the last accepted page was short, or if no size overlaps.
 3. The walk delivers no row twice, as long as it remembers the row.
 4. Offsets and page sizes are estimates. A wrong estimate costs requests, never rows.
 5. The requests that should be in flight follow from the state alone.
 6. A pass ends only at an empty page that is page 1 or exact.
 7. A walk ends. Each accepted page advances it or counts toward a bound. Pages are dropped only
    during a search or a trial, and both are bounded.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final, Protocol

import attrs

from evtransport.errors import ApiError, PaginationError
from evtransport.paging.cursor import Cursor
from evtransport.paging.known import KnownRows, PageRows
from evtransport.paging.passes import MAX_PASSES, Pass
from evtransport.paging.recent import RecentLink, merge_recent
from evtransport.paging.sizes import PageLimits, PageRequest, PageSizes

__all__ = ["NewRows", "PageContent", "Paginator", "pages_around"]

MAX_IDLE = 8
"""Number of pages in a row that may end at a known row, in addition to those that moves explain."""

MAX_REPEATS = 3
"""Number of pages in a row with the same end after which page sizes count as fixed."""

MAX_DISTANCE = 1000
"""Number of pages to search in each direction for known rows."""


class PageContent(Protocol):
    """Content of a page that a paginator reads."""

    @property
    def keys(self) -> Sequence[int]:
        """Keys of the rows, in the server's order: distinct ints below 2**64."""
        ...

    @property
    def length(self) -> int:
        """Size in bytes."""
        ...

    def describe(self, error: ApiError, /) -> None:
        """Set the attributes of an error that name the request for this page."""
        ...


@attrs.frozen(eq=False)
class NewRows:
    """Rows of a page that the walk must deliver.

    Attributes:
        request: Request for the page.
        before: Cursor before the first new row.
    """

    request: PageRequest
    before: Cursor
    _after: Cursor = attrs.field(alias="after")
    _keys: Sequence[int] = attrs.field(alias="keys")
    _rows: PageRows = attrs.field(alias="rows")
    _appends: bool = attrs.field(alias="appends")
    _added: bytes = attrs.field(default=b"", alias="added")

    @property
    def indexes(self) -> tuple[int, ...]:
        """Indexes of the new rows on the page."""
        return self._rows.new

    def cursor(self, count: int) -> Cursor:
        """Return the cursor after the first `count` new rows."""
        if count == 0:
            return self.before
        index = self.indexes[count - 1]
        known_after = (self._keys[known] for known in self._rows.known if known > index)
        page = (*self._keys[: index + 1], *known_after)
        cursor = attrs.evolve(
            self._after,
            offset=self.request.offset_after(index + 1),
            recent=merge_recent(self.before.recent, page, appends=self._appends),
        )
        return cursor.with_delivered(self._added[: 8 * count]) if self._added else cursor


@attrs.frozen
class Position:
    """Position of a walk: the end of the last accepted page.

    Attributes:
        offset: Estimated number of rows before the position.
        request: Request for that page. None if the page must be refetched.
        rows: Number of rows on the page.
        repeats: Number of pages in a row that ended here too.
        is_checked: True if the page is refetched because the page after it did not seem exact, and
            ends here again.
    """

    offset: int
    request: PageRequest | None = None
    rows: int = 0
    repeats: int = 0
    is_checked: bool = False

    @property
    def is_short(self) -> bool:
        """True if the page has fewer rows than its limit, so it may be the last one."""
        return self.request is not None and self.rows < self.request.limit


def pages_around(middle: int) -> Generator[int, bool, None]:
    """Yield a page number, then those before and after it alternately.

    Send True if the page is empty: no page after it is then yielded.
    """
    end = middle + MAX_DISTANCE + 1
    for distance in range(MAX_DISTANCE + 1):
        for page in dict.fromkeys((middle - distance, middle + distance)):
            if 1 <= page < end and (yield page):
                end = page


class Paginator:
    """State of one walk.

    Args:
        cursor: Position to start from.
        limit: Largest limit to request. None lets the paginator choose.
        limits: Limits that the API documents.
        read_ahead: Number of requests to keep in flight.
        verify: Repeat the walk until a whole pass finds nothing new.

    Attributes:
        has_ended: True if the walk has received its last page.
        is_suspect: True if the last received page may be the response to another request.
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
        self.has_ended = False
        self.is_suspect = False
        self._verify: Final = verify
        self._cursor = cursor
        self._sizes = PageSizes.from_cursor(cursor, limit, limits)
        self._known = KnownRows.from_cursor(cursor, verify=verify)
        self._position = Position(cursor.offset)
        self._link = RecentLink()
        self._pass = Pass(is_whole=cursor.offset == 0)
        self._search: Generator[int, bool, None] | None = None
        self._search_page = 0

    @property
    def cursor(self) -> Cursor:
        """Cursor after all rows delivered so far."""
        return self._sizes.saved_in(self._cursor)

    def next_requests(self) -> list[PageRequest]:
        """Return the requests that should be in flight, the next one to receive first."""
        sizes, requests = self._sizes, [self._next_request()]
        is_uncertain = self._search or self._position.is_short or sizes.limit > sizes.safe
        while len(requests) < self.read_ahead and not is_uncertain:
            # Prefetch as if all pages were full.
            following = sizes.overlapping(requests[-1].offset_after(requests[-1].limit))
            if following is None:
                break
            requests.append(following)
        return requests

    def _next_request(self) -> PageRequest:
        """Return the request for the page to receive next (invariants 2 and 5)."""
        sizes, position, accepted = self._sizes, self._position, self._position.request
        if self._search:
            return sizes.request(self._search_page, sizes.safe)
        if position.offset == 0:
            return sizes.request(1, sizes.limit, exact=True)
        if not position.is_short and (overlapping := sizes.overlapping(position.offset)):
            return overlapping
        if accepted and (position.is_short or accepted.limit <= sizes.limit):
            return sizes.request(accepted.page + 1, accepted.limit, exact=True)
        return sizes.holding(position.offset, sizes.limit)

    def receive(self, request: PageRequest, page: PageContent) -> NewRows | None:
        """Receive a page, and return its new rows, if any.

        Args:
            request: The first of `next_requests()`.
            page: The response to it.

        Raises:
            PaginationError: The pages contradict each other, or rows move too fast.
        """
        self.is_suspect = False
        if not page.keys and (request.exact or request.page == 1):
            self._end_pass()
        elif not self._known.seen.keys().isdisjoint(page.keys) or self._is_exact(request, page):
            return self._accept(request, page)
        else:
            self._drop(request, page)
        return None

    def receive_error(self, request: PageRequest, error: ApiError) -> None:
        """Receive the error of a request, and continue with smaller pages where they may help.

        Args:
            request: The first of `next_requests()`.
            error: Error of the request.

        Raises:
            ApiError: `error`. If the page size may be the reason, the next page is smaller.
        """
        self.is_suspect = False
        is_first = self._position.offset == 0
        sizes, continues = self._sizes.after_failure(request, error, is_first=is_first)
        if sizes != self._sizes:
            self._sizes, self._search = sizes, None
            self._position = attrs.evolve(self._position, request=None)
            # The refetch of the last accepted page advances nothing.
            self._pass = attrs.evolve(self._pass, idle=self._pass.idle - 1)
        if not continues:
            raise error

    def _is_exact(self, request: PageRequest, page: PageContent) -> bool:
        """Return True if no row can be missing between the position and a page (invariant 2)."""
        position = self._position
        if not request.exact or request.page == 1:
            return request.exact
        # With more rows than before, the page size may have grown. After a short page, the size may
        # have shrunk, and the rows may have been delivered and forgotten.
        may_have_shrunk = position.is_short and self._sizes.overlap and not self._known.complete
        is_likely = len(page.keys) <= position.rows and not may_have_shrunk
        return not self._may_be_clamped and (is_likely or position.is_checked)

    @property
    def _may_be_clamped(self) -> bool:
        """True if the last accepted page may be short because the server clamps limits."""
        position, sizes = self._position, self._sizes
        return sizes.overlap and position.is_short and position.rows >= sizes.documented.minimum

    def _accept(self, request: PageRequest, page: PageContent) -> NewRows | None:
        """Accept a page that joins or is exact (invariants 1 to 3)."""
        keys, before = page.keys, self.cursor
        rows = self._known.add(keys)
        self._link = self._link.after_page(
            before.recent, keys, new=len(rows.new), has_known=bool(rows.known)
        )
        is_refetched = self._position.request is None or self._search is not None
        self._move(request, page, rows)
        self._pass = self._pass.after_page(request, rows)
        if not rows.new:
            self._check_idle(len(keys))
            # A full page of known rows may be the response to an earlier request.
            self.is_suspect = not (rows.advances or self._position.is_short or is_refetched)
            return None
        is_kept = self._known.delivered is not None
        added = b"".join(keys[index].to_bytes(8) for index in rows.new) if is_kept else b""
        new_rows = NewRows(request, before, self.cursor, keys, rows, self._link.appends, added)
        self._cursor = new_rows.cursor(len(rows.new))
        return new_rows

    def _move(self, request: PageRequest, page: PageContent, rows: PageRows) -> None:
        """Move the position to the end of a page (invariant 4)."""
        position, count = self._position, len(page.keys)
        offset = request.offset_after(count)
        sizes = self._sizes.after_page(request.limit, count, page.length)
        # A page refetched after a failure ends at the same offset: that is not a repetition.
        stays = offset == position.offset and not rows.advances
        repeats = position.repeats + 1 if stays and position.request else 0
        follows_short = request.exact and position.is_short and not rows.known
        if follows_short or repeats == MAX_REPEATS:
            # The server serves sizes other than those requested.
            sizes = sizes.fixed()
        is_checked = stays and position.is_checked
        self._position = Position(offset, request, count, repeats % MAX_REPEATS, is_checked)
        self._sizes, self._search = sizes, None

    def _drop(self, request: PageRequest, page: PageContent) -> None:
        """Correct the estimates after a page that was not accepted (invariant 4)."""
        rows, sizes = len(page.keys), self._sizes
        if request.exact:
            # The page may not follow the last accepted page: refetch that page.
            if self._may_be_clamped:
                self._sizes = sizes.clamped(self._position.rows)
            self._position = attrs.evolve(self._position, request=None, is_checked=True)
        elif rows > request.limit and sizes.overlap:
            # The server does not serve the limit requested.
            self._sizes, self._search = sizes.fixed(), None
            self._position = attrs.evolve(self._position, request=None)
        elif request.trial and rows < request.limit and not sizes.overlap:
            # The server probably serves no larger page than before.
            self._sizes = sizes.reduced(request, sizes.safe)
        elif self._search:
            try:
                self._search_page = self._search.send(rows == 0)
            except StopIteration:
                self._restart()
        else:
            # Rows have moved, or this is the response to another request.
            self._search = pages_around(sizes.holding(self._position.offset, sizes.safe).page)
            self._search_page = next(self._search)
            self.is_suspect = True

    def _restart(self) -> None:
        """Rewind to page 1, since no known row is left."""
        self._rewind(attrs.evolve(self._cursor, offset=0))
        if not self._known.complete:
            raise PaginationError(
                "none of the last delivered reports was found near the position of the walk; if you"
                " continue, the walk restarts at page 1 and may deliver earlier reports again"
            )

    def _rewind(self, cursor: Cursor) -> None:
        self._cursor, self._position, self._search = cursor, Position(0), None
        self._link = RecentLink()

    def _check_idle(self, rows: int) -> None:
        """Raise an error if too many pages in a row did not advance the walk."""
        idle = self._pass.idle
        if idle > MAX_IDLE + 2 * len(self._known.seen) // max(1, rows):
            self._pass = attrs.evolve(self._pass, idle=0)
            raise PaginationError(
                f"{idle} pages in a row hold only reports of earlier pages:"
                " the server seems to ignore the page number"
            )

    def _end_pass(self) -> None:
        """End the pass at an empty page (invariant 6), and start the next one with `verify`."""
        position = self._position
        # After a full page, deletes may have moved the other rows forward.
        is_proven = position.offset == 0 or (position.is_short and self._sizes.overlap)
        ended = attrs.evolve(self._pass, has_joined=self._pass.has_joined and is_proven)
        self.has_ended = not self._verify or ended.has_converged
        if self.has_ended:
            return
        if ended.number == MAX_PASSES:
            raise PaginationError(f"the reports still change after {MAX_PASSES} passes of verify")
        self._pass = Pass(ended.number + 1, seen_before=ended.seen if ended.is_whole else None)
        self._rewind(attrs.evolve(self._cursor, offset=0, recent=()))
        self._known.seen.clear()
