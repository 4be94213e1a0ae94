"""Analytics of chargeboxes, requested again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TypeAlias

import attrs

from evtransport.errors import ApiError
from evtransport.retry import requested_wait
from evtransport.schedule import Schedule
from evtransport.tasks import TaskPool
from evtransport.validation import encode_segment
from thorclient.models import STRUCTURES, Analytics

__all__ = ["Polled", "iterate_ids", "poll_analytics", "structure_listed_box", "validate_ids"]

Polled: TypeAlias = tuple[str | None, Analytics | ApiError]
"""A chargebox id and its result, or None and the error of the request for the list."""


def iterate_ids(ids: Iterable[str]) -> Iterator[str]:
    """Return an iterator over ids.

    Raises:
        ValueError: `ids` is not an iterable of ids.
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise ValueError(f"ids must be an iterable of ids, got {type(ids).__name__}")
    return iter(ids)


def validate_ids(ids: Iterable[str]) -> list[str]:
    """Return the chargebox ids to poll.

    Raises:
        ValueError: `ids` is not an iterable of ids, is empty, or an id is invalid.
    """
    found = list(iterate_ids(ids))
    for chargebox_id in found:
        encode_segment("chargebox_id", chargebox_id)
    if not found:
        raise ValueError("ids must not be empty; None polls all chargeboxes")
    return found


@attrs.frozen
class ListedBox:
    """Chargebox of a list, whose id can be part of a path. Its other fields don't matter."""

    id: str

    def __attrs_post_init__(self) -> None:
        encode_segment("id", self.id)


structure_listed_box = STRUCTURES.of(ListedBox)


@attrs.frozen
class _Target:
    """Target of a request: one chargebox, or the list of all without an id."""

    chargebox_id: str | None = None


@attrs.frozen
class _Outcome:
    target: _Target
    result: Analytics | list[str] | ApiError


class _Plan:
    """Decision which target to request next."""

    def __init__(self, ids: Sequence[str] | None, every: timedelta, now: float) -> None:
        seconds = every.total_seconds()
        boxes = [_Target(chargebox_id) for chargebox_id in ids or ()]
        self._boxes = Schedule(boxes, every=seconds, start=now)
        # A schedule of its own: otherwise, the first chargebox would wait for its turn.
        self._list = Schedule([_Target()] if ids is None else [], every=seconds, start=now)

    @property
    def next_due(self) -> float | None:
        due = (self._list.next_due, self._boxes.next_due)
        return min((time for time in due if time is not None), default=None)

    def take(self, now: float) -> _Target | None:
        return self._list.take(now) or self._boxes.take(now)

    def put_back(self, outcome: _Outcome, now: float) -> None:
        schedule = self._list if outcome.target == _Target() else self._boxes
        failed = isinstance(outcome.result, ApiError)
        wait = requested_wait(outcome.result) if isinstance(outcome.result, ApiError) else 0.0
        schedule.put_back(outcome.target, now, failed=failed, wait=wait)
        if isinstance(outcome.result, list):
            self._boxes.replace(map(_Target, outcome.result), now)


async def poll_analytics(
    get_analytics: Callable[[str], Awaitable[Analytics]],
    list_ids: Callable[[], Awaitable[list[str]]],
    ids: Sequence[str] | None,
    *,
    every: timedelta,
    concurrency: int,
) -> AsyncGenerator[Polled, None]:
    """Yield analytics and errors forever, as `ThorClient.poll` documents it.

    Args:
        get_analytics: Function that requests the analytics of a chargebox.
        list_ids: Function that requests the ids of all chargeboxes.
        ids: Chargebox ids. Duplicates count once. None uses `list_ids` in each round.
        every: Time between two requests for the same chargebox.
        concurrency: Maximum number of requests in flight, and of results not yet yielded.
    """

    async def request(target: _Target) -> _Outcome:
        try:
            if target.chargebox_id is None:
                return _Outcome(target, await list_ids())
            return _Outcome(target, await get_analytics(target.chargebox_id))
        except ApiError as error:
            return _Outcome(target, error)

    now = asyncio.get_running_loop().time
    plan = _Plan(ids, every, now())
    async with TaskPool[_Outcome]() as requests:
        while True:
            while len(requests) < concurrency and (target := plan.take(now())) is not None:
                requests.start(request(target))
            is_full = len(requests) == concurrency
            outcome = await _receive(requests, None if is_full else plan.next_due)
            if outcome is not None:  # pragma: no branch - coverage loses track at a timeout
                plan.put_back(outcome, now())
                if not isinstance(outcome.result, list):
                    yield outcome.target.chargebox_id, outcome.result


async def _receive(requests: TaskPool[_Outcome], until: float | None) -> _Outcome | None:
    """Return the next outcome, or None if there is none until a time."""
    scope = asyncio.timeout_at(until)
    try:
        async with scope:
            return await requests.receive()
    except TimeoutError:
        if not scope.expired():  # raised by the limiter
            raise
        return None
