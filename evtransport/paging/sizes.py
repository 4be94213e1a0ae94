"""Page sizes: which limits a walk asks for, and what it learns from pages and failures."""

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
"""Factor by which a limit grows at most after one page."""

MAX_FAILURES = 2
"""Failed requests after which a limit counts as refused."""

MAX_FAILURES_OF_SMALL_LIMITS = 5
"""The same for limits below which pages can't overlap."""

TOO_LARGE_STATUS = 413
BAD_REQUEST_STATUSES = frozenset({400, 422})
SUSPECT_STATUSES = BAD_REQUEST_STATUSES | {500, 502, 503, 504}


@attrs.frozen
class PageRequest:
    """One page to request.

    Attributes:
        page: Page number, counted from 1.
        limit: Rows per page.
        exact: Page 1, or the page right behind the page taken last. It need not overlap.
        trial: The limit may be too large, so the request gets one attempt.
    """

    page: int
    limit: int
    exact: bool = False
    trial: bool = attrs.field(default=False, eq=False)

    def offset_behind(self, rows: int) -> int:
        """Return the offset behind the first `rows` rows of the page."""
        return (self.page - 1) * self.limit + min(rows, self.limit)


@attrs.frozen(kw_only=True)
class PageLimits:
    """Limits that an API documents.

    Attributes:
        first: First limit to ask for, if the caller gives none.
        least: Smallest limit.
        most: Largest limit.
        growth_bytes: Largest page to grow to, in bytes.
    """

    first: int
    least: int
    most: int
    growth_bytes: int


