"""R6: an answer of a gibibyte costs little memory, one request, and its connection."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from evtransport.transport import MAX_RESPONSE_BYTES
from tests.promises.contestants import OURS, Access, Contestant
from tests.promises.huge_client import MEMORY, SECONDS, TOTAL, memory
from tests.promises.huge_server import FORMS
from tests.support.figures import Figures, Record

MEBIBYTE = 2**20


@attrs.frozen
class Case:
    """Which client is answered how."""

    client: str
    form: str
    status: int = 200
    at_the_token_url: bool = False

    def access(self, server: str) -> Access:
        url = f"{server}/{self.status}/{self.form}"
        if self.at_the_token_url:
            return Access(base_url=server, token_url=url)
        return Access(base_url=url, token="t0k3n-that-lasts")


CASES = (
    *(
        Case(client, form, status)
        for client in ("thor", "depot")
        for status in (200, 500)
        for form in FORMS
    ),
    *(Case("depot", form, at_the_token_url=True) for form in FORMS),
    Case("depot", "endless_chunks", 500, at_the_token_url=True),
)


@attrs.frozen
class Outcome:
    """How a call ended: with which error, and after what."""

    error: str
    documented: bool
    ended: bool
    seconds: float
    growth: int
    requests: int
    left_open: int


def _python(module: str) -> subprocess.Popen[bytes]:
    tests = str(Path(__file__).parent.parent)
    return subprocess.Popen(  # noqa: S603 - modules of these tests
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([tests, str(Path(tests).parent)])},
    )


@contextmanager
def _server() -> Iterator[tuple[str, str]]:
    """Its address, and that of its teller."""
    with _python("promises.huge_server") as process:
        assert process.stdout is not None
        server, teller = json.loads(process.stdout.readline())
        yield server, teller


def _call(contestant: Contestant, case: Case, server: str, teller: str) -> Outcome:
    task = pickle.dumps((contestant, case.client, case.access(server), teller))
    with _python("promises.huge_client") as process:
        try:
            printed, _ = process.communicate(task, timeout=2 * SECONDS)
            peak = 0
        except subprocess.TimeoutExpired:  # it blocks, so that not even its own limit holds
            peak = memory("VmHWM", str(process.pid))
            process.kill()
            printed, _ = process.communicate()
    before, *outcome = printed.splitlines()
    if outcome:
        return Outcome(**json.loads(outcome[0]))
    growth = peak - json.loads(before) if peak else MEMORY  # it died of its limit
    return Outcome("killed", False, False, 2 * SECONDS, growth, 1, 0)


def outcomes(contestant: Contestant) -> dict[Case, Outcome]:
    """Let a fresh process call a server that is a process too, for each case."""
    with _server() as (server, teller):
        return {case: _call(contestant, case, server, teller) for case in CASES}


def summary(found: dict[Case, Outcome]) -> Figures:
    pages = [outcome for case, outcome in found.items() if case.status == 200]
    return {
        "answers": len(found),
        "did not end": sum(not outcome.ended for outcome in found.values()),
        "undocumented ends": sum(not outcome.documented for outcome in found.values()),
        "MiB of growth at the most": max(o.growth for o in found.values()) / MEBIBYTE,
        "seconds at the most": max(outcome.seconds for outcome in found.values()),
        "pages sent for again": sum(outcome.requests > 1 for outcome in pages),
        "connections left open": sum(outcome.left_open for outcome in found.values()),
    }


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Answer with a gibibyte and more, in three forms, as page, as error and as token."""
    return summary(await asyncio.to_thread(outcomes, contestant))


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured by Linux's /proc"
)
async def test_an_answer_of_a_gibibyte_costs_little_memory_one_request_and_its_connection(
    record: Record,
) -> None:
    found = await asyncio.to_thread(outcomes, OURS)
    record("R6", summary(found))
    for case, outcome in found.items():
        assert outcome.error == ("ResponseTooLarge" if case.status == 200 else "ServerError"), case
        assert outcome.requests == (1 if case.status == 200 else 3), case
        assert outcome.growth < MAX_RESPONSE_BYTES + 16 * MEBIBYTE, case
        assert outcome.left_open == 0, case
        assert outcome.seconds < TOTAL / 2, case
