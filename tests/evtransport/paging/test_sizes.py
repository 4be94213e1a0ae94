"""Page sizes: which limits a walk asks for, and what it learns from pages and failures."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport.errors import (
    ApiError,
    ConnectionFailed,
    DeadlineExceeded,
    DecodeError,
    ResponseTooLarge,
    SchemaError,
    StatusError,
)
from evtransport.paging.cursor import Cursor
from evtransport.paging.sizes import PageLimits, PageRequest, PageSizes

LIMITS = PageLimits(first=10, least=10, most=2000, growth_bytes=8_000_000)
START = Cursor(query={}, limit=10)


def sizes(limit: int | None = None, cursor: Cursor = START) -> PageSizes:
    start = attrs.evolve(cursor, limit=limit) if cursor is START and limit else cursor
    return PageSizes.at(start, limit, LIMITS)


def status(code: int) -> StatusError:
    return StatusError("refused", status=code)


# The bounds.


def test_a_walk_that_chooses_its_limit_begins_at_the_first_one() -> None:
    chosen = sizes()

    assert (chosen.limit, chosen.floor, chosen.max_limit) == (10, 10, 2000)


@pytest.mark.parametrize(
    ("limit", "floor"), [(1, 1), (7, 3), (10, 5), (19, 9), (20, 10), (30, 15), (2000, 1000)]
)
def test_sizes_go_down_to_half_of_the_limit_but_not_below_10_from_20_on(
    limit: int, floor: int
) -> None:
    given = sizes(limit)

    assert (given.limit, given.floor, given.max_limit) == (limit, floor, limit)


def test_a_resumed_walk_goes_on_with_the_sizes_of_the_cursor() -> None:
    cursor = Cursor(query={}, limit=40, max_limit=80, overlap=False)
    resumed = sizes(cursor=cursor)

    assert (resumed.limit, resumed.max_limit, resumed.trusted) == (40, 80, 40)
    assert not resumed.overlap
    assert resumed.saved(START) == cursor


def test_a_walk_resumed_with_a_smaller_limit_asks_for_no_larger_one() -> None:
    resumed = sizes(15, Cursor(query={}, limit=400))

    assert (resumed.limit, resumed.max_limit) == (15, 15)
    assert resumed.saved(START).max_limit is None


def test_a_walk_resumed_with_a_larger_limit_grows_from_half_of_it() -> None:
    assert sizes(400, Cursor(query={}, limit=15)).limit == 200


# The page to request.


@given(limit=st.integers(16, 2000), offset=st.integers(1, 10**6))
def test_from_16_on_a_size_overlaps_at_almost_each_offset(limit: int, offset: int) -> None:
    given = sizes(limit)
    request = given.overlapping(offset)
    if request is None:  # Each size from the floor to the limit ends at this offset.
        assert all(offset % size == 0 for size in range(given.floor, limit + 1))
        return

    assert given.floor <= request.limit <= limit
    assert (request.page - 1) * request.limit < offset
    assert request.offset_behind(request.limit) > offset


@pytest.mark.parametrize(
    ("limit", "offset"), [(10, 2520), (11, 27_720), (12, 27_720), (15, 360_360), (16, 720_720)]
)
def test_up_to_16_there_is_an_offset_at_which_no_size_overlaps(limit: int, offset: int) -> None:
    assert sizes(limit).overlapping(offset) is None
    assert all(sizes(limit).overlapping(before) for before in range(1, min(offset, 30_000)))


def test_the_page_with_most_rows_behind_the_offset_is_chosen() -> None:
    assert sizes(20).overlapping(20) == PageRequest(2, 19)


def test_without_overlap_only_the_limit_itself_is_asked_for() -> None:
    fixed = sizes(20).fixed()

    assert fixed.overlapping(20) is None
    assert fixed.overlapping(25) == PageRequest(2, 20)
    assert fixed.holding(25, 20) == PageRequest(2, 20)


# Growth.


def test_the_limit_grows_eightfold_after_a_full_page_of_small_reports() -> None:
    assert sizes().after_page(10, 10, 10_000).limit == 80


def test_the_limit_grows_no_further_than_the_bytes_allow() -> None:
    assert sizes().after_page(10, 10, 2_000_000).limit == 40
    assert sizes().after_page(10, 10, 4_000_001).limit == 10


def test_the_limit_never_exceeds_the_documented_one() -> None:
    grown = sizes()
    for _ in range(5):
        grown = grown.after_page(grown.limit, grown.limit, grown.limit)

    assert grown.limit == 2000


def test_the_limit_shrinks_when_pages_are_more_than_twice_too_large() -> None:
    large = sizes(cursor=Cursor(query={}, limit=400))

    assert large.after_page(400, 400, 16_000_000).limit == 400
    assert large.after_page(400, 400, 16_000_400).limit == 200
    assert large.after_page(400, 400, 10**9).limit == 10


def test_a_given_limit_is_kept_whatever_the_bytes() -> None:
    assert sizes(400).after_page(400, 400, 10**9).limit == 400


def test_a_page_that_is_not_full_proves_nothing() -> None:
    assert sizes().after_page(10, 9, 9) == sizes()


def test_a_page_with_more_rows_than_its_limit_shows_that_limits_are_not_served() -> None:
    assert not sizes().after_page(10, 11, 11).overlap


def test_a_server_that_clamps_is_asked_for_no_more_than_it_serves() -> None:
    clamped = sizes(100).clamped(30)

    assert (clamped.limit, clamped.max_limit, clamped.floor) == (30, 30, 15)
    assert clamped.saved(START).max_limit == 30


# Failures.


def trial(chosen: PageSizes, limit: int) -> PageRequest:
    request = chosen.request(1, limit)
    assert request.trial
    return request


GROWN = sizes().after_page(10, 10, 10_000)
MAY_BE_TOO_LARGE = [
    *map(status, (400, 413, 422, 500, 502, 503, 504)),
    ConnectionFailed("closed"),
    DeadlineExceeded("late"),
    DecodeError("cut"),
    ResponseTooLarge("too large"),
]


@pytest.mark.parametrize("error", MAY_BE_TOO_LARGE, ids=repr)
def test_a_walk_goes_on_at_the_largest_limit_that_worked_after_a_failed_trial(
    error: ApiError,
) -> None:
    after, goes_on = GROWN.after_failure(trial(GROWN, 80), error, is_first=False)

    assert goes_on
    assert after.limit == 10


@pytest.mark.parametrize(
    "error", [status(401), status(404), status(429), SchemaError(("bad",))], ids=repr
)
def test_other_failures_say_nothing_about_the_limit(error: ApiError) -> None:
    assert GROWN.after_failure(trial(GROWN, 80), error, is_first=False) == (GROWN, False)


def test_a_limit_is_refused_when_it_failed_twice_while_a_smaller_one_worked() -> None:
    once, _ = GROWN.after_failure(trial(GROWN, 80), status(502), is_first=False)
    again = once.after_page(10, 10, 10_000)
    twice, _ = again.after_failure(trial(again, 80), status(502), is_first=False)

    assert (once.max_limit, again.limit) == (2000, 80)
    assert (twice.max_limit, twice.after_page(10, 10, 10_000).limit) == (40, 40)


def test_a_limit_that_worked_in_between_clears_the_failure() -> None:
    once, _ = GROWN.after_failure(trial(GROWN, 80), status(502), is_first=False)
    worked = once.after_page(80, 80, 80_000)

    assert (once.failures, worked.failures, worked.trusted) == (1, 0, 80)


@pytest.mark.parametrize("error", [status(413), ResponseTooLarge("too large")], ids=repr)
def test_an_answer_that_is_too_large_halves_even_the_first_limit(error: ApiError) -> None:
    first = sizes().request(1, 10)
    after, goes_on = sizes().after_failure(first, error, is_first=True)

    assert goes_on
    assert (after.limit, after.max_limit, after.floor) == (5, 5, 5)
    assert after.overlapping(5) is None


def test_an_answer_of_one_row_that_is_too_large_is_an_error() -> None:
    smallest = sizes(cursor=Cursor(query={}, limit=1, max_limit=1))
    request = smallest.request(1, 1)

    assert not smallest.after_failure(request, status(413), is_first=True)[1]


def test_a_given_limit_is_not_lowered_at_the_first_page() -> None:
    given = sizes(40)
    for error in MAY_BE_TOO_LARGE:
        assert not given.after_failure(given.request(1, 40), error, is_first=True)[1]


def test_a_given_limit_is_lowered_in_the_middle_of_a_walk_if_answers_are_too_large() -> None:
    after, goes_on = sizes(40).after_failure(sizes(40).request(3, 40), status(413), is_first=False)

    assert goes_on
    assert (after.limit, after.max_limit) == (20, 20)


@pytest.mark.parametrize("code", [400, 422])
def test_a_server_that_refuses_a_varied_limit_is_asked_for_the_given_one_only(code: int) -> None:
    after, goes_on = sizes(40).after_failure(sizes(40).request(2, 38), status(code), is_first=False)

    assert goes_on
    assert (after.limit, after.overlap) == (40, False)


def test_no_answer_at_a_limit_that_was_served_is_reported_and_the_next_page_is_smaller() -> None:
    served = GROWN.after_page(80, 80, 80_000)
    request = served.request(2, 80)
    after, goes_on = served.after_failure(request, ConnectionFailed("closed"), is_first=False)

    assert not request.trial
    assert not goes_on
    assert after.limit == 10