@attrs.frozen(kw_only=True)
class PageSizes:
    """Limits that a walk may ask for. A wrong one costs requests, never rows.

    Attributes:
        given: Limit that the caller gave, None to choose.
        limits: Limits that the API documents.
        limit: Largest limit to ask for now.
        max_limit: Largest limit to grow to.
        trusted: Limits up to this one are no trials.
        overlap: The server serves the limits that it is asked for, so pages can overlap.
        failures: Failed requests since the last successful trial.
    """

    given: int | None
    limits: PageLimits
    limit: int
    max_limit: int
    trusted: int
    overlap: bool
    failures: int = 0

    @classmethod
    def at(cls, cursor: Cursor, given: int | None, limits: PageLimits) -> PageSizes:
        """Return the sizes at a cursor."""
        most = min(given or limits.most, cursor.max_limit or limits.most)
        trusted = min(most, given or max(cursor.limit, limits.least))
        sizes = cls(
            given=given,
            limits=limits,
            limit=most,
            max_limit=most,
            trusted=trusted,
            overlap=cursor.overlap,
        )
        smallest = 1 if given is None else sizes.floor
        return attrs.evolve(sizes, limit=min(most, max(cursor.limit, smallest)))

    def saved(self, cursor: Cursor) -> Cursor:
        """Return a cursor with these sizes."""
        is_reduced = self.max_limit < (self.given or self.limits.most)
        max_limit = self.max_limit if is_reduced else None
        return attrs.evolve(cursor, limit=self.safe, max_limit=max_limit, overlap=self.overlap)

    @property
    def floor(self) -> int:
        """Smallest limit to ask for, unless answers are too large."""
        least = self.limits.least
        if self.given is None:
            return min(self.max_limit, least)
        smallest = least if self.given >= 2 * least else 1
        return min(self.max_limit, max(smallest, self.max_limit // 2))

    @property
    def safe(self) -> int:
        """Largest limit to ask for now without a trial."""
        return min(self.limit, self._needs_no_trial)

    @property
    def _needs_no_trial(self) -> int:
        """Largest limit of a request that is no trial."""
        return max(self.floor, self.trusted)

    def request(self, page: int, limit: int, *, exact: bool = False) -> PageRequest:
        """Return the request for a page."""
        return PageRequest(page, limit, exact, trial=limit > self._needs_no_trial)

    def holding(self, offset: int, limit: int) -> PageRequest:
        """Return the page that holds the row before `offset`."""
        return self.request((offset - 1) // limit + 1, limit)

    def overlapping(self, offset: int) -> PageRequest | None:
        """Return the page that holds the row before `offset` and most rows behind it, if any."""

        def rows_behind(limit: int) -> int:
            return limit - 1 - (offset - 1) % limit

        smallest = min(self.limit, max(self.floor, self.limit // 2)) if self.overlap else self.limit
        limit = max(range(smallest, self.limit + 1), key=rows_behind)
        return self.holding(offset, limit) if rows_behind(limit) else None

    def after_page(self, limit: int, rows: int, length: int) -> PageSizes:
        """Return the sizes after a page of `rows` rows and `length` bytes."""
        if rows > limit:
            return self.fixed()
        if rows < limit:
            return self
        failures = 0 if limit > self.trusted else self.failures
        sizes = attrs.evolve(self, trusted=max(self.trusted, limit), failures=failures)
        return sizes._adapted(length / rows)

    def _adapted(self, row_bytes: float) -> PageSizes:
        """Return the sizes with a limit that suits rows of this size."""
        limit, most, largest = self.limit, self.max_limit, math.inf
        if self.given is None:
            largest = self.limits.growth_bytes
            while limit > self.floor and limit * row_bytes > 2 * largest:
                limit = max(self.floor, limit // 2)
        most = min(most, MAX_GROWTH * limit)
        while limit < most and 2 * limit * row_bytes <= largest:
            limit = min(2 * limit, most)
        return attrs.evolve(self, limit=limit)

    def after_failure(
        self, request: PageRequest, error: ApiError, *, is_first: bool
    ) -> tuple[PageSizes, bool]:
        """Return the sizes after a failed request, and if the walk goes on without the error."""
        limit, is_chosen = request.limit, self.given is None
        status = error.status if isinstance(error, StatusError) else None
        too_large = status == TOO_LARGE_STATUS or isinstance(error, ResponseTooLarge)
        no_answer = isinstance(error, ConnectionFailed | DeadlineExceeded | DecodeError)
        if status in BAD_REQUEST_STATUSES and not request.trial and limit < self.fixed().limit:
            return self.fixed(), True
        smaller = self.safe if request.trial else self.floor
        if smaller >= limit and too_large and is_chosen:
            smaller = limit // 2
        may_help = too_large or (is_chosen and (no_answer or status in SUSPECT_STATUSES))
        if not (may_help and 0 < smaller < limit):
            return self, False
        # Without an answer, a limit that was served before has probably met an outage.
        goes_on = request.trial or not (no_answer or (is_first and not is_chosen))
        return self.reduced(request, smaller, is_refused=too_large), goes_on

    def reduced(self, request: PageRequest, limit: int, *, is_refused: bool = False) -> PageSizes:
        """Return the sizes after a failed request, with a smaller limit to ask for now."""
        failures, half = self.failures + 1, request.limit // 2
        is_small = half < 2 * self.limits.least
        most = MAX_FAILURES_OF_SMALL_LIMITS if is_small else MAX_FAILURES
        is_refused = is_refused or failures >= most
        return attrs.evolve(
            self,
            limit=limit,
            max_limit=max(limit, half) if is_refused else self.max_limit,
            trusted=min(self.trusted, limit),
            failures=0 if is_refused else failures,
        )

    def fixed(self) -> PageSizes:
        """Return the sizes for a server that serves other limits than it is asked for."""
        limit = self.given or self.safe
        max_limit, trusted = max(self.max_limit, limit), max(self.trusted, limit)
        return attrs.evolve(self, overlap=False, limit=limit, max_limit=max_limit, trusted=trusted)

    def clamped(self, rows: int) -> PageSizes:
        """Return the sizes for a server whose largest page has `rows` rows."""
        return attrs.evolve(self, limit=rows, max_limit=rows, trusted=rows)
