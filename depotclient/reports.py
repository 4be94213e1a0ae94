"""The session reports of one connector, walked page by page or report by report."""

from __future__ import annotations

import operator
import re
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Generic, Self, TypeVar, overload

import attrs
import msgspec

from depotclient.models import STRUCTURES, SessionReport
from evtransport.cursor import Cursor
from evtransport.errors import ApiError, MisdirectedResponse
from evtransport.http import Request, identifier
from evtransport.paging import FIRST_LIMIT, Ask, PageWalk, Position, Step
from evtransport.retry import whole_number
from evtransport.structure import Structurer, decode
from evtransport.transport import Transport, pause

__all__ = ["Page", "SessionReports", "Walk"]

T = TypeVar("T")

TURN_SECONDS = 0.001
"""After this much work without a pause the event loop gets its turn."""


class _Head(msgspec.Struct, rename="camel"):
    """What every report is known by."""

    session_id: int


class _Envelope(msgspec.Struct):
    """An answer, its reports not decoded yet."""

    items: list[msgspec.Raw]
    charger_id: str | None = msgspec.field(name="ChargerID", default=None)
    connector_id: str | int | None = msgspec.field(name="ConnectorID", default=None)


# Where the id comes first, as in the vendor's example, the rest need not be passed over for it.
_ID_FIRST = re.compile(rb'\{\s*"sessionId"\s*:\s*(0|[1-9]\d{0,17})\s*[,}]')
_HEAD_DECODER = msgspec.json.Decoder(_Head)
_ENVELOPE_DECODER = msgspec.json.Decoder(_Envelope)


@attrs.frozen(eq=False)
class RawPage:
    """An answer split into its reports, of which only the ids have been read."""

    body: bytes = attrs.field(repr=False)
    items: tuple[msgspec.Raw, ...] = attrs.field(repr=False)
    ids: tuple[int, ...]

    @property
    def length(self) -> int:
        """Bytes."""
        return len(self.body)


@attrs.frozen
class Query:
    """Which reports: one connector's, in a window of time.

    Attributes:
        charger_id: The charger.
        connector_id: The connector.
        from_: Begin of the window, aware; None leaves it to the server.
        to: End of the window, aware; None means the start of each walk.
    """

    charger_id: str
    connector_id: str
    from_: datetime | None
    to: datetime | None

    @classmethod
    def checked(
        cls,
        charger_id: object,
        connector_id: object,
        from_: datetime | None,
        to: datetime | None,
        now: datetime,
    ) -> Query:
        """A query by a caller's arguments.

        Raises:
            ValueError: One of them is not usable.
        """
        for name, value in (("from_", from_), ("to", to)):
            if value is not None:
                require_aware(name, value)
        if from_ is not None and not is_before(from_, to or now):
            end = f"to={to.isoformat()}" if to else "now, where the window ends without to"
            raise ValueError(f"from_={from_.isoformat()} must be before {end}")
        return cls(*connector_of(charger_id, connector_id), from_, to)

    def identity(self) -> dict[str, str]:
        """What tells this query from others, for cursors."""
        times = {"from": self.from_, "to": self.to}
        return {
            "chargerId": self.charger_id,
            "connectorId": self.connector_id,
            **{name: wire_time(at) for name, at in times.items() if at is not None},
        }

    def parameters(self, to: str, ask: Ask) -> tuple[tuple[str, str], ...]:
        """The query string of one page, with the window's end as it was pinned."""
        start = () if self.from_ is None else (("from", wire_time(self.from_)),)
        return (
            ("chargerId", self.charger_id),
            ("connectorId", self.connector_id),
            ("page", str(ask.page)),
            ("limit", str(ask.limit)),
            *start,
            ("to", to),
        )

    def split(self, body: bytes) -> tuple[bytes, list[msgspec.Raw]]:
        """An answer and its reports, not decoded yet.

        Raises:
            DecodeError: It is not JSON in UTF-8.
            SchemaError: It has no list of reports.
            MisdirectedResponse: It is the answer to a query for another connector.
        """
        envelope = decode(body, _ENVELOPE_DECODER)
        for name, asked, echoed in (
            ("ChargerID", self.charger_id, envelope.charger_id),
            ("ConnectorID", self.connector_id, envelope.connector_id),
        ):
            if echoed is not None and str(echoed) != asked:
                raise MisdirectedResponse(
                    f"the answer is another query's: asked for {name} {asked!r}, got {echoed!r}"
                )
        return body, envelope.items


