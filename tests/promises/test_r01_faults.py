"""R1: whatever a retry or a resumed walk can mend costs no report and doubles none."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from tests.promises.contestants import CHARGER, OURS, Access, Contestant, Patience
from tests.support.faults import (
    BYTE_BY_BYTE,
    ONE_ANSWER,
    hang_up_when_idle,
    one_answer_too_many,
    refusing,
    serving,
)
from tests.support.figures import Figures, Record
from tests.support.pages import page_of, pages_of
from tests.support.wire import Script, Wire

SHARE, LIMIT = 0.3, 100


def answers_of(wire: Wire, ids: range, draw: random.Random) -> Iterator[tuple[Script, bool]]:
    """Endless answers, and whether each is faulted; each kind is as frequent as any other."""
    honest = pages_of(ids)
    faulted = [fault.script(honest) for fault in (*ONE_ANSWER, BYTE_BY_BYTE)]
    faulted += [
        refusing(wire, honest),
        hang_up_when_idle(honest),
        one_answer_too_many(honest, page_of(ids[:7], CHARGER, "2")),
    ]
    while True:
        faulty = draw.random() < SHARE
        yield draw.choice(faulted) if faulty else serving(honest), faulty


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Walk with every kind of fault mixed in, over many seeds."""
    ids = range(100_000_001, 100_010_001 if full else 100_002_001)
    seeds = 30 if full else 6
    played = lost = doubled = given_up = crashed = unasked = 0
    for seed in range(seeds):
        async with Wire(default=serving(pages_of(ids))) as wire:
            answers = list(islice(answers_of(wire, ids, random.Random(seed)), len(ids) // LIMIT))
            wire.then(script for script, _ in answers)
            played += sum(faulty for _, faulty in answers)
            access = Access(base_url=wire.url, token="t0k3n-that-lasts")
            async with contestant.depot(access, Patience(total=0.5, read=0.2)) as depot:
                try:
                    found = Counter(await depot.collect(LIMIT, restarts=len(answers)))
                except contestant.errors:
                    given_up += 1
                    continue
                except Exception:
                    crashed += 1
                    continue
                finally:
                    unasked += wire.forget_scripts()
            lost += len(set(ids) - set(found))
            doubled += found.total() - len(found)
    return {
        "walks": seeds,
        "reports each": len(ids),
        "faults played": played,
        "walks given up": given_up,
        "walks crashed": crashed,
        "answers left over": unasked,
        "lost": lost,
        "doubled": doubled,
    }


async def test_no_report_is_lost_or_doubled_by_what_can_be_mended(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R1", measured)
    assert measured["faults played"] > 0
    for name in ("walks given up", "walks crashed", "answers left over", "lost", "doubled"):
        assert measured[name] == 0, name
