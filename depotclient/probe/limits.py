"""Which values of `limit` the server honours, and what it does with the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import attrs

from depotclient.probe.experiment import Experiment, ProbeRequest
from depotclient.probe.page_sizes import (
    ABOVE_MAXIMUM,
    DOCUMENTED_MAXIMUM,
    PageSizes,
    confirm_page_size,
    find_page_size,
)
from depotclient.probe.sample import NO_SESSION, Sample
from depotclient.profile import LimitRule, OddLimitRule, Order, PageRule
from evtransport.measurements import Finding

__all__ = ["LimitFindings", "LimitProbe", "choose_limit"]

_ROUND: Final = (DOCUMENTED_MAXIMUM, 1000, 100, 500, 200, 50, 20, 10)
"""Limits that servers choose more often than others."""

_NO_SMALL_PAGE: Final = "large limits were not requested: no window with few sessions was found"


_UNCLEAR: Final = "the sizes of the pages follow no known rule"


@attrs.frozen
class LimitFindings:
    """Findings about `limit`. The names are those of `Profile`."""

    min_limit: Finding[int]
    max_limit: Finding[int]
    low_limits: Finding[LimitRule]
    high_limits: Finding[LimitRule]
    odd_limits: Finding[OddLimitRule]

    @classmethod
    def unknown(cls, reason: str) -> LimitFindings:
        """Return findings without a value."""
        return cls(*(Finding.unknown(reason) for _ in attrs.fields(cls)))

    def consistent(self) -> LimitFindings:
        """Return the same findings, without a smallest limit above the largest."""
        if (self.min_limit.value or 0) <= (self.max_limit.value or math.inf):
            return self
        unknown = Finding[int].unknown("the responses contradict each other")
        return attrs.evolve(self, min_limit=unknown, max_limit=unknown)


@attrs.frozen
class _OddFindings:
    """Findings about limits that are not multiples of 10.

    Attributes:
        max_limit: Largest limit, if it is so small that no such limit could be tested.
    """

    odd_limits: Finding[OddLimitRule]
    max_limit: int | None = None


@attrs.frozen
class LimitProbe:
    """Experiments with `limit`.

    Attributes:
        sample: First pages.
        small: Request for a page that is small for every limit. None if there is none.
        order: Order of the reports. None if it is unknown.
        ignore_page: True if every page is the first one. None if that is unknown.
        past_the_end: Response after the last page. None if it is unknown.
    """

    sample: Sample
    small: ProbeRequest | None
    order: Order | None = None
    ignore_page: bool | None = None
    past_the_end: PageRule | None = None

    def find(self) -> Experiment[LimitFindings]:
        """Return the limits that the server honours."""
        if self.sample.is_uneven:
            return LimitFindings.unknown("pages of the same limit have different sizes")
        odd = yield from self._find_odd()
        steps = _steps_of(odd.odd_limits.value)
        smallest, low = yield from self._find_smallest(steps)
        if odd.max_limit is None:
            largest, high = yield from self._find_largest(steps)
        else:
            largest, high = Finding(odd.max_limit), Finding[LimitRule]("clamp")
        odd_limits = odd.odd_limits
        if odd_limits.value is None and smallest.value is not None:
            odd_limits = yield from self._find_odd_between(
                smallest.value, largest.value, odd_limits
            )
        return LimitFindings(smallest, largest, low, high, odd_limits)

    def _find_odd(self) -> Experiment[_OddFindings]:
        sample, served = self.sample, self.sample.served or 0
        if 0 < served < sample.limit:
            # A page may also be short because the server leaves out some reports.
            larger = yield ProbeRequest(sample.window, 1, 2 * sample.limit)
            if larger.count != served:
                return _OddFindings(Finding.unknown(_UNCLEAR))
            reason = f"the server returns at most {served} reports"
            return _OddFindings(Finding.unknown(reason), served)
        whole = max(sample.limit, served)
        # A multiple of 5, of 4 or of another small number would lower it to something else than 10.
        limit = next(size for size in range(whole + 1, whole + 11) if size % 10 == 9)
        response = yield ProbeRequest(sample.window, 1, limit)
        if response.refusal is not None:
            return (yield from self._judge_refusal(limit, response.refusal))
        if response.count == limit:
            return _OddFindings(Finding("honoured"))
        if not response.count or len(sample.reports) <= response.count:
            few = NO_SESSION if not sample.reports else "the window has too few sessions"
            return _OddFindings(Finding.unknown(few if response.is_served else response.problem))
        larger = yield ProbeRequest(sample.window, 1, limit + 1)
        if larger.count > response.count:
            is_multiple = response.count == limit // 10 * 10
            return _OddFindings(Finding("clamp") if is_multiple else Finding.unknown(_UNCLEAR))
        if larger.count < response.count:
            return _OddFindings(Finding.unknown(larger.problem))
        reason = f"the server returns at most {served} reports"
        return _OddFindings(Finding.unknown(reason), response.count)

    def _find_odd_between(
        self, smallest: int, largest: int | None, unknown: Finding[OddLimitRule]
    ) -> Experiment[Finding[OddLimitRule]]:
        """Return what the server does with an odd limit that it should honour.

        Args:
            smallest: Smallest limit.
            largest: Largest limit, or None if it is unknown.
            unknown: Result if there is no such limit.
        """
        # A page of all sessions doesn't show its limit.
        last = min(largest or DOCUMENTED_MAXIMUM, len(self.sample.reports) - 1)
        sizes = range(last, smallest - 1, -1)
        odd = [size for size in sizes if size % 10 > 5] or [size for size in sizes if size % 10]
        if not odd:
            return unknown
        limit = odd[0]
        response = yield ProbeRequest(self.sample.window, 1, limit)
        if response.count == limit:
            return Finding("honoured")
        if largest is None or limit % 10 <= 5:
            return unknown
        if response.refusal is not None:
            if self.small is None or limit // 10 * 10 + 5 < smallest:
                return unknown
            return (yield from self._check_refused(self.small, limit, response.refusal))
        return Finding("clamp") if response.count == limit // 10 * 10 > 0 else unknown

    def _judge_refusal(self, limit: int, status: int) -> Experiment[_OddFindings]:
        """Return whether a limit was refused because it is odd, or because it is too large."""
        if self.small is None:
            return _OddFindings(Finding.unknown(_NO_SMALL_PAGE))
        larger = yield attrs.evolve(self.small, limit=limit + 1)
        if larger.failure:
            return _OddFindings(Finding.unknown(larger.failure))
        if larger.refusal is not None:
            return _OddFindings(Finding.unknown("the server refuses limits above the smallest"))
        return _OddFindings((yield from self._check_refused(self.small, limit, status)))

    def _check_refused(
        self, small: ProbeRequest, limit: int, status: int
    ) -> Experiment[Finding[OddLimitRule]]:
        """Return the status of a refused limit, if a multiple of 2 and one of 5 have it too."""
        for other in {limit // 10 * 10 + 5, limit // 10 * 10 + 8} - {limit}:
            response = yield attrs.evolve(small, limit=other)
            if response.refusal != status:
                return Finding.unknown(response.failure or _UNCLEAR)
        return Finding(status)

    def _find_smallest(
        self, steps: Sequence[int]
    ) -> Experiment[tuple[Finding[int], Finding[LimitRule]]]:
        response = yield ProbeRequest(self.sample.window, 1, 1)
        if response.refusal is not None:
            smallest = yield from self._search(self.sample.limit, 1, steps)
            return smallest, Finding(response.refusal)
        if response.count == 1 < len(self.sample.reports):
            return Finding(1), Finding.unknown("no limit is smaller than 1")
        if response.count > (self.sample.served or math.inf):
            return Finding.unknown(_UNCLEAR), Finding.unknown(_UNCLEAR)
        if not response.count or len(self.sample.reports) <= response.count:
            reason = "one page has all sessions" if self.sample.reports else NO_SESSION
            reason = reason if response.is_served else response.problem
            return Finding.unknown(reason), Finding.unknown(reason)
        # A server may replace a small limit by a default that is not the smallest.
        smaller = yield ProbeRequest(self.sample.window, 1, response.count - 1)
        if smaller.count != response.count:
            reason = smaller.problem if not smaller.is_served else _UNCLEAR
            return Finding.unknown(reason), Finding.unknown(reason)
        return Finding(response.count), Finding("clamp")

    def _find_largest(
        self, steps: Sequence[int]
    ) -> Experiment[tuple[Finding[int], Finding[LimitRule]]]:
        if self.small is None:
            return Finding.unknown(_NO_SMALL_PAGE), Finding.unknown(_NO_SMALL_PAGE)
        response = yield attrs.evolve(self.small, limit=ABOVE_MAXIMUM)
        if response.failure:
            return Finding.unknown(response.failure), Finding.unknown(response.failure)
        if response.refusal is not None:
            largest = yield from self._search(self.sample.limit, ABOVE_MAXIMUM, steps)
            return (yield from self._check_largest(largest, response.refusal))
        size = yield from self._find_page_size(ABOVE_MAXIMUM)
        if size.value is None:
            return size, Finding.unknown("the largest limit is unknown")
        return size, Finding("clamp")

    def _check_largest(
        self, largest: Finding[int], status: int
    ) -> Experiment[tuple[Finding[int], Finding[LimitRule]]]:
        """Return the largest limit, which may be less than the largest that is not refused.

        Args:
            largest: Largest limit that the server accepts.
            status: Status of larger ones.
        """
        if largest.value is not None and largest.value > 2 * self.sample.limit:
            size = yield from self._find_page_size(largest.value)
            if size.value is not None and size.value < largest.value:
                return size, Finding("clamp")
        return largest, Finding(status)

    def _find_page_size(self, limit: int) -> Experiment[Finding[int]]:
        """Return the size of the pages for a limit, if lower limits show that it is the largest."""
        if self.sample.served is None:
            return Finding.unknown(
                "one page has all sessions" if self.sample.reports else NO_SESSION
            )
        if self.order == "changing":
            return Finding.unknown("the order of the reports changes")
        if self.ignore_page:
            return Finding.unknown("the server ignores the page number")
        pages = PageSizes(self.sample, self.order, self.past_the_end, limit)
        found = yield from find_page_size(pages)
        if found.value is None or found.value >= limit - 10:
            return found
        # A server may replace a large limit by a default that is not the largest.
        confirmed = yield from confirm_page_size(
            attrs.evolve(pages, limit=found.value + 10), found.value
        )
        return found if confirmed else Finding.unknown(_UNCLEAR)

    def _search(
        self, accepted: int, refused: int, steps: Sequence[int]
    ) -> Experiment[Finding[int]]:
        """Return the last limit that the server accepts, from an accepted towards a refused one.

        Args:
            accepted: Limit that the server accepts.
            refused: Limit that the server refuses.
            steps: Differences of limits to try, one after the other.
        """
        if self.small is None:
            return Finding.unknown(_NO_SMALL_PAGE)
        for step in steps:
            while (limit := choose_limit(accepted, refused, step)) is not None:
                response = yield attrs.evolve(self.small, limit=limit)
                if response.failure:
                    return Finding.unknown(response.failure)
                if response.refusal is None:
                    accepted = limit
                else:
                    refused = limit
        return Finding(accepted)


def _steps_of(odd_limits: OddLimitRule | None) -> tuple[int, ...]:
    """Return the differences of the limits to try, so that a refusal isn't due to an odd limit."""
    match odd_limits:
        case None:
            return (10, 1)
        case int():
            return (10,)
    return (1,)


def choose_limit(accepted: int, refused: int, step: int) -> int | None:
    """Return the next limit to try between two limits, or None if there is none.

    Example:
        >>> choose_limit(100, 2000, 1), choose_limit(101, 2000, 1), choose_limit(101, 500, 1)
        (101, 1000, 200)
    """
    if abs(refused - accepted) <= step:
        return None
    if accepted in _ROUND:
        return accepted + (step if refused > accepted else -step)
    low, high = sorted((accepted, refused))
    middle = (low + high) // 2
    return next((size for size in _ROUND if low < size < high), max(middle // step * step, low + 1))
