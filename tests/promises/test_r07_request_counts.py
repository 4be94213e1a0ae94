"""R7: no fault makes a call send more requests than its attempts."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from typing import Literal

import attrs

from tests.promises.candidates import (
    CHARGER,
    OURS,
    Access,
    Candidate,
    DidNotEndError,
    Limits,
    result_of,
    with_token,
)
from tests.support.faults import (
    BYTE_BY_BYTE,
    ONE_RESPONSE,
    TOO_LARGE,
    close_while_idle,
    send_extra_response,
    send_too_much,
)
from tests.support.figures import Figures, Record
from tests.support.pages import ANALYTICS, page_of, pages_of
from tests.support.responses import BodyOf, respond, response, serve
from tests.support.wire import Script, Wire, hang_up, raw, stall

Client = Literal["thor", "depot"]

# A walk that reads one empty page is a single call.
EMPTY_PAGE: BodyOf = pages_of(())
BODIES: dict[Client, BodyOf] = {"thor": lambda _: ANALYTICS, "depot": EMPTY_PAGE}
BUSY, UNAUTHORIZED = raw(response(b"{}", 503)), raw(response(b"{}", 401))

ATTEMPTS = (1, 2, 3, 5)
LIMITS = Limits(total=1.0, read=0.1)
TIME_LIMIT = 5.0
"""Seconds after which a call counts as endless."""

MEBIBYTES = 33
"""Size of a response that is too large for this library, but not for a client without a limit."""


@attrs.frozen
class Case:
    """Server that fails every request of a call.

    Attributes:
        name: Name of the fault.
        client: Client that makes the call.
        script: Responds to each request for data.
        first_script: Responds to an earlier call on the same connection. None means no such call.
        tokens: Responds to each request for a token. None means a fixed token.
        token_expires: A rejected token allows one more request if there is only one attempt.
    """

    name: str
    client: Client
    script: Script = attrs.field(repr=False)
    first_script: Script | None = attrs.field(default=None, repr=False)
    tokens: Script | None = attrs.field(default=None, repr=False)
    token_expires: bool = False

    def max_requests(self, attempts: int) -> int:
        """Return the number of requests that a call may send."""
        return max(2, attempts) if self.token_expires else attempts


def cases() -> Iterable[Case]:
    """Yield the cases, except those of `TOO_LARGE`."""
    for client, body_of in BODIES.items():
        for fault, first in itertools.product(
            (*ONE_RESPONSE, BYTE_BY_BYTE), (None, serve(body_of))
        ):
            yield Case(str(fault), client, fault.script(body_of), first)
        extra = page_of(range(7), CHARGER, "2") if client == "depot" else b'{"charges": 1}'
        for script in (serve(body_of), hang_up(), BUSY):
            yield Case("F3 closed while idle", client, script, close_while_idle(body_of))
            yield Case("F18 extra response", client, script, send_extra_response(body_of, extra))
    token_scripts = {
        "403": raw(response(b'{"error": "invalid_client"}', 403)),
        "500": raw(response(b"{}", 500)),
        "stall": stall(),
    }
    for name, script in token_scripts.items():
        yield Case(f"F19 token URL {name}", "depot", serve(EMPTY_PAGE), tokens=script)
    for first in (None, serve(EMPTY_PAGE)):
        yield Case("F19 token expires", "depot", UNAUTHORIZED, first, new_tokens(), True)
    statuses = itertools.cycle((503, 401))
    alternating = respond(lambda _: response(b"{}", next(statuses)))
    yield Case("F19 expires between retries", "depot", alternating, None, new_tokens(), True)


def new_tokens() -> Script:
    """Respond with a new token each time."""
    numbers = itertools.count(1)
    return respond(
        lambda _: response(b'{"access_token": "t0k3n-%d", "expires_in": 3600}' % next(numbers))
    )


@attrs.define
class Counts:
    """Calls of one candidate, and the requests that they sent.

    Attributes:
        without_fault: Calls that sent nothing, or had no used connection although they needed one.
        unended: Calls that had to be cancelled.
        ratio: Highest ratio of requests to requests allowed.
        worst: Case of this ratio.
        faults: Names of the faults played.
    """

    candidate: Candidate
    calls: int = 0
    without_fault: int = 0
    unended: int = 0
    ratio: float = 0.0
    worst: str = ""
    faults: set[str] = attrs.field(factory=set[str])

    async def play(self, case: Case, attempts: int) -> None:
        """Count the requests of one call."""
        first = [] if case.first_script is None else [case.first_script]
        limits = attrs.evolve(LIMITS, attempts=attempts)
        async with Wire(*first, default=case.script) as wire, Wire(default=case.tokens) as tokens:
            access = Access(base_url=wire.url, token_url=tokens.url)
            if case.tokens is None:
                access = with_token(wire.url)
            async with self.candidate.call(case.client, access, limits) as call:
                if first:
                    await result_of(call(), TIME_LIMIT)
                    await asyncio.sleep(0.02)  # An extra response may arrive.
                before = len(wire.received)
                result = await result_of(call(), TIME_LIMIT)
            requests = max(len(wire.received) - before, len(tokens.received))
            wire.forget_scripts()
        self.calls += 1
        self.faults.add(case.name)
        self.unended += isinstance(result, DidNotEndError)
        self.without_fault += before != len(first) or not requests
        if requests / case.max_requests(attempts) > self.ratio:
            self.ratio = requests / case.max_requests(attempts)
            self.worst = f"{case}: {requests} requests in {attempts} attempts"


async def count_requests(candidate: Candidate, *, full: bool) -> Counts:
    """Play every fault with several numbers of attempts."""
    counts, slots = Counts(candidate), asyncio.Semaphore(8)

    async def play(case: Case, attempts: int) -> None:
        async with slots:
            await counts.play(case, attempts)

    async with asyncio.TaskGroup() as group:
        for attempts in ATTEMPTS:
            # Scripts have state, so each number of attempts needs new ones.
            for number, case in enumerate(cases()):
                if full or case.tokens or attempts == ATTEMPTS[number % len(ATTEMPTS)]:
                    group.create_task(play(case, attempts))
    # Run these cases one after another: each blocks the event loop for all others.
    for form, client in itertools.product(TOO_LARGE, BODIES):
        script = send_too_much(form, MEBIBYTES)
        for first in (None, serve(BODIES[client])) if full else (None,):
            for attempts in ATTEMPTS if full else (2,):
                await counts.play(Case(f"F12 {form}", client, script, first), attempts)
    return counts


async def outage(candidate: Candidate, client: Client, script: Script, calls: int) -> int:
    """Return the number of requests of many calls to a server that fails each request."""
    async with (
        Wire(default=script) as wire,
        candidate.call(client, with_token(wire.url), Limits(attempts=3)) as call,
    ):
        remaining = iter(range(calls))

        async def work() -> None:
            for _ in remaining:
                await result_of(call())

        await asyncio.gather(*(work() for _ in range(16)))
        return len(wire.received)


async def figures(counts: Counts, *, full: bool) -> Figures:
    calls = 1000 if full else 200
    outages: list[tuple[Client, Script]] = [("thor", BUSY), ("depot", hang_up())]
    if full:
        outages += [("thor", hang_up()), ("depot", BUSY)]
    requests = [await outage(counts.candidate, client, script, calls) for client, script in outages]
    return {
        "faults": len(counts.faults),
        "calls": counts.calls,
        "did not end": counts.unended,
        "most requests per attempt allowed": counts.ratio,
        "calls in an outage": calls,
        "requests in an outage": max(requests),
    }


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Count the requests of failing calls and of an outage."""
    return await figures(await count_requests(candidate, full=full), full=full)


async def test_no_fault_makes_a_call_send_more_requests_than_its_attempts(
    full: bool, record: Record
) -> None:
    counts = await count_requests(OURS, full=full)
    measured = await figures(counts, full=full)
    record("R7", measured)
    # A lower ratio means that nothing was retried.
    assert counts.ratio == 1, counts.worst
    # On a busy machine a few calls end before they send a request.
    assert counts.without_fault < counts.calls / 20
    assert measured["did not end"] == 0
    assert measured["requests in an outage"] <= measured["calls in an outage"] + 35
