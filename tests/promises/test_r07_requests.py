"""R7: no fault puts more requests on the wire than the attempts that a call may make."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, suppress
from typing import Any

import attrs
from promises.contestants import CHARGEBOX, CHARGER, OURS, Access, Contestant, Patience
from support.faults import (
    BYTE_BY_BYTE,
    ONE_ANSWER,
    Honest,
    chunk,
    head,
    one_answer_too_many,
    serving,
    status,
    whole,
)
from support.figures import Figures, Record
from support.pages import ANALYTICS, page_of, pages_of
from support.wire import Received, Script, Wire, answer, hang_up, raw, stall

Call = Callable[[], Coroutine[Any, Any, object]]

NOTHING: Honest = pages_of(())
"""A page without reports: a walk that gets one is over, so that it is a single call."""

HONEST: dict[str, Honest] = {"thor": lambda _: ANALYTICS, "depot": NOTHING}

ATTEMPTS = (1, 2, 3, 5)
AT_ONCE = 8
PATIENCE = Patience(total=0.5, read=0.06)
WORST = 5.0
"""Seconds after which a call is taken for one that never ends."""

LARGE = b" " * 40 * 2**20
"""More than this library takes, and little enough for one that takes everything."""


async def _large_chunks(
    _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(head(Transfer_Encoding="chunked"))
    for _unused in range(len(LARGE) // 2**16):
        writer.write(chunk(LARGE[: 2**16]))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


TOO_LARGE: dict[str, Script] = {
    "F12 gzip bomb": raw(whole(gzip.compress(LARGE, 1), Content_Encoding="gzip")),
    "F12 plain": raw(whole(LARGE)),
    "F12 chunks": _large_chunks,
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
    """What has been played and what came of it."""

    calls: int = 0
    unended: int = 0
    ratio: float = 0.0
    worst: str = ""
    names: set[str] = attrs.field(factory=set[str])

    def note(self, case: Case, requests: int, allowed: int) -> None:
        self.calls += 1
        self.names.add(case.name)
        if requests / allowed > self.ratio:
            self.ratio = requests / allowed
            self.worst = f"{case.name} ({case.client}, {allowed} allowed): {requests}"


async def _call(stack: AsyncExitStack, contestant: Contestant, case: Case, access: Access,
                attempts: int) -> Call:
    patience = attrs.evolve(PATIENCE, attempts=attempts)
    if case.client == "thor":
        thor = await stack.enter_async_context(contestant.thor(access, patience))
        return lambda: thor.analytics(CHARGEBOX)
    depot = await stack.enter_async_context(contestant.depot(access, patience))
    return lambda: depot.collect(100)
