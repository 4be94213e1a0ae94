"""The size of pages for a limit that is too large, without large pages."""

from __future__ import annotations

import attrs
import pytest

from depotclient.probe.experiment import PageResponse, ProbeRequest
from depotclient.probe.page_sizes import PageSizes, find_page_size
from depotclient.probe.sample import read_sample
from depotclient.profile import Order, PageRule
from evtransport.measurements import Finding
from tests.support.probing import FAILED, WINDOW, Account, Respond, run, sessions


def size_of(
    respond: Respond, order: Order | None = "ascending", past_the_end: PageRule | None = "empty"
) -> tuple[Finding[int], int]:
    """Return the size of the pages, and the number of reports received for it."""
    received = 0

    def count(request: ProbeRequest) -> PageResponse:
        nonlocal received
        response = respond(request)
        received += response.count
        return response

    pages = PageSizes(run(read_sample([WINDOW]), respond), order, past_the_end)
    return run(find_page_size(pages), count), received


@pytest.mark.parametrize("size", [11, 20, 21, 50, 99, 100, 350, 999, 1000, 1500, 2000])
def test_the_size_is_found_with_few_large_pages(size: int) -> None:
    finding, received = size_of(Account(sessions(3000), size))
    assert (finding.value, received <= 600) == (size, True)


@pytest.mark.parametrize(
    ("respond", "order", "largest"),
    [
        (Account(sessions(900), 130, step=-1), "descending", 160),
        # Without an order, the window can't be cut.
        (Account(sessions(900), 130), "shuffled", 700),
        (Account(sessions(900), 130), None, 700),
    ],
)
def test_a_known_order_makes_the_window_shorter(
    respond: Respond, order: Order | None, largest: int
) -> None:
    finding, received = size_of(respond, order)
    assert (finding.value, received <= largest) == (130, True)


def test_a_report_without_times_does_not_cut_the_window() -> None:
    reports = [attrs.evolve(r, start=None, end=None) for r in sessions(300)]
    assert size_of(Account(reports, 130))[0].value == 130


@pytest.mark.parametrize("rule", ["first_page", "null", 404])
def test_a_page_after_the_last_is_recognized_whatever_it_looks_like(rule: PageRule) -> None:
    account = Account(sessions(60))
    substitutes = {
        "first_page": PageResponse(reports=sessions(10)),
        "null": PageResponse(200, None),
    }
    after = substitutes.get(str(rule), PageResponse(404, None))

    def respond(request: ProbeRequest) -> PageResponse:
        response = account(request)
        return after if request.page > 1 and not response.count else response

    finding, _ = size_of(respond, past_the_end=rule)
    assert finding.reason == (
        "limits up to 50 are honoured; the window has too few sessions for larger pages"
    )


TOO_LARGE = PageResponse.failed("a page exceeds max_response_bytes", is_too_large=True)


def test_a_page_that_is_too_large_is_avoided() -> None:
    account = Account(sessions(900), 60)

    def respond(request: ProbeRequest) -> PageResponse:
        response = account(request)
        return TOO_LARGE if response.count > 45 else response

    finding, _ = size_of(respond)
    assert finding.value == 60


def test_without_an_order_a_page_may_always_be_too_large() -> None:
    account = Account(sessions(900), 60)
    finding, _ = size_of(lambda r: TOO_LARGE if r.limit > 10 else account(r), "shuffled")
    assert finding.reason == "a page exceeds max_response_bytes"


def failing_after(respond: Respond, limit: int) -> Respond:
    """Return an account whose responses after the sample fail for a limit."""
    return lambda request: (
        FAILED if request.limit == limit and request.page > 1 else respond(request)
    )


@pytest.mark.parametrize("limit", [10, 2010])
def test_a_failure_leaves_the_size_unknown(limit: int) -> None:
    account = Account(sessions(300), 130)
    sample = run(read_sample([WINDOW]), account)
    respond = failing_after(account, limit)
    assert run(find_page_size(PageSizes(sample, "ascending", "empty")), respond).reason == (
        FAILED.failure
    )


def test_pages_that_contradict_each_other_leave_the_size_unknown() -> None:
    account = Account(sessions(300), 130)
    others = attrs.evolve(account, reports=[attrs.evolve(r, key=-r.key) for r in account.reports])
    sample = run(read_sample([WINDOW]), account)
    finding = run(
        find_page_size(PageSizes(sample, "ascending", "empty")),
        lambda request: (others if request.limit > 10 else account)(request),
    )
    assert finding.reason == "the pages of different limits don't match"


def test_a_larger_size_than_documented_is_not_measured() -> None:
    finding, _ = size_of(Account(sessions(3000), 3000))
    assert finding.reason == "limits above 2,000 are honoured"
