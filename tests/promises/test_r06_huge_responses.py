"""R6: a response of a gibibyte costs little memory, one request and its connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Literal

import attrs
import pytest

from evtransport.transport import MAX_RESPONSE_BYTES
from tests.promises.candidates import OURS, Access, Candidate, with_token
from tests.promises.huge_client import MEMORY_LIMIT, TIME_LIMIT, memory
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


@attrs.frozen
class Outcome:
    """Result of a call: its error, and what it cost."""

    error: str
    documented: bool
    ended: bool
    seconds: float
    growth: int
    requests: int = 0
    left_open: int = 0


def start_client(task: bytes) -> subprocess.Popen[bytes]:
    """Start a process of `huge_client` with this task."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.promises.huge_client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    process.stdin.write(task)
    process.stdin.flush()
    return process


async def outcome_of(candidate: Candidate, case: Case) -> Outcome:
    """Call a server that sends a huge response, and return the outcome."""
    script = send_too_much(case.form, SIZES[case.form], case.status)
    async with Wire(default=script) as wire:
        task = pickle.dumps((candidate, case.client, case.access(wire.url)))
        process = await asyncio.to_thread(start_client, task)
        try:
            return await read_outcome(process, wire)
        finally:
            process.kill()
            await asyncio.to_thread(process.communicate)


async def read_outcome(process: subprocess.Popen[bytes], wire: Wire) -> Outcome:
    """Return what the process reports, with the requests and connections that the server sees."""
    assert process.stdout is not None
    before = int(await asyncio.to_thread(process.stdout.readline))
    try:
        async with asyncio.timeout(2 * TIME_LIMIT):
            line = await asyncio.to_thread(process.stdout.readline)
    except TimeoutError:  # The client blocks its loop, so that its own limit fails.
        growth = memory("VmHWM", str(process.pid)) - before
        return Outcome("killed", False, False, 2 * TIME_LIMIT, growth)
    if not line:  # The client died of its memory limit.
        return Outcome("killed", False, False, 2 * TIME_LIMIT, MEMORY_LIMIT)
    outcome = Outcome(**json.loads(line), requests=len(wire.received))
    with contextlib.suppress(TimeoutError):
        await loop_until(lambda: not wire.open_connections, seconds=10)
    return attrs.evolve(outcome, left_open=wire.open_connections)


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
    """Send huge responses in three forms, as page, as error and as token."""
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
