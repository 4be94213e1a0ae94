"""R1: no report is lost or duplicated under faults that a retry or resume can repair."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

from tests.promises.candidates import CHARGER, OURS, Candidate, Limits, result_of, with_token
from tests.support.faults import (
    BYTE_BY_BYTE,
    ONE_RESPONSE,
    close_at_next_request,
    refuse_connections,
    send_extra_response,
)
from tests.support.figures import Figures, Record, nonzero, tally
from tests.support.pages import page_of, pages_of
from tests.support.responses import serve
from tests.support.wire import Script, Wire

FAULT_RATE, LIMIT = 0.3, 100


def responses(wire: Wire, ids: range, draw: random.Random) -> Iterator[tuple[Script, bool]]:
    """Yield endless responses, each with a flag that is True if it is faulty."""
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
    figures = tally(
        *("walks", "reports each", "faults played", "walks given up", "walks crashed"),
        *("responses left over", "lost", "duplicated"),
    )
    ids = range(100_000_001, 100_010_001 if full else 100_002_001)
    figures["reports each"] = len(ids)
    for seed in range(30 if full else 4):
        figures["walks"] += 1
        async with Wire(default=serve(pages_of(ids))) as wire:
            script = list(islice(responses(wire, ids, random.Random(seed)), len(ids) // LIMIT))
            wire.then(response for response, _ in script)
            figures["faults played"] += sum(is_faulty for _, is_faulty in script)
            limits = Limits(total=0.5, read=0.2)
            async with candidate.depot(with_token(wire.url), limits) as depot:
                result = await result_of(depot.collect(LIMIT, restarts=len(script)))
            figures["responses left over"] += wire.forget_scripts()
        if isinstance(result, list):
            figures["lost"] += len(set(ids) - set(result))
            figures["duplicated"] += len(result) - len(set(result))
        else:
            figures[
                "walks given up" if isinstance(result, candidate.errors) else "walks crashed"
            ] += 1
    return figures


async def test_repairable_faults_neither_lose_nor_duplicate_reports(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R1", measured)
    assert nonzero(measured) == {"walks", "reports each", "faults played"}
