"""A model of a server whose rows move between any two answers, and of walks over it.

Time is a sequence of events that a seed draws: rows move, an answer is read, an answer arrives, the
walk breaks off and resumes. Nothing here does I/O.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from evtransport.errors import (
    ApiError,
    ConnectionFailed,
    DeadlineExceeded,
    PaginationError,
    ResponseTooLarge,
    StatusError,
)
from evtransport.paging.cursor import Cursor
from evtransport.paging.paginator import End, NewRows, Outcome, PageContent, Paginator
from evtransport.paging.sizes import PageLimits, PageRequest

LIMITS = PageLimits(first=10, least=10, most=2000, growth_bytes=40_000)
ROW_BYTES = 1000
"""Pages of a walk that chooses its limit grow to 40 rows."""

MAX_REQUESTS = 3000
"""A walk that makes more requests does not end."""

MAX_KEY = 2**64

INSERTS = ("insert at the front", "insert", "scatter", "append")
DELETES = ("delete", "delete at the front")
BOTH = (*INSERTS, *DELETES, "swap at the front")


@attrs.frozen
class Page:
    """An answer."""

    keys: Sequence[int]
    length: int


@attrs.frozen(kw_only=True)
class Sizes:
    """Page sizes of a server.

    Attributes:
        least: It serves no smaller page, whatever the limit.
        most: It serves no larger one.
        refused: It refuses larger limits.
        error: How it refuses them.
        only: It refuses all limits that are no multiple of this with status 400.
        outages: How probable it is that it answers with status 503, whatever the limit.
        keeps_offset: A page begins where one of the limit asked for begins.
        hides: Rows whose key is a multiple of this number are counted, but are on no page.
    """

    least: int = 1
    most: int = 2000
    refused: int = 2000
    error: Callable[[], ApiError] = lambda: StatusError("bad gateway", status=502)
    only: int = 1
    outages: float = 0.0
    keeps_offset: bool = False
    hides: int = MAX_KEY

    def of(self, limit: int) -> int:
        """Return the page size for a limit.

        Raises:
            ApiError: The limit is refused.
        """
        if limit > self.refused:
            raise self.error()
        if limit % self.only:
            raise StatusError("bad request", status=400)
        return max(self.least, min(limit, self.most))


@attrs.define
class Server:
    """A server, and what is true of its rows.

    Attributes:
        draw: Draws all that happens.
        rows: Keys of its rows, in order.
        sizes: Its page sizes.
        later_sizes: Its page sizes after they have changed.
        staying: Rows that have been there from the beginning, and have not moved.
        ever: Rows that have been there at some time.
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

    def answer(self, page: int, limit: int) -> Page:
        """Return a page.

        Raises:
            ApiError: The limit is refused.
        """
        self.requests += 1
        if self.draw.random() < self.sizes.outages:
            raise StatusError("unavailable", status=503)
        size = self.sizes.of(limit)
        first = (page - 1) * (limit if self.sizes.keeps_offset else size)
        keys = [key for key in self.rows[first:][:size] if (key + 1) % self.sizes.hides]
        return Page(tuple(keys), len(keys) * self.row_bytes)

    def move(self, kind: str) -> None:
        """Let rows come, go or change places."""
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


@attrs.frozen(kw_only=True)
class Schedule:
    """Events during a walk.

    Attributes:
        moves: Kinds of moves.
        rate: How probable a move is at each step.
        most_moves: Number of moves. After them the server rests.
        resumes: How probable it is at each page that the walk breaks off.
        strays: How probable an answer is that belongs to another request.
    """

    moves: Sequence[str] = ()
    rate: float = 0.3
    most_moves: int = 30
    resumes: float = 0.0
    strays: float = 0.0


class Pages(Protocol):
    """A rule by which pages are walked."""

    def next_requests(self) -> list[PageRequest]:
        """Return what should be in flight."""
        ...

    def receive(self, request: PageRequest, page: PageContent) -> Outcome:
        """Return what follows from a page."""
        ...

    def refused(self, request: PageRequest, error: ApiError) -> object:
        """Return what follows from a failed request."""
        ...

    @property
    def cursor(self) -> Cursor:
        """The cursor after all rows delivered so far."""
        ...