def connector_of(charger_id: object, connector_id: object) -> tuple[str, str]:
    """The ids of a connector as they are sent; a number stands for its digits.

    Raises:
        ValueError: One of them is no usable id.
    """
    if not isinstance(connector_id, str | bool):
        with suppress(TypeError):  # an int of whatever kind, such as those of a table
            connector_id = str(operator.index(connector_id))  # type: ignore[arg-type]
    return identifier("charger_id", charger_id), identifier("connector_id", connector_id)


def require_aware(name: str, value: object) -> None:
    """Check a time.

    Raises:
        ValueError: It is no datetime, is naive, or is beyond what UTC can hold.
    """
    if not isinstance(value, datetime):
        raise ValueError(f"{name} must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise ValueError(f"{name} must be aware, such as {value!r} with tzinfo=UTC")
    try:
        wire_time(value)
    except OverflowError:
        raise ValueError(f"{name} is a time that UTC can't hold: {value}") from None


def is_before(one: datetime, other: datetime) -> bool:
    """Whether a moment is before another; in one zone Python would compare what the clocks show."""
    return one.astimezone(UTC) < other.astimezone(UTC)


def in_utc(at: datetime) -> datetime:
    """The same moment as a datetime of Python's own: others, in UTC, are not always aware."""
    at = at.astimezone(UTC)
    whole = at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond
    return datetime(*whole, tzinfo=UTC)


def wire_time(at: datetime) -> str:
    """A time as the vendor's example writes it: UTC with milliseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@attrs.frozen(eq=False)
class _Progress:
    """The cursors of one page: before it, and after each of its reports that are delivered.

    Attributes:
        before: The position before the page.
        step: The page.
        delivered: The ids that each cursor carries; None for all that came till then.
    """

    before: Cursor
    step: Step[RawPage]
    delivered: tuple[int, ...] | None

    def cursor(self, taken: int) -> Cursor:
        """The position when that many of the page's reports have been taken."""
        if taken == 0:
            return self.before
        page, fresh = self.step.page, self.step.fresh
        behind = len(page.ids) - 1 if taken == len(fresh) else fresh[taken - 1]
        if self.delivered is None:
            ids = tuple(page.ids[place] for place in fresh[:taken])
            delivered = self.before.delivered + ids
        else:
            delivered = self.delivered + self._known_after(behind)
        return attrs.evolve(
            self.before,
            offset=self.step.offset_after(behind),
            limit=self.step.ask.limit,
            size=self.step.size,
            last=page.ids[behind],
            delivered=delivered,
        )

    def _known_after(self, place: int) -> tuple[int, ...]:
        """The ids of reports further on that were pushed there and had been delivered before."""
        ids, fresh = self.step.page.ids, self.step.fresh
        if len(fresh) == len(ids):
            return ()
        due = set(fresh)
        return tuple(ids[later] for later in range(place + 1, len(ids)) if later not in due)


class _LazyReports(Sequence[T]):
    """The reports of a page, each structured anew whenever it is taken."""

    def __init__(self, structure: Structurer[T], progress: _Progress) -> None:
        self._structure = structure
        self._progress = progress

    def __len__(self) -> int:
        return len(self._progress.step.fresh)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        places = self._progress.step.fresh
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(places)))]
        place = places[index]
        try:
            return self._structure(self._progress.step.page.items[place], f"$.items[{place}]")
        except ApiError as error:
            error.cursor = self._progress.cursor(index % len(places))
            raise

    def __repr__(self) -> str:
        return f"<{len(self)} reports, structured when taken>"


