"""First pages of a probe: sessions to experiment with, their order, and whether pages differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
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
from depotclient.profile import Order
from evtransport.measurements import Finding

__all__ = [
    "NO_SESSION",
    "Sample",
    "choose_windows",
    "find_ignored_page",
    "find_order",
    "read_sample",
]

NO_SESSION: Final = "no session in the window"
"""Reason why most values are unknown without sessions."""

FIRST_LIMITS: Final = (10, 1, 20, 50, 100, 200, 500, 1000, 2000, 3)
"""Page sizes of the first request, until the server accepts one."""

MIN_ARRANGEMENTS: Final = 100
"""Minimum number of orders that the reports could have. 5 sessions with different starts have 120.

A random order looks sorted by chance once in 60 times.
"""

_SPANS: Final = (timedelta(days=31), timedelta(days=366), timedelta(days=3660))
_FULL_PAGE: Final = 10
_MAX_PAGES: Final = 6


def choose_windows(from_: datetime | None, to: datetime | None, now: datetime) -> list[Window]:
    """Return the windows to search for sessions, in this order.

    Args:
        from_: Start that the user wants, in UTC. None means 31 days before the end, then more.
        to: End that the user wants, in UTC. None means now.
        now: Current time in UTC.
    """
    end = to or now
    if from_ is not None:
        return [Window(from_, end)]
    return [Window(shift(end, -span), end) for span in _SPANS]


def distinct_reports(pages: Iterable[PageResponse]) -> tuple[SeenReport, ...]:
    """Return the different reports of pages, in their order."""
    return tuple({report.key: report for page in pages for report in page.reports or ()}.values())


@attrs.frozen
class Sample:
    """First pages of a window.

    Attributes:
        window: Window with sessions, if there are any.
        limit: Page size of the requests, which the server accepts.
        pages: Responses for pages 1, 2 and so on, at least two.
        larger: Response for page 1 of twice the limit, if page 2 is page 1.
    """

    window: Window
    limit: int
    pages: tuple[PageResponse, ...]
    larger: PageResponse = attrs.field(factory=PageResponse)

    @property
    def first(self) -> PageResponse:
        """Response for page 1."""
        return self.pages[0]

    @property
    def reports(self) -> tuple[SeenReport, ...]:
        """Different reports of the pages, in the server's order."""
        return distinct_reports((*self.pages, self.larger))

    @property
    def has_more(self) -> bool:
        """True if the window has more sessions than the first page."""
        return len(self.reports) > self.first.count

    @property
    def served(self) -> int | None:
        """Number of reports on a full page of `limit`. None if the first page may not be full."""
        return self.first.count if self.has_more else None

    @property
    def is_uneven(self) -> bool:
        """True if the pages have different sizes, apart from a shorter last one."""
        sizes = [self.first.count]
        for page in self.pages[1:]:
            if not page.count or not set(page.keys).isdisjoint(self.first.keys):
                break
            sizes.append(page.count)
        return sizes[-1] > sizes[0] or any(size != sizes[0] for size in sizes[:-1])

    def shows(self, response: PageResponse, report: SeenReport) -> Finding[bool]:
        """Return whether a response has a report. Its page must have room for the report.

        Args:
            response: Response for page 1 of `limit` in a part of the window.
            report: Report of this sample.
        """
        if not response.is_served:
            return Finding.unknown(response.problem)
        if report.key in response.keys:
            return Finding(True)
        if self.served is not None and response.count >= self.served:
            return Finding.unknown("too many sessions at the same time")
        return Finding(False)


def read_sample(windows: Sequence[Window]) -> Experiment[Sample]:
    """Return the first pages of the first window with a full page.

    Args:
        windows: Windows to try, from the smallest to the largest.
    """
    limit, window, first = yield from _find_first_page(windows)
    if first.refusal is not None:
        return Sample(window, limit, (first, first))
    pages = [first]
    while len(pages) < 2 or _wants_more(pages):
        pages.append((yield ProbeRequest(window, len(pages) + 1, limit)))
    sample = Sample(window, limit, tuple(pages))
    if first.count and pages[1].keys == first.keys:
        larger = yield ProbeRequest(window, 1, 2 * limit)
        return attrs.evolve(sample, larger=larger)
    return sample


