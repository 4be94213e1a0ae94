"""Session reports of many connectors, walked at the same time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from itertools import chain, islice
from types import MappingProxyType
from typing import Final, Generic, Literal, Self, TypeAlias, TypeVar, get_args

import attrs

from depotclient.pages import Page
from depotclient.query import Connector, distinct_connectors, validate_pair
from depotclient.reports import PageReader, SessionReports, first_cursor
from evtransport.closing import AsyncCloseable
from evtransport.errors import ApiError
from evtransport.paging import Cursor
from evtransport.pauses import Pauses
from evtransport.tasks import TaskPool
from evtransport.validation import validate_int

__all__ = ["OnError", "SessionReportsMany", "WalkMany", "describe_many"]

T = TypeVar("T")

OnError: TypeAlias = Literal["yield", "raise"]
"""`yield` returns an error as an item of the walk, `raise` raises it."""

_Ids: TypeAlias = tuple[str, str]

_ON_ERROR: Final[tuple[OnError, ...]] = get_args(OnError)


@attrs.frozen(kw_only=True)
class SessionReportsMany(Generic[T]):
    """Description of the session reports of many connectors in one window.

    The description is immutable. Each `async for` over it, and each call of `pages()` and `walk()`,
    starts a new walk. `DepotClient.session_reports_many` returns it and documents the arguments.

    Attributes:
        by_connector: Reports of each connector, by charger id and connector id.
        concurrency: Number of connectors that are walked at the same time.
        on_error: `yield` or `raise`.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     reports = depot.session_reports_many([("CP-001", 1), ("CP-002", 1)])
        ...     found = [connector async for connector, report in reports]
        >>> found.count(("CP-001", "1")), found.count(("CP-002", "1"))
        (60, 60)
    """

    by_connector: Mapping[tuple[str, str], SessionReports[T]] = attrs.field(repr=False)
    concurrency: int
    on_error: OnError
    _now: Callable[[], datetime] = attrs.field(repr=False, alias="now")

    async def __aiter__(self) -> AsyncGenerator[tuple[tuple[str, str], T | ApiError], None]:
        """Yield each report with its connector, and the error of each connector that fails.

        If you leave the loop early, requests in flight are cancelled when the iterator is garbage
        collected. Use `walk()` to cancel them at once.
        """
        async with self.walk() as walk:
            async for item in walk:
                yield item

    async def pages(self) -> AsyncGenerator[tuple[tuple[str, str], Page[T] | ApiError], None]:
        """Yield each page that has new reports with its connector, in the order of completion.

        An item is `(connector, page)`, or `(connector, error)` for a connector that fails. The
        error is an `ApiError`. With `on_error="raise"`, it is raised instead.

        Example:
            >>> from contextlib import aclosing
            >>> total = 0
            >>> async with DepotClient.from_env() as depot:
            ...     reports = depot.session_reports_many([("CP-001", 1), ("CP-002", 1)])
            ...     async with aclosing(reports.pages()) as pages:
            ...         async for connector, page in pages:
            ...             if isinstance(page, ApiError):
            ...                 print(connector, page)
            ...             else:
            ...                 total += len(page.raw_reports)
            >>> total
            120
        """
        async with self.walk() as walk:
            while (found := await walk._next_page()) is not None:
                yield found
                del found  # Release the page while the next one is awaited.

    def walk(self) -> WalkMany[T]:
        """Return a walk whose `cursors` change with each report. `async with` closes it.

        Example:
            >>> async with DepotClient.from_env() as depot:
            ...     reports = depot.session_reports_many([("CP-001", 1), ("CP-002", 1)])
            ...     async with reports.walk() as walk:
            ...         connector, report = await anext(walk)
            ...         cursors = walk.cursors
            >>> len(cursors)
            2
        """
        pinned = [r.resume.pinned["to"] for r in self.by_connector.values() if r.resume]
        # A connector without a cursor gets the end of the others' windows.
        return WalkMany(self, datetime.fromisoformat(max(pinned)) if pinned else self._now())


class WalkMany(AsyncCloseable, Generic[T]):
    """One walk over the session reports of many connectors, for one task at a time.

    If an error other than `ApiError` ends a step, such as an error of the token function, the walk
    keeps its position: you can continue to iterate. A closed walk raises `RuntimeError` after the
    page in memory.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     many = depot.session_reports_many([("CP-001", 1), ("CP-001", 2)])
        ...     async with many.walk() as walk:
        ...         connector, report = await anext(walk)
        ...     rest = depot.session_reports_many(
        ...         [("CP-001", 1), ("CP-001", 2)], resume=walk.cursors
        ...     )
        ...     len([report async for _, report in rest])
        119
    """

    def __init__(self, many: SessionReportsMany[T], now: datetime) -> None:
        self._many = many
        self._cursors = {ids: first_cursor(r, now) for ids, r in many.by_connector.items()}
        unfinished = [ids for ids, cursor in self._cursors.items() if not cursor.finished]
        self._waiting: Iterator[_Ids] = iter(unfinished)
        self._readers: dict[_Ids, PageReader[T]] = {}
        self._steps = TaskPool[tuple[_Ids, Page[T] | ApiError | None]]()
        self._current: tuple[_Ids, Page[T]] | None = None
        self._index = 0
        self._is_awaited = False
        self._closed = False
        self._pauses = Pauses()

    @property
    def cursors(self) -> dict[tuple[str, str], Cursor]:
        """Cursor of each connector after the last returned report, for `resume=`.

        A connector that has not started has a cursor at the start of its window, with the end that
        this walk pinned. The cursor of a finished connector has `finished=True`.
        """
        if self._current is None:
            return dict(self._cursors)
        ids, page = self._current
        return {**self._cursors, ids: page.cursor_at(self._index)}

    async def aclose(self) -> None:
        """Cancel and await the requests in flight. Further calls do nothing."""
        self._closed = True
        async with AsyncExitStack() as stack:  # A cancellation must not skip a reader.
            for reader in self._readers.values():
                stack.push_async_callback(reader.aclose)
            await self._steps.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[tuple[str, str], T | ApiError]:
        if self._is_awaited:
            raise RuntimeError("another task is waiting for this walk")
        self._is_awaited = True
        try:
            if self._current is None or self._index == len(self._current[1].reports):
                found = await self._next_page()
                if found is not None and isinstance(found[1], ApiError):
                    return found[0], found[1]
                del found  # Otherwise the page would stay in memory after its last report.
            await self._pauses.pause_if_needed()
        finally:
            self._is_awaited = False
        if self._current is None:
            raise StopAsyncIteration
        # No await after this line: a cancellation would lose the report.
        return self._take_report(*self._current)

    def _take_report(self, ids: _Ids, page: Page[T]) -> tuple[_Ids, T | ApiError]:
        """Return the next report of the page in memory, or its error."""
        item: T | ApiError
        try:
            item = page.reports[self._index]
        except ApiError as error:
            # The frames below hold the page.
            item = self._error(error.with_traceback(None))
        self._index += 1
        return ids, item

    async def _next_page(self) -> tuple[_Ids, Page[T] | ApiError] | None:
        """Return the next page or error with its connector, or None at the end of the walk."""
        if self._closed:
            raise RuntimeError("the walk is closed")
        if self._current is not None:
            ids, page = self._current
            self._cursors[ids], self._current = page.cursor, None
            del page  # Release the page while the next one is awaited.
            self._steps.start(self._step(ids))
        self._start_connectors()
        while self._steps:
            ids, outcome = await self._steps.receive()
            # No await after this line: a cancellation would lose the page.
            if isinstance(outcome, Page):
                self._current, self._index = (ids, outcome), 0
                return ids, outcome
            reader = self._readers.pop(ids)
            if outcome is not None:
                return ids, self._error(outcome)
            self._cursors[ids] = attrs.evolve(reader.cursor, finished=True)
            self._start_connectors()
        return None

    def _error(self, error: ApiError) -> ApiError:
        """Return an error, or raise it if `on_error` is `raise`."""
        if self._many.on_error == "raise":
            raise error
        return error

    def _start_connectors(self) -> None:
        """Start waiting connectors, until `concurrency` of them are walked at the same time."""
        for ids in islice(self._waiting, self._many.concurrency - len(self._readers)):
            reports = self._many.by_connector[ids]
            self._readers[ids] = PageReader(reports, self._cursors[ids])
            self._steps.start(self._step(ids))

    async def _step(self, ids: _Ids) -> tuple[_Ids, Page[T] | ApiError | None]:
        """Return the next page of a connector, its error, or None at its end."""
        try:
            return ids, await self._readers[ids].next_page()
        except ApiError as error:
            return ids, error
        except BaseException:
            # The caller gets the error. A further call continues the connector at its cursor.
            del self._readers[ids]
            self._waiting = chain((ids,), self._waiting)
            raise


def describe_many(
    reports_of: Callable[[_Ids, Cursor | str | None], SessionReports[T]],
    connectors: Iterable[Connector],
    *,
    resume: Mapping[_Ids, Cursor | str] | None,
    concurrency: int,
    on_error: OnError,
    now: Callable[[], datetime],
) -> SessionReportsMany[T]:
    """Return the description of a walk over many connectors.

    Args:
        reports_of: Function that describes the reports of one connector after a cursor.
        connectors: Charger and connector ids, as in `DepotClient.session_reports_many`.
        resume: Cursors by connector.
        concurrency: Number of connectors to walk at the same time.
        on_error: `yield` or `raise`.
        now: Function that returns the current time.

    Raises:
        ValueError: An argument is invalid.
    """
    validate_int("concurrency", concurrency, minimum=1)
    if on_error not in _ON_ERROR:
        raise ValueError(f"on_error must be 'yield' or 'raise', got {on_error!r}")
    every = distinct_connectors(connectors)
    cursors = _cursors_by_ids({} if resume is None else resume)
    if unknown := cursors.keys() - set(every):
        names = ", ".join("/".join(ids) for ids in sorted(unknown))
        raise ValueError(f"resume has cursors of other connectors: {names}")
    by_connector = {ids: reports_of(ids, cursors.get(ids)) for ids in every}
    return SessionReportsMany(
        by_connector=MappingProxyType(by_connector),
        concurrency=concurrency,
        on_error=on_error,
        now=now,
    )


def _cursors_by_ids(resume: Mapping[_Ids, Cursor | str]) -> dict[_Ids, Cursor | str]:
    if not isinstance(resume, Mapping):
        raise ValueError(
            "resume must map connectors to cursors, such as walk.cursors,"
            f" got {type(resume).__name__}"
        )
    return {validate_pair(connector): cursor for connector, cursor in resume.items()}
