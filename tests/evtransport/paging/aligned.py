"""The rule that most paging clients follow, to compare with: pages 1, 2, 3 at one limit."""

from __future__ import annotations

from evtransport.errors import ApiError
from evtransport.paging.cursor import Cursor
from evtransport.paging.known import KnownRows
from evtransport.paging.paginator import Dropped, End, NewRows, Outcome, PageContent
from evtransport.paging.sizes import PageRequest


class AlignedPages:
    """Requests aligned pages, and delivers the rows of each that it has not met.

    A resumed walk requests the page again on which it broke off.
    """

    def __init__(self, read_ahead: int, cursor: Cursor) -> None:
        self.cursor = cursor
        self._read_ahead = read_ahead
        self._page = cursor.offset // cursor.limit + 1
        self._known = KnownRows.at(cursor, verify=False)

    def next_requests(self) -> list[PageRequest]:
        """Return the next page, and those behind it."""
        count = max(1, self._read_ahead)
        return [PageRequest(self._page + i, self.cursor.limit) for i in range(count)]

    def receive(self, request: PageRequest, page: PageContent) -> Outcome:
        """Return the new rows. An empty page ends the walk."""
        if not page.keys:
            return End()
        self._page += 1
        before, rows = self.cursor, self._known.take(page.keys)
        if not rows.new:
            return Dropped()
        outcome = NewRows(before, before, request, page.keys, rows, appends=True)
        self.cursor = outcome.cursor(len(rows.new))
        return outcome

    def refused(self, request: PageRequest, error: ApiError) -> Dropped:
        """Raise the error."""
        raise error
