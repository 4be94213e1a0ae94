"""R8: concurrent calls share one token request, and a cancelled call harms no other."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import attrs
import pytest

from depotclient import DeadlineExceeded, DepotClient, Timeout
from tests.promises.candidates import CHARGER, CONNECTOR, OURS, Access, Candidate, Depot, Limits
from tests.support.figures import Figures, Record
from tests.support.pages import page_of
from tests.support.responses import head, response
from tests.support.waiting import loop_until, turns
from tests.support.wire import Received, Script, Wire, raw, stall

FIRST_ID, LIMIT = 100_000_001, 10
PAGE = page_of(range(FIRST_ID, FIRST_ID + LIMIT))

REJECTED_CALLS, CALLS_BY_LEADER, WAITERS = 50, 20, 100

# Even a busy machine ends 1,000 calls within these limits.
LIMITS = Limits(total=600.0, read=600.0)
TIME_LIMIT = 300.0
"""Seconds after which a step counts as endless."""

TOKEN = response(b'{"access_token": "t0k3n-of-no-call", "expires_in": 3600}')
UNFINISHED = (b"", TOKEN[:20], head()[:-2], TOKEN[:-30], TOKEN[:-1])
"""Parts of a token response that have arrived when the leader is cancelled."""

FAILURE = raw(response(b"{}", 500))


@attrs.define
class Servers:
    """Token URL that numbers its tokens, and API that rejects revoked tokens.

    Attributes:
        api: Wire of the API.
        tokens: Wire of the token URL.
        rejections: Number of rejected calls to collect before the first 401 is sent.
        delay: Seconds between two 401s.
    """

    api: Wire
    tokens: Wire
    issued: int = 0
    revoked: set[str] = attrs.field(factory=set[str])
    rejections: int = 0
    delay: float = 0.0
    rejected: int = 0
    all_rejected: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def access(self) -> Access:
        return Access(base_url=self.api.url, token_url=self.tokens.url)

    def revoke_all(self) -> None:
        self.revoked = {f"Bearer t0k3n-number-{n + 1}" for n in range(self.issued)}

    async def issue(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Respond with the next token after a few turns of the loop."""
        self.issued += 1
        token = {"access_token": f"t0k3n-number-{self.issued}", "expires_in": 3600}
        await turns(5)
        await raw(response(json.dumps(token).encode()))(request, reader, writer)

    async def serve(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Respond with a page, or reject a revoked token after all rejections are collected."""
        script = raw(response(PAGE))
        if request.headers.get("Authorization") in self.revoked:
            script = raw(response(b"{}", 401))
            position, self.rejected = self.rejected, self.rejected + 1
            if self.rejected >= self.rejections:
                self.all_rejected.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TIME_LIMIT / 2):
                    await self.all_rejected.wait()
            await asyncio.sleep(position * self.delay)
        await script(request, reader, writer)


@contextlib.asynccontextmanager
async def running_servers(*first_token_scripts: Script) -> AsyncIterator[Servers]:
    servers: Servers

    async def issue(*arguments: Any) -> None:
        await servers.issue(*arguments)

    async def serve(*arguments: Any) -> None:
        await servers.serve(*arguments)

    async with Wire(*first_token_scripts, default=issue) as tokens, Wire(default=serve) as api:
        servers = Servers(api, tokens)
        yield servers


async def first_of(depot: Depot) -> int:
    """Make one call: the first page of a walk."""
    async with contextlib.aclosing(depot.walk(LIMIT, read_ahead=0)) as walk:
        return await anext(walk)


def start(depot: Depot, calls: int) -> list[asyncio.Task[int]]:
    """Start calls at the same time."""
    return [asyncio.create_task(first_of(depot)) for _ in range(calls)]


@attrs.define
class Crowd:
    """Calls of one candidate that need a token at the same time."""

    candidate: Candidate
    undocumented: int = 0

    async def count_failed(self, calls: list[asyncio.Task[int]]) -> int:
        """Wait for the calls and return the number of those that failed."""
        _, endless = await asyncio.wait(calls, timeout=TIME_LIMIT)
        for call in endless:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        self.undocumented += len(endless) + sum(
            isinstance(result, BaseException)
            and not isinstance(result, (*self.candidate.errors, asyncio.CancelledError))
            for result in results
        )
        return sum(result != FIRST_ID for result in results)

    async def call_first(self, calls: int) -> tuple[int, int]:
        """Return the token requests and the failures of first calls."""
        async with (
            running_servers() as servers,
            self.candidate.depot(servers.access, LIMITS) as depot,
        ):
            failed = await self.count_failed(start(depot, calls))
            return len(servers.tokens.received), failed

    async def reject(self, delay: float) -> tuple[int, int]:
        """Revoke the token during many calls, and return the token requests and failures."""
        async with (
            running_servers() as servers,
            self.candidate.depot(servers.access, LIMITS) as depot,
        ):
            failed = await self.count_failed(start(depot, 1))
            fetched = len(servers.tokens.received)
            servers.rejections, servers.delay = REJECTED_CALLS, delay
            servers.revoke_all()
            failed += await self.count_failed(start(depot, REJECTED_CALLS))
            return len(servers.tokens.received) - fetched, failed

    async def cancel_leaders(self, token_scripts: list[Script]) -> tuple[int, int]:
        """Cancel each call whose token request stalls. Return the cancelled and failed calls."""
        async with (
            running_servers(*token_scripts) as servers,
            self.candidate.depot(servers.access, LIMITS) as depot,
        ):
            calls = start(depot, 1)
            await loop_until(lambda: servers.tokens.received)
            calls += start(depot, CALLS_BY_LEADER - 1)
            leaders = calls[: len(token_scripts)]
            for position, call in enumerate(leaders):
                await loop_until(
                    lambda position=position: len(servers.tokens.received) > position  # type: ignore[misc]
                )
                await asyncio.sleep(0.01)  # The response arrives, and the other calls wait.
                call.cancel()
            failed = await self.count_failed(calls[len(leaders) :])
            await self.count_failed(leaders)
            return sum(call.cancelled() for call in leaders), failed

    async def cancel_leader_after(self, count: int) -> tuple[int, int]:
        """Cancel the first call after so many turns. Return the cancelled and failed calls."""
        async with (
            running_servers() as servers,
            self.candidate.depot(servers.access, LIMITS) as depot,
        ):
            leader, *others = start(depot, CALLS_BY_LEADER)
            await turns(count)
            leader.cancel()
            failed = await self.count_failed(others)
            await self.count_failed([leader])
            return leader.cancelled(), failed

    async def fail_once(self, attempts: int) -> tuple[int, int]:
        """Let the first token request fail. Return the failed calls and the token requests."""
        release = asyncio.Event()

        async def fail(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await release.wait()
            await FAILURE(request, reader, writer)

        limits = attrs.evolve(LIMITS, attempts=attempts)
        async with (
            running_servers(fail) as servers,
            self.candidate.depot(servers.access, limits) as depot,
        ):
            calls = start(depot, WAITERS)
            await loop_until(lambda: servers.tokens.received)
            await asyncio.sleep(0.01)
            release.set()
            failed = await self.count_failed(calls)
            return failed, len(servers.tokens.received)


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Request tokens for many calls at the same time, and cancel some of them."""
    crowd = Crowd(candidate)
    rounds, first_calls = (5, 1000) if full else (1, 200)
    first = [await crowd.call_first(first_calls) for _ in range(rounds)]
    rejected = [await crowd.reject(delay) for _ in range(rounds) for delay in (0.0, 0.001, 0.005)]
    cancelled = [
        await crowd.cancel_leaders([stall(sent)] * leaders)
        for sent in UNFINISHED
        for leaders in ((1, 3, 19) if full else (1, 3))
    ]
    turn_counts: Iterable[int] = range(200) if full else range(0, 60, 3)
    cancelled += [await crowd.cancel_leader_after(count) for count in turn_counts]
    failed, requests = await crowd.fail_once(attempts=3)
    failed_at_once, requests_at_once = await crowd.fail_once(attempts=1)
    return {
        "first calls": first_calls,
        "token requests": max(requests for requests, _ in first),
        "simultaneous 401s": REJECTED_CALLS,
        "refreshes": max(refreshes for refreshes, _ in rejected),
        "of all these calls failed": sum(failed for _, failed in first + rejected),
        "cancelled leaders": sum(leaders for leaders, _ in cancelled),
        "calls failed by a cancelled leader": sum(failed for _, failed in cancelled),
        f"of {WAITERS} calls failed by one 500 of the token URL": failed,
        "with token requests": requests,
        "of them failed at one attempt": failed_at_once,
        "with token requests at one attempt": requests_at_once,
        "undocumented errors": crowd.undocumented,
    }


async def test_concurrent_calls_share_one_token_and_no_call_harms_another(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R8", measured)
    assert measured["token requests"] == 1
    assert measured["refreshes"] == 1
    assert measured["of all these calls failed"] == 0
    assert measured["cancelled leaders"] > 0
    assert measured["calls failed by a cancelled leader"] == 0
    assert measured[f"of {WAITERS} calls failed by one 500 of the token URL"] == 0
    assert measured["with token requests"] <= 2
    assert measured["with token requests at one attempt"] == 1
    assert measured["undocumented errors"] == 0


async def test_after_a_leaders_deadline_the_next_call_fetches_the_token() -> None:
    async def first_report(client: DepotClient) -> int:
        reports = client.session_reports(CHARGER, CONNECTOR, limit=LIMIT, read_ahead=0)
        async with reports.walk() as walk:
            return (await anext(walk)).session_id

    async with running_servers(stall(TOKEN[:-1])) as servers:
        async with DepotClient(
            client_id="an-id",
            client_secret="s3cret",
            base_url=servers.api.url,
            token_url=servers.tokens.url,
        ) as client:
            hasty = client.with_options(timeout=Timeout(total=0.2))
            leader = asyncio.create_task(first_report(hasty))
            await loop_until(lambda: servers.tokens.received)
            others = [asyncio.create_task(first_report(client)) for _ in range(19)]
            with pytest.raises(DeadlineExceeded):
                await leader
            assert await asyncio.gather(*others) == [FIRST_ID] * 19
            assert len(servers.tokens.received) == 2


async def test_another_loop_is_refused_and_harms_no_call_in_flight() -> None:
    async with running_servers(stall()) as servers, OURS.depot(servers.access) as depot:
        leader, *others = start(depot, 5)
        await loop_until(lambda: servers.tokens.received)
        with pytest.raises(RuntimeError, match="one client for each loop"):
            await asyncio.to_thread(asyncio.run, first_of(depot))
        leader.cancel()
        assert await asyncio.gather(*others) == [FIRST_ID] * 4
