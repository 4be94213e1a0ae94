"""Schedule of items that are asked for again and again, evenly spread, without I/O and clocks."""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Iterable
from typing import Final, Generic, TypeVar

import attrs

__all__ = ["MAX_BACKOFF", "Schedule", "backoff", "next_slot"]

K = TypeVar("K", bound=Hashable)

MAX_BACKOFF: Final = 3600.0
"""Longest wait after failures, in seconds."""


def backoff(every: float, failures: int) -> float:
    """Return the seconds to wait after a number of failures in a row.

    The wait doubles with each failure, up to an hour. It is never shorter than `every`.
    """
    return max(every, min(every * 2.0 ** min(failures, 64), MAX_BACKOFF))


def next_slot(offset: float, every: float, not_before: float) -> float:
    """Return the first time `offset + n * every` that is not before a time."""
    return offset + math.ceil((not_before - offset) / every) * every


@attrs.define(eq=False)
class _Item:
    """State of one item.

    Attributes:
        offset: Time at which it was due first. Without failures, it is due `every` after that, and
            so on.
        due: Time at which it is due next.
        failures: Number of failures in a row.
    """

    offset: float
    due: float
    failures: int = 0


class Schedule(Generic[K]):
    """Items that are due once in each interval, spread evenly over it.

    Item i of n is due at `start + (round + i / n) * every`. A taken item is due again only after it
    is put back: an item that takes longer than the interval skips rounds, and delays no other item.
    If all items are late, they follow each other at most twice as fast as usual.

    All times are seconds of one clock, such as that of the event loop.

    Args:
        items: Items. Duplicates count once.
        every: Length of the interval.
        start: Time at which the first item is due.

    Example:
        >>> schedule = Schedule(["a", "b"], every=60, start=0)
        >>> schedule.take(0), schedule.take(0), schedule.next_due
        ('a', None, 30.0)
        >>> schedule.put_back("a", 1, failed=True)
        121
    """

    def __init__(self, items: Iterable[K], *, every: float, start: float) -> None:
        self._every = every
        self._items: dict[K, _Item] = {}
        self._heap: list[tuple[float, int, K, _Item]] = []
        self._pushed = 0
        self._taken = -math.inf
        self.replace(items, start)

    @property
    def next_due(self) -> float | None:
        """Time at which `take` returns an item, or None while all items are taken."""
        while self._heap:
            due, _, key, item = self._heap[0]
            if self._items.get(key) is item:
                return max(due, self._taken + self._every / len(self._items) / 2)
            heapq.heappop(self._heap)  # The item was removed.
        return None

    def take(self, now: float) -> K | None:
        """Return the item that has been due for the longest time, or None if none is due."""
        next_due = self.next_due
        if next_due is None or next_due > now:
            return None
        _, _, key, item = heapq.heappop(self._heap)
        self._taken = now
        # An item that is late skips a slot that is too close.
        item.due = next_slot(item.offset, self._every, now + self._every / 2)
        return key

    def put_back(self, key: K, now: float, *, failed: bool, wait: float = 0.0) -> float | None:
        """Plan the next time of a taken item.

        Args:
            key: The item.
            now: Present time.
            failed: Whether it failed. It is then due after the `backoff`.
            wait: Minimum wait after a failure, such as a `Retry-After`.

        Returns:
            The time at which it is due. None if the item was removed.
        """
        item = self._items.get(key)
        if item is None:
            return None
        item.failures = item.failures + 1 if failed else 0
        if failed:
            item.due = now + max(wait, backoff(self._every, item.failures))
        elif item.due < now:
            item.due = next_slot(item.offset, self._every, now)
        self._push(key, item)
        return item.due

    def replace(self, items: Iterable[K], now: float) -> None:
        """Replace the items. Those that remain keep their times and failures.

        New item i of n is due at `now + i / n * every` for the first time.
        """
        keys = tuple(dict.fromkeys(items))
        before, self._items = self._items, {}
        for index, key in enumerate(keys):
            item = before.get(key)
            if item is None:
                due = now + index / len(keys) * self._every
                item = _Item(due, due)
                self._push(key, item)
            self._items[key] = item

    def _push(self, key: K, item: _Item) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (item.due, self._pushed, key, item))