@attrs.frozen(eq=False)
class Page(Generic[T]):
    """One page that brought something new.

    Attributes:
        number: The page number it was asked for with.
        limit: The `limit` likewise.
        raw: The whole answer, as it came.
        reports: Its reports that were not delivered by an earlier page, in the server's order.
            Each is structured when it is taken, which raises `SchemaError` where it is not as
            documented, with the cursor before it.
        cursor: The position after the page.
    """

    number: int
    limit: int
    raw: bytes = attrs.field(repr=False)
    reports: Sequence[T]
    cursor: Cursor = attrs.field(repr=False)
    _progress: _Progress = attrs.field(repr=False, alias="progress")

    @property
    def raw_reports(self) -> tuple[bytes, ...]:
        """The JSON text of each of `reports`, as it came."""
        page = self._progress.step.page
        return tuple(bytes(page.items[place]) for place in self._progress.step.fresh)

    @property
    def raw_views(self) -> tuple[memoryview, ...]:
        """The same, without a copy: they hold the whole page in memory."""
        page = self._progress.step.page
        return tuple(memoryview(page.items[place]) for place in self._progress.step.fresh)

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of `reports`."""
        page = self._progress.step.page
        return tuple(page.ids[place] for place in self._progress.step.fresh)

    @property
    def paths(self) -> tuple[str, ...]:
        """Where each of `reports` stands in the answer, such as `$.items[3]`."""
        return tuple(f"$.items[{place}]" for place in self._progress.step.fresh)

    @property
    def cursor_before(self) -> Cursor:
        """The position before the page."""
        return self._progress.before


@attrs.frozen(kw_only=True)
class SessionReports(Generic[T]):
    """The session reports of one connector in one window, described but not asked for yet.

    It is immutable; each `async for` over it, and each call of `pages()`, `walk()` and
    `collect()`, is a fresh walk. Made by `DepotClient.session_reports`, which explains the options.
    """

    _transport: Transport = attrs.field(repr=False, alias="transport")
    _structure: Structurer[T] = attrs.field(repr=False, alias="structure")
    _now: Callable[[], datetime] = attrs.field(repr=False, alias="now")
    query: Query
    limit: int | None
    read_ahead: int
    verify: bool
    resume: Cursor | None

    @property
    def into(self) -> type[T]:
        """The class of the reports."""
        return self._structure.cls

    def __aiter__(self) -> AsyncGenerator[T, None]:
        """The reports, one by one in the server's order, each once.

        Leaving the loop early cancels what is under way as soon as the iterator is collected;
        `walk()` does so at a point of your choice.
        """
        return self._iterate()

    async def _iterate(self) -> AsyncGenerator[T, None]:
        async with self.walk() as walk:
            async for report in walk:
                yield report

    async def pages(self) -> AsyncGenerator[Page[T], None]:
        """The pages that bring something new, in the server's order.

        Yields:
            `Page`s, with their reports structured only when they are taken.
        """
        run = _Run(self)
        try:
            while (progress := await run.advance()) is not None:
                step = progress.step
                yield Page(
                    number=step.ask.page,
                    limit=step.ask.limit,
                    raw=step.page.body,
                    reports=_LazyReports(self._structure, progress),
                    cursor=progress.cursor(len(step.fresh)),
                    progress=progress,
                )
                del step, progress  # else it would be held while the next one is waited for
        finally:
            await run.aclose()

    def walk(self) -> Walk[T]:
        """A walk with a handle: `async with` cleans it up, and it has a cursor at each report."""
        return Walk(self, self._structure)

    async def collect(self, *, max_items: int) -> list[T]:
        """The first reports as a list.

        Args:
            max_items: How many at the most. There is no default: a connector's whole history is
                more than a process should hold unasked.

        Raises:
            ValueError: `max_items` is no int of at least 1.
        """
        whole_number("max_items", max_items, least=1)
        found: list[T] = []
        async with self.walk() as walk:
            async for report in walk:
                found.append(report)
                if len(found) == max_items:
                    break
        return found

    def first_cursor(self) -> Cursor:
        """Where a walk that begins now begins."""
        if self.resume is not None:
            return self.resume
        to = self.query.to or self._now()
        return Cursor(
            query=self.query.identity(),
            pinned={"to": wire_time(to)},
            limit=self.limit or FIRST_LIMIT,
        )

    def first_position(self, cursor: Cursor) -> Position:
        """What a walk from that cursor asks for first."""
        limit, size = cursor.limit, cursor.size
        if self.limit is not None and self.limit != limit:
            limit, size = self.limit, None
        elif self.limit is None and size is None:
            limit = FIRST_LIMIT
        return Position.at(cursor.offset, limit, size, adaptive=self.limit is None)

    def doubt(self) -> None:
        """Ask on new connections only: an answer may have come over the wrong one."""
        self._transport.distrust()

    async def fetch(self, ask: Ask, to: str) -> RawPage:
        """Ask for one page."""
        query = self.query.parameters(to, ask)
        request = Request(("sessionReports",), self.query.split, query)
        body, items = await self._transport.send(request)
        return RawPage(body, tuple(items), await _ids_of(items))


async def _ids_of(items: Sequence[msgspec.Raw]) -> tuple[int, ...]:
    """The reports' ids; where they don't come first that takes as long as to split the page.

    Of a report that names its id twice, which JSON leaves open, the first one tells it apart.
    """
    await pause()
    turn = _Turn()
    ids: list[int] = []
    for place, item in enumerate(items):
        await turn.give()
        first = _ID_FIRST.match(item)
        if first is not None:
            ids.append(int(first[1]))
        else:
            ids.append(decode(item, _HEAD_DECODER, f"$.items[{place}]").session_id)
    return tuple(ids)


class _Turn:
    """Lets the event loop have its turn when there has been work for a while without one."""

    def __init__(self) -> None:
        self._taken = time.perf_counter()

    async def give(self) -> None:
        """Pause, if it is time."""
        if time.perf_counter() - self._taken > TURN_SECONDS:
            await pause()
            self._taken = time.perf_counter()


class _Run:
    """One walk's way through the pages, with the cursor that goes with them."""

    def __init__(self, reports: SessionReports[T]) -> None:
        self.cursor = cursor = reports.first_cursor()
        self._delivered_before = cursor.delivered
        self._keeps_ids = reports.verify
        self._pages = PageWalk(
            lambda ask: reports.fetch(ask, cursor.pinned["to"]),
            reports.first_position(cursor),
            adaptive=reports.limit is None,
            read_ahead=reports.read_ahead,
            verify=reports.verify,
            last=cursor.last,
            delivered=cursor.delivered,
            on_doubt=reports.doubt,
            on_retreat=self._go_back,
        )

    async def advance(self) -> _Progress | None:
        """The next page that brings something new; None at the end.

        Raises:
            ApiError: With the cursor after the page before.
        """
        try:
            step = await self._pages.next_step()
        except ApiError as error:
            error.cursor = self.cursor
            # The frames below hold the page, in which a server may have sent back a credential.
            raise error.with_traceback(None)  # noqa: B904
        if step is None:
            return None
        keeps_ids = self._keeps_ids or step.rereads
        progress = _Progress(self.cursor, step, None if keeps_ids else self._delivered_before)
        self.cursor = progress.cursor(len(step.fresh))
        return progress

    def _go_back(self, offset: int, ids: tuple[int, ...]) -> None:
        known = self.cursor.delivered
        self.cursor = attrs.evolve(
            self.cursor,
            offset=offset,
            last=None,
            delivered=known if self._keeps_ids else known + ids,
        )

    async def aclose(self) -> None:
        """Cancel and await what is under way."""
        await self._pages.aclose()


