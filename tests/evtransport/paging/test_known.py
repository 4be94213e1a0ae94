"""Known rows of a walk: which rows of a page are new."""

from __future__ import annotations

import pytest

from evtransport.paging.cursor import RECENT_KEYS, Cursor
from evtransport.paging.known import MIN_REMEMBERED, KnownRows, PageRows


def known(*recent: int, verify: bool = False, delivered: bytes = b"") -> KnownRows:
    cursor = Cursor(query={}, limit=10, recent=recent, delivered=delivered)
    return KnownRows.from_cursor(cursor, verify=verify)


@pytest.mark.parametrize(
    ("recent", "page", "rows"),
    [
        (range(0), [4, 4, 5], PageRows(new=(0, 2), known=(), added=2, advances=True)),
        (range(2), [9, 1, 3], PageRows(new=(0, 2), known=(1,), added=2, advances=True)),
        (range(2), [3, 1], PageRows(new=(0,), known=(1,), added=1, advances=False)),
        # Rows before a known row may have been delivered and forgotten.
        (
            range(RECENT_KEYS),
            [900, 98, 901, 99, 902],
            PageRows(new=(4,), known=(1, 3), added=3, advances=True),
        ),
    ],
    ids=["row twice", "row before known", "no advance", "forgotten rows"],
)
def test_rows_of_a_page_are_compared_with_the_known_rows(
    recent: range, page: list[int], rows: PageRows
) -> None:
    assert known(*recent).add(page) == rows


def test_a_cursor_of_verify_knows_all_delivered_rows() -> None:
    rows = known(2, delivered=b"".join(key.to_bytes(8) for key in (1, 2)))

    assert rows.complete
    assert rows.add([1, 2, 3]).new == (2,)


@pytest.mark.parametrize("verify", [False, True])
def test_the_number_of_rows_seen_is_bounded(verify: bool) -> None:
    rows = known(verify=verify)
    for first in range(0, 2 * MIN_REMEMBERED, 1000):
        rows.add(range(first, first + 1000))

    assert list(rows.seen) == list(range(MIN_REMEMBERED - 2 * 1000, 2 * MIN_REMEMBERED))
    assert rows.complete == verify
    assert rows.add([0]).new == (() if verify else (0,))
