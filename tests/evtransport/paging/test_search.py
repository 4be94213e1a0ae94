"""Search for the place of a walk."""

from __future__ import annotations

from itertools import islice

from evtransport.paging.search import MAX_DISTANCE, Search


def pages(middle: int, last: int | None = None) -> list[int]:
    """Return the pages that a search requests. Those after `last` are empty."""
    found, search = [], Search(middle)
    while True:
        found.append(search.page)
        following = search.after_miss(empty=last is not None and search.page > last)
        if following is None:
            return found
        search = following


def test_a_search_requests_the_pages_before_and_behind_in_turn() -> None:
    assert list(islice(pages(5), 9)) == [5, 4, 6, 3, 7, 2, 8, 1, 9]


def test_a_search_stops_at_both_ends() -> None:
    assert pages(3, last=6) == [3, 2, 4, 1, 5, 6, 7]


def test_no_page_behind_an_empty_one_is_requested() -> None:
    assert pages(5, last=2) == [5, 4, 3, 2, 1]


def test_a_search_ends_where_no_page_is_empty() -> None:
    assert len(pages(1)) == 1 + MAX_DISTANCE
    assert len(pages(10**6)) <= 2 + 2 * MAX_DISTANCE