@attrs.define
class Walked:
    """A walk, and what has come of it."""

    server: Server
    schedule: Schedule
    start: Callable[[Cursor], Pages]
    delivered: list[int] = attrs.field(factory=list[int])
    errors: list[ApiError] = attrs.field(factory=list[ApiError])
    errors_at_rest: int = 0
    resumed: int = 0
    ended: bool = False
    moves: int = 0

    @property
    def lost(self) -> int:
        """Rows that were there all the time and were not delivered."""
        hides = self.server.sizes.hides
        due = {key for key in self.server.staying if (key + 1) % hides}
        return len(due.difference(self.delivered)) if self.ended else 0

    @property
    def doubled(self) -> int:
        """Rows that were delivered twice."""
        return len(self.delivered) - len(set(self.delivered))

    @property
    def invented(self) -> int:
        """Rows that were delivered and never there."""
        return len(set(self.delivered) - self.server.ever)

    def run(self, cursor: Cursor) -> Walked:
        """Walk to the end. After an error, go on from its cursor."""
        pages = self.start(cursor)
        answers: dict[PageRequest, Page | ApiError | None] = {}
        while not self.ended and self.server.requests < MAX_REQUESTS and self.errors_at_rest < 20:
            wanted = pages.next_requests()
            answers = {request: answers.get(request) for request in wanted}
            self._read_some(wanted, answers)
            answer = answers.pop(wanted[0])
            assert answer is not None
            self._move()
            try:
                pages, answers = self._receive(pages, wanted[0], answer, answers)
            except ApiError as error:
                self.errors.append(error)
                is_outage = self.server.sizes.outages > 0 and isinstance(error, StatusError)
                self.errors_at_rest += self.moves >= self.schedule.most_moves and not is_outage
                pages, answers = self._resumed(pages.cursor), {}
        return self

    def _read_some(
        self, wanted: list[PageRequest], answers: dict[PageRequest, Page | ApiError | None]
    ) -> None:
        """Have the server read pages in any order, until the first one is read."""
        draw = self.server.draw
        while answers[wanted[0]] is None or (draw.random() < 0.5 and None in answers.values()):
            self._move()
            request = draw.choice([r for r, answer in answers.items() if answer is None])
            is_stray = draw.random() < self.schedule.strays
            number = draw.randint(1, request.page) if is_stray else request.page
            try:
                answers[request] = self.server.answer(number, request.limit)
            except ApiError as error:
                answers[request] = error

    def _move(self) -> None:
        schedule, draw = self.schedule, self.server.draw
        if schedule.moves and self.moves < schedule.most_moves and draw.random() < schedule.rate:
            self.moves += 1
            self.server.move(draw.choice(schedule.moves))

    def _receive(
        self,
        pages: Pages,
        request: PageRequest,
        answer: Page | ApiError,
        answers: dict[PageRequest, Page | ApiError | None],
    ) -> tuple[Pages, dict[PageRequest, Page | ApiError | None]]:
        if isinstance(answer, ApiError):
            pages.refused(request, answer)
            return pages, answers
        outcome = pages.receive(request, answer)
        self.ended = isinstance(outcome, End)
        breaks_off = self.server.draw.random() < self.schedule.resumes and self.resumed < 5
        if isinstance(outcome, NewRows):
            count = len(outcome.indexes)
            taken = self.server.draw.randint(0, count) if breaks_off else count
            self.delivered += [answer.keys[index] for index in outcome.indexes[:taken]]
            cursor = outcome.cursor(taken)
        else:
            cursor = pages.cursor
        if not breaks_off or self.ended:
            return pages, answers
        self.resumed += 1
        for _ in range(self.server.draw.randint(0, 4)):
            self._move()
        return self._resumed(cursor), {}

    def _resumed(self, cursor: Cursor) -> Pages:
        text = str(cursor)
        assert Cursor.parse(text) == cursor
        return self.start(Cursor.parse(text))


def paginator(
    limit: int | None = None, *, read_ahead: int = 1, verify: bool = False
) -> Callable[[Cursor], Paginator]:
    """Return what starts a walk by the library's own rule."""

    def start(cursor: Cursor) -> Paginator:
        return Paginator(cursor, limit=limit, limits=LIMITS, read_ahead=read_ahead, verify=verify)

    return start


def beginning(limit: int | None = None) -> Cursor:
    """Return the cursor at the start of a walk."""
    return Cursor(query={}, limit=limit or LIMITS.first)


