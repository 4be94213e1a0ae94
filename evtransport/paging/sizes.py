"""Page sizes of a walk: which limits it requests, and how pages and failures change them."""

from __future__ import annotations

import math

import attrs

from evtransport.errors import (
    ApiError,
    ConnectionFailed,
    DeadlineExceeded,
    DecodeError,
    ResponseTooLarge,
    StatusError,
)
from evtransport.paging.cursor import Cursor

__all__ = ["PageLimits", "PageRequest", "PageSizes"]

MAX_GROWTH = 8
"""Largest factor by which a limit grows after one page."""

MAX_FAILURES = 2
"""Number of failed requests after which a limit counts as rejected."""

MAX_FAILURES_OF_SMALL_LIMITS = 5
"""The same number for small limits. Pages of half that size do not always overlap."""

TOO_LARGE_STATUS = 413
BAD_REQUEST_STATUSES = frozenset({400, 422})
SUSPECT_STATUSES = BAD_REQUEST_STATUSES | {500, 502, 503, 504}


@attrs.frozen
class PageRequest:
    """Request for one page.

    Attributes:
        page: Page number, counted from 1.
        limit: Rows per page.
        exact: True for page 1, and for the page right after the last accepted page. An exact page
            need not overlap.
        trial: True if the limit may be too large. A trial gets one attempt.
    """

    page: int
    limit: int
    exact: bool = False
    trial: bool = attrs.field(default=False, eq=False)

    def offset_after(self, rows: int) -> int:
        """Return the offset after the first `rows` rows of the page."""
        return (self.page - 1) * self.limit + min(rows, self.limit)


@attrs.frozen(kw_only=True)
class PageLimits:
    """Limits that an API documents.

    Attributes:
        first: First limit to request if the caller gives none.
        minimum: Smallest documented limit.
        maximum: Largest documented limit.
        growth_bytes: Largest page to grow to, in bytes.
    """

    first: int
    minimum: int
    maximum: int
    growth_bytes: int


