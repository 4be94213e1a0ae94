"""Size of the pages for a limit that may be too large, found without a request for a large page.

Page 2 of a limit begins with the report whose position is the size of page 1. So it tells the size,
and few reports are on it if the window ends soon after that report.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import attrs

from depotclient.probe.experiment import (
    Experiment,
    PageResponse,
    ProbeRequest,
    SeenReport,
    Window,
    shift,
)
from depotclient.probe.sample import Sample
from depotclient.profile import Order, PageRule
from evtransport.measurements import Finding

__all__ = ["ABOVE_MAXIMUM", "DOCUMENTED_MAXIMUM", "PAGE_BYTES", "PageSizes"]
__all__ += ["confirm_page_size", "find_page_size"]

DOCUMENTED_MAXIMUM: Final = 2000
ABOVE_MAXIMUM: Final = DOCUMENTED_MAXIMUM + 10
"""Limit that is too large, and a multiple of 10."""

PAGE_BYTES: Final = 8 * 2**20
"""Size of the largest page that a probe requests on purpose."""

_SIZES: Final = (20, 50, 100, 200, 500, 1000, DOCUMENTED_MAXIMUM)
_MILLISECOND: Final = timedelta(milliseconds=1)


@attrs.frozen
class _Comparison:
    """Size of the pages compared with a number.

    Attributes:
        is_larger: True if the pages are larger. None if that is unknown.
        size: Size of the pages, if it was found.
        reason: Why nothing was found.
        is_final: True if a comparison with a smaller number can't find more.
    """

    is_larger: bool | None = None
    size: int | None = None
    reason: str = ""
    is_final: bool = False


@attrs.frozen
class PageSizes:
    """Pages of a window, whose positions are known.

    Attributes:
        sample: First pages. `sample.served` must be known.
        order: Order of the reports. None if it is unknown.
        past_the_end: Response after the last page. None if it is unknown.
        limit: Limit of the pages whose size to find.
    """

    sample: Sample
    order: Order | None
    past_the_end: PageRule | None
    limit: int = ABOVE_MAXIMUM

    def is_past_the_end(self, response: PageResponse) -> bool:
        """Return True if a response for a page other than the first is after the last report.

        A page that shares reports with the first one is a repetition of it.
        """
        if response.count:
            return not set(response.keys).isdisjoint(self.sample.first.keys)
        if response.is_served:
            return True
        seen = "null" if response.status == 200 else response.status
        return not response.failure and seen == self.past_the_end

    def end_after(self, report: SeenReport) -> Window:
        """Return the part of the window that ends soon after a report, in the server's order."""
        window = self.sample.window
        times = [time for time in (report.start, report.end) if time is not None]
        if times and self.order == "ascending":
            # Sessions that started before this one may end after it.
            until = shift(max(times), self._longest + _MILLISECOND)
            return Window(window.start, min(until, window.end))
        if times and self.order == "descending":
            return Window(max(shift(min(times), -_MILLISECOND), window.start), window.end)
        return window

    @property
    def _longest(self) -> timedelta:
        return max(
            (r.end - r.start for r in self.sample.reports if r.start and r.end),
            default=timedelta(),
        )

    def report_at(self, position: int, repeat: int = 0) -> Experiment[SeenReport | PageResponse]:
        """Return the report at a position from 0, or a response without it."""
        assert self.sample.served is not None  # noqa: S101 - see the class
        page, index = divmod(position, self.sample.served)
        response = yield ProbeRequest(self.sample.window, page + 1, self.sample.limit, repeat)
        if not page or not self.is_past_the_end(response):
            for report in (response.reports or ())[index : index + 1]:
                return report
        return response

    def compare(self, size: int) -> Experiment[_Comparison]:
        """Return how the size of the pages for `limit` compares with a number."""
        report = yield from self.report_at(size)
        if isinstance(report, PageResponse):
            if report.is_served or self.is_past_the_end(report):
                return _Comparison(reason="the window has too few sessions for larger pages")
            return _Comparison(reason=report.problem, is_final=True)
        response = yield ProbeRequest(self.end_after(report), 2, self.limit)
        if self.is_past_the_end(response):
            return _Comparison(is_larger=True)
        if not response.count:
            return _Comparison(reason=response.problem, is_final=not response.is_too_large)
        found = response.count
        if report.key in response.keys:
            found = size - response.keys.index(report.key)
        first = yield from self.report_at(found)
        if isinstance(first, SeenReport) and first.key == response.keys[0]:
            return _Comparison(is_larger=False, size=found)
        return _Comparison(reason="the pages of different limits don't match", is_final=True)


def confirm_page_size(pages: PageSizes, size: int) -> Experiment[bool]:
    """Return True if the pages of a slightly larger limit have a size, and no session moved.

    Args:
        pages: Pages of the larger limit.
        size: Size of the pages of a much larger limit.
    """
    sample = pages.sample
    found = yield from pages.compare(size)
    if found.size != size:
        return False
    # Positions that were read at different times match only if no session was added or removed.
    before = yield from pages.report_at(size)
    after = yield from pages.report_at(size, repeat=3)
    if not (isinstance(before, SeenReport) and before == after):
        return False
    if pages.limit * sum(r.size for r in sample.reports) > PAGE_BYTES * len(sample.reports):
        return True
    # Page 1 may follow another rule than the others.
    first = yield ProbeRequest(sample.window, 1, pages.limit)
    return first.count == size


def find_page_size(pages: PageSizes) -> Experiment[Finding[int]]:
    """Return the size of the pages for a limit that may be too large."""
    low, high, reason = 0, len(_SIZES), ""
    while low < high:
        middle = (low + high) // 2
        found = yield from pages.compare(_SIZES[middle])
        if found.size is not None:
            return Finding(found.size)
        if found.is_larger:
            low = middle + 1
            continue
        reason, high = found.reason, middle
        if found.is_final:
            return Finding.unknown(reason)
    if low == len(_SIZES):
        return Finding.unknown(f"limits above {DOCUMENTED_MAXIMUM:,} are honoured")
    honoured = f"limits up to {_SIZES[low - 1]:,} are honoured; " if low else ""
    return Finding.unknown(honoured + reason)
