"""Random walks over a server whose rows move between any two responses."""

from __future__ import annotations

import random
from math import ceil

import pytest

from evtransport.errors import ConnectionFailed, DeadlineExceeded, PaginationError, StatusError
from tests.evtransport.paging.measure import RULES, count_lost
from tests.evtransport.paging.model import (
    ANY_LIMIT,
    BOTH,
    CHANGE_SIZES,
    CHOSEN,
    DELETES,
    INSERTS,
    Group,
    Sizes,
    Walk,
    any_sizes,
    fixed_size,
    hidden_rows,
    refused_limits,
    too_large,
)

refused_anywhere = refused_limits(10, 15, 20, 30)

GROUPS = {
    "still": Group(),
    "inserts and deletes": Group(moves=BOTH),
    "large pages": Group(moves=BOTH, limits=(100, 120, 150, 300), rows=(150, 400, 700)),
    "any sizes, inserts": Group(moves=INSERTS, sizes=any_sizes, limits=ANY_LIMIT),
    "one size, inserts": Group(moves=INSERTS, sizes=fixed_size, limits=ANY_LIMIT),
    # This server never hides all rows of a page: an empty page would end the walk.
    "hidden rows, inserts": Group(
        moves=INSERTS, sizes=hidden_rows, limits=(None, None, 10, 16, 20, 25, 40, 100)
    ),
    "sizes change, inserts": Group(moves=(*INSERTS, CHANGE_SIZES), later_sizes=any_sizes),
    "limits rejected, inserts": Group(moves=INSERTS, sizes=refused_anywhere, limits=CHOSEN),
    "limits above 20 rejected": Group(moves=BOTH, sizes=refused_limits(20, 30, 39), limits=CHOSEN),
    "outages": Group(
        moves=BOTH,
        sizes=lambda draw: Sizes(outages=draw.choice((0.02, 0.1))),
        limits=(None, None, 20, 25, 40, 100),
        errors=(StatusError,),
    ),
    "limits rejected later, inserts": Group(
        moves=(*INSERTS, CHANGE_SIZES),
        later_sizes=refused_anywhere,
        limits=CHOSEN,
        # If a limit that was served before gets no response, the cause is probably an outage.
        errors=(ConnectionFailed, DeadlineExceeded),
    ),
    # Rows are added faster than the walk reads pages of one row.
    "too large at first, inserts": Group(
        moves=INSERTS, sizes=too_large, limits=CHOSEN, errors=(PaginationError,)
    ),
    "large reports, inserts": Group(moves=INSERTS, limits=CHOSEN, row_bytes=(2000, 5000, 20_000)),
    "odd limits rejected, inserts": Group(
        moves=INSERTS,
        sizes=lambda draw: Sizes(multiple=draw.choice((10, 5))),
        limits=(None, 10, 20, 40),
    ),
    "verify": Group(moves=(*BOTH, "reorder"), verify=True),
    "verify, any sizes": Group(
        moves=(*BOTH, "reorder"), verify=True, sizes=any_sizes, limits=ANY_LIMIT
    ),
    "verify, one size": Group(moves=BOTH, verify=True, sizes=fixed_size, limits=ANY_LIMIT),
    "verify, limits rejected": Group(
        moves=BOTH, verify=True, sizes=refused_anywhere, limits=CHOSEN
    ),
    "verify, sizes change": Group(moves=(*BOTH, CHANGE_SIZES), verify=True, later_sizes=any_sizes),
    "reordered rows": Group(moves=("reorder",), is_lossless=False),
    "one size, deletes": Group(moves=DELETES, sizes=fixed_size, is_lossless=False),
    "rows left out of large pages": Group(
        sizes=lambda draw: Sizes(maximum=draw.choice((10, 12, 15, 20)), keeps_offset=True),
        is_lossless=False,
    ),
    "hidden rows, deletes": Group(
        moves=DELETES, sizes=hidden_rows, limits=(20, 40, 100), is_lossless=False
    ),
    "small limits, deletes": Group(moves=DELETES, limits=(1, 2, 4, 7), is_lossless=False),
    "responses to other requests": Group(
        moves=BOTH, misrouted=0.1, errors=(PaginationError,), is_lossless=False
    ),
}


def max_requests(group: Group, walk: Walk) -> int:
    """Return a bound: each pass, move and resume may cost some requests."""
    sizes = filter(None, (walk.server.sizes, walk.server.later_sizes))
    served = min(walk.limit or 10, *(min(size.maximum, size.refused) for size in sizes))
    pages = ceil(len(walk.server.ever) / served)
    return (20 if group.verify else 1) * (2 * pages + 16) + 10 * (walk.moves + walk.resumes)


@pytest.mark.parametrize("name", GROUPS)
def test_a_walk_ends_and_loses_no_row_where_that_is_promised(name: str, full: bool) -> None:
    group = GROUPS[name]
    for seed in range(20_000 if full else 100):
        walk = group.walk(random.Random(seed)).run()

        assert walk.has_ended, "the walk does not end"
        assert set(walk.delivered) <= walk.server.ever, "rows are delivered that never existed"
        assert all(isinstance(error, group.errors) for error in walk.errors)
        assert walk.errors_at_rest <= 1, "an error repeats"
        if group.is_lossless:
            assert walk.lost == 0, "rows are lost"
            assert len(walk.delivered) == len(set(walk.delivered)), "rows are delivered twice"
            assert walk.server.requests <= max_requests(group, walk)


def test_the_model_notices_rows_that_aligned_pages_lose() -> None:
    assert [count_lost(rule, "deletes", 100)[0] > 0 for rule in RULES] == [True, True, False]
