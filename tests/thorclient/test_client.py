"""`ThorClient`: its arguments, its requests and the results of its calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias, cast

import pytest

from tests.support.error_dump import dump_error
from tests.support.waiting import turns
from tests.support.wire import Wire, reply
from thorclient import (
    Analytics,
    ApiError,
    APIKeyNotFound,
    MisdirectedResponse,
    RollingCounts,
    ThorClient,
)
from thorclient.models import structure_analytics, structure_chargebox
from thorclient.sandbox import ThorSandbox

KEY = "s3cr3t-k3y"
THOR = "https://api.thor.tools/latest/integration"


@pytest.fixture
async def sandbox() -> AsyncIterator[ThorSandbox]:
    async with ThorSandbox() as running:
        yield running


@pytest.fixture
async def thor(sandbox: ThorSandbox) -> AsyncIterator[ThorClient]:
    async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as client:
        yield client


# Arguments.


@pytest.mark.usefixtures("offline")
def test_a_client_can_be_made_outside_of_a_loop_and_opens_nothing() -> None:
    client = ThorClient(api_key=KEY)

    assert repr(client) == f"<ThorClient of {THOR}>"
    assert KEY not in str(vars(client))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", ""),
        ("api_key", f"{KEY}\n"),
        ("api_key", KEY.encode()),
        ("base_url", "http://api.thor.tools"),
        ("base_url", None),
        ("session", 5),
        ("proxy", "ftp://proxy"),
        ("retry", 3),
        ("timeout", 5.0),
        ("limiter", 5),
        ("max_response_bytes", 0),
    ],
)
def test_an_invalid_argument_is_refused_by_name_without_showing_the_key(
    name: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        ThorClient(**{"api_key": KEY, name: value})

    assert KEY not in dump_error(caught.value)


@pytest.mark.parametrize("name", ["retry", "timeout", "limiter"])
def test_with_options_refuses_an_invalid_argument(name: str) -> None:
    client, options = ThorClient(api_key=KEY), cast(Any, {name: 5})

    with pytest.raises(ValueError, match=name):
        client.with_options(**options)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("THOR_API_KEY", "THOR_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


async def test_the_environment_sets_key_and_address(
    environment: pytest.MonkeyPatch, sandbox: ThorSandbox
) -> None:
    environment.setenv("THOR_API_KEY", f" {sandbox.api_key}\n")
    environment.setenv("THOR_BASE_URL", f"{sandbox.base_url}/")

    async with ThorClient.from_env() as thor:
        assert (await thor.get_chargebox("TB-0001")).id == "TB-0001"


@pytest.mark.parametrize("address", ["", "  "])
def test_the_default_address_is_the_vendors(environment: pytest.MonkeyPatch, address: str) -> None:
    environment.setenv("THOR_API_KEY", KEY)
    environment.setenv("THOR_BASE_URL", address)

    assert repr(ThorClient.from_env()) == f"<ThorClient of {THOR}>"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "THOR_API_KEY is not set"),
        ({"THOR_API_KEY": " \n"}, "THOR_API_KEY is not set"),
        ({"THOR_API_KEY": f"{KEY}\nmore"}, "api_key"),
        ({"THOR_API_KEY": KEY, "THOR_BASE_URL": "http://api.thor.tools"}, "base_url"),
    ],
)
def test_an_invalid_environment_is_refused_without_showing_the_key(
    environment: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)

    with pytest.raises(ValueError, match=message) as caught:
        ThorClient.from_env()

    assert KEY not in dump_error(caught.value)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("method", ["get_analytics", "get_chargebox"])
@pytest.mark.parametrize("chargebox_id", ["", "..", "a\n", None], ids=ascii)
async def test_an_invalid_id_is_refused_before_a_connection_is_opened(
    method: str, chargebox_id: Any
) -> None:
    thor = ThorClient(api_key=KEY)

    with pytest.raises(ValueError, match=r"^chargebox_id must ") as caught:
        await getattr(thor, method)(chargebox_id)

    assert KEY not in dump_error(caught.value)


# Calls.


async def test_results_are_the_structured_bodies(sandbox: ThorSandbox, thor: ThorClient) -> None:
    for chargebox_id in sandbox.chargebox_ids[:3]:
        analytics = structure_analytics(sandbox.analytics(chargebox_id))
        chargebox = structure_chargebox(sandbox.chargebox(chargebox_id))

        assert await thor.get_analytics(chargebox_id) == analytics
        assert await thor.get_chargebox(chargebox_id) == chargebox


async def test_a_request_has_the_id_as_one_segment_and_the_key_in_a_header() -> None:
    chargebox_id = "../a?b#c%2F\U0001f50c"
    body = reply(json.dumps({"id": chargebox_id}).encode())
    async with Wire(body) as wire:
        async with ThorClient(api_key=KEY, base_url=f"{wire.url}/v2/") as thor:
            await thor.get_chargebox(chargebox_id)

    (request,) = wire.received
    assert request.method == "GET"
    assert request.target == "/v2/chargeboxes/..%2Fa%3Fb%23c%252F%F0%9F%94%8C"
    assert request.headers["X-Api-Key"] == KEY
    assert request.headers["Accept"] == "application/json"
    assert "Authorization" not in request.headers


async def test_a_refused_key_is_not_shown(sandbox: ThorSandbox) -> None:
    async with ThorClient(api_key=KEY, base_url=sandbox.base_url) as thor:
        with pytest.raises(APIKeyNotFound) as caught:
            await thor.get_chargebox("TB-0001")

    assert KEY not in dump_error(caught.value)


async def test_the_id_of_a_chargebox_must_be_the_requested_one_in_any_case() -> None:
    async with Wire(reply(b'{"id": "TB-1"}'), reply(b'{"id": "TB-2"}')) as wire:
        async with ThorClient(api_key=KEY, base_url=wire.url) as thor:
            assert (await thor.get_chargebox("tb-1")).id == "TB-1"
            with pytest.raises(MisdirectedResponse):
                await thor.get_chargebox("TB-1")


# Many calls.

COUNTS = RollingCounts(1, 2, 3)
ANALYTICS = Analytics(COUNTS, COUNTS, COUNTS, COUNTS)

Results: TypeAlias = AsyncGenerator[tuple[str, Analytics | ApiError], None]


class ControlledThor(ThorClient):
    """Client whose calls wait until a test sets their results."""

    def __init__(self) -> None:
        super().__init__(api_key=KEY)
        self.calls: dict[str, asyncio.Future[Analytics]] = {}
        self.in_flight = 0

    async def get_analytics(self, chargebox_id: str) -> Analytics:
        self.in_flight += 1
        try:
            return await self.calls.setdefault(chargebox_id, asyncio.Future())
        finally:
            self.in_flight -= 1


async def test_results_and_errors_are_yielded_in_the_order_of_completion() -> None:
    thor, error = ControlledThor(), ApiError("failed")
    results = thor.get_analytics_many(["a", "b", "c"])
    first = asyncio.ensure_future(anext(results))
    await turns(3)
    thor.calls["c"].set_result(ANALYTICS)
    thor.calls["a"].set_exception(error)
    thor.calls["b"].set_result(ANALYTICS)

    found = [await first, *[pair async for pair in results]]

    assert found == [("c", ANALYTICS), ("a", error), ("b", ANALYTICS)]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_ids_are_read_lazily_and_exactly_as_many_calls_as_allowed_run(
    sandbox: ThorSandbox, thor: ThorClient, concurrency: int
) -> None:
    read = yielded = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "TB-0001"

    results = thor.get_analytics_many(endless(), concurrency=concurrency)
    async for _ in results:
        yielded += 1
        assert read - yielded == concurrency
        if yielded == 10:
            break
    await results.aclose()

    assert sandbox.peak_in_flight <= concurrency


@pytest.mark.parametrize(
    ("bad", "error"),
    [("", ValueError), (None, ValueError), (RuntimeError("no database"), RuntimeError)],
)
async def test_a_bad_id_ends_the_iteration_after_the_results_of_earlier_ids(
    sandbox: ThorSandbox, thor: ThorClient, bad: Any, error: type[Exception]
) -> None:
    good, found = sandbox.chargebox_ids[:5], []

    def ids() -> Iterator[str]:
        yield from good
        if isinstance(bad, Exception):
            raise bad
        yield bad
        yield sandbox.chargebox_ids[5]

    with pytest.raises(error):
        async for chargebox_id, _ in thor.get_analytics_many(ids(), concurrency=3):
            found.append(chargebox_id)

    assert sorted(found) == sorted(good)


@pytest.mark.parametrize(
    ("ids", "concurrency", "message"),
    [([], 0, "concurrency"), ([], True, "concurrency"), ("TB-1", 1, "ids"), (5, 1, "ids")],
)
def test_invalid_arguments_of_many_calls_are_refused_at_once(
    ids: Any, concurrency: Any, message: str
) -> None:
    thor = ThorClient(api_key=KEY)

    with pytest.raises(ValueError, match=f"^{message} must be an "):
        thor.get_analytics_many(ids, concurrency)


async def test_no_ids_have_no_results() -> None:
    assert [pair async for pair in ControlledThor().get_analytics_many([])] == []


async def leave_early(thor: ControlledThor, results: Results, first: asyncio.Task[Any]) -> None:
    thor.calls["b"].set_result(ANALYTICS)
    await first
    await results.aclose()


async def cancel(thor: ControlledThor, results: Results, first: asyncio.Task[Any]) -> None:
    first.cancel()
    await asyncio.wait([first])


async def fail(thor: ControlledThor, results: Results, first: asyncio.Task[Any]) -> None:
    thor.calls["b"].set_exception(LookupError("not an ApiError"))
    with pytest.raises(LookupError):
        await first


@pytest.mark.parametrize("end", [leave_early, cancel, fail])
async def test_an_iteration_that_ends_early_leaves_no_call(end: Callable[..., Any]) -> None:
    thor = ControlledThor()
    results = thor.get_analytics_many(["a", "b", "c"])
    first = asyncio.ensure_future(anext(results))
    await turns(3)
    assert thor.in_flight == 3

    await end(thor, results, first)

    assert thor.in_flight == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
