"""Recent keys of a cursor."""

from __future__ import annotations

import pytest

from evtransport.paging.recent import RecentLink, merge_recent

FULL = tuple(range(100))


@pytest.mark.parametrize(
    ("recent", "page", "appends", "merged"),
    [
        ((1, 2), [3, 4], True, (1, 2, 3, 4)),
        ((1, 2), [2, 3], True, (1, 2, 3)),
        (FULL, [100, 101], True, (*range(2, 100), 100, 101)),
        ((1, 2), [8, 9], False, (1, 2)),
        ((1, 2, 3), [9, 1, 2, 3], False, (9, 1, 2, 3)),
        ((1, 2, 3), [2, 9, 3], False, (1, 2, 9, 3)),
        ((1, 2, 3), [3, 9], False, (1, 2, 3, 9)),
        ((1, 2, 3), [2, 1, 9], False, (1, 9, 2, 3)),
        (
            FULL,
            [0, *range(200, 300)],
            False,
            (*range(200, 201), *range(201, 300), *FULL[1:])[-100:],
        ),
        (FULL, [50, 999, 51], False, (*range(1, 51), 999, *range(51, 100))),
    ],
)
def test_the_rows_farthest_in_the_servers_order_stay_recent(
    recent: tuple[int, ...], page: list[int], appends: bool, merged: tuple[int, ...]
) -> None:
    assert merge_recent(recent, page, appends=appends) == merged


def test_pages_after_the_last_recent_row_append_their_rows() -> None:
    link = RecentLink()

    follows = link.after_page((1, 2), [3, 4], new=2, has_known=False)
    joins = link.after_page((1, 2), [2, 3], new=1, has_known=True)

    assert (follows.appends, follows.extends) == (True, True)
    assert (joins.appends, joins.extends) == (False, True)


def test_after_more_than_100_other_rows_the_last_recent_row_has_moved() -> None:
    link = RecentLink().after_page((1, 2), [1, 3], new=60, has_known=True)
    assert (link.appends, link.apart) == (False, 60)

    later = link.after_page((1, 2), [3, 4], new=41, has_known=True)

    assert (later.appends, later.extends, later.apart) == (True, True, 0)


def test_a_page_apart_from_the_recent_rows_does_not_extend_them() -> None:
    link = RecentLink().after_page((1, 2), [7, 8], new=2, has_known=True)

    assert (link.appends, link.extends, link.apart) == (False, False, 2)
    assert not link.after_page((1, 2), [9], new=1, has_known=False).appends
