"""A walk over numbered pages, without I/O: what it requests, and what follows from an answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from evtransport.errors import ApiError, ConnectionFailed, PaginationError, StatusError
from evtransport.paging.cursor import Cursor
from evtransport.paging.known import PageRows
from evtransport.paging.paginator import (
    Dropped,
    End,
    EndOfPass,
    NewRows,
    Outcome,
    Paginator,
    Pass,
)
from evtransport.paging.sizes import PageRequest
from tests.evtransport.paging.model import LIMITS, Page

Server = Callable[[PageRequest], Sequence[int]]


def paginator(
    limit: int | None = 20,
    *,
    cursor: Cursor | None = None,
    read_ahead: int = 1,
    verify: bool = False,
) -> Paginator:
    start = Cursor(query={}, limit=limit or LIMITS.first) if cursor is None else cursor
    return Paginator(start, limit=limit, limits=LIMITS, read_ahead=read_ahead, verify=verify)


def serving(rows: Sequence[int], *, most: int = 2000) -> Server:
    """Return a server of these rows, which may change."""

    def page(request: PageRequest) -> Sequence[int]:
        size = min(request.limit, most)
        return rows[(request.page - 1) * size :][:size]

    return page


def receive(walk: Paginator, keys: Sequence[int]) -> Outcome:
    return walk.receive(walk.next_requests()[0], Page(tuple(keys), 1000 * len(keys)))


@attrs.define
class Walked:
    """Rows delivered, requests made and errors raised by a walk."""

    rows: list[int] = attrs.field(factory=list[int])
    requests: list[PageRequest] = attrs.field(factory=list[PageRequest])
    errors: list[ApiError] = attrs.field(factory=list[ApiError])
    passes: int = 1

    @property
    def sizes(self) -> list[str]:
        return [f"{request.page}@{request.limit}" for request in self.requests]


def walked(
    walk: Paginator, server: Server, after: Callable[[Walked], object] = lambda found: None
) -> Walked:
    """Walk to the end, over errors; `after` is called after each answer."""
    found = Walked()
    while len(found.requests) < 1000 and len(found.errors) < 5:
        request = walk.next_requests()[0]
        found.requests.append(request)
        try:
            keys = tuple(server(request))
        except StatusError as error:
            walk.refused(request, error)
            continue
        try:
            outcome = walk.receive(request, Page(keys, 1000 * len(keys)))
        except ApiError as error:
            found.errors.append(error)
            continue
        if isinstance(outcome, End):
            return found
        if isinstance(outcome, NewRows):
            found.rows += [keys[index] for index in outcome.indexes]
        found.passes += isinstance(outcome, EndOfPass)
        after(found)
    raise AssertionError(f"the walk does not end: {found}")


# Pages that overlap.


def test_each_page_begins_with_a_row_of_the_page_before() -> None:
    found = walked(paginator(20), serving(range(60)))

    assert found.sizes[:4] == ["1@20", "2@19", "3@18", "4@17"]
    assert found.rows == list(range(60))
    for before, request in zip(found.requests, found.requests[1:], strict=False):
        if not request.exact:
            assert (request.page - 1) * request.limit < before.offset_behind(before.limit)


def test_requests_are_prefetched_as_if_all_pages_were_full() -> None:
    walk = paginator(20, read_ahead=4)

    assert [(r.page, r.limit) for r in walk.next_requests()] == [(1, 20), (2, 19), (3, 18), (4, 17)]


def test_with_two_in_flight_page_2_is_requested_together_with_page_1() -> None:
    assert [r.page for r in paginator(20, read_ahead=2).next_requests()] == [1, 2]


@pytest.mark.parametrize("read_ahead", [0, 1])
def test_one_request_is_in_flight_at_least(read_ahead: int) -> None:
    assert len(paginator(20, read_ahead=read_ahead).next_requests()) == 1


def test_nothing_is_prefetched_behind_a_limit_that_was_never_served() -> None:
    walk = paginator(None, read_ahead=4)
    receive(walk, range(10))

    assert [(r.limit, r.trial) for r in walk.next_requests()] == [(40, True)]


def test_nothing_is_prefetched_behind_a_short_page() -> None:
    walk = paginator(20, read_ahead=4)
    receive(walk, range(15))

    assert walk.next_requests() == [PageRequest(2, 20, exact=True)]


# Rows that move.


@pytest.mark.parametrize("read_ahead", [1, 4])
def test_a_row_that_a_delete_pulls_forward_is_not_skipped(read_ahead: int) -> None:
    rows = list(range(100))

    def delete(found: Walked) -> None:
        if len(found.requests) == 2:
            del rows[5]

    found = walked(paginator(20, read_ahead=read_ahead), serving(rows), delete)

    assert found.rows == list(range(100))


def test_a_page_that_does_not_join_is_dropped_and_the_place_searched() -> None:
    rows = list(range(100))

    def delete(found: Walked) -> None:
        if len(found.requests) == 3:
            del rows[:25]

    found = walked(paginator(20), serving(rows), delete)

    assert found.rows == list(range(100))
    assert found.sizes[:6] == ["1@20", "2@19", "3@18", "4@17", "3@20", "2@20"]


def test_rows_that_inserts_push_back_are_delivered_once() -> None:
    rows = list(range(200))

    def insert(found: Walked) -> None:
        if len(found.requests) == 4:
            rows[:0] = range(1000, 1030)

    found = walked(paginator(20), serving(rows), insert)

    assert [row for row in found.rows if row < 1000] == list(range(200))


def test_a_row_inserted_in_front_of_a_known_one_is_delivered() -> None:
    rows = list(range(50))

    def insert(found: Walked) -> None:
        if len(found.requests) == 1:
            rows.insert(19, 1000)

    found = walked(paginator(20), serving(rows), insert)

    assert found.rows == [*range(20), 1000, *range(20, 50)]


# The end.


def test_only_an_empty_page_ends_a_walk() -> None:
    walk = paginator(20)
    receive(walk, range(15))

    assert isinstance(receive(walk, []), End)


def test_an_empty_page_that_is_not_right_behind_the_last_one_is_no_end() -> None:
    walk = paginator(20)
    receive(walk, range(20))

    assert receive(walk, []) == Dropped(retire_connections=True)


def test_a_walk_over_no_rows_ends_at_page_1() -> None:
    assert walked(paginator(20), serving([])).sizes == ["1@20"]


def test_rows_appended_behind_a_short_page_are_delivered() -> None:
    rows = list(range(25))

    def append(found: Walked) -> None:
        if len(found.requests) == 2:
            rows.extend(range(25, 70))

    assert walked(paginator(20), serving(rows), append).rows == list(range(70))


# Sizes.


@pytest.mark.parametrize("most", [1, 3, 10, 15, 19])
@pytest.mark.parametrize("limit", [None, 1, 7, 20, 100])
def test_a_server_that_clamps_the_limit_is_walked_completely(limit: int | None, most: int) -> None:
    assert walked(paginator(limit), serving(range(50), most=most)).rows == list(range(50))


def test_a_server_that_clamps_the_limit_is_asked_for_what_it_serves() -> None:
    found = walked(paginator(100), serving(range(200), most=30))

    assert found.sizes[:5] == ["1@100", "2@100", "2@29", "3@28", "4@27"]
    assert found.rows == list(range(200))
    assert walked(paginator(100), serving(range(200), most=10)).sizes[2] == "1@10"


def test_a_server_of_one_size_is_walked_completely() -> None:
    rows = range(200)

    found = walked(paginator(40), lambda request: rows[(request.page - 1) * 12 :][:12])

    assert found.rows == list(rows)
    assert found.sizes[:6] == ["1@40", "2@40", "2@11", "1@40", "2@40", "3@40"]
    assert len(found.sizes) == 21


@pytest.mark.parametrize("size", [None, 10, 20])
@pytest.mark.parametrize("limit", [None, 10, 20, 40])
def test_a_server_whose_pages_have_gaps_is_walked_completely(
    limit: int | None, size: int | None
) -> None:
    draw = random.Random(0)
    rows = [None if draw.random() < 0.2 else number for number in range(200)]

    def serve(request: PageRequest) -> Sequence[int]:
        count = size or request.limit
        return [row for row in rows[(request.page - 1) * count :][:count] if row is not None]

    assert walked(paginator(limit), serve).rows == [row for row in rows if row is not None]


def test_limits_are_no_longer_varied_after_three_pages_in_a_row_end_at_the_same_row() -> None:
    walk = paginator(20)
    receive(walk, range(20))

    # An answer to 2@19 must begin with row 19. This server serves page 2 of 20 rows.
    sizes = [walk.next_requests()[0]]
    while walk.cursor.overlap:
        receive(walk, range(20, 39) if sizes[-1].page == 2 else range(20))
        sizes.append(walk.next_requests()[0])

    assert [f"{r.page}@{r.limit}" for r in sizes] == [*["2@19", "1@20"] * 3, "2@20"]
    assert sizes[-1].exact


def test_a_server_counts_as_one_of_fixed_sizes_after_a_short_page_with_rows_behind_it() -> None:
    walk = paginator(20)
    serve = serving(range(50), most=3)

    receive(walk, serve(walk.next_requests()[0]))
    assert walk.cursor.overlap
    receive(walk, serve(walk.next_requests()[0]))
    assert not walk.cursor.overlap


def test_no_row_is_lost_where_the_page_size_grows_while_the_place_is_searched() -> None:
    # All sizes are odd at the offset of 10, so page 2 must be exact once no size overlaps.
    walk = paginator(10)
    found = [receive(walk, keys) for keys in (range(10), range(50, 59), range(10))]
    assert found[1] == Dropped(retire_connections=True)

    rest = walked(walk, lambda request: range(60)[(request.page - 1) * 12 :][:12])

    assert rest.rows == list(range(10, 60))


def test_no_row_comes_twice_where_the_page_size_shrinks_after_a_resume() -> None:
    rows = list(range(198))
    cursor = Cursor(query={}, limit=10, offset=195, recent=tuple(range(95, 195)))
    most = [10]

    def shrink(found: Walked) -> None:
        if found.rows:
            most[0] = 3

    found = walked(paginator(10, cursor=cursor), lambda r: serving(rows, most=most[0])(r), shrink)

    assert found.rows == rows[195:]


def test_a_larger_limit_that_a_server_of_one_size_ignores_is_not_tried_for_ever() -> None:
    rows = list(range(450))
    cursor = Cursor(query={}, limit=10, offset=400, overlap=False, recent=tuple(range(300, 400)))

    found = walked(
        paginator(None, cursor=cursor), lambda request: rows[(request.page - 1) * 10 :][:10]
    )

    assert found.rows == rows[400:]
    assert [request.limit for request in found.requests if request.trial] == [40, 40, 20, 20]


def test_a_server_that_refuses_odd_limits_is_walked_by_exact_pages() -> None:
    serve = serving(range(100))

    def strict(request: PageRequest) -> Sequence[int]:
        if request.limit % 10:
            raise StatusError("refused", status=400)
        return serve(request)

    found = walked(paginator(20), strict)

    assert found.sizes == ["1@20", "2@19", "1@20", "2@20", "3@20", "4@20", "5@20", "6@20"]
    assert found.rows == list(range(100))


@pytest.mark.parametrize("code", [400, 413, 422, 500, 502, 503, 504])
def test_a_walk_goes_on_below_a_limit_that_is_refused(code: int) -> None:
    serve = serving(range(300))

    def limited(request: PageRequest) -> Sequence[int]:
        if request.limit > 25:
            raise StatusError("refused", status=code)
        return serve(request)

    walk = paginator(None)
    found = walked(walk, limited)

    assert found.rows == list(range(300))
    assert not found.errors
    assert walk.cursor.max_limit == 20
    assert walk.cursor.overlap


@pytest.mark.parametrize("limit", [None, 100])
def test_pages_still_overlap_after_an_answer_that_was_too_large(limit: int | None) -> None:
    rows = list(range(300))
    serve = serving(rows)

    def limited(request: PageRequest) -> Sequence[int]:
        if request.limit > 35 and request.page > 1:
            raise StatusError("too large", status=413)
        return serve(request)

    def delete(found: Walked) -> None:
        if len(found.rows) > 100 and 7 in rows:
            rows.remove(7)

    walk = paginator(limit)
    found = walked(walk, limited, delete)

    assert found.rows == list(range(300))
    assert not any(request.exact for request in found.requests[1:-1])


def test_pages_that_are_read_again_after_failures_are_no_sign_of_an_ignored_page_number() -> None:
    rows = list(range(100))
    cursor = Cursor(query={}, limit=10, offset=30, recent=tuple(range(20, 30)))

    def serve(request: PageRequest) -> Sequence[int]:
        if request.limit % 10:
            raise StatusError("bad request", status=400)
        return serving(rows)(request)

    found = walked(paginator(None, cursor=cursor), serve)

    assert found.errors == []
    assert found.rows == rows[30:]


def test_a_given_limit_that_is_too_large_at_the_first_page_is_an_error() -> None:
    walk = paginator(40)

    with pytest.raises(StatusError):
        walk.refused(walk.next_requests()[0], StatusError("too large", status=413))


def test_an_outage_at_a_given_limit_is_raised_and_changes_no_size() -> None:
    walk = paginator(100)
    receive(walk, range(100))
    request = walk.next_requests()[0]
    for error in (StatusError("unavailable", status=503), ConnectionFailed("closed")):
        with pytest.raises(type(error)):
            walk.refused(request, error)

    assert walk.next_requests()[0] == request


def test_a_failed_request_with_another_reason_is_raised() -> None:
    walk, error = paginator(20), StatusError("not found", status=404)

    with pytest.raises(StatusError) as raised:
        walk.refused(walk.next_requests()[0], error)

    assert raised.value is error


# Answers that belong to another request.


def test_the_page_before_in_place_of_the_next_retires_the_connections() -> None:
    walk = paginator(20)
    receive(walk, range(20))

    assert receive(walk, range(19)) == Dropped(retire_connections=True)


def test_a_page_far_away_in_place_of_the_next_retires_the_connections() -> None:
    walk = paginator(20)
    receive(walk, range(20))

    assert receive(walk, range(500, 519)) == Dropped(retire_connections=True)
    assert receive(walk, range(20)) == Dropped()
    assert isinstance(receive(walk, range(19, 38)), NewRows)


# Errors.


@pytest.mark.parametrize("limit", [1, 10, 20])
def test_a_server_that_ignores_the_page_number_is_an_error(limit: int) -> None:
    walk, rows = paginator(limit), range(limit)
    receive(walk, rows)
    # 8 pages, and 2 for each page of known rows.
    for _ in range(10):
        receive(walk, rows)

    with pytest.raises(PaginationError, match=r"11 pages .* seems to ignore the page number"):
        receive(walk, rows)
    receive(walk, rows)


def test_no_row_is_lost_on_a_page_before_an_error() -> None:
    walk = paginator(20)
    receive(walk, range(20))
    delivered, errors = set(range(20)), 0
    for number in range(100, 200):
        request = walk.next_requests()[0]
        # Each page brings one row in front of a known one, and does not advance.
        keys = (number, *range(1, 20))
        try:
            outcome = walk.receive(request, Page(keys, 20_000))
        except PaginationError:
            errors += 1
            continue
        if isinstance(outcome, NewRows):
            delivered.update(keys[index] for index in outcome.indexes)

    assert set(range(100, 200)) <= delivered
    assert errors == 0


def test_a_walk_whose_recent_rows_are_all_gone_begins_again_after_an_error() -> None:
    cursor = Cursor(query={}, limit=20, offset=200, recent=tuple(range(100, 200)))
    walk = paginator(20, cursor=cursor)
    rows = [*range(1000, 1100)]

    found = walked(walk, serving(rows))

    assert [type(error) for error in found.errors] == [PaginationError]
    assert "none of the reports delivered last was found" in str(found.errors[0])
    assert found.rows == rows


def test_a_walk_that_has_forgotten_nothing_begins_again_without_an_error() -> None:
    rows = list(range(40))

    def replace(found: Walked) -> None:
        if len(found.requests) == 2:
            rows[:] = range(100, 150)

    found = walked(paginator(20), serving(rows), replace)

    assert not found.errors
    assert found.rows[-50:] == rows


# Passes of verify.


def test_verify_ends_after_a_pass_without_a_new_row() -> None:
    found = walked(paginator(20, verify=True), serving(range(50)))

    assert found.rows == list(range(50))
    assert found.passes == 2


def test_verify_finds_a_row_that_was_inserted_behind_the_walk() -> None:
    rows = list(range(50))

    def insert(found: Walked) -> None:
        if len(found.requests) == 3:
            rows.insert(0, 1000)

    found = walked(paginator(20, verify=True), serving(rows), insert)

    assert found.rows == [*range(50), 1000]
    assert found.passes == 3


@pytest.mark.parametrize("read_ahead", [1, 4])
def test_verify_survives_30_rows_inserted_before_its_place(read_ahead: int) -> None:
    rows = list(range(200))
    is_inserted = False

    def insert(found: Walked) -> None:
        nonlocal is_inserted
        if len(found.rows) >= 95 and not is_inserted:
            is_inserted = True
            rows[:0] = range(1000, 1030)

    found = walked(paginator(10, verify=True, read_ahead=read_ahead), serving(rows), insert)

    assert not found.errors
    assert sorted(found.rows) == [*range(200), *range(1000, 1030)]


def test_verify_finds_a_row_that_deletes_hid_in_two_passes() -> None:
    rows = list(range(4))

    def delete(found: Walked) -> None:
        # Pages of one row can't overlap. Row 2 moves to page 2 when that has been read.
        if len(found.requests) == 2:
            rows.remove(0)
        elif len(found.requests) == 5:
            rows.remove(1)

    found = walked(paginator(1, verify=True), serving(rows), delete)

    assert found.sizes[:6] == ["1@1", "2@1", "3@1", "4@1", "1@1", "2@1"]
    assert sorted(found.rows) == [0, 1, 2, 3]
    assert found.passes == 4


def test_verify_takes_two_passes_over_rows_at_rest_even_if_pages_end_full() -> None:
    assert walked(paginator(1, verify=True), serving(range(3))).passes == 2
    assert walked(paginator(20, verify=True), serving(range(20))).passes == 2


def test_verify_resumed_in_the_middle_walks_the_whole_window_again() -> None:
    rows = list(range(50))
    walk = paginator(20, verify=True)
    for _ in range(2):
        receive(walk, serving(rows)(walk.next_requests()[0]))
    cursor = Cursor.parse(str(walk.cursor))
    rows.insert(0, 1000)

    resumed = paginator(20, verify=True, cursor=cursor)

    assert sorted(walked(resumed, serving(rows)).rows) == [*range(38, 50), 1000]


def test_verify_resumed_at_the_end_walks_the_whole_window_again() -> None:
    rows = list(range(50))
    walk = paginator(20, verify=True)
    while walk.cursor.offset < 50:
        receive(walk, serving(rows)(walk.next_requests()[0]))
    cursor = Cursor.parse(str(walk.cursor))
    rows.insert(0, 1000)

    assert walked(paginator(20, verify=True, cursor=cursor), serving(rows)).rows == [1000]


@pytest.mark.parametrize(
    ("changes", "converged"),
    [
        ({}, True),
        ({"whole": False}, False),
        ({"quiet": False}, False),
        ({"joined": False}, False),
        ({"joined": False, "met": 6, "met_before": 6}, True),
        ({"joined": False, "met": 5, "met_before": 6}, False),
    ],
)
def test_a_pass_converges_if_it_was_quiet_and_missed_no_row(
    changes: dict[str, Any], converged: bool
) -> None:
    assert Pass(**changes).converged is converged


def test_a_pass_counts_the_rows_that_it_has_met() -> None:
    rows = PageRows(new=(), known=(0,), added=3, advances=True)
    once = Pass().after_page(PageRequest(1, 20, exact=True), rows)
    again = once.after_page(PageRequest(2, 19), rows)

    assert (again.met, again.quiet, again.joined) == (6, True, True)
    strange = attrs.evolve(rows, known=())
    assert not again.after_page(PageRequest(3, 20, exact=True), strange).joined


def test_verify_gives_up_where_each_pass_finds_new_rows() -> None:
    rows = list(range(30))

    def insert(found: Walked) -> None:
        rows.insert(0, 1000 + len(found.requests))

    walk = paginator(20, verify=True)
    with pytest.raises(AssertionError) as raised:
        walked(walk, serving(rows), insert)

    assert "reports still come or go after 20 passes" in str(raised.value)
    assert "passes=20" in str(raised.value)


def test_verify_of_a_window_without_reports_takes_one_pass() -> None:
    assert walked(paginator(20, verify=True), serving([])).sizes == ["1@20"]


def test_the_cursor_after_a_pass_is_that_of_page_1() -> None:
    walk = paginator(20, verify=True)
    receive(walk, range(15))

    assert receive(walk, []) == EndOfPass()
    assert (walk.cursor.offset, walk.cursor.recent) == (0, ())
    assert list(walk.cursor.delivered) == list(range(15))


# Cursors.


def test_a_cursor_in_the_middle_of_a_page_leads_to_exactly_the_rest() -> None:
    rows = list(range(100))
    for taken in range(21):
        walk = paginator(20)
        outcome = receive(walk, rows[:20])
        assert isinstance(outcome, NewRows)
        resumed = paginator(20, cursor=Cursor.parse(str(outcome.cursor(taken))))

        assert walked(resumed, serving(rows)).rows == rows[taken:]


@pytest.mark.parametrize("limit", [100, 150, 500, 2000])
def test_a_cursor_in_the_middle_of_a_large_page_leads_to_exactly_the_rest(limit: int) -> None:
    rows = list(range(2 * limit + 50))
    serve = serving(rows)
    walk = paginator(limit)
    receive(walk, serve(walk.next_requests()[0]))
    outcome = receive(walk, serve(walk.next_requests()[0]))
    assert isinstance(outcome, NewRows)
    for taken in range(0, len(outcome.indexes), 37):
        cursor = Cursor.parse(str(outcome.cursor(taken)))
        resumed = paginator(limit, cursor=cursor)

        assert cursor.recent == tuple(range(limit + taken - 100, limit + taken))
        assert walked(resumed, serve).rows == rows[limit + taken :]


def test_a_cursor_keeps_the_rows_that_stand_farthest_in_the_servers_order() -> None:
    walk = paginator(20)
    receive(walk, range(20))
    outcome = receive(walk, [500, *range(1, 19)])  # A row was inserted in front of them.

    assert isinstance(outcome, NewRows)
    assert outcome.before.recent == tuple(range(20))
    assert outcome.cursor(1).recent == (0, 500, *range(1, 20))


def test_a_cursor_in_front_of_recent_rows_does_not_count_its_page_as_recent() -> None:
    cursor = Cursor(query={}, limit=20, offset=40, recent=tuple(range(20, 40)))
    walk = paginator(20, cursor=cursor, verify=False)
    outcome = receive(walk, [*range(100, 110), *range(30, 40)])

    assert isinstance(outcome, NewRows)
    assert outcome.cursor(10).recent[-11:] == (109, *range(30, 40))


def test_a_row_found_far_in_front_of_the_recent_ones_does_not_become_recent() -> None:
    walk = paginator(20)
    serve = serving(range(400))
    while len(walk.cursor.recent) < 100 or 30 in walk.cursor.recent:
        receive(walk, serve(walk.next_requests()[0]))
    recent = walk.cursor.recent
    outcome = receive(walk, [*range(10), 5000, *range(10, 19)])

    assert isinstance(outcome, NewRows)
    assert outcome.indexes == (10,)
    assert outcome.cursor(1).recent == walk.cursor.recent == recent


def test_a_cursor_follows_a_walk_whose_recent_rows_were_deleted() -> None:
    rows = list(range(1000))

    def delete(found: Walked) -> None:
        if len(found.requests) == 2:
            del rows[270:400]

    walk = paginator(200)
    found = walked(walk, serving(rows), delete)

    assert found.rows[-600:] == list(range(400, 1000))
    assert walk.cursor.recent[-1] == 999


def test_a_row_that_a_prefetched_page_did_not_show_does_not_stay_recent_for_ever() -> None:
    rows = list(range(400))
    serve = serving(rows)
    walk = paginator(20, read_ahead=2)
    receive(walk, serve(walk.next_requests()[0]))
    second, third = walk.next_requests()
    read_early = serve(third)
    rows.insert(37, 9999)  # It is the last row of page 2, and stands before those of page 3.
    receive(walk, serve(second))
    outcome = receive(walk, read_early)
    assert isinstance(outcome, NewRows)
    assert outcome.cursor(1).recent[-1] == 9999
    while 300 not in walk.cursor.recent:
        receive(walk, serve(walk.next_requests()[0]))

    assert 9999 not in walk.cursor.recent
    for limit in (20, 500):
        resumed = paginator(limit, cursor=Cursor.parse(str(walk.cursor)))
        assert walked(resumed, serve).rows == list(range(walk.cursor.recent[-1] + 1, 400))


def test_with_verify_a_cursor_has_all_that_was_delivered() -> None:
    walk = paginator(20, verify=True)
    outcome = receive(walk, range(20))

    assert isinstance(outcome, NewRows)
    assert list(outcome.cursor(5).delivered) == [0, 1, 2, 3, 4]
    assert list(walk.cursor.delivered) == list(range(20))
