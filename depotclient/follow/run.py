"""Run of `follow`: reads the connectors when they are due, and delivers what is new."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Self, TypeVar

import attrs

from depotclient.follow.connector import Delivery, Follower, ReportsOf
from depotclient.follow.items import FollowedReport, FollowError
from depotclient.follow.plan import FollowOptions
from depotclient.follow.saving import FollowState, SavedState
from depotclient.follow.state import Changes, ConnectorState
from depotclient.pages import Page
from depotclient.query import Connector, distinct_connectors, is_before, to_utc
from evtransport.closing import AsyncCloseable
from evtransport.errors import ApiError
from evtransport.pauses import Pauses
from evtransport.retry import requested_wait
from evtransport.schedule import backoff, next_slot
from evtransport.tasks import TaskPool

__all__ = ["Follow", "FollowRun", "describe_follow"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Follow(Generic[T]):
    """Description of the new sessions of some connectors, from now on without an end.

    The description is immutable. Each `async for` over it, and each call of `run()`, starts a new
    run. `DepotClient.follow` returns it and documents the arguments.

    Attributes:
        connectors: Charger and connector ids.
        options: The other arguments.
        state: Place that keeps the state between runs, or None.

    Example:
        >>> from datetime import UTC, datetime
        >>> async with DepotClient.from_env() as depot:
        ...     follow = depot.follow([("CP-001", 1)], since=datetime(2026, 1, 1, tzinfo=UTC))
        ...     async for item in follow:
        ...         break
        >>> item.report.session_id
        100000001
    """

    connectors: tuple[tuple[str, str], ...]
    options: FollowOptions
    state: FollowState | None
    _reports_of: ReportsOf[T] = attrs.field(repr=False, alias="reports_of")
    _now: Callable[[], datetime] = attrs.field(repr=False, alias="now")

    async def __aiter__(self) -> AsyncGenerator[FollowedReport[T] | FollowError, None]:
        """Yield each new report, and the errors of the connectors, without an end.

        If you leave the loop, requests in flight are cancelled and the state is saved when the
        iterator is garbage collected. Use `run()` for both at once.
        """
        async with self.run() as run:
            async for item in run:  # pragma: no branch - a run has no end
                yield item

    def run(self) -> FollowRun[T]:
        """Return a run. `async with` cancels its requests and saves its state at the end.

        Example:
            >>> from datetime import UTC, datetime
            >>> async with DepotClient.from_env() as depot:
            ...     follow = depot.follow([("CP-001", 1)], since=datetime(2026, 1, 1, tzinfo=UTC))
            ...     async with follow.run() as run:
            ...         item = await anext(run)
            >>> item.report.session_id
            100000001
        """
        return FollowRun(self)


@attrs.frozen(eq=False)
class _Pending(Generic[T]):
    """Item that the caller has and has not acknowledged.

    Attributes:
        item: The item.
        state: State of its connector, or None if the item changes nothing.
        changes: Sessions that the state remembers and forgets when the item is acknowledged.
    """

    item: FollowedReport[T] | FollowError
    state: ConnectorState | None = None
    changes: Changes = attrs.field(factory=dict[Any, Any])

    def apply(self, changes: Changes) -> Changes:
        """Change the state. Return the changes that undo this."""
        return {} if self.state is None else self.state.apply(changes)


class FollowRun(AsyncCloseable, Generic[T]):
    """One run of `DepotClient.follow`, for one task at a time.

    An item is acknowledged by its `done()`, or by the call for the next item. Acknowledged items
    are not delivered again by a later run with the same state. The run saves the state before it
    waits, and at its end.

    If an error other than `ApiError` ends a step, such as an error of the token function, the run
    keeps its position: you can continue to iterate.

    Example:
        >>> from datetime import UTC, datetime
        >>> async with DepotClient.from_env() as depot:
        ...     follow = depot.follow([("CP-001", 1)], since=datetime(2026, 1, 1, tzinfo=UTC))
        ...     async with follow.run() as run:
        ...         async for item in run:
        ...             await item.done()
        ...             break
        >>> item.report.session_id
        100000001
    """

    def __init__(self, follow: Follow[T]) -> None:
        self._follow: Final = follow
        self._options: Final = follow.options
        self._saved: Final = SavedState(follow.state)
        self._every: Final = follow.options.every.total_seconds()
        self._followers: tuple[Follower[T], ...] = ()
        self._steps = TaskPool[tuple[Follower[T], Page[T] | ApiError | None]]()
        self._permits = asyncio.Semaphore(follow.options.concurrency)
        self._interrupted: list[Follower[T]] = []
        self._batch: Iterator[_Pending[T] | None] = iter(())
        self._pending: _Pending[T] | None = None
        # Time at which the state must be saved, by the event loop's clock.
        self._save_due = math.inf
        self._is_awaited = False
        self._closed = False
        self._pauses = Pauses()

    async def aclose(self) -> None:
        """Cancel and await the requests in flight, and save the state. Further calls do nothing.

        The last item is acknowledged only by its `done()`.
        """
        if self._closed:
            return
        self._closed = True
        self._batch, self._pending = iter(()), None
        async with AsyncExitStack() as stack:  # A cancellation must not skip a reader.
            if self._save_due < math.inf:
                stack.push_async_callback(self._save)
            for follower in self._followers:
                if follower.reading is not None:
                    stack.push_async_callback(follower.reading.reader.aclose)
            await self._steps.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FollowedReport[T] | FollowError:
        if self._is_awaited:
            raise RuntimeError("another task is waiting for this run")
        self._check_open()
        self._is_awaited = True
        try:
            if self._pending is not None:
                if self._pending.apply(self._pending.changes):
                    self._save_due = 0.0
                self._pending = None
            if not self._followers:
                await self._open()
            while (item := await self._next_of_batch()) is None:
                await self._receive_batch()
        finally:
            self._is_awaited = False
        return item

    async def _acknowledge(self, item: object) -> None:
        """Acknowledge an item and all earlier ones, and save the state."""
        self._check_open()
        pending = self._pending
        if pending is None or pending.item is not item:
            await self._save_if_due()
            return
        undo = pending.apply(pending.changes)
        try:
            await self._save()
        except BaseException:
            pending.apply(undo)
            raise
        if self._pending is pending:  # Another task may have taken the next item.
            self._pending = None

    # Start and state.

    async def _open(self) -> None:
        """Load the state, save it once, and start all connectors."""
        connectors, since = self._follow.connectors, self._options.since
        parts = await self._saved.load(connectors, since)
        followers = tuple(
            Follower[T](ids, number / len(connectors), parts[ids])
            for number, ids in enumerate(connectors)
        )
        # A place that can't be written must fail before the first item.
        await self._saved.save(follower.part for follower in followers)
        self._check_open()
        self._followers = followers
        now = asyncio.get_running_loop().time()
        for follower in followers:
            follower.due = now + follower.phase * self._every
            self._steps.start(self._step(follower))

    async def _save(self) -> None:
        # Another task may acknowledge an item during the save.
        due, self._save_due = self._save_due, math.inf
        try:
            await self._saved.save(follower.encode() for follower in self._followers)
        except BaseException:
            self._save_due = min(due, self._save_due)
            raise

    async def _save_if_due(self) -> None:
        """Save acknowledged items at once, and the time of a reading within `every`."""
        if self._save_due <= asyncio.get_running_loop().time():
            await self._save()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the run is closed")

    # Batches: a page, the end of a reading, or an error.

    async def _next_of_batch(self) -> FollowedReport[T] | FollowError | None:
        """Return the next item of the batch in memory, or None at its end."""
        while True:
            await self._pauses.pause_if_needed()
            # No await after this line: a cancellation would lose the item.
            try:
                pending = next(self._batch)
            except StopIteration:
                return None
            if pending is not None:
                self._pending = pending
                return pending.item

    async def _receive_batch(self) -> None:
        """Wait for the next page, end of a reading, or error."""
        await self._save_if_due()
        # `aclose` may have run during the save. No task ends a step that starts now.
        self._check_open()
        while self._interrupted:
            self._steps.start(self._step(self._interrupted.pop()))
        follower, outcome = await self._steps.receive()
        if isinstance(outcome, Page):
            self._batch = self._page(follower, outcome)
        elif outcome is None:
            self._batch = self._end(follower)
        else:
            self._batch = self._error(follower, outcome)

    def _page(self, follower: Follower[T], page: Page[T]) -> Iterator[_Pending[T] | None]:
        """Yield the items of a page. Then read the next page."""
        assert follower.reading is not None  # noqa: S101
        for delivery in follower.reading.compare(page):
            yield None if delivery is None else self._deliver(follower, delivery)
        self._steps.start(self._step(follower))

    def _end(self, follower: Follower[T]) -> Iterator[_Pending[T] | None]:
        """Yield the items that the end of a reading decides about. Then end the reading."""
        if follower.reading is not None:
            for delivery in follower.reading.settle():
                yield self._deliver(follower, delivery)
        follower.finish(self._options)
        now = asyncio.get_running_loop().time()
        self._save_due = min(self._save_due, now + self._every)
        self._schedule(follower)

    def _error(self, follower: Follower[T], error: ApiError) -> Iterator[_Pending[T] | None]:
        """Yield the error of a reading, and schedule the next attempt."""
        follower.failures += 1
        follower.abandon()
        wait = max(requested_wait(error), backoff(self._every, follower.failures))
        self._schedule(follower, wait)
        yield _Pending(self._describe(follower, error, follower.due))

    def _deliver(self, follower: Follower[T], delivery: Delivery[T]) -> _Pending[T]:
        """Return the item for a report or its error."""
        assert follower.reading is not None  # noqa: S101
        item: FollowedReport[T] | FollowError
        if isinstance(delivery.outcome, ApiError):
            due = self._next_due(follower)
            item = self._describe(follower, delivery.outcome, due, delivery.raw)
        else:
            item = FollowedReport(
                connector=follower.ids,
                report=delivery.outcome,
                is_new=delivery.is_new,
                raw=delivery.raw,
                acknowledge=self._acknowledge,
            )
        return _Pending(item, follower.reading.state, delivery.changes)

    def _describe(
        self, follower: Follower[T], error: ApiError, due: float, raw: bytes = b""
    ) -> FollowError:
        wait = timedelta(seconds=due - asyncio.get_running_loop().time())
        return FollowError(
            connector=follower.ids,
            error=error,
            next_attempt=self._follow._now() + wait,
            raw=raw,
            acknowledge=self._acknowledge,
        )

    # Steps: tasks that wait until a connector is due, and read one page.

    def _schedule(self, follower: Follower[T], wait: float = 0.0) -> None:
        """Let others read, and read the connector at its next due time after a wait."""
        follower.has_permit = False
        self._permits.release()
        follower.due = self._next_due(follower, wait)
        self._steps.start(self._step(follower))

    def _next_due(self, follower: Follower[T], wait: float = 0.0) -> float:
        """Return the next time at which a connector is due. A late one skips times."""
        earliest = asyncio.get_running_loop().time() + wait
        # Half an interval tolerates rounding.
        return next_slot(follower.due, self._every, max(earliest, follower.due + self._every / 2))

    async def _step(self, follower: Follower[T]) -> tuple[Follower[T], Page[T] | ApiError | None]:
        """Return the next page of a connector, its error, or None at the end of its reading.

        The connector keeps its permit until then, so that few readings are in memory.
        """
        outcome: Page[T] | ApiError | None = None
        try:
            await asyncio.sleep(follower.due - asyncio.get_running_loop().time())
            if not follower.has_permit:
                await self._permits.acquire()
                follower.has_permit = True
            outcome = await self._read(follower)
        except ApiError as error:
            outcome = error
        except BaseException:
            # The caller gets the error. A further call continues at the same position.
            self._interrupted.append(follower)
            raise
        return follower, outcome

    async def _read(self, follower: Follower[T]) -> Page[T] | None:
        if follower.reading is None:
            follow = self._follow
            follower.begin(follow._now(), self._options, follow._reports_of)
        return None if follower.reading is None else await follower.reading.reader.next_page()


def describe_follow(
    connectors: Iterable[Connector],
    options: FollowOptions,
    state: FollowState | None,
    reports_of: ReportsOf[T],
    now: Callable[[], datetime],
) -> Follow[T]:
    """Return the description of a run.

    Args:
        connectors: Charger and connector ids, as in `DepotClient.follow`.
        options: Options of the run.
        state: Place that keeps the state, or None.
        reports_of: Function that describes the reports of a connector.
        now: Function that returns the current time.

    Raises:
        ValueError: An argument is invalid.
    """
    every = distinct_connectors(connectors)
    if not every:
        raise ValueError("connectors must not be empty: give pairs, such as [('CP-001', 1)]")
    if is_before(now(), options.since):
        raise ValueError(f"since={options.since.isoformat()} is in the future")
    methods = (getattr(state, name, None) for name in ("load", "save"))
    if state is not None and not all(map(callable, methods)):
        raise ValueError(
            "state must have the async methods load() and save(), as FileState has,"
            f" got {type(state).__name__}"
        )
    return Follow(
        connectors=every,
        options=attrs.evolve(options, since=to_utc(options.since)),
        state=state,
        reports_of=reports_of,
        now=now,
    )
