"""Paginator: which pages it requests, and what follows from a page or an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import pytest

from evtransport.errors import ApiError, PaginationError, StatusError
from evtransport.paging import Cursor, NewRows, PageRequest, Paginator
from evtransport.paging.paginator import MAX_DISTANCE, pages_around
from tests.evtransport.paging.model import page_of, paginator

Server = Callable[[PageRequest], Sequence[int]]


def serving(rows: Sequence[int], *, maximum: int = 2000, fixed: int | None = None) -> Server:
    """Return a server with these rows, which may change."""

    def respond(request: PageRequest) -> Sequence[int]:
        size = fixed or min(request.limit, maximum)
        return rows[(request.page - 1) * size :][:size]

    return respond


def refusing(respond: Server, status: int, refuses: Callable[[PageRequest], bool]) -> Server:
    def respond_or_refuse(request: PageRequest) -> Sequence[int]:
        if refuses(request):
            raise StatusError("refused", status=status)
        return respond(request)

    return respond_or_refuse


def receive(walk: Paginator, keys: Sequence[int]) -> NewRows | None:
    return walk.receive(walk.next_requests()[0], page_of(keys))


def receive_rows(walk: Paginator, keys: Sequence[int]) -> NewRows:
    rows = receive(walk, keys)
    assert rows is not None
    return rows


@attrs.define
class Walked:
    """Result of a walk."""

    rows: list[int] = attrs.field(factory=list[int])
    requests: list[PageRequest] = attrs.field(factory=list[PageRequest])
    errors: list[ApiError] = attrs.field(factory=list[ApiError])

    @property
    def sizes(self) -> list[str]:
        return [f"{request.page}@{request.limit}" for request in self.requests]


def walked(
    walk: Paginator, respond: Server, after: Callable[[Walked], object] = lambda result: None
) -> Walked:
    """Walk to the end, over errors. Call `after` after each response."""
    result = Walked()
    while not walk.has_ended:
        request = walk.next_requests()[0]
        result.requests.append(request)
        assert len(result.requests) < 1000
        assert len(result.errors) < 5
        try:
            keys = tuple(respond(request))
        except StatusError as error:
            walk.receive_error(request, error)
            continue
        try:
            rows = walk.receive(request, page_of(keys))
        except ApiError as error:
            result.errors.append(error)
            continue
        result.rows += [keys[index] for index in rows.indexes] if rows else []
        after(result)
    return result


# Requests.


@pytest.mark.parametrize(
    ("limit", "respond", "sizes"),
    [
        (20, serving(range(60)), ["1@20", "2@19", "3@18", "4@17"]),
        (20, serving([]), ["1@20"]),
        (100, serving(range(200), maximum=30), ["1@100", "2@100", "2@29", "3@28", "4@27"]),
        (100, serving(range(200), maximum=10), ["1@100", "2@100", "1@10"]),
        (40, serving(range(200), fixed=12), ["1@40", "2@40", "2@11", "1@40", "2@40", "3@40"]),
        (
            20,
            refusing(serving(range(100)), 400, lambda request: request.limit % 10 > 0),
            ["1@20", "2@19", "1@20", "2@20", "3@20", "4@20", "5@20", "6@20"],
        ),
    ],
    ids=["overlap", "empty", "clamps", "clamps to 10", "fixed size", "rejects odd limits"],
)
def test_the_walk_adapts_its_requests_to_the_server(
    limit: int, respond: Server, sizes: list[str]
) -> None:
    result = walked(paginator(limit), respond)

    assert result.sizes[: len(sizes)] == sizes
    assert result.rows == list(range(len(result.rows)))


@pytest.mark.parametrize(
    ("limit", "rows", "request_"),
    [(None, 10, PageRequest(1, 40)), (20, 15, PageRequest(2, 20, exact=True))],
    ids=["after a trial", "after a short page"],
)
def test_an_uncertain_page_is_requested_alone(
    limit: int | None, rows: int, request_: PageRequest
) -> None:
    walk = paginator(limit, read_ahead=4)
    receive(walk, range(rows))

    assert walk.next_requests() == [request_]


def test_the_position_is_searched_after_a_page_that_does_not_join() -> None:
    rows = list(range(100))

    def delete(result: Walked) -> None:
        if len(result.requests) == 3:
            del rows[:25]

    result = walked(paginator(20), serving(rows), delete)

    assert result.rows == list(range(100))
    assert result.sizes[:6] == ["1@20", "2@19", "3@18", "4@17", "3@20", "2@20"]


def test_a_search_alternates_between_pages_before_and_after_up_to_an_empty_page() -> None:
    def tried(middle: int, last: int) -> list[int]:
        search = pages_around(middle)
        pages = [next(search)]
        while True:
            try:
                pages.append(search.send(pages[-1] > last))
            except StopIteration:
                return pages

    assert tried(3, last=6) == [3, 2, 4, 1, 5, 6, 7]
    assert tried(5, last=2) == [5, 4, 3, 2, 1]
    assert tried(1, last=10**6) == list(range(1, MAX_DISTANCE + 2))
    assert len(tried(10**6, last=10**7)) == 2 * MAX_DISTANCE + 1


def test_a_larger_limit_that_the_server_ignores_is_tried_a_few_times() -> None:
    cursor = Cursor(query={}, limit=10, offset=400, overlap=False, recent=tuple(range(300, 400)))

    result = walked(paginator(None, cursor=cursor), serving(range(450), fixed=10))

    assert result.rows == list(range(400, 450))
    assert [request.limit for request in result.requests if request.trial] == [40, 40, 20, 20]


def test_no_row_is_lost_if_the_page_size_grows_during_a_search() -> None:
    # No size overlaps at the offset of 10, so page 2 must be exact.
    walk = paginator(10)
    for keys in (range(10), range(50, 59), range(10)):
        receive(walk, keys)

    assert walked(walk, serving(range(60), fixed=12)).rows == list(range(10, 60))


def test_no_row_is_delivered_twice_if_the_page_size_shrinks_after_a_resume() -> None:
    rows, maximum = list(range(198)), [10]
    cursor = Cursor(query={}, limit=10, offset=195, recent=tuple(range(95, 195)))

    def shrink(result: Walked) -> None:
        maximum[0] = 3 if result.rows else 10

    result = walked(
        paginator(10, cursor=cursor), lambda r: serving(rows, maximum=maximum[0])(r), shrink
    )

    assert result.rows == rows[195:]


@pytest.mark.parametrize("limit", [None, 100])
def test_pages_still_overlap_after_a_response_that_was_too_large(limit: int | None) -> None:
    respond = refusing(serving(range(300)), 413, lambda r: r.limit > 35 and r.page > 1)

    result = walked(paginator(limit), respond)

    assert result.rows == list(range(300))
    assert not any(request.exact for request in result.requests[1:-1])


def test_pages_that_are_refetched_after_failures_do_not_count_as_idle() -> None:
    cursor = Cursor(query={}, limit=10, offset=30, recent=tuple(range(20, 30)))
    respond = refusing(serving(range(100)), 400, lambda request: request.limit % 10 > 0)

    result = walked(paginator(None, cursor=cursor), respond)

    assert (result.errors, result.rows) == ([], list(range(30, 100)))


def test_an_error_that_smaller_pages_can_not_avoid_is_raised_and_changes_nothing() -> None:
    walk = paginator(100)
    receive(walk, range(100))
    requests, error = walk.next_requests(), StatusError("unavailable", status=503)

    with pytest.raises(StatusError) as raised:
        walk.receive_error(requests[0], error)
    assert raised.value is error
    assert walk.next_requests() == requests


# Suspect responses and errors.


@pytest.mark.parametrize("keys", [range(19), range(500, 519), []], ids=str)
def test_a_response_that_may_belong_to_another_request_is_suspect(keys: Sequence[int]) -> None:
    walk = paginator(20)
    receive(walk, range(20))
    assert not walk.is_suspect

    assert receive(walk, keys) is None
    assert walk.is_suspect
    assert not walk.has_ended
    receive(walk, range(40))
    assert not walk.is_suspect


def test_a_server_that_ignores_the_page_number_is_an_error() -> None:
    walk = paginator(20)
    # The first page, 8 more, and 2 for each page of known rows.
    for _ in range(11):
        receive(walk, range(20))

    with pytest.raises(PaginationError, match=r"11 pages .* seems to ignore the page number"):
        receive(walk, range(20))
    receive(walk, range(20))


def test_a_page_with_new_rows_is_delivered_before_an_error() -> None:
    walk = paginator(20)
    receive(walk, range(20))
    for number in range(100, 200):  # Each page has one row before a known row, and stays idle.
        assert receive_rows(walk, (number, *range(1, 20))).indexes == (0,)


@pytest.mark.parametrize(("first", "errors"), [(100, [PaginationError]), (150, [])])
def test_a_walk_whose_known_rows_are_gone_restarts_with_an_error_if_it_forgot_rows(
    first: int, errors: list[type[ApiError]]
) -> None:
    cursor = Cursor(query={}, limit=20, offset=200, recent=tuple(range(first, 200)))

    result = walked(paginator(20, cursor=cursor), serving(range(1000, 1100)))

    assert [type(error) for error in result.errors] == errors
    assert result.rows == list(range(1000, 1100))


# Passes of verify.


@pytest.mark.parametrize(
    ("limit", "count", "passes"), [(20, 50, 2), (20, 20, 2), (1, 3, 2), (20, 0, 1)]
)
def test_verify_ends_after_a_pass_without_a_new_row(limit: int, count: int, passes: int) -> None:
    result = walked(paginator(limit, verify=True), serving(range(count)))

    assert result.rows == list(range(count))
    assert [request.page for request in result.requests].count(1) == passes


def test_verify_finds_a_row_that_deletes_hid_in_two_passes() -> None:
    rows = list(range(4))

    def delete(result: Walked) -> None:
        # Pages of one row can't overlap. Row 2 moves to page 2 after the walk has read that page.
        if len(result.requests) in {2, 5}:
            del rows[0]

    result = walked(paginator(1, verify=True), serving(rows), delete)

    assert sorted(result.rows) == [0, 1, 2, 3]
    assert [request.page for request in result.requests].count(1) == 4


def test_verify_does_not_converge_at_an_empty_page_after_a_full_page() -> None:
    rows = [0, 1]
    rows_after_request = {2: [1, 2], 3: [0, 2], 4: [2]}

    def move(result: Walked) -> None:
        rows[:] = rows_after_request.get(len(result.requests), rows)

    # Row 2 is on the server from the second request on, and moves before the walk in two passes.
    assert walked(paginator(1, verify=True), serving(rows), move).rows == [0, 1, 2]


def test_verify_gives_up_after_20_passes() -> None:
    rows, walk = list(range(30)), paginator(20, verify=True)

    with pytest.raises(PaginationError, match="the reports still change after 20 passes"):
        for key in range(1000, 2000):
            rows.insert(0, key)
            receive(walk, serving(rows)(walk.next_requests()[0]))


def test_the_cursor_of_verify_starts_the_next_pass_and_keeps_the_delivered_keys() -> None:
    walk = paginator(20, verify=True)
    rows = receive_rows(walk, range(15))

    assert rows.cursor(2).delivered == b"".join(key.to_bytes(8) for key in (0, 1))
    assert receive(walk, []) is None
    assert (walk.cursor.offset, walk.cursor.recent) == (0, ())
    assert walk.cursor.delivered == b"".join(key.to_bytes(8) for key in range(15))


# Cursors.


def test_a_walk_resumes_even_if_a_prefetched_page_lacked_its_last_row() -> None:
    rows = list(range(400))
    respond = serving(rows)
    walk = paginator(20, read_ahead=2)
    receive(walk, respond(walk.next_requests()[0]))
    second, third = walk.next_requests()
    early_page = page_of(respond(third))
    rows.insert(37, 9999)  # The last row of page 2. It comes before those of page 3.
    walk.receive(second, page_of(respond(second)))
    page = walk.receive(third, early_page)
    assert page is not None
    assert page.cursor(1).recent[-1] == 9999
    while 300 not in walk.cursor.recent:
        receive(walk, respond(walk.next_requests()[0]))

    assert 9999 not in walk.cursor.recent
    for limit in (20, 500):
        resumed = walked(paginator(limit, cursor=walk.cursor), respond)
        assert resumed.rows == list(range(walk.cursor.recent[-1] + 1, 400))
