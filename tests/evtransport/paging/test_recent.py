"""Recent keys of a cursor."""

from __future__ import annotations

import pytest

from evtransport.paging.recent import RecentLink, merge_recent

FULL = tuple(range(100))


@pytest.mark.parametrize(
    ("recent", "page", "appends", "merged"),
    [
        ((1, 2), [2, 3], True, (1, 2, 3)),
        (FULL, [100, 101], True, (*range(2, 100), 100, 101)),
        ((1, 2), [8, 9], False, (1, 2)),
        ((1, 2, 3), [9, 1, 2, 3], False, (9, 1, 2, 3)),
        ((1, 2, 3), [3, 9], False, (1, 2, 3, 9)),
        ((1, 2, 3), [2, 1, 9], False, (1, 9, 2, 3)),
        (FULL, [0, *range(200, 300)], False, (200, *range(201, 300), *FULL[1:])[-100:]),
    ],
)
def test_the_rows_farthest_in_the_servers_order_stay_recent(
    recent: tuple[int, ...], page: list[int], appends: bool, merged: tuple[int, ...]
) -> None:
    assert merge_recent(recent, page, appends=appends) == merged


APART = RecentLink(extends=False, appends=False, apart=100)


@pytest.mark.parametrize(
    ("link", "keys", "new", "has_known", "after"),
    [
        # A page without a known row follows the page before it.
        (RecentLink(), [3, 4], 2, False, RecentLink()),
        (RecentLink(apart=60), [2, 3], 1, True, RecentLink(appends=False)),
        (RecentLink(), [1, 3], 60, True, RecentLink(appends=False, apart=60)),
        (RecentLink(extends=False, apart=2), [9], 98, False, APART),
        # After more than 100 other rows, the last recent row has moved.
        (APART, [9], 1, False, RecentLink()),
    ],
)
def test_a_page_appends_its_rows_only_if_they_come_after_the_recent_rows(
    link: RecentLink, keys: list[int], new: int, has_known: bool, after: RecentLink
) -> None:
    assert link.after_page((1, 2), keys, new=new, has_known=has_known) == after


def test_the_first_page_has_no_distance_from_recent_rows() -> None:
    assert RecentLink(apart=9).after_page((), [1], new=1, has_known=True).apart == 0
