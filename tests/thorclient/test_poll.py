"""`ThorClient.poll`: when it requests what, and what it yields."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from tests.support.simulated import run_simulated
from tests.support.waiting import iterate_loop
from thorclient import (
    Analytics,
    ApiError,
    RateLimitedError,
    RollingCounts,
    SchemaError,
    ThorClient,
)
from thorclient.sandbox import Fault, ThorSandbox

COUNTS = RollingCounts(1, 2, 3)
ANALYTICS = Analytics(COUNTS, COUNTS, COUNTS, COUNTS)
MINUTE = timedelta(minutes=1)
FAILED = ApiError("failed")

Result: TypeAlias = "tuple[str | None, Analytics | ApiError]"


class SimulatedThor(ThorClient):
    """Client that records its requests, and whose responses a test chooses.

    `answer` returns the seconds that a request takes and its result, for a chargebox id, or None
    for the list of chargeboxes.
    """

    def __init__(self, answer: Callable[[str | None], tuple[float, Any]]) -> None:
        super().__init__(api_key="key")
        self.answer = answer
        self.requests: list[tuple[float, str | None]] = []
        self.in_flight = 0

    async def get_analytics(self, chargebox_id: str) -> Analytics:
        result = await self._simulate(chargebox_id)
        assert isinstance(result, Analytics)
        return result

    async def _list_ids(self) -> list[str]:
        result = await self._simulate(None)
        assert isinstance(result, list)
        return result

    async def _simulate(self, chargebox_id: str | None) -> object:
        self.requests.append((asyncio.get_running_loop().time(), chargebox_id))
        seconds, result = self.answer(chargebox_id)
        self.in_flight += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.in_flight -= 1
        if isinstance(result, BaseException):
            raise result
        return result

    def times(self, chargebox_id: str | None) -> list[float]:
        """Return the times of the requests for a chargebox or for the list, in minutes."""
        return [round(time / 60, 3) for time, name in self.requests if name == chargebox_id]


def polled(
    results: AsyncGenerator[Result, None], *, until: float, pause: float = 0.0
) -> Coroutine[Any, Any, list[Result]]:
    """Return the results of the first minutes, by the clock of the loop."""

    async def collect() -> list[Result]:
        found = []
        async with aclosing(results):
            try:
                async with asyncio.timeout(until * 60):
                    async for result in results:
                        found.append(result)
                        await asyncio.sleep(pause)
            except TimeoutError:
                return found
        raise AssertionError("the iteration ended")

    return collect()


def test_each_chargebox_is_requested_once_in_an_interval_and_evenly_spread() -> None:
    thor = SimulatedThor(lambda _: (0.5, ANALYTICS))
    found = run_simulated(polled(thor.poll(["a", "b", "a", "c"], every=MINUTE), until=1.99))
    times = [0, 20, 40, 60, 80, 100]
    assert thor.requests == list(zip(times, "abcabc", strict=True))
    assert found == [(name, ANALYTICS) for name in "abcabc"]


def test_a_slow_chargebox_skips_turns_and_delays_no_other() -> None:
    thor = SimulatedThor(lambda name: (150 if name == "slow" else 0.5, ANALYTICS))
    run_simulated(polled(thor.poll(["slow", "b"], every=MINUTE), until=5.9))
    assert thor.times("slow") == [0, 3]
    assert thor.times("b") == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_nothing_piles_up_if_an_interval_is_too_short(concurrency: int) -> None:
    thor = SimulatedThor(lambda _: (60, ANALYTICS))
    ids, peak = [f"TB-{n}" for n in range(10)], 0

    async def watch() -> None:
        nonlocal peak
        async with aclosing(thor.poll(ids, every=MINUTE, concurrency=concurrency)) as results:
            for _ in range(30):
                await anext(results)
                peak = max(peak, thor.in_flight)

    run_simulated(watch())
    assert peak <= concurrency
    # Each chargebox has its turn.
    assert sorted(thor.requests[n][1] or "" for n in range(10)) == ids


def test_a_slow_consumer_gets_each_chargebox_in_turn() -> None:
    thor = SimulatedThor(lambda _: (0.5, ANALYTICS))
    results = thor.poll(["a", "b", "c"], every=timedelta(seconds=1))
    found = run_simulated(polled(results, until=6.5, pause=60))
    assert [name for name, _ in found] == ["a", "b", "c", "a", "b", "c", "a"]


def test_a_chargebox_that_fails_backs_off_up_to_an_hour_until_it_succeeds() -> None:
    thor = SimulatedThor(
        lambda name: (0, FAILED if name == "bad" and thor.requests[-1][0] < 10_000 else ANALYTICS)
    )
    every = timedelta(minutes=10)
    found = run_simulated(polled(thor.poll(["ok", "bad"], every=every), until=230))
    assert thor.times("bad") == [5, 25, 65, 125, 185, 195, 205, 215, 225]
    assert thor.times("ok") == list(range(0, 230, 10))
    assert [result for name, result in found if name == "bad"] == [FAILED] * 4 + [ANALYTICS] * 5


def test_a_chargebox_is_not_requested_before_the_time_that_the_server_names() -> None:
    busy = RateLimitedError("429", status=429, retry_after=600.0)
    results = iter([busy, ANALYTICS])
    thor = SimulatedThor(lambda _: (0, next(results)))
    run_simulated(polled(thor.poll(["a"], every=MINUTE), until=10.5))
    assert thor.times("a") == [0, 10]


def test_without_ids_the_list_is_requested_again_in_each_interval() -> None:
    lists = iter([["a", "b"], ["a", "c"], FAILED, [], []])
    thor = SimulatedThor(lambda name: (0, ANALYTICS if name else next(lists)))
    found = run_simulated(polled(thor.poll(every=MINUTE), until=5.99))
    assert thor.times(None) == [0, 1, 2, 4, 5]  # It backs off after its failure.
    assert (thor.times("a"), thor.times("b")) == ([0, 1, 2, 3, 4], [0.5])
    assert thor.times("c") == [1.5, 2.5, 3.5]  # The error keeps the previous list.
    assert [result for name, result in found if name is None] == [FAILED]


def test_the_error_of_the_first_list_does_not_end_the_iteration() -> None:
    lists = iter([FAILED, ["a"]])
    thor = SimulatedThor(lambda name: (0, ANALYTICS if name else next(lists)))
    found = run_simulated(polled(thor.poll(every=MINUTE), until=2.5))
    assert found == [(None, FAILED), ("a", ANALYTICS)]


@pytest.mark.parametrize("ending", ["aclose", "break", "cancel", "error"])
async def test_an_iteration_that_ends_early_leaves_no_request_running(ending: str) -> None:
    thor = SimulatedThor(lambda name: (0 if name == "a" else 1000, results_of[name or ""]))
    # A limiter may raise a TimeoutError, which is no timer of the library's own.
    results_of = {"a": TimeoutError() if ending == "error" else ANALYTICS, "b": ANALYTICS}
    results = thor.poll(["b", "a"], every=timedelta(microseconds=1))
    if ending == "error":
        with pytest.raises(TimeoutError):
            await anext(results)
    else:
        assert await anext(results) == ("a", ANALYTICS)
        assert thor.in_flight == 1
    if ending == "aclose":
        await results.aclose()
    elif ending == "cancel":
        task = asyncio.ensure_future(anext(results))
        await iterate_loop(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    del results
    gc.collect()
    await iterate_loop(5)
    assert thor.in_flight == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'[{"id": "TB-0001", "alias": 5}]', ("TB-0001", Analytics)),
        (b'[{"id": ".."}]', (None, SchemaError)),
    ],
)
async def test_a_listed_chargebox_needs_only_a_valid_id(
    body: bytes, found: tuple[str | None, type]
) -> None:
    async with (
        ThorSandbox(faults=[Fault.status(200, body=body)]) as sandbox,
        ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor,
        aclosing(thor.poll()) as results,
    ):
        chargebox_id, result = await anext(results)
        assert sandbox.requests[0].query == {"onlyactive": "true"}
    assert (chargebox_id, type(result)) == found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ids": "TB-1"}, "ids must be an iterable of ids, got str"),
        ({"ids": 5}, "ids must be an iterable of ids, got int"),
        ({"ids": []}, "ids must not be empty; None polls all chargeboxes"),
        ({"ids": ["TB-1", ".."]}, "chargebox_id must not consist only of dots"),
        ({"ids": [["TB-1"]]}, "chargebox_id must be a string, not list"),
        ({"every": timedelta(0)}, "every must be a timedelta greater than 0"),
        ({"every": 60}, "every must be a timedelta greater than 0"),
        ({"concurrency": 0}, "concurrency must be an int >= 1"),
    ],
)
def test_invalid_arguments_are_rejected_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ThorClient(api_key="key").poll(**arguments)
