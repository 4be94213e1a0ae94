"""Whole probe without I/O: all experiments, in the order of their importance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from depotclient.probe.experiment import Experiment, ProbeRequest, Window
from depotclient.probe.limits import LimitFindings, LimitProbe
from depotclient.probe.page_sizes import PAGE_BYTES
from depotclient.probe.pages import (
    FAR_PAGE,
    check_ignored_page,
    find_page_zero,
    find_past_the_end,
)
from depotclient.probe.sample import Sample, find_ignored_page, find_order, read_sample
from depotclient.probe.times import WindowFindings, find_time_filter
from depotclient.profile import Order, PageRule
from evtransport.measurements import Finding

__all__ = ["Findings", "plan_probe"]

_SPEED_LIMIT: Final = 100


@attrs.frozen
class Findings:
    """Findings of the experiments with `page`, `limit`, `from` and `to`."""

    windows: WindowFindings
    limits: LimitFindings
    order: Finding[Order]
    ignore_page: Finding[bool]
    past_the_end: Finding[PageRule]
    page_zero: Finding[PageRule]

    @classmethod
    def unknown(cls, reason: str) -> Findings:
        """Return findings without a value."""
        limits = LimitFindings.unknown(reason)
        windows = WindowFindings.unknown(reason)
        return cls(windows, limits, *(Finding.unknown(reason) for _ in range(4)))


def plan_probe(windows: Sequence[Window]) -> Experiment[Findings]:
    """Run all experiments.

    Args:
        windows: Windows to search for sessions, from the smallest to the largest.
    """
    sample = yield from read_sample(windows)
    if sample.first.refusal is not None:
        return Findings.unknown("the server refuses each limit that was tried")
    if not sample.first.is_served:
        return Findings.unknown(f"page 1: {sample.first.problem}")
    ignore_page = yield from find_ignored_page(sample)
    order = yield from find_order(sample)
    times = yield from find_time_filter(sample)
    past_the_end = yield from find_past_the_end(sample, times.narrow, ignore_page.value)
    ignore_page = check_ignored_page(ignore_page, order.value, past_the_end.value)
    page_zero = yield from find_page_zero(sample)
    limits = yield from LimitProbe(
        sample,
        _choose_small_page(sample, times.narrow, past_the_end.value),
        order.value,
        ignore_page.value,
        past_the_end.value,
    ).find()
    yield from _read_large_page(sample, limits)
    return Findings(times, limits, order, ignore_page, past_the_end, page_zero)


def _choose_small_page(
    sample: Sample, narrow: Window | None, past_the_end: PageRule | None
) -> ProbeRequest | None:
    """Return a request whose page is small for every limit, or None if there is none."""
    if narrow is not None:
        return ProbeRequest(narrow, 1, sample.limit)
    if not sample.reports:
        return ProbeRequest(sample.window, 1, sample.limit)
    if past_the_end == "empty":
        return ProbeRequest(sample.window, FAR_PAGE, sample.limit)
    return None


def _read_large_page(sample: Sample, limits: LimitFindings) -> Experiment[None]:
    """Request a page of up to 100 reports or 8 MiB, whose time shows the speed."""
    if not sample.has_more:
        return
    size = sum(report.size for report in sample.reports) // len(sample.reports)
    limit = min(_SPEED_LIMIT, limits.max_limit.value or _SPEED_LIMIT, PAGE_BYTES // max(size, 1))
    if limit > 2 * sample.limit:
        yield ProbeRequest(sample.window, 1, limit // 10 * 10)
