"""R7: no fault puts more requests on the wire than the attempts that a call may make."""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, suppress
from typing import Any

import attrs

from tests.promises.contestants import CHARGEBOX, CHARGER, OURS, Access, Contestant, Patience
from tests.support.faults import (
    BYTE_BY_BYTE,
    ONE_ANSWER,
    Honest,
    chunk,
    head,
    one_answer_too_many,
    serving,
    whole,
)
from tests.support.figures import Figures, Record
from tests.support.pages import ANALYTICS, page_of, pages_of
from tests.support.wire import Received, Script, Wire, answer, hang_up, stall

Call = Callable[[], Coroutine[Any, Any, object]]

NOTHING: Honest = pages_of(())
"""A page without reports: a walk that gets one is over, so that it is a single call."""

HONEST: dict[str, Honest] = {"thor": lambda _: ANALYTICS, "depot": NOTHING}

ATTEMPTS = (1, 2, 3, 5)
AT_ONCE = 8
PATIENCE = Patience(total=1.0, read=0.1)
WORST = 5.0
"""Seconds after which a call is taken for one that never ends."""

LIMIT = 100

MEBIBYTES = 40
"""More than this library takes, and little enough for a client that takes everything."""


def in_mebibytes(prepare: Callable[[], tuple[bytes, Callable[[bytes], bytes]]]) -> Script:
    """Answer with so many of them, after a head and each as it is prepared for the wire."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        first, prepared = prepare()
        writer.write(first)
        for _ in range(MEBIBYTES):
            writer.write(prepared(b" " * 2**20))
            await writer.drain()
        writer.close()

    return play


def _gzipped() -> tuple[bytes, Callable[[bytes], bytes]]:
    return head(Content_Encoding="gzip", Connection="close"), zlib.compressobj(1, wbits=31).compress


# F12 in its three forms. A gibibyte, which R6 is about, would be too much for a client without a
# limit in this process.
TOO_LARGE: dict[str, Script] = {
    "F12 gzip bomb": in_mebibytes(_gzipped),
    "F12 plain": in_mebibytes(
        lambda: (head(Content_Length=MEBIBYTES * 2**20), lambda piece: piece)
    ),
    "F12 chunks": in_mebibytes(lambda: (head(Transfer_Encoding="chunked"), chunk)),
}


def silent_close(honest: Honest) -> Script:
    """F3: answer, and close the kept-alive connection while it idles, without announcing it."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(whole(honest(request)))
        await writer.drain()
        writer.close()

    return play


@attrs.frozen
class Case:
    """What a server plays at every request of one call.

    Attributes:
        name: What that is.
        script: Answers each request for data.
        warming: Answers a call before it, so that the connection is one that was used; None for
            a call over a fresh one.
        tokens: Answers each request for a token; None where the token is fixed.
        one_more: Requests that a token that died is worth beyond the only attempt.
    """

    name: str
    client: str
    script: Script
    warming: Script | None = None
    tokens: Script | None = None
    one_more: bool = False


def cases() -> Iterable[Case]:
    for client, honest in HONEST.items():
        extra = page_of(range(7), CHARGER, "2") if client == "depot" else b'{"charges": 1}'
        scripts = {str(fault): fault.script(honest) for fault in (*ONE_ANSWER, BYTE_BY_BYTE)}
        for name, script in (scripts | TOO_LARGE).items():
            for warming in (None, serving(honest)):
                yield Case(name, client, script, warming)
        busy = answer(status=503)
        for script in (serving(honest), hang_up(), busy):
            yield Case("F3 closed while idle", client, script, silent_close(honest))
            yield Case("F18 extra answer", client, script, one_answer_too_many(honest, extra))
    refusing = {
        "403": answer(b'{"error": "invalid_client"}', status=403),
        "500": answer(status=500),
        "stall": stall(),
    }
    for name, tokens in refusing.items():
        yield Case(f"F19 token URL {name}", "depot", serving(NOTHING), tokens=tokens)
    dead = answer(status=401)
    for warming in (None, serving(NOTHING)):
        yield Case("F19 token dies", "depot", dead, warming, fresh_tokens(), one_more=True)
    by_turns = in_turns(busy, dead)
    yield Case("F19 dies between retries", "depot", by_turns, None, fresh_tokens(), one_more=True)


def in_turns(*scripts: Script) -> Script:
    """Play one after another, and again from the first."""
    turns = itertools.cycle(scripts)

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await next(turns)(request, reader, writer)

    return play


def fresh_tokens() -> Script:
    """Answer with another token each time."""
    made = 0

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal made
        made += 1
        writer.write(whole(b'{"access_token": "t0k3n-%d", "expires_in": 3600}' % made))
        await writer.drain()

    return play


@attrs.define
class Tally:
    """What has been played and what came of it.

    Attributes:
        calls: How many were made.
        cold: Of them, how many were to go over a used connection and had none.
        unplayed: How many sent nothing, so that no fault was played.
        unended: How many had to be cancelled.
        ratio: The requests of the worst, by those that it was allowed.
        worst: Which that was.
        faults: The names of what was played.
    """

    calls: int = 0
    cold: int = 0
    unplayed: int = 0
    unended: int = 0
    ratio: float = 0.0
    worst: str = ""
    faults: set[str] = attrs.field(factory=set[str])

    def note(self, case: Case, requests: int, allowed: int) -> None:
        self.faults.add(case.name)
        if requests / allowed > self.ratio:
            self.ratio = requests / allowed
            self.worst = f"{case.name} ({case.client}): {requests} requests, {allowed} allowed"


