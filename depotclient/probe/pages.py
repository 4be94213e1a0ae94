"""Pages that are out of range: page 0 and the page after the last report."""

from __future__ import annotations

from typing import Final

from depotclient.probe.experiment import Experiment, PageResponse, ProbeRequest, Window
from depotclient.probe.sample import NO_SESSION, Sample
from depotclient.profile import Order, PageRule
from evtransport.measurements import Finding

__all__ = ["FAR_PAGE", "check_ignored_page", "find_page_zero", "find_past_the_end"]

FAR_PAGE: Final = 1000


def find_page_zero(sample: Sample) -> Experiment[Finding[PageRule]]:
    """Return what page 0 looks like."""
    response = yield ProbeRequest(sample.window, 0, sample.limit)
    return _compare(response, sample.first)


def find_past_the_end(
    sample: Sample, narrow: Window | None, ignore_page: bool | None
) -> Experiment[Finding[PageRule]]:
    """Return what the page after the last report looks like.

    Args:
        sample: First pages.
        narrow: Window whose sessions fit on one page, or None.
        ignore_page: True if every page is the first one.
    """
    if ignore_page:
        return Finding.unknown("the server ignores the page number")
    if narrow is not None:
        response = yield ProbeRequest(narrow, 2, sample.limit)
        if not response.count:
            control = yield ProbeRequest(narrow, 1, sample.limit, repeat=2)
            if not control.count:
                return Finding.unknown(control.failure or "sessions were removed during the probe")
            return _compare(response, sample.first)
    # A window of one page can't tell a first page that is repeated from a last one.
    response = yield ProbeRequest(sample.window, FAR_PAGE, sample.limit)
    if response.count and not sample.has_more:
        return Finding.unknown("one page has all sessions")
    if response.refusal is not None:
        # Some servers refuse pages that are far away, although the page after the last is empty.
        return Finding.unknown(f"page {FAR_PAGE:,} has status {response.refusal}")
    return _compare(response, sample.first)


def check_ignored_page(
    ignore_page: Finding[bool], order: Order | None, past_the_end: PageRule | None
) -> Finding[bool]:
    """Return whether the server ignores the page number, or unknown if its order may change.

    Page 2 then has other reports than page 1 in any case. An empty page after the last one shows
    that the number matters.

    Args:
        ignore_page: What the first two pages show.
        order: Order of the reports. None if it is unknown.
        past_the_end: Response after the last page. None if it is unknown.
    """
    may_change = order in {None, "changing"}
    if ignore_page.value is False and may_change and past_the_end in {None, "first_page"}:
        return Finding.unknown("the order of the reports may change")
    return ignore_page


def _compare(response: PageResponse, first: PageResponse) -> Finding[PageRule]:
    if response.failure:
        return Finding.unknown(response.failure)
    if response.refusal is not None:
        return Finding(response.refusal)
    if not response.is_served:
        return Finding("null")
    if not first.count:
        return Finding.unknown(NO_SESSION)
    if not response.count:
        return Finding("empty")
    if response.keys == first.keys:
        return Finding("first_page")
    return Finding.unknown("the page has other reports than page 1")
