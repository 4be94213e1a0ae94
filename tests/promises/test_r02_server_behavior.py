"""R2: a walk is complete, or fails with a typed error, however the server behaves."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count, islice, repeat
from math import ceil
from typing import Any, Literal

import aiohttp
import attrs

from depotclient.sandbox import Churn, DepotSandbox, Fault, ReportShape
from tests.promises.candidates import CHARGER, CONNECTOR, OURS, Access, Candidate, result_of
from tests.support.clients import account_of
from tests.support.figures import Figures, Record, nonzero, tally

SHAPE = ReportShape(meter_values=1, charge_parameters=0, detail_states=0, device_states=0)
NO_CHURN = Churn()


@attrs.frozen(kw_only=True)
class Behavior:
    """Behavior of a server, and options of the walk over it.

    Attributes:
        out_of_order: Some responses arrive after those to later requests.
        settings: Settings of the sandbox that no bound depends on.
    """

    seed: int
    sessions: int
    max_limit: int | None = None
    min_limit: int = 1
    ignore_page: bool = False
    churn: Churn = NO_CHURN
    token: Literal["lasting", "revoked", "short-lived"] = "lasting"
    out_of_order: bool = False
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    limit: int | None = None
    read_ahead: int = 1
    verify: bool = False

    def page_size(self, limit: int) -> int:
        """Return the number of reports on a full page."""
        return min(max(limit, self.min_limit), self.max_limit or 10**9)

    @property
    def pages(self) -> int:
        """Return the approximate number of pages in a pass. An adaptive limit grows fast."""
        if self.limit is None:
            return min(self.sessions, ceil(self.sessions / self.page_size(2000)) + 6)
        return ceil(self.sessions / self.page_size(self.limit))

    @property
    def may_fail(self) -> bool:
        """Return True if a walk may be impossible to finish.

        If a page's worth of rows may be added between two responses, the next page may hold only
        known rows. It then looks like the page of a server that ignores the page number.
        """
        added = (ceil(self.churn.inserts) + ceil(self.churn.late_inserts)) * (1 + self.read_ahead)
        return self.ignore_page or added >= self.page_size(self.limit or 10)

    def faults(self) -> Iterator[Fault | None]:
        """Yield delays of some responses, then 404s for a walk that doesn't end."""
        draw = random.Random(self.seed)
        for _ in range((20 if self.verify else 4) * (self.sessions + 20)):
            late = self.out_of_order and draw.random() < 0.3
            yield Fault.stall(draw.choice((0.001, 0.003, 0.01))) if late else None
        yield from repeat(Fault.status(404))

    def sandbox(self) -> DepotSandbox:
        """Return a server that behaves like this."""
        return DepotSandbox(
            seed=self.seed,
            chargers={CHARGER: [CONNECTOR]},
            sessions=self.sessions,
            shape=SHAPE,
            max_limit=self.max_limit,
            min_limit=self.min_limit,
            ignore_page=self.ignore_page,
            churn=self.churn,
            **self.settings,
            token_lifetime=6 if self.token == "short-lived" else 3600,
            clock=partial(next, count()) if self.token == "short-lived" else time.monotonic,
            faults=self.faults(),
        )


