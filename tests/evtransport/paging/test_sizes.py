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


def sizes(limit: int | None = None, saved: int | None = None) -> PageSizes:
    cursor = attrs.evolve(START, limit=saved or limit or START.limit)
    return PageSizes.from_cursor(cursor, limit, LIMITS)


# Limits.


@pytest.mark.parametrize(
    ("given_", "saved", "limit", "floor", "max_limit"),
    [
        (None, 10, 10, 10, 2000),
        (1, 1, 1, 1, 1),
        (19, 19, 19, 9, 19),
        (20, 20, 20, 10, 20),
        (30, 30, 30, 15, 30),
        (15, 400, 15, 7, 15),
        (400, 15, 200, 200, 400),
    ],
)
def test_limits_go_from_the_floor_up_to_the_given_or_documented_one(
    given_: int | None, saved: int, limit: int, floor: int, max_limit: int
) -> None:
    chosen = sizes(given_, saved)

    assert (chosen.limit, chosen.floor, chosen.max_limit) == (limit, floor, max_limit)
    assert chosen.saved_in(START).max_limit is None


def test_a_resumed_walk_continues_with_the_sizes_of_its_cursor() -> None:
    cursor = Cursor(query={}, limit=40, max_limit=80, overlap=False)
    resumed = PageSizes.from_cursor(cursor, None, LIMITS)

    assert (resumed.limit, resumed.max_limit, resumed.proven) == (40, 80, 40)
    assert resumed.saved_in(START) == cursor


# Overlapping pages.


@given(limit=st.integers(16, 2000), offset=st.integers(1, 10**6))
def test_a_size_of_16_or_more_overlaps_at_almost_every_offset(limit: int, offset: int) -> None:
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
def test_a_limit_up_to_16_has_an_offset_at_which_no_size_overlaps(limit: int, offset: int) -> None:
    assert sizes(limit).overlapping(offset) is None
    assert all(sizes(limit).overlapping(before) for before in range(1, min(offset, 2520)))


# Pages.


@pytest.mark.parametrize(
    ("given_", "limit", "length", "after"),
    [
        (None, 10, 10_000, 80),
        (None, 10, 2_000_000, 40),
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
    assert sizes(given_, limit).after_page(limit, limit, length).limit == after


def test_a_short_page_changes_no_size_and_a_larger_one_fixes_the_sizes() -> None:
    assert sizes().after_page(10, 9, 9) == sizes()
    assert sizes().after_page(10, 11, 11) == sizes().fixed()


def test_a_server_that_clamps_receives_no_larger_limit_than_it_serves() -> None:
    clamped = sizes(100).clamped(30)

    assert (clamped.limit, clamped.max_limit, clamped.floor) == (30, 30, 15)
    assert clamped.saved_in(START).max_limit == 30


# Failures.


def refusal(status: int) -> StatusError:
    return StatusError("refused", status=status)


GROWN = sizes().after_page(10, 10, 10_000)
SERVED = GROWN.after_page(80, 80, 80_000)
ONE_ROW = PageSizes.from_cursor(Cursor(query={}, limit=1, max_limit=1), None, LIMITS)
TOO_LARGE = [refusal(413), ResponseTooLarge("too large")]
NO_RESPONSE = [ConnectionFailed("closed"), DeadlineExceeded("late"), DecodeError("cut")]
MAY_BE_TOO_LARGE = [*TOO_LARGE, *NO_RESPONSE, *map(refusal, (400, 422, 500, 502, 503, 504))]
OTHER = [refusal(401), refusal(404), refusal(429), SchemaError(("bad",))]


@pytest.mark.parametrize(
    ("before", "page", "limit", "errors", "after", "continues"),
    [
        (GROWN, 2, 80, MAY_BE_TOO_LARGE, 10, True),
        (GROWN, 2, 80, OTHER, 80, False),
        (SERVED, 2, 80, NO_RESPONSE, 10, False),
        (sizes(), 1, 10, TOO_LARGE, 5, True),
        (ONE_ROW, 1, 1, TOO_LARGE, 1, False),
        (sizes(40), 1, 40, TOO_LARGE, 20, False),
        (sizes(40), 1, 40, NO_RESPONSE, 40, False),
        (sizes(40), 3, 40, TOO_LARGE, 20, True),
        (sizes(40), 3, 38, [refusal(400), refusal(422)], 40, True),
    ],
    ids=[
        *("a trial", "a trial with another error", "a proven limit", "the first chosen limit"),
        *("a single row", "the first given limit", "no response to a given limit"),
        *("a given limit later", "a varied limit"),
    ],
)
def test_a_failure_lowers_the_limit_if_smaller_pages_may_help(
    before: PageSizes, page: int, limit: int, errors: list[ApiError], after: int, continues: bool
) -> None:
    request = before.request(page, limit)
    for error in errors:
        found, goes_on = before.after_failure(request, error, is_first=page == 1)
        assert (found.limit, goes_on) == (after, continues)
        assert found.overlap == (limit != 38)


@pytest.mark.parametrize(
    ("limit", "failures", "status"), [(80, 2, 502), (38, 5, 502), (80, 1, 413)]
)
def test_a_limit_counts_as_rejected_after_some_failures(
    limit: int, failures: int, status: int
) -> None:
    chosen = GROWN
    for _ in range(failures):
        assert chosen.max_limit == 2000
        request = PageRequest(2, limit, trial=True)
        chosen, _ = chosen.after_failure(request, refusal(status), is_first=False)
        chosen = chosen.after_page(10, 10, 10_000)

    assert (chosen.max_limit, chosen.limit, chosen.failures) == (limit // 2, limit // 2, 0)


def test_a_successful_trial_resets_the_failures() -> None:
    failed, _ = GROWN.after_failure(GROWN.request(2, 80), refusal(502), is_first=False)
    served = failed.after_page(80, 80, 80_000)

    assert (failed.failures, served.failures, served.proven) == (1, 0, 80)