@attrs.frozen(kw_only=True)
class Case:
    """A walk to make.

    Attributes:
        draw: Draws all that happens.
        rows: Rows at the beginning.
        limit: The caller's limit, None to choose.
        read_ahead: Requests in flight.
        verify: Walk until nothing new comes.
        sizes: Page sizes of the server.
        later_sizes: Page sizes after they have changed.
        row_bytes: Size of a report.
        schedule: What happens.
    """

    draw: random.Random
    rows: int
    limit: int | None
    read_ahead: int
    verify: bool = False
    sizes: Sizes = Sizes()
    later_sizes: Sizes | None = None
    row_bytes: int = ROW_BYTES
    schedule: Schedule = Schedule()

    def walk(self, start: Callable[[Cursor], Pages] | None = None) -> Walked:
        """Walk by the library's rule, or by another one."""
        rows = list(range(self.rows))
        server = Server(self.draw, rows, self.sizes, self.later_sizes, self.row_bytes)
        rule = start or paginator(self.limit, read_ahead=self.read_ahead, verify=self.verify)
        return Walked(server, self.schedule, rule).run(beginning(self.limit))


def as_asked(draw: random.Random) -> Sizes:
    """Return the sizes of a server that serves the limits that it is asked for."""
    return Sizes()


@attrs.frozen(kw_only=True)
class Group:
    """A kind of server and of walk.

    Attributes:
        moves: What moves.
        limits: Limits that callers give.
        rows: Numbers of rows at the beginning.
        verify: Walk until nothing new comes.
        sizes: Draws the page sizes of the server.
        later_sizes: Draws its page sizes after they have changed.
        row_bytes: Sizes of its reports.
        strays: How probable an answer is that belongs to another request.
        errors: Errors that a walk may raise.
    """

    moves: Sequence[str] = ()
    limits: Sequence[int | None] = (None, None, 10, 11, 13, 16, 20, 25, 40)
    rows: Sequence[int] = (0, 1, 7, 20, 39, 60, 90, 120, 200)
    verify: bool = False
    sizes: Callable[[random.Random], Sizes] = as_asked
    later_sizes: Callable[[random.Random], Sizes] | None = None
    row_bytes: Sequence[int] = (ROW_BYTES,)
    strays: float = 0.0
    errors: tuple[type[ApiError], ...] = ()

    def case(self, draw: random.Random) -> Case:
        """Draw a walk of this group."""
        return Case(
            draw=draw,
            rows=draw.choice(self.rows),
            limit=draw.choice(self.limits),
            read_ahead=draw.choice((0, 1, 2, 4, 8)),
            verify=self.verify,
            sizes=self.sizes(draw),
            later_sizes=self.later_sizes and self.later_sizes(draw),
            row_bytes=draw.choice(self.row_bytes),
            schedule=Schedule(
                moves=self.moves,
                rate=draw.choice((0.1, 0.3, 0.6)),
                most_moves=draw.choice((1, 3, 10, 30)),
                resumes=draw.choice((0.0, 0.1, 0.3)),
                strays=self.strays,
            ),
        )


def any_sizes(draw: random.Random) -> Sizes:
    """Draw a server that raises small limits and clamps large ones."""
    least, most = draw.choice((1, 1, 1, 3, 7, 12)), draw.choice((3, 8, 15, 2000, 2000))
    return Sizes(least=least, most=max(least, most))


def fewer_rows(draw: random.Random) -> Sizes:
    """Draw a server that leaves out the last rows of large pages."""
    return Sizes(most=draw.choice((10, 12, 15, 20)), keeps_offset=True)


def hidden_rows(draw: random.Random) -> Sizes:
    """Draw a server that leaves rows out of pages after it has counted them."""
    size = draw.choice((None, None, 10, 20))
    return Sizes(least=size or 1, most=size or 2000, hides=draw.choice((2, 3, 5, 10)))


def fixed_size(draw: random.Random) -> Sizes:
    """Draw a server that serves one size, whatever the limit."""
    size = draw.choice((1, 5, 10, 20))
    return Sizes(least=size, most=size)


def refused_limits(draw: random.Random) -> Sizes:
    """Draw a server that fails above some limit."""
    error = draw.choice(REFUSALS)
    return Sizes(refused=draw.choice((10, 15, 20, 30)), error=error)


def refused_above_20(draw: random.Random) -> Sizes:
    """Draw a server that fails above a limit whose pages can overlap."""
    return Sizes(refused=draw.choice((20, 30, 39)), error=draw.choice(REFUSALS))


