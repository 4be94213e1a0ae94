"""R2: whatever the vendor leaves open, a walk is complete or ends with an error that says why."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count, islice, repeat
from math import ceil, inf
from typing import Literal

import aiohttp
import attrs

from depotclient.sandbox import Churn, DepotSandbox, Fault, ReportShape
from tests.promises.contestants import CHARGER, CONNECTOR, OURS, Access, Contestant
from tests.support.figures import Figures, Record

SHAPE = ReportShape(meter_values=1, charge_parameters=0, detail_states=0, device_states=0)
STILL = Churn()

Order = Literal["ascending", "descending", "shuffled"]
TimeFilter = Literal["start", "end", "overlap"]
Token = Literal["lasting", "revoked", "short-lived"]


@attrs.frozen(kw_only=True)
class Personality:
    """How a server behaves, and how it is walked."""

    seed: int
    sessions: int
    order: Order = "ascending"
    max_limit: int | None = None
    min_limit: int = 1
    ignore_page: bool = False
    churn: Churn = STILL
    cluster: int = 1
    time_filter: TimeFilter = "start"
    inclusive: bool = True
    token: Token = "lasting"
    overtaking: bool = False
    limit: int | None = None
    read_ahead: int = 1
    verify: bool = False

    def serves(self, limit: int) -> int:
        """How many reports it puts on a full page."""
        return min(max(limit, self.min_limit), self.max_limit or inf)  # type: ignore[return-value]

    @property
    def pages(self) -> int:
        """About how many pages one pass takes; a limit that adapts soon gets to large ones."""
        if self.limit is None:
            return min(self.sessions, ceil(self.sessions / self.serves(2000)) + 6)
        return ceil(self.sessions / self.serves(self.limit))

    @property
    def may_fail(self) -> bool:
        """Whether a walk of it can be impossible to finish.

        Where as many rows may come between two answers as stand on a page, a page of known ones
        may follow, which looks as it does when the server ignores the page number.
        """
        at_once = (ceil(self.churn.inserts) + ceil(self.churn.late_inserts)) * (1 + self.read_ahead)
        return self.ignore_page or at_once >= self.serves(self.limit or 10)

    def faults(self) -> Iterator[Fault | None]:
        """Some requests are answered later than those behind them; too many, not at all."""
        endurance = (20 if self.verify else 4) * (self.sessions + 20)
        draw = random.Random(self.seed)
        for _ in range(endurance):
            late = self.overtaking and draw.random() < 0.3
            yield Fault.stall(draw.choice((0.001, 0.003, 0.01))) if late else None
        yield from repeat(Fault.status(404))

    def sandbox(self) -> DepotSandbox:
        """A server of this kind; it refuses the requests of a walk that knows no end."""
        return DepotSandbox(
            seed=self.seed,
            chargers={CHARGER: [CONNECTOR]},
            sessions=self.sessions,
            shape=SHAPE,
            order=self.order,
            max_limit=self.max_limit,
            min_limit=self.min_limit,
            ignore_page=self.ignore_page,
            churn=self.churn,
            cluster=self.cluster,
            time_filter=self.time_filter,
            inclusive=self.inclusive,
            token_lifetime=6 if self.token == "short-lived" else 3600,
            clock=partial(next, count()) if self.token == "short-lived" else time.monotonic,
            faults=self.faults(),
        )


@attrs.define
class Tally:
    """What became of some walks."""

    walks: int = 0
    reports: int = 0
    lost: int = 0
    doubled: int = 0
    typed: int = 0
    untyped: int = 0
    needless: int = 0
    beyond: int = 0


def personalities(seed: int, sessions: int, *, verify: bool = False) -> Iterator[Personality]:
    """Endless personalities in which everything is mixed with everything, drawn by the seed."""
    draw = random.Random(seed)
    for number in count(seed * 1_000_000):
        reports = draw.randint(sessions * 3 // 4, sessions)
        max_limit = draw.choice((1, 3, 10, 100, None))
        personality = Personality(
            seed=number,
            sessions=reports,
            order=draw.choice(("ascending", "descending", "shuffled")),
            max_limit=max_limit,
            min_limit=min(draw.choice((1, 1, 7, 50)), max_limit or 50),
            ignore_page=draw.random() < 0.1,
            cluster=draw.choice((1, 5, reports)),
            time_filter=draw.choice(("start", "end", "overlap")),
            inclusive=draw.random() < 0.5,
            token=draw.choice(("lasting", "lasting", "revoked")),
            overtaking=draw.random() < 0.5,
            limit=draw.choice((None, None, 1, 7, 10, 64, 100, 2000)),
            read_ahead=draw.choice((0, 1, 4)),
            verify=verify,
        )
        inserts, late_inserts, deletes = (draw.choice((0.0, 0.1, 0.5)) for _ in range(3))
        churn = Churn(
            inserts=inserts,
            late_inserts=late_inserts,
            deletes=deletes if verify else 0.0,
            # For a part of the first pass, or on into the later ones.
            pages=max(1, int(personality.pages * draw.choice((0.5, 0.9, 1.5, 3.0)))),
        )
        moves = churn.inserts or churn.late_inserts or churn.deletes
        yield attrs.evolve(personality, churn=churn if moves else STILL)


def with_deletes(seed: int, sessions: int) -> Iterator[Personality]:
    """Yield personalities that serve the limits they are asked for while rows come and go."""
    draw = random.Random(seed)
    for number in count(seed * 1_000_000):
        yield Personality(
            seed=number,
            sessions=sessions,
            order=draw.choice(("ascending", "descending")),
            limit=draw.choice((None, 10, 20, 64)),
            read_ahead=draw.choice((0, 1, 4)),
            overtaking=draw.random() < 0.5,
            churn=Churn(deletes=0.5, late_inserts=draw.choice((0.0, 0.3))),
        )


async def walked(contestant: Contestant, personality: Personality, tally: Tally) -> None:
    """Walk one of them, and count what was lost, doubled and asked."""
    found = Counter[int]()
    ended = True
    async with personality.sandbox() as sandbox:
        there = set(sandbox.session_ids(CHARGER, CONNECTOR))
        access = Access(
            base_url=sandbox.base_url,
            client_id=sandbox.client_id,
            client_secret=sandbox.client_secret,
            token_url=sandbox.token_url,
        )
        async with contestant.depot(access) as depot:
            walk = depot.walk(
                personality.limit, verify=personality.verify, read_ahead=personality.read_ahead
            )
            try:
                async for session_id in walk:
                    found[session_id] += 1
                    # Twice might be within one slow request, which rightly is an AuthError.
                    if personality.token == "revoked" and found.total() == len(there) // 2:
                        sandbox.revoke_tokens()
            except contestant.errors:
                ended = False
                tally.typed += 1
                tally.needless += not personality.may_fail
            except Exception:
                ended = False
                tally.untyped += 1
        asked, rows = len(sandbox.requests), len(there) + len(sandbox.inserted)
        largest = max(int(request.query["limit"]) for request in sandbox.requests)
        tally.walks += 1
        tally.reports += len(found)
        tally.doubled += found.total() - len(found)
        if not personality.verify:
            tally.beyond += asked > 2 * ceil(rows / personality.serves(largest)) + 16
        if ended:
            due = there - set(sandbox.deleted)
            if personality.verify and settled_early(personality, sandbox):
                due |= await left(sandbox)
            tally.lost += len(due - set(found))


def settled_early(personality: Personality, sandbox: DepotSandbox) -> bool:
    """Whether all that moved did so before a first pass could be over."""
    served = max(personality.serves(int(request.query["limit"])) for request in sandbox.requests)
    return personality.churn.pages is not None and personality.churn.pages <= ceil(
        (personality.sessions - len(sandbox.deleted)) / served
    )


async def left(sandbox: DepotSandbox) -> set[int]:
    """What there is in the window that was asked for last, when nothing moves any more."""
    sandbox.churn, sandbox.max_limit, sandbox.ignore_page = STILL, None, False
    query = dict(sandbox.requests[-1].query) | {"page": "1", "limit": "1000000"}
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{sandbox.base_url}/sessionReports", params=query) as response,
    ):
        return {item["sessionId"] for item in (await response.json())["items"]}


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Walk servers of every personality, plainly and with `verify`."""
    sessions = 2000 if full else 120
    plain, verified, shrinking = Tally(), Tally(), Tally()
    short_lived = Personality(seed=1, sessions=300, limit=10, token="short-lived")
    crowded = Personality(seed=2, sessions=5000, cluster=5000, order="descending")
    mixed = islice(personalities(1, sessions), 150 if full else 120)
    for personality in (short_lived, crowded, *mixed):
        await walked(contestant, personality, plain)
    for personality in islice(personalities(2, sessions // 2, verify=True), 80):
        await walked(contestant, personality, verified)
    for personality in islice(with_deletes(3, sessions), 30):
        await walked(contestant, personality, shrinking)
        # A window that rows are added to for ever never settles.
        shrinks = attrs.evolve(personality, verify=True, churn=Churn(deletes=0.5))
        await walked(contestant, shrinks, verified)
    return {
        "personalities": plain.walks + verified.walks,
        "reports walked": plain.reports + verified.reports,
        "lost": plain.lost,
        "lost under verify": verified.lost,
        "doubled": plain.doubled + verified.doubled + shrinking.doubled,
        "typed errors": plain.typed + verified.typed + shrinking.typed,
        "errors without need": plain.needless + verified.needless + shrinking.needless,
        "errors of another type": plain.untyped + verified.untyped + shrinking.untyped,
        "requests over the bound": plain.beyond,
        "lost by a plain walk under deletes": shrinking.lost,
    }


async def test_a_walk_is_complete_or_says_why_not_whatever_the_server_is_like(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R2", measured)
    assert measured["typed errors"] > 0
    assert (measured["lost"], measured["lost under verify"], measured["doubled"]) == (0, 0, 0)
    assert (measured["errors without need"], measured["errors of another type"]) == (0, 0)
    assert measured["requests over the bound"] == 0
    assert measured["lost by a plain walk under deletes"] == 0


async def test_verify_loses_nothing_that_stays_even_where_deletes_never_cease() -> None:
    tally = Tally()
    for seed in range(90, 100):
        personality = Personality(
            seed=seed,
            sessions=200,
            order="descending",
            limit=10,
            read_ahead=0,
            verify=True,
            churn=Churn(deletes=2),
        )
        await walked(OURS, personality, tally)
    assert (tally.lost, tally.doubled) == (0, 0)


def test_every_trait_is_among_the_personalities() -> None:
    drawn = list(islice(personalities(1, 120), 120))
    traits: dict[str, set[object]] = {
        "order": {"ascending", "descending", "shuffled"},
        "max_limit": {1, 3, 10, 100, None},
        "min_limit": {1, 3, 7, 10, 50},
        "ignore_page": {False, True},
        "time_filter": {"start", "end", "overlap"},
        "inclusive": {False, True},
        "token": {"lasting", "revoked"},
        "overtaking": {False, True},
        "limit": {None, 1, 7, 10, 64, 100, 2000},
        "read_ahead": {0, 1, 4},
    }
    for trait, values in traits.items():
        assert {getattr(personality, trait) for personality in drawn} >= values, trait
