"""R1: faults that a retry or a resumed walk can repair lose and duplicate no report."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from tests.promises.candidates import CHARGER, OURS, Candidate, Limits, with_token
from tests.support.faults import (
    BYTE_BY_BYTE,
    ONE_RESPONSE,
    close_at_next_request,
    refuse_connections,
    send_extra_response,
)
from tests.support.figures import Figures, Record
from tests.support.pages import page_of, pages_of
from tests.support.responses import serve
from tests.support.wire import Script, Wire

FAULT_RATE, LIMIT = 0.3, 100


def responses(wire: Wire, ids: range, draw: random.Random) -> Iterator[tuple[Script, bool]]:
    """Yield responses without end, each with a flag that says whether it is faulty."""
    body_of = pages_of(ids)
    faulty = [fault.script(body_of) for fault in (*ONE_RESPONSE, BYTE_BY_BYTE)]
    faulty += [
        refuse_connections(wire, body_of),
        close_at_next_request(body_of),
        send_extra_response(body_of, page_of(ids[:7], CHARGER, "2")),
    ]
    while True:
        is_faulty = draw.random() < FAULT_RATE
        yield draw.choice(faulty) if is_faulty else serve(body_of), is_faulty


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Walk with all faults mixed, over many seeds."""
    ids = range(100_000_001, 100_010_001 if full else 100_002_001)
    seeds = 30 if full else 4
    played = lost = doubled = given_up = crashed = unplayed = 0
    for seed in range(seeds):
        async with Wire(default=serve(pages_of(ids))) as wire:
            script = list(islice(responses(wire, ids, random.Random(seed)), len(ids) // LIMIT))
            wire.then(response for response, _ in script)
            played += sum(is_faulty for _, is_faulty in script)
            limits = Limits(total=0.5, read=0.2)
            async with candidate.depot(with_token(wire.url), limits) as depot:
                try:
                    found = Counter(await depot.collect(LIMIT, restarts=len(script)))
                except candidate.errors:
                    given_up += 1
                    continue
                except Exception:
                    crashed += 1
                    continue
                finally:
                    unplayed += wire.forget_scripts()
            lost += len(set(ids) - set(found))
            doubled += found.total() - len(found)
    return {
        "walks": seeds,
        "reports each": len(ids),
        "faults played": played,
        "walks given up": given_up,
        "walks crashed": crashed,
        "responses left over": unplayed,
        "lost": lost,
        "doubled": doubled,
    }


async def test_repairable_faults_lose_and_duplicate_no_report(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R1", measured)
    assert measured["faults played"] > 0
    for name in ("walks given up", "walks crashed", "responses left over", "lost", "doubled"):
        assert measured[name] == 0, name