class Walk(Generic[T]):
    """One walk over session reports, for one task at a time.

    After an `ApiError` the walk stands where it stood: it can be iterated on, or another one can
    be resumed from the error's cursor. A walk that was closed raises `RuntimeError`.
    """

    def __init__(self, reports: SessionReports[T], structure: Structurer[T]) -> None:
        self._run = _Run(reports)
        self._structure = structure
        self._progress: _Progress | None = None
        self._taken = 0
        self._busy = False
        self._turn = _Turn()

    @property
    def cursor(self) -> Cursor:
        """The position after the report taken last; `str(walk.cursor)` is the text to save."""
        return self._run.cursor if self._progress is None else self._progress.cursor(self._taken)

    async def aclose(self) -> None:
        """Cancel and await what is under way; further calls do nothing."""
        await self._run.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._busy:
            raise RuntimeError("this walk is being waited for by another task")
        self._busy = True
        try:
            step = await self._current_step()
        finally:
            self._busy = False
        place = step.fresh[self._taken]
        try:
            report = self._structure(step.page.items[place], f"$.items[{place}]")
        except ApiError as error:
            error.cursor = self.cursor
            raise
        self._taken += 1
        return report

    async def _current_step(self) -> Step[RawPage]:
        """The page with the next report on it, after the event loop has had its turn.

        Nothing is awaited between this and the return of the report, so that a cancellation
        can't come between taking a report and handing it over.
        """
        if self._progress is None or self._taken == len(self._progress.step.fresh):
            self._progress = None  # not to be held while the next one is waited for
            progress = await self._run.advance()
            if progress is None:
                raise StopAsyncIteration
            self._progress, self._taken = progress, 0
        await self._turn.give()
        return self._progress.step


def structurer_of(into: type[T]) -> Structurer[T]:
    """The road from a report's bytes to one class.

    Raises:
        ValueError: It is no attrs class, or has a field that no session report has.
    """
    cls: type = into
    if not (isinstance(cls, type) and attrs.has(cls)):
        raise ValueError(f"into must be an attrs class: {into!r}")
    known = attrs.fields_dict(SessionReport)
    unknown = [field.name for field in attrs.fields(cls) if field.init and field.name not in known]
    if unknown:
        raise ValueError(
            f"into={into.__name__} has fields that no session report has: {', '.join(unknown)};"
            f" there are {', '.join(known)}"
        )
    return STRUCTURES.of(into)
