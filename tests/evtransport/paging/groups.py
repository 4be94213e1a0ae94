"""Groups of walks over the model, with and without a promise that no row is lost."""

from __future__ import annotations

from evtransport.errors import ConnectionFailed, DeadlineExceeded, PaginationError, StatusError
from tests.evtransport.paging.model import (
    ANY_LIMIT,
    BOTH,
    CHANGE_SIZES,
    CHOSEN,
    DELETES,
    INSERTS,
    Group,
    Sizes,
    any_sizes,
    fixed_size,
    hidden_rows,
    refused_limits,
    too_large,
)

refused_anywhere = refused_limits(10, 15, 20, 30)

PROMISED = {
    "still": Group(),
    "inserts": Group(moves=INSERTS),
    "deletes": Group(moves=DELETES),
    "inserts and deletes": Group(moves=BOTH),
    "large pages": Group(moves=BOTH, limits=(100, 120, 150, 300), rows=(150, 400, 700)),
    "any sizes": Group(sizes=any_sizes, limits=ANY_LIMIT),
    "any sizes, inserts": Group(moves=INSERTS, sizes=any_sizes, limits=ANY_LIMIT),
    "one size, inserts": Group(moves=INSERTS, sizes=fixed_size, limits=ANY_LIMIT),
    # An empty page ends the walk, so no page is hidden as a whole.
    "hidden rows, inserts": Group(
        moves=INSERTS, sizes=hidden_rows, limits=(None, None, 10, 16, 20, 25, 40, 100)
    ),
    "sizes change, inserts": Group(moves=(*INSERTS, CHANGE_SIZES), later_sizes=any_sizes),
    "limits refused, inserts": Group(moves=INSERTS, sizes=refused_anywhere, limits=CHOSEN),
    "limits above 20 refused": Group(moves=BOTH, sizes=refused_limits(20, 30, 39), limits=CHOSEN),
    "outages": Group(
        moves=BOTH,
        sizes=lambda draw: Sizes(outages=draw.choice((0.02, 0.1))),
        limits=(None, None, 20, 25, 40, 100),
        errors=(StatusError,),
    ),
    "limits refused later, inserts": Group(
        moves=(*INSERTS, CHANGE_SIZES),
        later_sizes=refused_anywhere,
        limits=CHOSEN,
        # A limit that was served before fails without a response probably because of an outage.
        errors=(ConnectionFailed, DeadlineExceeded),
    ),
    "too large at first, inserts": Group(
        # Rows are added faster than the walk reads pages of one row.
        moves=INSERTS,
        sizes=too_large,
        limits=CHOSEN,
        errors=(PaginationError,),
    ),
    "large reports, inserts": Group(moves=INSERTS, limits=CHOSEN, row_bytes=(2000, 5000, 20_000)),
    "odd limits refused, inserts": Group(
        moves=INSERTS,
        sizes=lambda draw: Sizes(multiple=draw.choice((10, 5))),
        limits=(None, 10, 20, 40),
    ),
    "verify": Group(moves=(*BOTH, "reorder"), verify=True),
    "verify, any sizes": Group(
        moves=(*BOTH, "reorder"), verify=True, sizes=any_sizes, limits=ANY_LIMIT
    ),
    "verify, one size": Group(moves=BOTH, verify=True, sizes=fixed_size, limits=ANY_LIMIT),
    "verify, limits refused": Group(moves=BOTH, verify=True, sizes=refused_anywhere, limits=CHOSEN),
    "verify, sizes change": Group(moves=(*BOTH, CHANGE_SIZES), verify=True, later_sizes=any_sizes),
}
"""Groups in which no row is lost and none is delivered twice."""

NOT_PROMISED = {
    "reordered rows": Group(moves=("reorder",)),
    "one size, deletes": Group(moves=DELETES, sizes=fixed_size),
    "odd limits refused, deletes": Group(
        moves=DELETES, sizes=lambda draw: Sizes(multiple=draw.choice((10, 5))), limits=(20, 40)
    ),
    "rows left out of large pages": Group(
        sizes=lambda draw: Sizes(maximum=draw.choice((10, 12, 15, 20)), keeps_offset=True)
    ),
    "hidden rows, deletes": Group(moves=DELETES, sizes=hidden_rows, limits=(20, 40, 100)),
    "small limits, deletes": Group(moves=DELETES, limits=(1, 2, 4, 7)),
    "large reports, deletes": Group(moves=DELETES, limits=CHOSEN, row_bytes=(5000, 20_000)),
    "responses to other requests": Group(moves=BOTH, strays=0.1, errors=(PaginationError,)),
}
"""Groups in which a row can be lost or delivered twice."""
