"""R10: whatever stalls, a call ends with its deadline."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from depotclient import ApiError, DeadlineExceeded, DepotClient, RetryPolicy, Timeout
from tests.promises.contestants import CHARGEBOX, OURS, Access, Contestant, Patience
from tests.support.faults import BYTE_BY_BYTE, chunk, head, serving, whole
from tests.support.figures import Figures, Record
from tests.support.pages import page_of, pages_of
from tests.support.wire import Received, Script, Wire, answer, stall
from thorclient import ThorClient

GRACE = 0.25
"""Seconds that a call may take beyond its deadline."""

NOISE = 2.0
"""The same in the short form, where a busy machine must not fail a test."""

HOPELESS = 10.0
"""Seconds beyond the deadline after which a call is taken never to end."""


async def endless_chunks(
    request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """A body of white space, one byte after another."""
    writer.write(head(Transfer_Encoding="chunked"))
    while True:
        writer.write(chunk(b" ") * 100)
        await writer.drain()
        await asyncio.sleep(0.01)


def every_second(body: bytes) -> Script:
    return BYTE_BY_BYTE.script(lambda _: body)


TOKEN = b'{"access_token": "t0k3n-that-was-fetched", "expires_in": 3600}'
PAGE = page_of(range(1, 11))

STALLS: dict[str, Script] = {
    "before the head": stall(),
    "in the head": stall(head()[:20]),
    "in the body": stall(whole(PAGE)[:-20]),
    "in a chunk": stall(head(Transfer_Encoding="chunked") + b"ff\r\n{"),
    "one byte a second": every_second(PAGE),
    "endless tiny chunks": endless_chunks,
    "503 with a wait, for ever": answer(status=503, headers={"Retry-After": "0.05"}),
    "429 with a long wait": answer(status=429, headers={"Retry-After": "60"}),
}
TOKEN_STALLS: dict[str, Script] = {
    name: script for name, script in STALLS.items() if not name[0].isdigit()
} | {"one byte a second": every_second(TOKEN)}


@attrs.define
class Lateness:
    """What the stalls have come to."""

    stalls: int = 0
    endless: int = 0
    undocumented: int = 0
    late: float = 0.0

    async def of(
        self, call: Callable[[], Any], deadline: float, errors: tuple[type[Exception], ...]
    ) -> None:
        """Time one call that can't succeed."""
        clock = asyncio.get_running_loop().time
        started = clock()
        self.stalls += 1
        try:
            async with asyncio.timeout(deadline + HOPELESS) as hopeless:
                await call()
        except errors:
            pass
        except Exception:
            self.undocumented += 1
        if hopeless.expired():
            self.endless += 1
        self.late = max(self.late, clock() - started - deadline)

    def figures(self) -> Figures:
        return {
            "stalls": self.stalls,
            "did not end": self.endless,
            "undocumented errors": self.undocumented,
            "seconds late at the most": round(self.late, 3),
        }


@contextlib.asynccontextmanager
async def a_full_backlog() -> AsyncIterator[str]:
    """An address that neither accepts nor refuses a connection."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        loop = asyncio.get_running_loop()
        for _ in range(3):  # as many as still fit, and one that waits
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await loop.sock_connect(waiting, listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@attrs.frozen
class Road:
    """The calls of one contestant under one deadline."""

    contestant: Contestant
    deadline: float
    lateness: Lateness

    @property
    def patience(self) -> Patience:
        return Patience(attempts=3, total=self.deadline, read=30.0)

    async def depot(self, access: Access) -> None:
        """Ask for the first report of a walk."""
        async with self.contestant.depot(access, self.patience) as depot:

            async def first() -> None:
                async with contextlib.aclosing(depot.walk(10)) as walk:
                    await anext(walk)

            await self.lateness.of(first, self.deadline, self.contestant.errors)

    async def thor(self, access: Access) -> None:
        """Ask for analytics."""
        async with self.contestant.thor(access, self.patience) as thor:
            await self.lateness.of(
                lambda: thor.analytics(CHARGEBOX), self.deadline, self.contestant.errors
            )


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Stall in every place, on the road of every call."""
    lateness = Lateness()
    for deadline in (0.3, 1.0, 3.0) if full else (0.3,):
        road = Road(contestant, deadline, lateness)
        for script in STALLS.values():
            async with Wire(default=script) as wire:
                await road.depot(Access(base_url=wire.url, token="t0k3n-that-lasts"))
                await road.thor(Access(base_url=wire.url))
        for script in TOKEN_STALLS.values():
            async with Wire(default=script) as tokens, Wire(default=stall()) as wire:
                await road.depot(Access(base_url=wire.url, token_url=tokens.url))
        async with Wire(default=answer(TOKEN)) as tokens, Wire(default=answer(status=401)) as wire:
            await road.depot(Access(base_url=wire.url, token_url=tokens.url))
        async with a_full_backlog() as url:
            await road.thor(Access(base_url=url))
    return lateness.figures()


async def test_every_stall_ends_with_the_deadline(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R10", measured)
    assert measured["did not end"] == 0
    assert measured["undocumented errors"] == 0
    assert measured["seconds late at the most"] < (GRACE if full else NOISE)


class NeverAnswers(AbstractResolver):
    """A name service that is down."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        await asyncio.Event().wait()
        return []

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_name_that_is_never_resolved_ends_with_the_deadline() -> None:
    connector = aiohttp.TCPConnector(resolver=NeverAnswers())
    async with aiohttp.ClientSession(connector=connector) as session:
        thor = ThorClient(
            api_key="k3y", base_url="https://a.example", session=session, timeout=Timeout(total=0.1)
        )
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.1 s"):
            await thor.get_analytics(CHARGEBOX)


async def test_a_limiter_that_lets_nobody_in_ends_with_the_deadline() -> None:
    async with ThorClient(
        api_key="k3y", limiter=asyncio.Semaphore(0), timeout=Timeout(total=0.1)
    ) as thor:
        with pytest.raises(DeadlineExceeded) as caught:
            await thor.get_analytics(CHARGEBOX)
    assert caught.value.attempts == 0


@pytest.mark.parametrize("read_ahead", [0, 4])
async def test_a_walk_whose_server_stalls_ends_with_the_deadline_and_goes_on_from_its_cursor(
    read_ahead: int,
) -> None:
    honest = pages_of(range(1, 36))
    first = [serving(honest)] * 2
    async with Wire(*first, *[stall()] * (1 + read_ahead), default=serving(honest)) as wire:
        async with DepotClient(
            token="t0k3n",
            base_url=wire.url,
            timeout=Timeout(total=0.3),
            retry=RetryPolicy(attempts=1),
        ) as depot:
            reports = depot.session_reports("CP-001", "1", limit=10, read_ahead=read_ahead)
            found = []
            with pytest.raises(DeadlineExceeded) as caught:
                async for report in reports:
                    found.append(report.session_id)
            cursor = caught.value.cursor
            rest = attrs.evolve(reports, resume=cursor)
            errors = 0
            while True:
                try:
                    async for report in rest:
                        found.append(report.session_id)
                    break
                except ApiError as error:  # the stalls that have not been played yet
                    errors += 1
                    rest = attrs.evolve(reports, resume=error.cursor)
            assert found == list(range(1, 36))
            assert errors <= read_ahead
