"""Paging of the sandbox: which limits it honours, and which reports are on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from depotclient.sandbox.requests import RefusedError

if TYPE_CHECKING:
    from depotclient.profile import LimitRule, OddLimitRule, PageRule

__all__ = ["Paging"]

_STEP = 10


@attrs.frozen(kw_only=True)
class Paging:
    """Rules for `page` and `limit`. See `DepotSandbox` for the attributes."""

    min_limit: int
    max_limit: int | None
    low_limits: LimitRule
    high_limits: LimitRule
    odd_limits: OddLimitRule
    ignore_page: bool
    past_the_end: PageRule
    page_zero: PageRule

    def page_size(self, limit: int) -> int:
        """Return the number of reports on a full page. Raise RefusedError for a refused limit."""
        if limit < self.min_limit:
            return _clamp(self.low_limits, self.min_limit, f">= {self.min_limit}")
        if self.max_limit is not None and limit > self.max_limit:
            return _clamp(self.high_limits, self.max_limit, f"<= {self.max_limit}")
        if limit % _STEP and self.odd_limits != "honoured":
            multiple = max(_STEP, limit - limit % _STEP)
            return _clamp(self.odd_limits, multiple, f"a multiple of {_STEP}")
        return limit

    def rows(self, page: int, size: int, count: int) -> slice | None:
        """Return the rows of a page. None stands for null instead of a list.

        Args:
            page: Number of the page.
            size: Number of reports on a full page.
            count: Number of reports on all pages.

        Raises:
            RefusedError: The page is refused.
        """
        if page == 0:
            return _substitute(self.page_zero, size, "page must be >= 1")
        if self.ignore_page:
            return slice(0, size)
        first = (page - 1) * size
        if page > 1 and first >= count:
            return _substitute(self.past_the_end, size, f"page {page} does not exist")
        return slice(first, first + size)


def _clamp(rule: OddLimitRule, limit: int, allowed: str) -> int:
    if isinstance(rule, int):
        raise RefusedError(rule, f"limit must be {allowed}")
    return limit


def _substitute(rule: PageRule, size: int, message: str) -> slice | None:
    match rule:
        case "empty":
            return slice(0, 0)
        case "first_page":
            return slice(0, size)
        case "null":
            return None
    raise RefusedError(rule, message)
