"""Page 0 and the page after the last report, without I/O."""

from __future__ import annotations

import pytest

from depotclient.probe.experiment import PageResponse
from depotclient.probe.pages import check_ignored_page, find_page_zero, find_past_the_end
from depotclient.probe.sample import Sample
from depotclient.profile import Order, PageRule
from evtransport.measurements import Finding
from tests.support.probing import FAILED, WINDOW, record, sessions

TWELVE = sessions(12)
FIRST_PAGE, SECOND_PAGE = PageResponse(reports=TWELVE[:10]), PageResponse(reports=TWELVE[10:])
EMPTY, NULL = PageResponse(), PageResponse(reports=None)
TWO_PAGES = Sample(WINDOW, 10, (FIRST_PAGE, SECOND_PAGE))
ONE_PAGE = Sample(WINDOW, 10, (FIRST_PAGE, EMPTY))
NO_PAGE = Sample(WINDOW, 10, (EMPTY, EMPTY))


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (EMPTY, "empty"),
        (FIRST_PAGE, "first_page"),
        (NULL, "null"),
        (PageResponse(404, None), 404),
        (FAILED, None),
        (SECOND_PAGE, None),
    ],
)
def test_page_zero_is_compared_with_page_1(
    response: PageResponse, expected: PageRule | None
) -> None:
    finding, [request] = record(find_page_zero(TWO_PAGES), lambda _: response)
    assert (finding.value, request.page) == (expected, 0)


def test_an_empty_page_says_nothing_without_sessions() -> None:
    finding, _ = record(find_page_zero(NO_PAGE), lambda _: EMPTY)
    assert finding.reason == "no session in the window"


@pytest.mark.parametrize(
    ("sample", "narrow", "responses", "expected"),
    [
        (TWO_PAGES, True, {2: EMPTY, 1: FIRST_PAGE}, "empty"),
        (TWO_PAGES, True, {2: PageResponse(400, None), 1: FIRST_PAGE}, 400),
        # The sessions of the window were removed, so that it has no first page to repeat.
        (TWO_PAGES, True, {2: EMPTY, 1: EMPTY}, None),
        (TWO_PAGES, True, {2: EMPTY, 1: FAILED}, None),
        (TWO_PAGES, True, {2: FIRST_PAGE, 1000: FIRST_PAGE}, "first_page"),
        # The last page is repeated, instead of the first.
        (TWO_PAGES, True, {2: SECOND_PAGE, 1000: SECOND_PAGE}, None),
        (TWO_PAGES, False, {1000: NULL}, "null"),
        # The server may refuse only pages that are far away.
        (TWO_PAGES, False, {1000: PageResponse(400, None)}, None),
        (ONE_PAGE, True, {2: FIRST_PAGE, 1000: FIRST_PAGE}, None),
    ],
)
def test_the_page_after_the_last_is_told_from_the_last(
    sample: Sample,
    narrow: bool,
    responses: dict[int, PageResponse],
    expected: PageRule | None,
) -> None:
    experiment = find_past_the_end(sample, WINDOW if narrow else None, ignore_page=False)
    finding, requests = record(experiment, lambda request: responses[request.page])
    assert (finding.value, [r.page for r in requests]) == (expected, list(responses))


def test_a_server_that_ignores_the_page_number_has_no_page_after_the_last() -> None:
    finding, requests = record(find_past_the_end(TWO_PAGES, WINDOW, True), lambda _: FAILED)
    assert (finding.value, requests) == (None, [])


@pytest.mark.parametrize(
    ("order", "past_the_end", "expected"),
    [
        ("ascending", "first_page", False),
        ("changing", "empty", False),
        ("changing", "first_page", None),
        (None, None, None),
    ],
)
def test_pages_that_differ_prove_nothing_if_the_order_may_change(
    order: Order | None, past_the_end: PageRule | None, expected: bool | None
) -> None:
    assert check_ignored_page(Finding(False), order, past_the_end).value is expected