def too_large(draw: random.Random) -> Sizes:
    """Draw a server whose answers are too large even at the first limit."""
    return Sizes(refused=draw.choice((1, 3, 7)), error=lambda: ResponseTooLarge("too large"))


def outages(draw: random.Random) -> Sizes:
    """Draw a server that fails now and then."""
    return Sizes(outages=draw.choice((0.02, 0.1)))


def round_limits(draw: random.Random) -> Sizes:
    """Draw a server that refuses odd limits."""
    return Sizes(only=draw.choice((10, 5)))


def _status(status: int) -> Callable[[], ApiError]:
    return lambda: StatusError("refused", status=status)


REFUSALS: tuple[Callable[[], ApiError], ...] = (
    *map(_status, (400, 413, 422, 500, 502, 503, 504)),
    lambda: ConnectionFailed("closed"),
    lambda: DeadlineExceeded("late"),
    lambda: ResponseTooLarge("too large"),
)
ANY_LIMIT = (None, 1, 2, 4, 7, 10, 16, 25, 40)
CHOSEN = (None,)
SIZES_CHANGE = "change sizes"

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
    "sizes change, inserts": Group(moves=(*INSERTS, SIZES_CHANGE), later_sizes=any_sizes),
    "limits refused, inserts": Group(moves=INSERTS, sizes=refused_limits, limits=CHOSEN),
    "limits above 20 refused": Group(moves=BOTH, sizes=refused_above_20, limits=CHOSEN),
    "outages": Group(
        moves=BOTH, sizes=outages, limits=(None, None, 20, 25, 40, 100), errors=(StatusError,)
    ),
    "limits refused later, inserts": Group(
        moves=(*INSERTS, SIZES_CHANGE),
        later_sizes=refused_limits,
        limits=CHOSEN,
        # Without an answer, a limit that was served before has probably met an outage.
        errors=(ConnectionFailed, DeadlineExceeded),
    ),
    "too large at first, inserts": Group(
        # Rows are added faster than pages of one row are read.
        moves=INSERTS,
        sizes=too_large,
        limits=CHOSEN,
        errors=(PaginationError,),
    ),
    "large reports, inserts": Group(moves=INSERTS, limits=CHOSEN, row_bytes=(2000, 5000, 20_000)),
    "odd limits refused, inserts": Group(
        moves=INSERTS, sizes=round_limits, limits=(None, 10, 20, 40)
    ),
    "verify": Group(moves=(*BOTH, "reorder"), verify=True),
    "verify, any sizes": Group(
        moves=(*BOTH, "reorder"), verify=True, sizes=any_sizes, limits=ANY_LIMIT
    ),
    "verify, one size": Group(moves=BOTH, verify=True, sizes=fixed_size, limits=ANY_LIMIT),
    "verify, limits refused": Group(moves=BOTH, verify=True, sizes=refused_limits, limits=CHOSEN),
    "verify, sizes change": Group(moves=(*BOTH, SIZES_CHANGE), verify=True, later_sizes=any_sizes),
}
"""Groups of which no row is lost and none comes twice."""

NOT_PROMISED = {
    "reordered rows": Group(moves=("reorder",)),
    "one size, deletes": Group(moves=DELETES, sizes=fixed_size),
    "odd limits refused, deletes": Group(moves=DELETES, sizes=round_limits, limits=(20, 40)),
    "rows left out": Group(sizes=fewer_rows),
    "hidden rows, deletes": Group(moves=DELETES, sizes=hidden_rows, limits=(20, 40, 100)),
    "small limits, deletes": Group(moves=DELETES, limits=(1, 2, 4, 7)),
    "large reports, deletes": Group(moves=DELETES, limits=CHOSEN, row_bytes=(5000, 20_000)),
    "answers of other requests": Group(moves=BOTH, strays=0.1, errors=(PaginationError,)),
}
"""Groups of which a row can be lost, or come twice."""


@attrs.define
class Tally:
    """Figures of some walks."""

    walks: int = 0
    requests: int = 0
    lost: int = 0
    doubled: int = 0
    errors: int = 0
    errors_at_rest: int = 0
    endless: int = 0

    def add(self, walked: Walked) -> None:
        """Add a walk."""
        self.walks += 1
        self.requests += walked.server.requests
        self.lost += walked.lost
        self.doubled += walked.doubled + walked.invented
        self.errors += len(walked.errors)
        self.errors_at_rest = max(self.errors_at_rest, walked.errors_at_rest)
        self.endless += not walked.ended
