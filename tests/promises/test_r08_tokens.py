"""R8: concurrent calls share one token request, and a cancelled call harms no other."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator

import pytest

from tests.promises.candidates import OURS, Access, Candidate, Depot, Limits, result_of
from tests.support.figures import Figures, Record, nonzero, tally
from tests.support.pages import page_of
from tests.support.responses import head, response
from tests.support.waiting import iterate_loop, loop_until
from tests.support.wire import Received, Script, Wire, raw, stall

FIRST_ID, LIMIT = 100_000_001, 10
PAGE = page_of(range(FIRST_ID, FIRST_ID + LIMIT))

REJECTED_CALLS, CALLS_BY_LEADER, WAITERS = 50, 20, 100

# Even a busy machine finishes 1,000 calls within this time.
TIME_LIMIT = 300.0
"""Seconds after which a call counts as endless."""

FAILED_BY_500 = f"of {WAITERS} calls failed by one 500 of the token URL"

TOKEN = response(b'{"access_token": "t0k3n-of-no-call", "expires_in": 3600}')
UNFINISHED = (b"", TOKEN[:20], head()[:-2], TOKEN[:-30], TOKEN[:-1])
"""Parts of a token response that have arrived when the leader is cancelled."""


class Servers:
    """Token URL that numbers its tokens, and API that rejects revoked tokens.

    Attributes:
        rejections: Number of rejected calls to collect before the first 401 is sent.
        delay: Seconds between two 401s.
    """

    def __init__(self, *first_token_scripts: Script) -> None:
        self.tokens = Wire(*first_token_scripts, default=self._issue)
        self.api = Wire(default=self._serve)
        self.issued = 0
        self.revoked: set[str] = set()
        self.rejections = 0
        self.delay = 0.0
        self._rejected = 0
        self._all_rejected = asyncio.Event()

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, candidate: Candidate, *first_token_scripts: Script, attempts: int = 3
    ) -> AsyncGenerator[tuple[Servers, Depot], None]:
        """Run the servers, and provide a client of them."""
        servers = cls(*first_token_scripts)
        limits = Limits(attempts=attempts, total=600.0, read=600.0)
        async with servers.tokens, servers.api:
            access = Access(base_url=servers.api.url, token_url=servers.tokens.url)
            async with candidate.depot(access, limits) as depot:
                yield servers, depot

    def revoke_all(self) -> None:
        self.revoked = {f"Bearer t0k3n-number-{n + 1}" for n in range(self.issued)}

    async def _issue(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Respond with the next token after a few iterations of the event loop."""
        self.issued += 1
        token = {"access_token": f"t0k3n-number-{self.issued}", "expires_in": 3600}
        await iterate_loop(5)
        await raw(response(json.dumps(token).encode()))(request, reader, writer)

    async def _serve(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Respond with a page, or reject a revoked token after all rejections are collected."""
        script = raw(response(PAGE))
        if request.headers.get("Authorization") in self.revoked:
            script = raw(response(b"{}", 401))
            position, self._rejected = self._rejected, self._rejected + 1
            if self._rejected >= self.rejections:
                self._all_rejected.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TIME_LIMIT / 2):
                    await self._all_rejected.wait()
            await asyncio.sleep(position * self.delay)
        await script(request, reader, writer)


async def first_of(depot: Depot) -> int:
    """Make one call: the first page of a walk."""
    async with contextlib.aclosing(depot.walk(LIMIT, read_ahead=0)) as walk:
        return await anext(walk)


Calls = list[asyncio.Task[int | Exception]]


def start(depot: Depot, calls: int) -> Calls:
    """Start calls at the same time."""

    async def call() -> int | Exception:
        return await result_of(first_of(depot), TIME_LIMIT)

    return [asyncio.create_task(call()) for _ in range(calls)]


class Crowd:
    """Calls of one candidate that need a token at the same time."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.figures = tally(
            *("first calls", "token requests", "simultaneous 401s", "refreshes"),
            *("of all these calls failed", "cancelled leaders"),
            *("calls failed by a cancelled leader", FAILED_BY_500, "with token requests"),
            *("of them failed at one attempt", "with token requests at one attempt"),
            "undocumented errors",
        )

    def maximum(self, name: str, figure: int) -> None:
        self.figures[name] = max(self.figures[name], figure)

    async def count_failed(self, name: str, calls: Calls) -> None:
        """Wait for the calls and count those that failed."""
        for result in await asyncio.gather(*calls):
            self.figures[name] += result != FIRST_ID
            documented = isinstance(result, (int, *self.candidate.errors))
            self.figures["undocumented errors"] += not documented

    async def call_first(self, calls: int) -> None:
        """Count the token requests of first calls."""
        async with Servers.running(self.candidate) as (servers, depot):
            await self.count_failed("of all these calls failed", start(depot, calls))
        self.maximum("first calls", calls)
        self.maximum("token requests", len(servers.tokens.received))

    async def reject(self, delay: float) -> None:
        """Count the token requests of calls whose token is revoked."""
        async with Servers.running(self.candidate) as (servers, depot):
            await self.count_failed("of all these calls failed", start(depot, 1))
            fetched = len(servers.tokens.received)
            servers.rejections, servers.delay = REJECTED_CALLS, delay
            servers.revoke_all()
            await self.count_failed("of all these calls failed", start(depot, REJECTED_CALLS))
        self.maximum("simultaneous 401s", REJECTED_CALLS)
        self.maximum("refreshes", len(servers.tokens.received) - fetched)

    async def cancel_leaders(self, token_scripts: list[Script], after_iterations: int = 0) -> None:
        """Cancel each call whose token request stalls, or one call some loop iterations later."""
        async with Servers.running(self.candidate, *token_scripts) as (servers, depot):
            calls = start(depot, CALLS_BY_LEADER)
            await iterate_loop(after_iterations)
            leaders, others = calls[: len(token_scripts) or 1], calls[len(token_scripts) or 1 :]
            for position, leader in enumerate(leaders):
                if token_scripts:
                    await loop_until(lambda at=position: len(servers.tokens.received) > at)  # type: ignore[misc]
                    await asyncio.sleep(0.01)  # The response arrives, and the other calls wait.
                leader.cancel()
            await self.count_failed("calls failed by a cancelled leader", others)
            await asyncio.wait(leaders)
            self.figures["cancelled leaders"] += sum(leader.cancelled() for leader in leaders)

    async def fail_once(self, attempts: int, failed: str, requests: str) -> None:
        """Let the first token request fail."""
        release = asyncio.Event()

        async def fail(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await release.wait()
            await raw(response(b"{}", 500))(request, reader, writer)

        async with Servers.running(self.candidate, fail, attempts=attempts) as (servers, depot):
            calls = start(depot, WAITERS)
            await loop_until(lambda: servers.tokens.received)
            await asyncio.sleep(0.01)
            release.set()
            await self.count_failed(failed, calls)
        self.figures[requests] = len(servers.tokens.received)


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Request tokens for many calls at the same time, and cancel some of them."""
    crowd = Crowd(candidate)
    for _ in range(5 if full else 1):
        await crowd.call_first(1000 if full else 200)
        for delay in (0.0, 0.001, 0.005):
            await crowd.reject(delay)
    for sent in UNFINISHED:
        for leaders in (1, 3, 19) if full else (1, 3):
            await crowd.cancel_leaders([stall(sent)] * leaders)
    for after_iterations in range(0, 200, 1) if full else range(0, 60, 3):
        await crowd.cancel_leaders([], after_iterations)
    await crowd.fail_once(3, FAILED_BY_500, "with token requests")
    await crowd.fail_once(1, "of them failed at one attempt", "with token requests at one attempt")
    return crowd.figures


async def test_concurrent_calls_share_one_token_and_no_call_harms_another(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R8", measured)
    assert nonzero(measured) == {
        *("first calls", "token requests", "simultaneous 401s", "refreshes", "cancelled leaders"),
        *("with token requests", "of them failed at one attempt"),
        "with token requests at one attempt",
    }
    assert measured["token requests"] == 1
    assert measured["refreshes"] == 1
    assert measured["with token requests"] <= 2
    assert measured["with token requests at one attempt"] == 1


async def test_another_loop_is_rejected_and_harms_no_call_in_flight() -> None:
    async with Servers.running(OURS, stall()) as (servers, depot):
        leader, *others = start(depot, 5)
        await loop_until(lambda: servers.tokens.received)
        with pytest.raises(RuntimeError, match="one client for each loop"):
            await asyncio.to_thread(asyncio.run, first_of(depot))
        leader.cancel()
        assert await asyncio.gather(*others) == [FIRST_ID] * 4
