"""R10: a call ends with its deadline, wherever the server stalls."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs

from tests.promises.candidates import CHARGEBOX, OURS, Access, Candidate, Limits, with_token
from tests.support.faults import BYTE_BY_BYTE
from tests.support.figures import Figures, Record
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
    """Send a body of spaces, one byte a chunk."""
    writer.write(head(Transfer_Encoding="chunked"))
    while True:
        writer.write(chunk(b" ") * 100)
        await writer.drain()
        await asyncio.sleep(0.01)


def send_byte_by_byte(body: bytes) -> Script:
    return BYTE_BY_BYTE.script(lambda _: body)


TOKEN = b'{"access_token": "t0k3n-that-was-fetched", "expires_in": 3600}'
PAGE = page_of(range(1, 11))

STALLS: dict[str, Script] = {
    "before the head": stall(),
    "in the head": stall(head()[:20]),
    "in the body": stall(response(PAGE)[:-20]),
    "in a chunk": stall(head(Transfer_Encoding="chunked") + b"ff\r\n{"),
    "one byte a second": send_byte_by_byte(PAGE),
    "endless tiny chunks": send_endless_chunks,
}
BUSY: dict[str, Script] = {
    "503 with a wait, forever": raw(response(b"{}", 503, Retry_After="0.05")),
    "429 with a long wait": raw(response(b"{}", 429, Retry_After="60")),
}
TOKEN_STALLS = STALLS | {"one byte a second": send_byte_by_byte(TOKEN)}


@attrs.define
class Delays:
    """Delays of the ends of calls after their deadline."""

    candidate: Candidate
    deadline: float
    calls: int = 0
    endless: int = 0
    undocumented: int = 0
    maximum: float = 0.0

    @property
    def _limits(self) -> Limits:
        return Limits(attempts=3, total=self.deadline, read=30.0)

    async def add_depot(self, access: Access) -> None:
        """Request the first report of a walk."""
        async with self.candidate.depot(access, self._limits) as depot:

            async def first() -> object:
                async with contextlib.aclosing(depot.walk(10)) as walk:
                    return await anext(walk)

            await self._add(first)

    async def add_thor(self, access: Access) -> None:
        """Request analytics."""
        async with self.candidate.thor(access, self._limits) as thor:
            await self._add(lambda: thor.analytics(CHARGEBOX))

    async def _add(self, call: Callable[[], Awaitable[object]]) -> None:
        clock = asyncio.get_running_loop().time
        started = clock()
        self.calls += 1
        try:
            async with asyncio.timeout(self.deadline + TIME_LIMIT) as scope:
                await call()
        except self.candidate.errors:
            pass
        except Exception:
            self.undocumented += 1
        self.endless += scope.expired()
        self.maximum = max(self.maximum, clock() - started - self.deadline)


@contextlib.asynccontextmanager
async def full_backlog() -> AsyncIterator[str]:
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


async def stall_everywhere(delays: Delays) -> None:
    """Stall each request of each client."""
    for script in (STALLS | BUSY).values():
        async with Wire(default=script) as wire:
            await delays.add_depot(with_token(wire.url))
            await delays.add_thor(Access(base_url=wire.url))
    for script in TOKEN_STALLS.values():
        async with Wire(default=script) as tokens, Wire(default=stall()) as wire:
            await delays.add_depot(Access(base_url=wire.url, token_url=tokens.url))
    unauthorized, token = raw(response(b"{}", 401)), raw(response(TOKEN))
    async with Wire(default=token) as tokens, Wire(default=unauthorized) as wire:
        await delays.add_depot(Access(base_url=wire.url, token_url=tokens.url))
    async with full_backlog() as url:
        await delays.add_thor(Access(base_url=url))


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Stall everywhere with several deadlines."""
    results = [Delays(candidate, deadline) for deadline in ((0.3, 1.0, 3.0) if full else (0.1,))]
    for delays in results:
        await stall_everywhere(delays)
    return {
        "stalls": sum(delays.calls for delays in results),
        "did not end": sum(delays.endless for delays in results),
        "undocumented errors": sum(delays.undocumented for delays in results),
        "maximum delay in seconds": round(max(delays.maximum for delays in results), 3),
    }


async def test_a_stalled_call_ends_with_its_deadline(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R10", measured)
    assert measured["did not end"] == 0
    assert measured["undocumented errors"] == 0
    assert not full or measured["maximum delay in seconds"] < GRACE