@attrs.frozen(kw_only=True)
class PageSizes:
    """Limits that a walk may request. A wrong estimate costs requests, never rows.

    Attributes:
        given: Limit that the caller gave. None lets the walk choose.
        documented: Limits that the API documents.
        limit: Largest limit to request now.
        max_limit: Largest limit to grow to.
        proven: Largest limit that the server is known to serve. Larger limits are trials.
        overlap: True if the server serves the limits that are requested, so pages can overlap.
        failures: Failed requests since the last successful trial.
    """

    given: int | None
    documented: PageLimits
    limit: int
    max_limit: int
    proven: int
    overlap: bool
    failures: int = 0

    @classmethod
    def from_cursor(cls, cursor: Cursor, given: int | None, documented: PageLimits) -> PageSizes:
        """Return the sizes at a cursor."""
        max_limit = min(given or documented.maximum, cursor.max_limit or documented.maximum)
        sizes = cls(
            given=given,
            documented=documented,
            limit=max_limit,
            max_limit=max_limit,
            proven=min(max_limit, given or max(cursor.limit, documented.minimum)),
            overlap=cursor.overlap,
        )
        smallest = 1 if given is None else sizes.floor
        return attrs.evolve(sizes, limit=min(max_limit, max(cursor.limit, smallest)))

    def saved_in(self, cursor: Cursor) -> Cursor:
        """Return a cursor with these sizes."""
        is_reduced = self.max_limit < (self.given or self.documented.maximum)
        max_limit = self.max_limit if is_reduced else None
        return attrs.evolve(cursor, limit=self.safe, max_limit=max_limit, overlap=self.overlap)

    @property
    def floor(self) -> int:
        """Smallest limit to request, unless responses are too large."""
        minimum = self.documented.minimum
        if self.given is None:
            return min(self.max_limit, minimum)
        smallest = minimum if self.given >= 2 * minimum else 1
        return min(self.max_limit, max(smallest, self.max_limit // 2))

    @property
    def safe(self) -> int:
        """Largest limit to request now without a trial."""
        return min(self.limit, max(self.floor, self.proven))

    def request(self, page: int, limit: int, *, exact: bool = False) -> PageRequest:
        """Return the request for a page."""
        return PageRequest(page, limit, exact, trial=limit > max(self.floor, self.proven))

    def holding(self, offset: int, limit: int) -> PageRequest:
        """Return the request for the page that holds the row before `offset`."""
        return self.request((offset - 1) // limit + 1, limit)

    def overlapping(self, offset: int) -> PageRequest | None:
        """Return the request for the page with the row before `offset` and most rows after it.

        Return None if no size gives such a page.
        """

        def rows_after(limit: int) -> int:
            return limit - 1 - (offset - 1) % limit

        smallest = min(self.limit, max(self.floor, self.limit // 2)) if self.overlap else self.limit
        limit = max(range(smallest, self.limit + 1), key=rows_after)
        return self.holding(offset, limit) if rows_after(limit) else None

    def after_page(self, limit: int, rows: int, length: int) -> PageSizes:
        """Return the sizes after a page of `rows` rows and `length` bytes."""
        if rows > limit:
            return self.fixed()
        if rows < limit:
            return self
        failures = 0 if limit > self.proven else self.failures
        sizes = attrs.evolve(self, proven=max(self.proven, limit), failures=failures)
        return sizes._adapted(length / rows)

    def _adapted(self, row_bytes: float) -> PageSizes:
        """Return the sizes with a limit that suits rows of this size."""
        limit, max_bytes = self.limit, math.inf
        if self.given is None:
            max_bytes = self.documented.growth_bytes
            while limit > self.floor and limit * row_bytes > 2 * max_bytes:
                limit = max(self.floor, limit // 2)
        max_limit = min(self.max_limit, MAX_GROWTH * limit)
        while limit < max_limit and 2 * limit * row_bytes <= max_bytes:
            limit = min(2 * limit, max_limit)
        return attrs.evolve(self, limit=limit)

    def after_failure(
        self, request: PageRequest, error: ApiError, *, is_first: bool
    ) -> tuple[PageSizes, bool]:
        """Return the sizes after a failed request, and True if the walk continues."""
        limit, is_chosen = request.limit, self.given is None
        status = error.status if isinstance(error, StatusError) else None
        too_large = status == TOO_LARGE_STATUS or isinstance(error, ResponseTooLarge)
        no_response = isinstance(error, ConnectionFailed | DeadlineExceeded | DecodeError)
        if status in BAD_REQUEST_STATUSES and not request.trial and limit < self.fixed().limit:
            return self.fixed(), True
        smaller = self.safe if request.trial else self.floor
        if smaller >= limit and too_large and is_chosen:
            smaller = limit // 2
        may_help = too_large or (is_chosen and (no_response or status in SUSPECT_STATUSES))
        if not (may_help and 0 < smaller < limit):
            return self, False
        # If a limit that was served before gets no response, the cause is probably an outage.
        continues = request.trial or not (no_response or (is_first and not is_chosen))
        return self.reduced(request, smaller, is_refused=too_large), continues

    def reduced(self, request: PageRequest, limit: int, *, is_refused: bool = False) -> PageSizes:
        """Return the sizes after a failed request, with a smaller limit to request now."""
        failures, half = self.failures + 1, request.limit // 2
        is_small = half < 2 * self.documented.minimum
        max_failures = MAX_FAILURES_OF_SMALL_LIMITS if is_small else MAX_FAILURES
        is_refused = is_refused or failures >= max_failures
        return attrs.evolve(
            self,
            limit=limit,
            max_limit=max(limit, half) if is_refused else self.max_limit,
            proven=min(self.proven, limit),
            failures=0 if is_refused else failures,
        )

    def fixed(self) -> PageSizes:
        """Return the sizes for a server that serves limits other than those requested."""
        limit = self.given or self.safe
        max_limit, proven = max(self.max_limit, limit), max(self.proven, limit)
        return attrs.evolve(self, overlap=False, limit=limit, max_limit=max_limit, proven=proven)

    def clamped(self, rows: int) -> PageSizes:
        """Return the sizes for a server whose largest page has `rows` rows."""
        return attrs.evolve(self, limit=rows, max_limit=rows, proven=rows)
