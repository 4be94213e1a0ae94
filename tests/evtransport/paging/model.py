"""Model of a server whose rows move between any two responses, and of walks over it.

Time is a sequence of events that a seed draws: rows move, the server reads a page, a response
arrives, the walk stops and resumes. Nothing here does I/O.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from evtransport.errors import (
    ApiError,
    ConnectionFailed,
    DeadlineExceeded,
    ResponseTooLarge,
    StatusError,
)
from evtransport.paging import Cursor, NewRows, PageLimits, PageRequest, Paginator

LIMITS = PageLimits(first=10, minimum=10, maximum=2000, growth_bytes=40_000)
ROW_BYTES = 1000
"""Size of a row. Pages of a walk that chooses its limit grow to 40 rows of this size."""

MAX_REQUESTS = 3000
"""Number of requests after which a walk counts as endless."""

INSERTS = ("insert at the front", "insert", "scatter", "append")
DELETES = ("delete", "delete at the front")
BOTH = (*INSERTS, *DELETES, "swap at the front")
CHANGE_SIZES = "change sizes"


@attrs.frozen
class Page:
    """Response with rows."""

    keys: Sequence[int]
    length: int

    def describe(self, error: ApiError) -> None:
        error.label = f"page of {len(self.keys)}"


def page_of(keys: Sequence[int]) -> Page:
    return Page(tuple(keys), ROW_BYTES * len(keys))


def paginator(
    limit: int | None = 20,
    *,
    cursor: Cursor | None = None,
    read_ahead: int = 1,
    verify: bool = False,
) -> Paginator:
    cursor = cursor or Cursor(query={}, limit=limit or LIMITS.first)
    return Paginator(cursor, limit=limit, limits=LIMITS, read_ahead=read_ahead, verify=verify)


@attrs.frozen(kw_only=True)
class Sizes:
    """Page sizes of a server.

    Attributes:
        minimum: Smallest page that the server serves, whatever the limit.
        maximum: Largest page that the server serves.
        refused: The server rejects larger limits, with `error`.
        multiple: The server rejects limits other than multiples of this number, with status 400.
        outages: Probability of a response with status 503, whatever the limit.
        keeps_offset: A page starts where a page of the requested size starts.
        hides: The server counts rows whose key is a multiple of this number, but never sends them.
    """

    minimum: int = 1
    maximum: int = 2000
    refused: int = 2000
    error: Callable[[], ApiError] = lambda: StatusError("bad gateway", status=502)
    multiple: int = 1
    outages: float = 0.0
    keeps_offset: bool = False
    hides: int = 2**64

    def size(self, limit: int) -> int:
        if limit > self.refused:
            raise self.error()
        if limit % self.multiple:
            raise StatusError("bad request", status=400)
        return max(self.minimum, min(limit, self.maximum))

    def is_hidden(self, key: int) -> bool:
        return (key + 1) % self.hides == 0


@attrs.define
class Server:
    """Server whose rows move.

    Attributes:
        staying: Rows that are on the server from the start and have not moved.
        ever: Rows that were on the server at some time.
    """

    draw: random.Random
    rows: list[int]
    sizes: Sizes = Sizes()
    later_sizes: Sizes | None = None
    row_bytes: int = ROW_BYTES
    requests: int = 0
    staying: set[int] = attrs.field(init=False)
    ever: set[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.staying, self.ever = set(self.rows), set(self.rows)

    def respond(self, page: int, limit: int) -> Page:
        self.requests += 1
        if self.draw.random() < self.sizes.outages:
            raise StatusError("unavailable", status=503)
        size = self.sizes.size(limit)
        first = (page - 1) * (limit if self.sizes.keeps_offset else size)
        keys = [key for key in self.rows[first:][:size] if not self.sizes.is_hidden(key)]
        return Page(tuple(keys), len(keys) * self.row_bytes)

    def move(self, kind: str) -> None:
        count, place = self.draw.choice((1, 1, 1, 2, 3, 12)), self.draw.randint(0, len(self.rows))
        match kind:
            case "insert at the front":
                self.rows[:0] = self._new(count)
            case "insert":
                self.rows[place:place] = self._new(count)
            case "append":
                self.rows += self._new(count)
            case "scatter":
                for key in self._new(count):
                    self.rows.insert(self.draw.randint(0, len(self.rows)), key)
            case "delete":
                for _ in range(min(count, len(self.rows))):
                    self._delete(self.draw.randrange(len(self.rows)))
            case "delete at the front":
                for _ in range(min(count, len(self.rows))):
                    self._delete(0)
            case "swap at the front" if self.rows:
                self._delete(0)
                self.rows[:0] = self._new(1)
            case "reorder" if self.rows:
                self.rows.insert(place, self._delete(self.draw.randrange(len(self.rows))))
            case "change sizes":
                self.sizes = self.later_sizes or self.sizes

    def _new(self, count: int) -> range:
        first = max(self.ever, default=0) + 1
        new = range(first, first + count)
        self.ever.update(new)
        return new

    def _delete(self, place: int) -> int:
        key = self.rows.pop(place)
        self.staying.discard(key)
        return key


Responses = dict[PageRequest, Page | ApiError | None]


@attrs.define(kw_only=True)
class Walk:
    """A walk over a server, and its result.

    Attributes:
        start: Starts a paginator at a cursor.
        kinds: Kinds of moves.
        move_rate: Probability of a move at each step.
        max_moves: Number of moves after which the server rests.
        stop_rate: Probability at each page that the walk stops and resumes.
        misrouted: Probability of a response to another request.
    """

    server: Server
    limit: int | None
    start: Callable[[Cursor], Any]
    kinds: Sequence[str] = ()
    move_rate: float = 0.3
    max_moves: int = 30
    stop_rate: float = 0.0
    misrouted: float = 0.0
    delivered: list[int] = attrs.field(factory=list[int])
    errors: list[ApiError] = attrs.field(factory=list[ApiError])
    errors_at_rest: int = 0
    resumes: int = 0
    moves: int = 0
    has_ended: bool = False

    @property
    def lost(self) -> int:
        """Number of rows that stayed on the server and were not delivered."""
        hidden = {key for key in self.server.staying if self.server.sizes.is_hidden(key)}
        return len(self.server.staying - hidden - set(self.delivered)) if self.has_ended else 0

    def run(self) -> Walk:
        """Walk to the end, and resume after each error from its cursor."""
        paginator = self.start(Cursor(query={}, limit=self.limit or LIMITS.first))
        responses: Responses = {}
        while (
            not self.has_ended and self.server.requests < MAX_REQUESTS and self.errors_at_rest < 20
        ):
            requests = paginator.next_requests()
            responses = {request: responses.get(request) for request in requests}
            self._read_some(requests[0], responses)
            response = responses.pop(requests[0])
            assert response is not None
            self._move()
            try:
                cursor = self._receive(paginator, requests[0], response)
            except ApiError as error:
                self.errors.append(error)
                is_outage = self.server.sizes.outages > 0 and isinstance(error, StatusError)
                self.errors_at_rest += self.moves >= self.max_moves and not is_outage
                cursor = paginator.cursor
            if cursor is not None:
                assert Cursor.parse(str(cursor)) == cursor
                paginator, responses = self.start(Cursor.parse(str(cursor))), {}
        return self

    def _read_some(self, first: PageRequest, responses: Responses) -> None:
        """Read pages in any order, until the first request has a response."""
        draw = self.server.draw
        while responses[first] is None or (draw.random() < 0.5 and None in responses.values()):
            self._move()
            request = draw.choice([r for r, response in responses.items() if response is None])
            is_other = draw.random() < self.misrouted
            number = draw.randint(1, request.page) if is_other else request.page
            try:
                responses[request] = self.server.respond(number, request.limit)
            except ApiError as error:
                responses[request] = error

    def _move(self) -> None:
        draw = self.server.draw
        if self.kinds and self.moves < self.max_moves and draw.random() < self.move_rate:
            self.moves += 1
            self.server.move(draw.choice(self.kinds))

    def _receive(
        self, paginator: Any, request: PageRequest, response: Page | ApiError
    ) -> Cursor | None:
        """Receive a response. Return the cursor to resume from if the walk stops."""
        if isinstance(response, ApiError):
            paginator.receive_error(request, response)
            return None
        rows: NewRows | None = paginator.receive(request, response)
        self.has_ended = paginator.has_ended
        draw = self.server.draw
        stops = draw.random() < self.stop_rate and self.resumes < 5
        cursor: Cursor = paginator.cursor
        if rows is not None:
            count = draw.randint(0, len(rows.indexes)) if stops else len(rows.indexes)
            self.delivered += [response.keys[index] for index in rows.indexes[:count]]
            cursor = rows.cursor(count)
        if not stops or self.has_ended:
            return None
        self.resumes += 1
        for _ in range(draw.randint(0, 4)):
            self._move()
        return cursor


@attrs.frozen(kw_only=True)
class Group:
    """Kind of server and of walk: choices to draw from.

    Attributes:
        moves: Kinds of moves.
        limits: Limits that callers give.
        rows: Numbers of rows at the start.
        sizes: Draws the page sizes of the server.
        later_sizes: Draws its page sizes after they have changed.
        row_bytes: Sizes of its rows.
        misrouted: Probability of a response to another request.
        errors: Errors that a walk may raise.
        is_lossless: True if no row may be lost and none delivered twice.
    """

    moves: Sequence[str] = ()
    limits: Sequence[int | None] = (None, None, 10, 11, 13, 16, 20, 25, 40)
    rows: Sequence[int] = (0, 1, 7, 20, 39, 60, 90, 120, 200)
    verify: bool = False
    sizes: Callable[[random.Random], Sizes] = lambda draw: Sizes()
    later_sizes: Callable[[random.Random], Sizes] = lambda draw: Sizes()
    row_bytes: Sequence[int] = (ROW_BYTES,)
    misrouted: float = 0.0
    errors: tuple[type[ApiError], ...] = ()
    is_lossless: bool = True

    def walk(self, draw: random.Random) -> Walk:
        """Draw a walk of this group."""
        rows, limit = draw.choice(self.rows), draw.choice(self.limits)
        read_ahead, sizes = draw.choice((0, 1, 2, 4, 8)), self.sizes(draw)
        later_sizes, row_bytes = self.later_sizes(draw), draw.choice(self.row_bytes)
        return Walk(
            server=Server(draw, list(range(rows)), sizes, later_sizes, row_bytes),
            limit=limit,
            start=lambda cursor: paginator(
                limit, cursor=cursor, read_ahead=read_ahead, verify=self.verify
            ),
            kinds=self.moves,
            move_rate=draw.choice((0.1, 0.3, 0.6)),
            max_moves=draw.choice((1, 3, 10, 30)),
            stop_rate=draw.choice((0.0, 0.1, 0.3)),
            misrouted=self.misrouted,
        )


def any_sizes(draw: random.Random) -> Sizes:
    """Draw a server that raises small limits and clamps large ones."""
    minimum, maximum = draw.choice((1, 1, 1, 3, 7, 12)), draw.choice((3, 8, 15, 2000, 2000))
    return Sizes(minimum=minimum, maximum=max(minimum, maximum))


def fixed_size(draw: random.Random) -> Sizes:
    size = draw.choice((1, 5, 10, 20))
    return Sizes(minimum=size, maximum=size)


def hidden_rows(draw: random.Random) -> Sizes:
    size = draw.choice((None, None, 10, 20))
    return Sizes(minimum=size or 1, maximum=size or 2000, hides=draw.choice((2, 3, 5, 10)))


def refused_limits(*limits: int) -> Callable[[random.Random], Sizes]:
    """Draw a server that fails above a limit."""

    def sizes(draw: random.Random) -> Sizes:
        error, refused = draw.choice(REFUSALS), draw.choice(limits)
        return Sizes(refused=refused, error=error)

    return sizes


def too_large(draw: random.Random) -> Sizes:
    """Draw a server whose responses are too large even at the first limit."""
    return Sizes(refused=draw.choice((1, 3, 7)), error=lambda: ResponseTooLarge("too large"))


def _refusal(status: int) -> Callable[[], ApiError]:
    return lambda: StatusError("refused", status=status)


REFUSALS: tuple[Callable[[], ApiError], ...] = (
    *map(_refusal, (400, 413, 422, 500, 502, 503, 504)),
    lambda: ConnectionFailed("closed"),
    lambda: DeadlineExceeded("late"),
    lambda: ResponseTooLarge("too large"),
)
ANY_LIMIT = (None, 1, 2, 4, 7, 10, 16, 25, 40)
CHOSEN = (None,)
