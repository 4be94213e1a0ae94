"""How long a backfill takes: its requests as the walk makes them, its workers as a queue."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import attrs

from depotclient.reports import LIMITS
from evtransport.paging.cursor import Cursor
from evtransport.paging.paginator import Dropped, End, Outcome, Paginator


@attrs.frozen
class Cost:
    """What reading takes.

    Attributes:
        token: Seconds for a partition's token and connection.
        request: Seconds until the server begins to answer.
        report: Seconds of a worker's CPU for one report, of those in the margins as well.
    """

    token: float
    request: float
    report: float


@attrs.frozen
class _Page:
    keys: range
    length: int


@cache
def pages_of(reports: int, report_bytes: int) -> tuple[int, ...]:
    """Return how many reports each answer has in a walk that chooses its limit."""
    served: list[int] = []
    paginator = Paginator(
        Cursor(query={}, limit=LIMITS.first),
        limit=None,
        limits=LIMITS,
        read_ahead=0,
        verify=False,
    )
    outcome: Outcome = Dropped()
    while not isinstance(outcome, End):
        (request,) = paginator.next_requests()
        start = (request.page - 1) * request.limit
        keys = range(reports)[start : start + request.limit]
        served.append(len(keys))
        outcome = paginator.receive(request, _Page(keys, len(keys) * report_bytes))
    return tuple(served)


def duration(
    partitions: Iterable[Sequence[int]], slots: int, cost: Cost, rate: float = math.inf
) -> float:
    """Seconds until all is read.

    Args:
        partitions: The pages of each, in the order in which they are handed out.
        slots: How many are read at once, each on a core of its own.
        cost: What reading takes.
        rate: Requests a second that the API allows to all together; token requests apart.
    """
    rest = iter(partitions)
    gate = 0.0  # when the API takes the next request
    now = 0.0
    reading = [(0.0, slot) for slot in range(slots)]
    left: list[Iterator[int]] = [iter(()) for _ in range(slots)]
    while reading:
        at, slot = heapq.heappop(reading)
        now = max(now, at)
        page = next(left[slot], None)
        if page is None:
            partition = next(rest, None)
            if partition is not None:
                left[slot] = iter(partition)
                heapq.heappush(reading, (at + cost.token, slot))
            continue
        begin = max(at, gate)
        gate = begin + 1 / rate
        heapq.heappush(reading, (begin + cost.request + page * cost.report, slot))
    return now


def history(connectors: int, months: int, sessions_a_day: float, margin: float) -> Iterator[int]:
    """How many reports the window of each connector and month has, both margins included."""
    draw = random.Random(0)
    for _ in range(connectors * months):
        mean = sessions_a_day * (365.25 / 12 + 2 * margin)
        yield max(0, round(draw.gauss(mean, math.sqrt(mean))))
