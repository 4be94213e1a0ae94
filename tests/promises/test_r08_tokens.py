"""R8: however many calls need a token at once, one request fetches it, whoever is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import attrs
import pytest

from depotclient import DeadlineExceeded, DepotClient, RetryPolicy, ServerError, Timeout
from tests.promises.contestants import CHARGER, CONNECTOR, OURS, Access, Contestant, Depot, Patience
from tests.support.faults import head, whole
from tests.support.figures import Figures, Record
from tests.support.pages import page_of
from tests.support.wire import Received, Script, Wire, answer, stall

FIRST_ID, LIMIT = 100_000_001, 10

FIRST_CALLS, REFUSED_CALLS, CALLS_BEHIND_A_LEADER, WAITERS = 1000, 50, 20, 100

HOPELESS = 60.0
"""Seconds after which a step is taken never to end."""

PAGE = page_of(range(FIRST_ID, FIRST_ID + LIMIT))


async def turns(count: int) -> None:
    """Let the loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what has to come."""
    async with asyncio.timeout(HOPELESS):
        while not condition():
            await asyncio.sleep(0)


async def first_of(depot: Depot) -> int:
    """One call: the first page of a walk."""
    async with contextlib.aclosing(depot.walk(LIMIT, read_ahead=0)) as walk:
        return await anext(walk)


@attrs.define
class Servers:
    """A token URL whose tokens are numbered, and an API that knows which of them are revoked."""

    api: Wire
    tokens: Wire
    issued: int = 0
    revoked: set[str] = attrs.field(factory=set[str])
    refused: int = 0
    gather_refusals: int = 0
    seconds_between_refusals: float = 0.0
    all_refused: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def access(self) -> Access:
        return Access(base_url=self.api.url, token_url=self.tokens.url)

    def revoke_all(self) -> None:
        self.revoked = {f"Bearer t0k3n-number-{n + 1}" for n in range(self.issued)}

    def next_token(self) -> bytes:
        self.issued += 1
        value = f"t0k3n-number-{self.issued}"
        return json.dumps({"access_token": value, "expires_in": 3600}).encode()

    async def issue(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer with the next token, after a few turns of the loop."""
        token = self.next_token()
        await turns(5)
        await answer(token)(request, reader, writer)

    async def serve(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer with a page, or with 401 as soon as so many calls as wanted came to that."""
        script = answer(PAGE)
        if request.headers.get("Authorization") in self.revoked:
            script = answer(status=401)
            place, self.refused = self.refused, self.refused + 1
            if self.refused >= self.gather_refusals:
                self.all_refused.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HOPELESS / 2):
                    await self.all_refused.wait()
            await asyncio.sleep(place * self.seconds_between_refusals)
        await script(request, reader, writer)


@contextlib.asynccontextmanager
async def servers(*first_token_answers: Script) -> AsyncIterator[Servers]:
    """Both, running; the token URL gives other answers first."""
    both: Servers

    async def issue(*of: Any) -> None:
        await both.issue(*of)

    async def serve(*of: Any) -> None:
        await both.serve(*of)

    async with Wire(*first_token_answers, default=issue) as tokens, Wire(default=serve) as api:
        both = Servers(api, tokens)
        yield both


@attrs.define
class Tally:
    """How the calls of one contestant have ended."""

    contestant: Contestant
    undocumented: int = 0

    async def failed(self, calls: list[asyncio.Task[int]]) -> int:
        """How many of them did not come to the right answer."""
        _, endless = await asyncio.wait(calls, timeout=HOPELESS)
        for call in endless:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        self.undocumented += len(endless) + sum(
            isinstance(result, BaseException)
            and not isinstance(result, (*self.contestant.errors, asyncio.CancelledError))
            for result in results
        )
        return sum(result != FIRST_ID for result in results)


def start(depot: Depot, calls: int) -> list[asyncio.Task[int]]:
    """So many calls at once."""
    return [asyncio.create_task(first_of(depot)) for _ in range(calls)]


async def first_calls(tally: Tally) -> tuple[int, int]:
    """Token requests and failed calls of many calls that all come before any token."""
    async with servers() as both, tally.contestant.depot(both.access) as depot:
        failed = await tally.failed(start(depot, FIRST_CALLS))
        return len(both.tokens.received), failed


async def refusals(tally: Tally, seconds_between: float) -> tuple[int, int]:
    """Refreshes and failed calls when the token is revoked under many calls in flight."""
    async with servers() as both, tally.contestant.depot(both.access) as depot:
        failed = await tally.failed(start(depot, 1))
        fetched = len(both.tokens.received)
        both.gather_refusals = REFUSED_CALLS
        both.seconds_between_refusals = seconds_between
        both.revoke_all()
        failed += await tally.failed(start(depot, REFUSED_CALLS))
        return len(both.tokens.received) - fetched, failed


async def cancelled_in(tally: Tally, token_answers: list[Script]) -> tuple[int, int]:
    """Cancelled leaders and hurt calls, where the token URL stalls for one leader after another."""
    async with servers(*token_answers) as both, tally.contestant.depot(both.access) as depot:
        leader = start(depot, 1)
        await until(lambda: both.tokens.received)
        calls = leader + start(depot, CALLS_BEHIND_A_LEADER - 1)
        leaders = len(token_answers)
        for place, call in enumerate(calls[:leaders]):
            await until(lambda place=place: len(both.tokens.received) > place)  # type: ignore[misc]
            await asyncio.sleep(0.01)  # for what is sent to arrive, and the others to wait
            call.cancel()
        hurt = await tally.failed(calls[leaders:])
        await tally.failed(calls[:leaders])
        return sum(call.cancelled() for call in calls[:leaders]), hurt


async def cancelled_after(tally: Tally, count: int) -> tuple[int, int]:
    """The same, where the token URL answers and the leader ends after so many turns."""
    async with servers() as both, tally.contestant.depot(both.access) as depot:
        leader, *others = start(depot, CALLS_BEHIND_A_LEADER)
        await turns(count)
        leader.cancel()
        hurt = await tally.failed(others)
        await tally.failed([leader])
        return leader.cancelled(), hurt


async def failing_once(tally: Tally, attempts: int) -> tuple[int, int]:
    """Failed calls and token requests where the token URL's first answer is a 500."""
    release = asyncio.Event()

    async def fail(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await release.wait()
        await answer(status=500)(request, reader, writer)

    async with servers(fail) as both:
        async with tally.contestant.depot(both.access, Patience(attempts=attempts)) as depot:
            calls = start(depot, WAITERS)
            await until(lambda: both.tokens.received)
            await asyncio.sleep(0.01)
            release.set()
            failed = await tally.failed(calls)
            return failed, len(both.tokens.received)


TOKEN = whole(b'{"access_token": "t0k3n-that-nobody-gets", "expires_in": 3600}')
STALLS = (b"", TOKEN[:20], head()[:-2], TOKEN[:-30], TOKEN[:-1])
"""What a leader has of the token's answer when it is cancelled."""


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Ask for tokens in crowds, and take away who asks."""
    tally = Tally(contestant)
    rounds = 5 if full else 1
    first = [await first_calls(tally) for _ in range(rounds)]
    refused = [
        await refusals(tally, seconds) for _ in range(rounds) for seconds in (0.0, 0.001, 0.005)
    ]
    cancelled = [
        await cancelled_in(tally, [stall(sent)] * leaders)
        for sent in STALLS
        for leaders in ((1, 3, 19) if full else (1, 3))
    ]
    cancelled += [await cancelled_after(tally, count) for count in range(200 if full else 60)]
    failed, requests_then = await failing_once(tally, attempts=3)
    failed_untried, requests_untried = await failing_once(tally, attempts=1)
    return {
        "first calls": FIRST_CALLS,
        "token requests": max(requests for requests, _ in first),
        "simultaneous 401s": REFUSED_CALLS,
        "refreshes": max(refreshes for refreshes, _ in refused),
        "of all these calls failed": sum(failed for _, failed in first + refused),
        "cancelled leaders": sum(leaders for leaders, _ in cancelled),
        "calls hurt by a cancelled leader": sum(hurt for _, hurt in cancelled),
        f"of {WAITERS} calls failed by one 500 of the token URL": failed,
        "with token requests": requests_then,
        "of them failed at one attempt": failed_untried,
        "with token requests at one attempt": requests_untried,
        "undocumented errors": tally.undocumented,
    }


async def test_a_crowd_fetches_one_token_and_no_end_of_a_call_hurts_another(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R8", measured)
    assert measured["token requests"] == 1
    assert measured["refreshes"] == 1
    assert measured["of all these calls failed"] == 0
    assert measured["cancelled leaders"] > 0
    assert measured["calls hurt by a cancelled leader"] == 0
    assert measured[f"of {WAITERS} calls failed by one 500 of the token URL"] == 0
    assert measured["with token requests"] <= 2
    assert measured["with token requests at one attempt"] == 1
    assert measured["undocumented errors"] == 0


async def test_a_failed_token_request_hurts_no_call_that_comes_later() -> None:
    async with servers(answer(status=500)) as both:
        async with OURS.depot(both.access, Patience(attempts=1)) as depot:
            crowd = await asyncio.gather(*start(depot, WAITERS), return_exceptions=True)
            assert {type(error) for error in crowd} == {ServerError}
            assert len({id(error) for error in crowd}) == WAITERS
            assert await first_of(depot) == FIRST_ID
            assert len(both.tokens.received) == 2


async def test_a_leader_whose_deadline_ends_leaves_the_token_to_the_next_in_line() -> None:
    async with servers(stall(TOKEN[:-1])) as both:
        async with client_of(both.access) as patient:
            hasty = patient.with_options(timeout=Timeout(total=0.2))
            leader = asyncio.create_task(pages(hasty))
            await until(lambda: both.tokens.received)
            others = [asyncio.create_task(pages(patient)) for _ in range(19)]
            with pytest.raises(DeadlineExceeded):
                await leader
            assert await asyncio.gather(*others) == [FIRST_ID] * 19
            assert len(both.tokens.received) == 2


def client_of(access: Access) -> DepotClient:
    return DepotClient(
        client_id=access.client_id,
        client_secret=access.client_secret,
        base_url=access.base_url,
        token_url=access.token_url,
        retry=RetryPolicy(attempts=1),
    )


async def pages(client: DepotClient) -> int:
    """One call of a client itself."""
    reports = client.session_reports(CHARGER, CONNECTOR, limit=LIMIT, read_ahead=0)
    async with reports.walk() as walk:
        return (await anext(walk)).session_id


def end_of(call: Callable[[], Coroutine[Any, Any, object]]) -> object:
    """What a call comes to in an event loop of its own, in a thread of its own."""
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(asyncio.run(call()))
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(HOPELESS)
    return ended[0] if ended else TimeoutError("it did not end")


OTHER_LOOP = "the client belongs to the event loop that it was first used in"


@pytest.mark.parametrize("derived", [False, True])
async def test_a_second_loop_in_a_thread_is_refused_and_hurts_no_call_in_flight(
    derived: bool,
) -> None:
    async with servers(stall(), stall()) as both, client_of(both.access) as client:
        in_flight = [asyncio.create_task(pages(client)) for _ in range(5)]
        await until(lambda: both.tokens.received)
        other = client.with_options(timeout=Timeout(total=5)) if derived else client
        for _ in range(3):
            ended = await asyncio.to_thread(end_of, lambda: pages(other))
            assert isinstance(ended, RuntimeError)
            assert OTHER_LOOP in str(ended)
        for call in in_flight[:2]:  # who had to do with the stalls
            call.cancel()
            await turns(20)
        assert await asyncio.gather(*in_flight[2:]) == [FIRST_ID] * 3
        assert await pages(client) == FIRST_ID


def test_a_second_run_of_a_loop_is_refused() -> None:
    async def first_run() -> DepotClient:
        async with servers() as both:
            client = client_of(both.access)
            assert await pages(client) == FIRST_ID
            return client

    client = asyncio.run(first_run())
    for _ in range(2):
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            asyncio.run(pages(client))
    asyncio.run(client.aclose())


async def test_a_client_that_was_only_made_in_another_loop_works() -> None:
    async with servers() as both:

        async def made() -> DepotClient:
            return client_of(both.access)

        client = await asyncio.to_thread(end_of, made)
        assert isinstance(client, DepotClient)
        async with client:
            assert await pages(client) == FIRST_ID