def _find_first_page(windows: Sequence[Window]) -> Experiment[tuple[int, Window, PageResponse]]:
    """Return a limit that the server accepts, a window, and its page 1.

    The window is the first with a full page, else the one with most sessions.
    """
    limit, *others = FIRST_LIMITS
    window, *wider = windows
    response = yield ProbeRequest(window, 1, limit)
    while response.refusal is not None and others:
        limit = others.pop(0)
        response = yield ProbeRequest(window, 1, limit)
    while wider and response.refusal is None and response.count < _FULL_PAGE:
        wide = wider.pop(0)
        other = yield ProbeRequest(wide, 1, limit)
        if other.failure or other.refusal is not None:
            break
        if other.count > response.count:
            window, response = wide, other
    return limit, window, response


def _wants_more(pages: Sequence[PageResponse]) -> bool:
    """Return True if the pages are so small that one more page is needed."""
    known = len(distinct_reports(pages))
    is_growing = known > len(distinct_reports(pages[:-1]))
    return is_growing and known < _FULL_PAGE and len(pages) < _MAX_PAGES


def find_ignored_page(sample: Sample) -> Experiment[Finding[bool]]:
    """Return whether page 2 is page 1, although there are more sessions."""
    first, second, *_ = sample.pages
    if not first.count:
        return Finding.unknown(NO_SESSION)
    if second.failure:
        return Finding.unknown(second.failure)
    if second.keys != first.keys:
        if set(second.keys) & set(first.keys):
            return Finding.unknown("pages 1 and 2 share sessions")
        return Finding(False)
    if sample.has_more:
        # One new session moves a page of one report to page 2.
        third = yield ProbeRequest(sample.window, 3, sample.limit)
        if third.keys == first.keys:
            return Finding(True)
        return Finding.unknown(third.failure or "sessions were added or removed during the probe")
    smaller = yield ProbeRequest(sample.window, 2, 1)
    if smaller.count and smaller.keys[0] != first.keys[0]:
        return Finding(False)
    return Finding.unknown("one page has all sessions")


def find_order(sample: Sample) -> Experiment[Finding[Order]]:
    """Return the order of the reports, and whether it stays the same."""
    starts = [report.start for report in sample.reports if report.start is not None]
    if _count_arrangements(starts) < MIN_ARRANGEMENTS:
        few = "the window has too few sessions with different starts"
        return Finding.unknown(few if sample.reports else NO_SESSION)
    again = yield ProbeRequest(sample.window, 1, sample.limit, repeat=1)
    if again.keys == sample.first.keys:
        return Finding(_order_of(starts))
    third = yield ProbeRequest(sample.window, 1, sample.limit, repeat=2)
    if problem := next((r.problem for r in (again, third) if not r.is_served), ""):
        return Finding.unknown(problem)
    pages = (again, third)
    is_sorted = "shuffled" not in {_order_of_page(page) for page in (sample.first, *pages)}
    if is_sorted or third.keys == again.keys or all(_has_same_order(sample, p) for p in pages):
        return Finding.unknown("sessions were added or removed during the probe")
    return Finding("changing")


def _count_arrangements(starts: Sequence[datetime]) -> int:
    """Return the number of different orders of the starts. Equal ones can change places."""
    equal = math.prod(map(math.factorial, Counter(starts).values()))
    return math.factorial(len(starts)) // equal


def _has_same_order(sample: Sample, page: PageResponse) -> bool:
    """Return True if at least half of a page is known, and in the same order."""
    positions = {report.key: position for position, report in enumerate(sample.reports)}
    known = [positions[key] for key in page.keys if key in positions]
    return 2 * len(known) >= page.count and known == sorted(known)


def _order_of_page(page: PageResponse) -> Order:
    return _order_of([report.start for report in page.reports or () if report.start is not None])


def _order_of(starts: Sequence[datetime]) -> Order:
    if all(earlier <= later for earlier, later in pairwise(starts)):
        return "ascending"
    if all(earlier >= later for earlier, later in pairwise(starts)):
        return "descending"
    return "shuffled"
