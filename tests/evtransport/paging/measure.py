"""Random walks over the model: `python tests/paging/measure.py [WALKS]` prints two tables.

The first one is the cost of the overlap. In the second one, each line is one group of walks, by the
library's rule, or by a rule to compare it with.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from math import ceil
from pathlib import Path

import attrs

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from evtransport.paging.paginator import End, Paginator  # noqa: E402
from evtransport.paging.sizes import PageRequest  # noqa: E402
from tests.evtransport.paging.aligned import AlignedPages  # noqa: E402 - needs the path
from tests.evtransport.paging.model import (  # noqa: E402
    BOTH,
    DELETES,
    INSERTS,
    NOT_PROMISED,
    PROMISED,
    Case,
    Group,
    Page,
    Server,
    Tally,
    Walked,
    beginning,
    paginator,
)

LIMITS = (10, 16, 20, 25, 40)
COMPARED = {
    "nothing moves": Group(limits=LIMITS),
    "inserts": Group(moves=INSERTS, limits=LIMITS),
    "deletes": Group(moves=DELETES, limits=LIMITS),
    "inserts and deletes": Group(moves=BOTH, limits=LIMITS),
}


def by_library(case: Case) -> Walked:
    """Walk by the library's rule."""
    return case.walk()


def by_aligned_pages(case: Case, *, read_ahead: int) -> Walked:
    """Walk pages 1, 2, 3 and leave out rows that were delivered before."""
    return attrs.evolve(case, read_ahead=read_ahead).walk(partial(AlignedPages, read_ahead))


RULES: dict[str, Callable[[Case], Walked]] = {
    "pages 1, 2, 3, one after another": partial(by_aligned_pages, read_ahead=1),
    "pages 1, 2, 3, four in flight": partial(by_aligned_pages, read_ahead=4),
    "this library": by_library,
}


def tally(group: Group, seeds: range, walk: Callable[[Case], Walked] = by_library) -> Tally:
    """Walk once for each seed."""
    found = Tally()
    for seed in seeds:
        found.add(walk(group.case(random.Random(seed))))
    return found


def lines(walks: int) -> Iterator[str]:
    """Yield the table, line by line."""
    yield f"{'rule or group':52}{'walks':>9}{'requests':>10}{'lost':>8}{'doubled':>9}{'errors':>8}"
    jobs = [
        (f"{rule}: {name}", group, min(walks, 20_000), walk)
        for rule, walk in RULES.items()
        for name, group in COMPARED.items()
    ]
    jobs += [(name, group, walks, by_library) for name, group in PROMISED.items()]
    jobs += [
        (f"not promised: {name}", group, min(walks, 20_000), by_library)
        for name, group in NOT_PROMISED.items()
    ]
    with ProcessPoolExecutor() as pool:
        results = pool.map(_measured, jobs)
        for (name, *_), found in zip(jobs, results, strict=True):
            yield (
                f"{name:52}{found.walks:>9,}{found.requests / found.walks:>10.1f}"
                f"{found.lost:>8,}{found.doubled:>9,}{found.errors:>8,}"
                + (f"  {found.endless} endless" if found.endless else "")
            )


def overlaps(rows: int = 10_000) -> Iterator[str]:
    """Yield the cost of the overlap in a walk over rows at rest, line by line."""
    yield f"{'limit':>6}{'requests':>10}{'by pages 1, 2, 3':>18}{'rows read':>11}"
    for limit in (10, 20, 40, 100, 500):
        server = Server(random.Random(0), list(range(rows)))
        read: list[int] = []
        walk = paginator(limit)(beginning(limit))
        while not isinstance(walk.receive(*_answered(walk, server, read)), End):
            pass
        aligned = ceil(rows / limit) + 1
        yield f"{limit:>6}{server.requests:>10,}{aligned:>18,}{sum(read) / rows:>11.2f}"


def _answered(walk: Paginator, server: Server, read: list[int]) -> tuple[PageRequest, Page]:
    request = walk.next_requests()[0]
    page = server.answer(request.page, request.limit)
    read.append(len(page.keys))
    return request, page


def _measured(job: tuple[str, Group, int, Callable[[Case], Walked]]) -> Tally:
    _, group, walks, walk = job
    return tally(group, range(walks), walk)


if __name__ == "__main__":
    for line in overlaps():
        print(line)
    for line in lines(int(sys.argv[1]) if len(sys.argv) > 1 else 2000):
        print(line, flush=True)
