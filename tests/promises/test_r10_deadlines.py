"""R10: a call ends with its deadline, wherever the server stalls."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncGenerator
from itertools import product
from typing import Literal

from tests.promises.candidates import (
    OURS,
    Access,
    Candidate,
    DidNotEndError,
    Limits,
    result_of,
    with_token,
)
from tests.support.faults import BYTE_BY_BYTE
from tests.support.figures import Figures, Record, nonzero, tally
from tests.support.pages import page_of
from tests.support.responses import chunk, head, response
from tests.support.wire import Received, Script, Wire, raw, stall

GRACE = 0.25
"""Seconds that a call may take after its deadline. Only a full run measures them."""

TIME_LIMIT = 10.0
"""Seconds after the deadline after which a call counts as endless."""


async def send_endless_chunks(
    request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Send a body of spaces, one byte per chunk."""
    writer.write(head(Transfer_Encoding="chunked"))
    while True:
        writer.write(chunk(b" ") * 100)
        await writer.drain()
        await asyncio.sleep(0.01)


def send_byte_by_byte(body: bytes) -> Script:
    return BYTE_BY_BYTE.script(lambda _: body)


TOKEN = b'{"access_token": "t0k3n-that-was-fetched", "expires_in": 3600}'
PAGE = page_of(range(1, 11))

Client = Literal["thor", "depot"]

STALLS = (
    stall(),
    stall(head()[:20]),
    stall(response(PAGE)[:-20]),
    stall(head(Transfer_Encoding="chunked") + b"ff\r\n{"),
    send_endless_chunks,
)
BUSY = (
    raw(response(b"{}", 503, Retry_After="0.05")),
    raw(response(b"{}", 429, Retry_After="60")),
)


@contextlib.asynccontextmanager
async def full_backlog() -> AsyncGenerator[str, None]:
    """Provide an address that neither accepts nor refuses connections."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        loop = asyncio.get_running_loop()
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await loop.sock_connect(waiting, listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def end_late(
    candidate: Candidate, client: Client, access: Access, deadline: float, figures: Counter[str]
) -> float:
    """Count a call to a stalling server, and return how late it ends, in seconds."""
    clock = asyncio.get_running_loop().time
    limits = Limits(attempts=3, total=deadline, read=30.0)
    async with candidate.call(client, access, limits) as call:
        started = clock()
        result = await result_of(call(), deadline + TIME_LIMIT)
        late = clock() - started - deadline
    figures["stalls"] += 1
    figures["did not end"] += isinstance(result, DidNotEndError)
    figures["undocumented errors"] += isinstance(result, Exception) and not isinstance(
        result, candidate.errors
    )
    return late


@contextlib.asynccontextmanager
async def stalling_servers() -> AsyncGenerator[list[tuple[Client, Access]], None]:
    """Run servers that stall each request of each client."""
    async with contextlib.AsyncExitStack() as stack:

        async def run(script: Script) -> str:
            return (await stack.enter_async_context(Wire(default=script))).url

        calls: list[tuple[Client, Access]] = []
        for script in (*STALLS, send_byte_by_byte(PAGE), *BUSY):
            url = await run(script)
            calls += [("depot", with_token(url)), ("thor", Access(base_url=url))]
        stalled = await run(stall())
        for script in (*STALLS, send_byte_by_byte(TOKEN)):
            calls += [("depot", Access(base_url=stalled, token_url=await run(script)))]
        token, unauthorized = await run(raw(response(TOKEN))), await run(raw(response(b"{}", 401)))
        calls += [("depot", Access(base_url=unauthorized, token_url=token))]
        calls += [("thor", Access(base_url=await stack.enter_async_context(full_backlog())))]
        yield calls


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Stall everywhere with several deadlines."""
    figures = tally("stalls", "did not end", "undocumented errors")
    late: list[float] = []
    async with stalling_servers() as calls:
        for deadline, (client, access) in product((0.3, 1.0, 3.0) if full else (0.1,), calls):
            late.append(await end_late(candidate, client, access, deadline, figures))
    return {**figures, "maximum delay in seconds": round(max(late), 3)}


async def test_a_stalled_call_ends_with_its_deadline(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R10", measured)
    assert nonzero(measured) <= {"stalls", "maximum delay in seconds"}
    assert not full or measured["maximum delay in seconds"] < GRACE
