"""Page sizes: which limits a walk requests, and what it learns from pages and failures."""

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
from evtransport.paging import Cursor, PageLimits, PageRequest
from evtransport.paging.sizes import PageSizes

LIMITS = PageLimits(first=10, minimum=10, maximum=2000, growth_bytes=8_000_000)
START = Cursor(query={}, limit=10)


def sizes(limit: int | None = None, cursor: Cursor = START) -> PageSizes:
    start = attrs.evolve(cursor, limit=limit) if cursor is START and limit else cursor
    return PageSizes.from_cursor(start, limit, LIMITS)


def refusal(status: int) -> StatusError:
    return StatusError("refused", status=status)


# Limits.


@pytest.mark.parametrize(
    ("given_", "saved", "limit", "floor", "max_limit"),
    [
        (None, 10, 10, 10, 2000),
        (1, 1, 1, 1, 1),
        (7, 7, 7, 3, 7),
        (19, 19, 19, 9, 19),
        (20, 20, 20, 10, 20),
        (30, 30, 30, 15, 30),
        (2000, 2000, 2000, 1000, 2000),
        (15, 400, 15, 7, 15),
        (400, 15, 200, 200, 400),
    ],
)
def test_limits_go_from_the_floor_up_to_the_given_or_documented_one(
    given_: int | None, saved: int, limit: int, floor: int, max_limit: int
) -> None:
    chosen = sizes(given_, Cursor(query={}, limit=saved))

    assert (chosen.limit, chosen.floor, chosen.max_limit) == (limit, floor, max_limit)
    assert chosen.saved_in(START).max_limit is None


def test_a_resumed_walk_continues_with_the_sizes_of_its_cursor() -> None:
    cursor = Cursor(query={}, limit=40, max_limit=80, overlap=False)
    resumed = sizes(cursor=cursor)

    assert (resumed.limit, resumed.max_limit, resumed.proven) == (40, 80, 40)
    assert resumed.saved_in(START) == cursor


# Overlapping pages.


@given(limit=st.integers(16, 2000), offset=st.integers(1, 10**6))
def test_from_16_on_a_size_overlaps_at_almost_each_offset(limit: int, offset: int) -> None:
    chosen = sizes(limit)
    request = chosen.overlapping(offset)
    if request is None:  # Each size from the floor to the limit ends at this offset.
        assert all(offset % size == 0 for size in range(chosen.floor, limit + 1))
        return

    assert chosen.floor <= request.limit <= limit
    assert (request.page - 1) * request.limit < offset
    assert request.offset_after(request.limit) > offset


@pytest.mark.parametrize(
    ("limit", "offset"), [(10, 2520), (11, 27_720), (12, 27_720), (15, 360_360), (16, 720_720)]
)
def test_up_to_16_no_size_overlaps_at_some_offset(limit: int, offset: int) -> None:
    assert sizes(limit).overlapping(offset) is None
    assert all(sizes(limit).overlapping(before) for before in range(1, min(offset, 2520)))


def test_the_page_with_most_rows_after_the_offset_is_requested() -> None:
    assert sizes(20).overlapping(20) == PageRequest(2, 19)


def test_a_server_of_fixed_sizes_receives_only_the_limit_itself() -> None:
    fixed = sizes(20).fixed()

    assert fixed.overlapping(20) is None
    assert fixed.overlapping(25) == fixed.holding(25, 20) == PageRequest(2, 20)


# Growth.


@pytest.mark.parametrize(
    ("given_", "limit", "length", "after"),
    [
        (None, 10, 10_000, 80),
        (None, 10, 2_000_000, 40),
        (None, 10, 4_000_000, 20),
        (None, 10, 4_000_001, 10),
        (None, 1000, 1000, 2000),
        (None, 400, 16_000_000, 400),
        (None, 400, 16_000_400, 200),
        (None, 400, 10**9, 10),
        (400, 400, 10**9, 400),
    ],
)
def test_the_limit_follows_the_size_of_the_rows(
    given_: int | None, limit: int, length: int, after: int
) -> None:
    chosen = sizes(given_, Cursor(query={}, limit=limit))

    assert chosen.after_page(limit, limit, length).limit == after


def test_a_page_that_is_not_full_changes_no_size() -> None:
    assert sizes().after_page(10, 9, 9) == sizes()


