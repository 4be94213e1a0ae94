"""Figures of docs/explanation/paging.md.

`python -m tests.evtransport.paging.measure [WALKS]` prints them.
"""

from __future__ import annotations

import random
import sys
from functools import partial
from math import ceil

from evtransport.errors import ApiError
from evtransport.paging import Cursor, NewRows, PageContent, PageRequest
from evtransport.paging.known import KnownRows
from tests.evtransport.paging.model import BOTH, DELETES, INSERTS, Group, Server, paginator

MOVES = {"none": (), "inserts": INSERTS, "deletes": DELETES, "inserts and deletes": BOTH}


class AlignedPages:
    """The rule of most clients: pages 1, 2, 3 at one limit, without rows delivered earlier."""

    def __init__(self, read_ahead: int, cursor: Cursor) -> None:
        self.cursor = cursor
        self.has_ended = False
        self._read_ahead = read_ahead
        self._page = cursor.offset // cursor.limit + 1
        self._known = KnownRows.from_cursor(cursor, verify=False)

    def next_requests(self) -> list[PageRequest]:
        return [PageRequest(self._page + n, self.cursor.limit) for n in range(self._read_ahead)]

    def receive(self, request: PageRequest, page: PageContent) -> NewRows | None:
        self.has_ended = not page.keys
        if self.has_ended:
            return None
        self._page += 1
        rows = self._known.add(page.keys)
        new_rows = NewRows(request, self.cursor, self.cursor, page.keys, rows, appends=True)
        self.cursor = new_rows.cursor(len(rows.new))
        return new_rows

    def receive_error(self, request: PageRequest, error: ApiError) -> None:
        raise error


RULES = {
    "pages 1, 2, 3, one after another": partial(AlignedPages, 1),
    "pages 1, 2, 3, four in flight": partial(AlignedPages, 4),
    "pages that join": None,
}
"""Starts of a walk. None is the start of a paginator."""


def count_lost(rule: str, moves: str, walks: int) -> tuple[int, float]:
    """Return the number of rows lost, and the requests per walk."""
    group = Group(moves=MOVES[moves], limits=(10, 16, 20, 25, 40))
    lost, requests = 0, 0
    for seed in range(walks):
        walk = group.walk(random.Random(seed))
        walk.start = RULES[rule] or walk.start
        walk.run()
        lost, requests = lost + walk.lost, requests + walk.server.requests
    return lost, requests / walks


def count_overlap(limit: int, rows: int = 10_000) -> tuple[int, float]:
    """Return the requests of a walk over rows that don't move, and the rows read per row."""
    server, walk, read = Server(random.Random(0), list(range(rows))), paginator(limit), 0
    while not walk.has_ended:
        request = walk.next_requests()[0]
        page = server.respond(request.page, request.limit)
        read += len(page.keys)
        walk.receive(request, page)
    return server.requests, read / rows


if __name__ == "__main__":
    walks = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("limit, requests, requests by pages 1, 2, 3, rows read per row")
    for limit in (10, 20, 40, 100, 500):
        requests, share = count_overlap(limit)
        print(f"{limit:5} {requests:8,} {ceil(10_000 / limit) + 1:8,} {share:8.2f}")
    print("rule, moves, requests per walk, rows lost")
    for rule in RULES:
        for moves in MOVES:
            lost, requests_per_walk = count_lost(rule, moves, walks)
            print(f"{rule:34}{moves:22}{requests_per_walk:7.1f}{lost:8,}")