def behaviors(seed: int, sessions: int, *, verify: bool = False) -> Iterator[Behavior]:
    """Yield endless random behaviors."""
    draw = random.Random(seed)
    for number in count(seed * 1_000_000):
        reports = draw.randint(sessions * 3 // 4, sessions)
        max_limit = draw.choice((1, 3, 10, 100, None))
        behavior = Behavior(
            seed=number,
            sessions=reports,
            max_limit=max_limit,
            min_limit=min(draw.choice((1, 1, 7, 50)), max_limit or 50),
            ignore_page=draw.random() < 0.1,
            token=draw.choice(("lasting", "lasting", "revoked")),
            out_of_order=draw.random() < 0.5,
            settings={
                "order": draw.choice(("ascending", "descending", "shuffled")),
                "cluster": draw.choice((1, 5, reports)),
                "time_filter": draw.choice(("start", "end", "overlap")),
                "inclusive": draw.random() < 0.5,
            },
            limit=draw.choice((None, None, 1, 7, 10, 64, 100, 2000)),
            read_ahead=draw.choice((0, 1, 4)),
            verify=verify,
        )
        inserts, late_inserts, deletes = (draw.choice((0.0, 0.1, 0.5)) for _ in range(3))
        churn = Churn(
            inserts=inserts,
            late_inserts=late_inserts,
            deletes=deletes if verify else 0.0,
            # The churn ends during the first pass, or in a later one.
            pages=max(1, int(behavior.pages * draw.choice((0.5, 0.9, 1.5, 3.0)))),
        )
        moves = churn.inserts or churn.late_inserts or churn.deletes
        yield attrs.evolve(behavior, churn=churn if moves else NO_CHURN)


def with_deletes(seed: int, sessions: int) -> Iterator[Behavior]:
    """Yield behaviors that serve the requested limits while rows are added and deleted."""
    draw = random.Random(seed)
    for number in count(seed * 1_000_000):
        yield Behavior(
            seed=number,
            sessions=sessions,
            settings={"order": draw.choice(("ascending", "descending"))},
            limit=draw.choice((None, 10, 20, 64)),
            read_ahead=draw.choice((0, 1, 4)),
            out_of_order=draw.random() < 0.5,
            churn=Churn(deletes=0.5, late_inserts=draw.choice((0.0, 0.3))),
        )


@attrs.define
class Walks:
    """Walks by one candidate, and their figures."""

    candidate: Candidate
    figures: Counter[str] = attrs.field(factory=Counter)

    async def add(self, behavior: Behavior) -> None:
        """Walk a server of this behavior."""
        async with behavior.sandbox() as sandbox:
            existing = set(sandbox.session_ids(CHARGER, CONNECTOR))
            found = Counter[int]()
            error = await result_of(self._walk(sandbox, behavior, found), seconds=600)
            self.figures["behaviors"] += 1
            self.figures["reports walked"] += found.total()
            self.figures["duplicated"] += found.total() - len(found)
            page_size = largest_page_size(behavior, sandbox)
            rows = len(existing) + len(sandbox.inserted)
            if not behavior.verify and len(sandbox.requests) > 2 * ceil(rows / page_size) + 16:
                self.figures["requests over the bound"] += 1
            if error is None:
                expected = existing - set(sandbox.deleted)
                if behavior.verify and ended_in_first_pass(behavior, sandbox):
                    expected |= await remaining_ids(sandbox)
                self.figures["lost"] += len(expected - set(found))
            elif isinstance(error, self.candidate.errors):
                self.figures["typed errors"] += 1
                self.figures["needless errors"] += not behavior.may_fail
            else:
                self.figures["errors of another type"] += 1

    async def _walk(self, sandbox: DepotSandbox, behavior: Behavior, found: Counter[int]) -> None:
        """Collect the ids of one walk."""
        half = behavior.sessions // 2
        async with self.candidate.depot(Access(**account_of(sandbox))) as depot:
            async for session_id in depot.walk(
                behavior.limit, verify=behavior.verify, read_ahead=behavior.read_ahead
            ):
                found[session_id] += 1
                # Twice might fall within one slow request, which correctly is an AuthError.
                if behavior.token == "revoked" and found.total() == half:
                    sandbox.revoke_tokens()


def largest_page_size(behavior: Behavior, sandbox: DepotSandbox) -> int:
    return max(behavior.page_size(int(request.query["limit"])) for request in sandbox.requests)


def ended_in_first_pass(behavior: Behavior, sandbox: DepotSandbox) -> bool:
    """Return True if the churn ended before the first pass was over."""
    pages = ceil((behavior.sessions - len(sandbox.deleted)) / largest_page_size(behavior, sandbox))
    return behavior.churn.pages is not None and behavior.churn.pages <= pages


async def remaining_ids(sandbox: DepotSandbox) -> set[int]:
    """Return the ids in the window of the last request after the churn."""
    sandbox.churn, sandbox.max_limit, sandbox.ignore_page = NO_CHURN, None, False
    query = dict(sandbox.requests[-1].query) | {"page": "1", "limit": "1000000"}
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{sandbox.base_url}/sessionReports", params=query) as response,
    ):
        return {item["sessionId"] for item in (await response.json())["items"]}


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Walk servers of many behaviors, with and without `verify`."""
    sessions = 2000 if full else 60
    plain, verified, deleting = Walks(candidate), Walks(candidate), Walks(candidate)
    await plain.add(Behavior(seed=1, sessions=300, limit=10, token="short-lived"))
    crowded = 5000 if full else 500
    await plain.add(
        Behavior(seed=2, sessions=crowded, settings={"cluster": crowded, "order": "descending"})
    )
    for behavior in islice(behaviors(1, sessions), 150 if full else 40):
        await plain.add(behavior)
    for behavior in islice(behaviors(2, sessions // 2, verify=True), 80 if full else 20):
        await verified.add(behavior)
    for behavior in islice(with_deletes(3, sessions), 30 if full else 8):
        await deleting.add(behavior)
        # With endless inserts a window never converges.
        churn = Churn(deletes=0.5)
        await verified.add(attrs.evolve(behavior, verify=True, churn=churn))
    figures = tally(
        *("behaviors", "reports walked", "lost", "lost under verify", "duplicated"),
        *("typed errors", "needless errors", "errors of another type"),
        *("requests over the bound", "lost by a plain walk under deletes"),
    )
    verified.figures["lost under verify"] = verified.figures.pop("lost", 0)
    deleting.figures["lost by a plain walk under deletes"] = deleting.figures.pop("lost", 0)
    # Each delete may cost a search, so the bound holds only for walks without deletes.
    for name in ("behaviors", "reports walked", "requests over the bound"):
        deleting.figures.pop(name, None)
    for walks in (plain, verified, deleting):
        figures.update(walks.figures)
    return figures


async def test_a_walk_over_any_server_is_complete_or_fails_with_a_typed_error(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R2", measured)
    assert nonzero(measured) == {"behaviors", "reports walked", "typed errors"}