async def _call_of(
    contestant: Contestant, client: str, access: Access, patience: Patience, stack: AsyncExitStack
) -> Call:
    """One call of a client, which stays open as long as the stack."""
    if client == "thor":
        thor = await stack.enter_async_context(contestant.thor(access, patience))
        return lambda: thor.analytics(CHARGEBOX)
    depot = await stack.enter_async_context(contestant.depot(access, patience))
    return lambda: depot.collect(LIMIT)


async def _ended(call: Call) -> bool:
    """Whether the call came to an end, be it an error; one without is cancelled."""
    scope = asyncio.timeout(WORST)
    with suppress(Exception):
        async with scope:
            await call()
    return not scope.expired()


async def _play(contestant: Contestant, case: Case, attempts: int, tally: Tally) -> None:
    patience = attrs.evolve(PATIENCE, attempts=attempts)
    first = [] if case.warming is None else [case.warming]
    async with (
        Wire(*first, default=case.script) as wire,
        Wire(default=case.tokens) as tokens,
        AsyncExitStack() as stack,
    ):
        access = Access(
            base_url=wire.url,
            token="t0k3n-that-lasts" if case.tokens is None else None,
            token_url=tokens.url,
        )
        call = await _call_of(contestant, case.client, access, patience, stack)
        if case.warming is not None:
            await _ended(call)
            await asyncio.sleep(0.02)  # until whatever comes unasked has come
        before = len(wire.received)
        tally.calls += 1
        tally.unended += not await _ended(call)
        tally.cold += before != len(first)
        allowed = max(2, attempts) if case.one_more else attempts
        requests = len(wire.received) - before
        tally.unplayed += not requests and not tokens.received
        tally.note(case, requests, allowed)
        tally.note(case, len(tokens.received), allowed)
        wire.forget_scripts()


async def _play_refused(contestant: Contestant, client: str, attempts: int, tally: Tally) -> None:
    """F1: the server has gone, whether or not a connection to it is still in the pool."""
    async with AsyncExitStack() as stack:
        async with Wire(default=serving(HONEST[client])) as wire:
            access = Access(base_url=wire.url, token="t0k3n-that-lasts")
            patience = attrs.evolve(PATIENCE, attempts=attempts)
            call = await _call_of(contestant, client, access, patience, stack)
            await _ended(call)
            before = len(wire.received)
        tally.calls += 1
        tally.unended += not await _ended(call)
        case = Case("F1 refused", client, hang_up())
        tally.note(case, len(wire.received) - before, attempts)


async def _outage(contestant: Contestant, client: str, script: Script, calls: int) -> int:
    """How many requests so many calls send to a server that fails every one."""
    async with Wire(default=script) as wire, AsyncExitStack() as stack:
        access = Access(base_url=wire.url, token="t0k3n-that-lasts")
        call = await _call_of(contestant, client, access, Patience(attempts=3), stack)
        left = iter(range(calls))

        async def work() -> None:
            for _ in left:
                await _ended(call)

        await asyncio.gather(*(work() for _ in range(16)))
        return len(wire.received)


async def tallied(contestant: Contestant) -> Tally:
    """Play every fault against every number of attempts."""
    tally, slots = Tally(), asyncio.Semaphore(AT_ONCE)

    async def in_turn(playing: Coroutine[Any, Any, None]) -> None:
        async with slots:
            await playing

    large = []
    async with asyncio.TaskGroup() as group:
        for attempts in ATTEMPTS:
            for case in cases():
                playing = _play(contestant, case, attempts, tally)
                if case.name in TOO_LARGE:
                    large.append(playing)
                else:
                    group.create_task(in_turn(playing))
            for client in HONEST:
                group.create_task(in_turn(_play_refused(contestant, client, attempts, tally)))
    for playing in large:  # each of which would keep all others waiting
        await playing
    return tally


async def figures(contestant: Contestant, tally: Tally, *, full: bool) -> Figures:
    outages = [("thor", answer(status=503)), ("depot", hang_up())]
    if full:
        outages += [("thor", hang_up()), ("depot", answer(status=503))]
    sent = [await _outage(contestant, client, script, 1000) for client, script in outages]
    return {
        "faults": len(tally.faults),
        "calls": tally.calls,
        "did not end": tally.unended,
        "most requests per attempt allowed": tally.ratio,
        "requests in an outage of 1,000 calls": max(sent),
    }


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Count the requests of calls of which every one fails, and those of an outage."""
    return await figures(contestant, await tallied(contestant), full=full)


async def test_no_fault_puts_more_requests_on_the_wire_than_the_attempts(
    full: bool, record: Record
) -> None:
    tally = await tallied(OURS)
    measured = await figures(OURS, tally, full=full)
    record("R7", measured)
    # Exactly one: less would mean that nothing was ever tried again.
    assert tally.ratio == 1, tally.worst
    # On a busy machine a call or two ends before anything has been sent.
    assert tally.cold + tally.unplayed < tally.calls / 20
    assert measured["did not end"] == 0
    assert measured["requests in an outage of 1,000 calls"] <= 1035
