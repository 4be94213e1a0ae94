"""R6: a response of a gibibyte costs little memory, one request and its connection."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import attrs
import pytest

from evtransport.transport import MAX_RESPONSE_BYTES
from tests.promises.candidates import OURS, Access, Candidate, with_token
from tests.promises.huge_client import MEMORY_LIMIT, TIME_LIMIT, Outcome, memory, run
from tests.support.faults import TOO_LARGE, send_too_much
from tests.support.figures import Figures, Record
from tests.support.waiting import loop_until
from tests.support.wire import Wire

MEBIBYTE = 2**20
SIZES = {"gzip": 1024, "plain": 1024, "chunks": 1_000_000}
"""Size of each form in MiB. The chunks are endless for practical purposes."""


@attrs.frozen
class Case:
    """Client, and the huge response to one of its requests."""

    client: Literal["thor", "depot"]
    form: str
    status: int = 200
    to_token_request: bool = False

    def access(self, url: str) -> Access:
        if self.to_token_request:
            return Access(base_url=url, token_url=url)
        return with_token(url)


SHORT_CASES = (
    *(Case("depot", form) for form in TOO_LARGE),
    Case("depot", "chunks", 500, to_token_request=True),
)
CASES = (
    *(Case("thor", form, status) for form in TOO_LARGE for status in (200, 500)),
    *(Case("depot", form, 500) for form in TOO_LARGE),
    *(Case("depot", form, to_token_request=True) for form in TOO_LARGE),
    *SHORT_CASES,
)


async def outcome_of(candidate: Candidate, case: Case) -> Outcome:
    """Call a server that sends a huge response, and return the outcome."""
    async with Wire(default=send_too_much(case.form, SIZES[case.form], case.status)) as wire:
        spawn = multiprocessing.get_context("spawn")
        pipe, other_end = spawn.Pipe()
        arguments = (other_end, candidate, case.client, case.access(wire.url))
        process = spawn.Process(target=run, args=arguments)
        await asyncio.to_thread(process.start)
        other_end.close()
        try:
            with pipe:
                outcome = await asyncio.to_thread(receive_outcome, pipe, process.pid or 0)
                with contextlib.suppress(TimeoutError):
                    await loop_until(lambda: not wire.open_connections, seconds=10)
                left_open = wire.open_connections
        finally:
            process.kill()
            await asyncio.to_thread(process.join)
        return attrs.evolve(outcome, requests=len(wire.received), left_open=left_open)


def receive_outcome(pipe: Connection, process: int) -> Outcome:
    """Return the outcome that a process sends. It may block its event loop, or crash."""
    before = pipe.recv()
    try:
        if pipe.poll(2 * TIME_LIMIT):
            outcome: Outcome = pipe.recv()
            return outcome
        growth = memory("VmHWM", process) - before
    except EOFError:
        growth = MEMORY_LIMIT
    return Outcome("killed", False, False, 2 * TIME_LIMIT, growth)


async def outcomes_of(candidate: Candidate, *, full: bool) -> dict[Case, Outcome]:
    return {case: await outcome_of(candidate, case) for case in (CASES if full else SHORT_CASES)}


def summary(outcomes: dict[Case, Outcome]) -> Figures:
    pages = [outcome for case, outcome in outcomes.items() if case.status == 200]
    return {
        "responses": len(outcomes),
        "did not end": sum(not outcome.ended for outcome in outcomes.values()),
        "undocumented ends": sum(not outcome.documented for outcome in outcomes.values()),
        "maximum growth in MiB": max(o.growth for o in outcomes.values()) / MEBIBYTE,
        "maximum seconds": max(outcome.seconds for outcome in outcomes.values()),
        "requests repeated": sum(outcome.requests > 1 for outcome in pages),
        "connections left open": sum(outcome.left_open for outcome in outcomes.values()),
    }


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Send huge responses in three forms: as a page, as an error and as a token."""
    return summary(await outcomes_of(candidate, full=full))


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="measures memory by Linux's /proc"
)
async def test_a_huge_response_costs_little_memory_one_request_and_its_connection(
    full: bool, record: Record
) -> None:
    outcomes = await outcomes_of(OURS, full=full)
    record("R6", summary(outcomes))
    for case, outcome in outcomes.items():
        assert outcome.error == ("ResponseTooLarge" if case.status == 200 else "ServerError"), case
        assert outcome.requests == (1 if case.status == 200 else 3), case
        assert outcome.growth < MAX_RESPONSE_BYTES + 16 * MEBIBYTE, case
        assert outcome.left_open == 0, case
