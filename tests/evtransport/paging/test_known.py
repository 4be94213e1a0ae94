"""Rows that a walk knows: which rows of a page are new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evtransport.paging.cursor import RECENT_KEYS, Cursor, DeliveredKeys
from evtransport.paging.known import MIN_REMEMBERED, KnownRows, PageRows


def known(*recent: int, verify: bool = False, delivered: tuple[int, ...] = ()) -> KnownRows:
    keys = DeliveredKeys().plus(delivered)
    return KnownRows.at(Cursor(query={}, limit=10, recent=recent, delivered=keys), verify=verify)


def test_all_rows_of_a_first_page_are_new() -> None:
    assert known().take([5, 6]) == PageRows(new=(0, 1), known=(), added=2, advances=True)


def test_rows_in_front_of_known_ones_are_new_while_nothing_is_forgotten() -> None:
    assert known(1, 2).take([9, 2, 3]) == PageRows(new=(0, 2), known=(1,), added=2, advances=True)


def test_rows_in_front_of_known_ones_may_be_forgotten_ones_and_are_left_out() -> None:
    rows = known(*range(RECENT_KEYS)).take([900, 98, 901, 99, 902])

    assert rows == PageRows(new=(4,), known=(1, 3), added=3, advances=True)


def test_a_page_advances_only_if_its_last_row_is_new() -> None:
    assert known(1, 2).take([3, 1]) == PageRows(new=(0,), known=(1,), added=1, advances=False)


def test_a_row_that_stands_twice_on_a_page_is_delivered_once() -> None:
    assert known().take([4, 4, 5]) == PageRows(new=(0, 2), known=(), added=2, advances=True)


def test_verify_remembers_in_each_pass_what_was_delivered_before() -> None:
    rows = known(verify=True)
    rows.take([1, 2])
    rows.met.clear()

    assert rows.take([1, 3]) == PageRows(new=(1,), known=(), added=2, advances=True)


def test_a_cursor_of_a_verifying_walk_brings_all_that_was_delivered() -> None:
    rows = known(2, delivered=(1, 2))

    assert rows.complete
    assert rows.take([1, 2, 3]).new == (2,)


@given(st.integers(1, 50), st.integers(1, 5))
def test_the_memory_is_bounded(size: int, overlap: int) -> None:
    rows = known()
    for first in range(0, 3 * MIN_REMEMBERED, 500):
        rows.take(range(first, first + 500 + overlap))
    rows.take(range(10**6, 10**6 + size))

    assert len(rows.met) <= MIN_REMEMBERED + 2 * 505
    assert not rows.complete
    assert 10**6 in rows.met
    assert 0 not in rows.met


def test_a_verifying_walk_stays_complete() -> None:
    rows = known(verify=True)
    for first in range(0, 2 * MIN_REMEMBERED, 1000):
        rows.take(range(first, first + 1000))

    assert rows.complete
    assert rows.take([0]).new == ()