def test_a_page_with_more_rows_than_its_limit_fixes_the_sizes() -> None:
    assert sizes().after_page(10, 11, 11) == sizes().fixed()


def test_a_server_that_clamps_receives_no_larger_limit_than_it_serves() -> None:
    clamped = sizes(100).clamped(30)

    assert (clamped.limit, clamped.max_limit, clamped.floor) == (30, 30, 15)
    assert clamped.saved_in(START).max_limit == 30


# Failures.

GROWN = sizes().after_page(10, 10, 10_000)
MAY_BE_TOO_LARGE = [
    *map(refusal, (400, 413, 422, 500, 502, 503, 504)),
    ConnectionFailed("closed"),
    DeadlineExceeded("late"),
    DecodeError("cut"),
    ResponseTooLarge("too large"),
]


def after_failed_trial(chosen: PageSizes, error: ApiError) -> tuple[PageSizes, bool]:
    request = chosen.request(1, 80)
    assert request.trial
    return chosen.after_failure(request, error, is_first=False)


@pytest.mark.parametrize("error", MAY_BE_TOO_LARGE, ids=repr)
def test_a_walk_continues_at_the_largest_proven_limit_after_a_failed_trial(error: ApiError) -> None:
    after, continues = after_failed_trial(GROWN, error)

    assert (after.limit, continues) == (10, True)


@pytest.mark.parametrize(
    "error", [refusal(401), refusal(404), refusal(429), SchemaError(("bad",))], ids=repr
)
def test_other_failures_change_no_size(error: ApiError) -> None:
    assert after_failed_trial(GROWN, error) == (GROWN, False)


def test_a_limit_counts_as_refused_after_two_failures() -> None:
    once, _ = after_failed_trial(GROWN, refusal(502))
    again = once.after_page(10, 10, 10_000)
    twice, _ = after_failed_trial(again, refusal(502))

    assert (once.max_limit, again.limit) == (2000, 80)
    assert (twice.max_limit, twice.after_page(10, 10, 10_000).limit) == (40, 40)


def test_a_small_limit_counts_as_refused_after_five_failures() -> None:
    chosen = sizes()
    for failures in range(1, 6):
        chosen = chosen.reduced(PageRequest(1, 38), 10)
        assert chosen.max_limit == (2000 if failures < 5 else 19)


def test_a_successful_trial_resets_the_failures() -> None:
    once, _ = after_failed_trial(GROWN, refusal(502))
    served = once.after_page(80, 80, 80_000)

    assert (once.failures, served.failures, served.proven) == (1, 0, 80)


@pytest.mark.parametrize("error", [refusal(413), ResponseTooLarge("too large")], ids=repr)
def test_a_response_that_is_too_large_halves_even_the_first_limit(error: ApiError) -> None:
    after, continues = sizes().after_failure(sizes().request(1, 10), error, is_first=True)

    assert continues
    assert (after.limit, after.max_limit, after.floor) == (5, 5, 5)


def test_a_single_row_that_is_too_large_is_an_error() -> None:
    smallest = sizes(cursor=Cursor(query={}, limit=1, max_limit=1))

    assert not smallest.after_failure(smallest.request(1, 1), refusal(413), is_first=True)[1]


@pytest.mark.parametrize("error", MAY_BE_TOO_LARGE, ids=repr)
def test_a_given_limit_is_not_lowered_at_the_first_page(error: ApiError) -> None:
    chosen = sizes(40)

    assert not chosen.after_failure(chosen.request(1, 40), error, is_first=True)[1]


def test_a_given_limit_is_lowered_later_if_responses_are_too_large() -> None:
    chosen = sizes(40)
    after, continues = chosen.after_failure(chosen.request(3, 40), refusal(413), is_first=False)

    assert (after.limit, after.max_limit, continues) == (20, 20, True)


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_varied_limit_fixes_the_sizes(status: int) -> None:
    chosen = sizes(40)
    after, continues = chosen.after_failure(chosen.request(2, 38), refusal(status), is_first=False)

    assert (after.limit, after.overlap, continues) == (40, False, True)


def test_a_proven_limit_without_a_response_is_an_error_and_the_next_page_is_smaller() -> None:
    served = GROWN.after_page(80, 80, 80_000)
    request = served.request(2, 80)
    after, continues = served.after_failure(request, ConnectionFailed("closed"), is_first=False)

    assert (request.trial, after.limit, continues) == (False, 10, False)
