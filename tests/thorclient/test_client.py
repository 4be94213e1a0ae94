"""`ThorClient`: its arguments, and the results of its calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, TypeAlias

import pytest

from tests.support.error_dump import dump_error
from tests.support.waiting import iterate_loop
from tests.support.wire import Wire, reply
from thorclient import (
    Analytics,
    ApiError,
    APIKeyNotFound,
    ConnectorType,
    MisdirectedResponse,
    RollingCounts,
    SchemaError,
    ThorClient,
)
from thorclient.models import structure_analytics, structure_chargebox
from thorclient.sandbox import ThorSandbox

KEY = "s3cr3t-k3y"
IDS = ("TB-1", "../a?b#c%2F\U0001f50c", "TB-3", "TB-4", "TB-5")


@pytest.fixture
async def sandbox() -> AsyncIterator[ThorSandbox]:
    async with ThorSandbox(chargeboxes=IDS) as running:
        yield running


@pytest.fixture
async def thor(sandbox: ThorSandbox) -> AsyncIterator[ThorClient]:
    async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as client:
        yield client


# Arguments.


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
def test_an_invalid_argument_is_rejected_by_name_without_showing_the_key(
    name: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        ThorClient(**{"api_key": KEY, name: value})

    assert KEY not in dump_error(caught.value)


@pytest.mark.usefixtures("offline")
def test_the_environment_sets_the_key_and_the_default_address_is_the_vendors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("THOR_BASE_URL", raising=False)
    monkeypatch.setenv("THOR_API_KEY", f"{KEY}\nmore")
    with pytest.raises(ValueError, match="api_key") as caught:
        ThorClient.from_env()
    assert KEY not in dump_error(caught.value)

    monkeypatch.setenv("THOR_API_KEY", KEY)
    address = "https://api.thor.tools/latest/integration"
    assert repr(ThorClient.from_env()) == f"<ThorClient of {address}>"


def test_with_options_rejects_an_invalid_argument() -> None:
    with pytest.raises(ValueError, match="retry"):
        ThorClient(api_key=KEY).with_options(retry=5)  # type: ignore[arg-type]


# Calls.


async def test_results_are_the_structured_bodies(sandbox: ThorSandbox, thor: ThorClient) -> None:
    for chargebox_id in IDS:
        analytics = structure_analytics(sandbox.analytics(chargebox_id))
        chargebox = structure_chargebox(sandbox.chargebox(chargebox_id))

        assert await thor.get_analytics(chargebox_id) == analytics
        assert await thor.get_chargebox(chargebox_id) == chargebox


async def test_the_id_of_a_chargebox_must_equal_the_requested_one_except_for_case() -> None:
    async with Wire(reply(b'{"id": "TB-1"}'), reply(b'{"id": "TB-2"}')) as wire:
        async with ThorClient(api_key=KEY, base_url=wire.url) as thor:
            assert (await thor.get_chargebox("tb-1")).id == "TB-1"
            with pytest.raises(MisdirectedResponse):
                await thor.get_chargebox("TB-1")


async def test_all_chargeboxes_are_selected_by_the_documented_parameters(
    sandbox: ThorSandbox, thor: ThorClient
) -> None:
    boxes = [structure_chargebox(sandbox.chargebox(name)) for name in IDS]
    assert await thor.get_chargeboxes(only_active=False) == boxes
    assert await thor.get_chargeboxes() == [box for box in boxes if box.active]

    await thor.get_chargeboxes(within=(-0.00001, -5, 44.6, 11.5), connector_type=ConnectorType.CCS)

    assert [request.query for request in sandbox.requests] == [
        {"onlyactive": "false"},
        {"onlyactive": "true"},
        {
            "onlyactive": "true",
            "cswlat": "-0.00001",
            "cswlng": "-5",
            "cnelat": "44.6",
            "cnelng": "11.5",
            "type": "ccs",
        },
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'[{"id": "a"}, {"id": "b", "active": 1}]', r"\$\[1\]\.active: expected bool, got int"),
        (b'[{"id": "a"}, 5]', r"\$\[1\]: expected object, got int"),
        (b'{"id": "a"}', r"\$: expected array, got object"),
    ],
)
async def test_an_invalid_list_of_chargeboxes_names_the_bad_one(body: bytes, message: str) -> None:
    async with Wire(reply(body)) as wire:
        async with ThorClient(api_key=KEY, base_url=wire.url) as thor:
            with pytest.raises(SchemaError, match=f"^GET chargeboxes: {message}"):
                await thor.get_chargeboxes()


async def test_an_error_names_the_call_and_the_credential_to_check() -> None:
    async with Wire(reply(b'{"message": "APIKeyNotFound"}', status=403)) as wire:
        async with ThorClient(api_key=KEY, base_url=wire.url) as thor:
            with pytest.raises(APIKeyNotFound) as caught:
                await thor.get_analytics("TB/1")

    start = "GET analytics/TB%2F1: 403 APIKeyNotFound; check api_key (THOR_API_KEY) (1 attempt, "
    assert str(caught.value).startswith(start)
    assert caught.value.context == {"chargebox_id": "TB/1"}


# Many calls.

COUNTS = RollingCounts(1, 2, 3)
ANALYTICS = Analytics(COUNTS, COUNTS, COUNTS, COUNTS)

First: TypeAlias = asyncio.Task[tuple[str, Analytics | ApiError]]
Results: TypeAlias = AsyncGenerator[tuple[str, Analytics | ApiError], None]


class ControlledThor(ThorClient):
    """Client with calls that wait until a test sets their results."""

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

    async def start(self) -> tuple[Results, First]:
        """Start three calls. Return the results, and a task that waits for the first one."""
        results = self.get_analytics_many(["a", "b", "c"])
        first = asyncio.ensure_future(anext(results))
        await iterate_loop(3)
        assert self.in_flight == 3
        return results, first


async def test_results_and_errors_are_yielded_in_the_order_of_completion() -> None:
    thor, error = ControlledThor(), ApiError("failed")
    results, first = await thor.start()
    thor.calls["c"].set_result(ANALYTICS)
    thor.calls["a"].set_exception(error)
    thor.calls["b"].set_result(ANALYTICS)

    found = [await first, *[pair async for pair in results]]

    assert found == [("c", ANALYTICS), ("a", error), ("b", ANALYTICS)]


@pytest.mark.parametrize("result", [ANALYTICS, LookupError("no ApiError")], ids=type)
async def test_an_iteration_that_ends_early_leaves_no_call_running(result: Any) -> None:
    thor = ControlledThor()
    results, first = await thor.start()
    if isinstance(result, Exception):
        thor.calls["b"].set_exception(result)
        with pytest.raises(LookupError):
            await first
    else:
        thor.calls["b"].set_result(result)
        await first
        await results.aclose()

    assert thor.in_flight == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_ids_are_read_lazily_and_exactly_as_many_calls_as_allowed_run(
    sandbox: ThorSandbox, thor: ThorClient, concurrency: int
) -> None:
    read = yielded = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield IDS[0]

    results = thor.get_analytics_many(endless(), concurrency=concurrency)
    async for _ in results:
        yielded += 1
        assert read - yielded == concurrency
        if yielded == 10:
            break
    await results.aclose()

    assert sandbox.peak_in_flight <= concurrency


@pytest.mark.parametrize(
    ("count", "bad", "error"),
    [(4, "", ValueError), (4, RuntimeError("no database"), RuntimeError), (0, None, ValueError)],
)
async def test_a_bad_id_ends_the_iteration_after_the_results_of_earlier_ids(
    thor: ThorClient, count: int, bad: Any, error: type[Exception]
) -> None:
    def ids() -> Iterator[str]:
        yield from IDS[:count]
        if isinstance(bad, Exception):
            raise bad
        yield bad
        yield IDS[4]

    found = []
    with pytest.raises(error):
        async for chargebox_id, _ in thor.get_analytics_many(ids(), concurrency=3):
            found.append(chargebox_id)

    assert sorted(found) == sorted(IDS[:count])


@pytest.mark.parametrize(
    ("ids", "concurrency", "message"),
    [([], 0, "concurrency"), ([], True, "concurrency"), ("TB-1", 1, "ids"), (5, 1, "ids")],
)
def test_invalid_arguments_of_many_calls_are_rejected_at_once(
    ids: Any, concurrency: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message} must be an "):
        ThorClient(api_key=KEY).get_analytics_many(ids, concurrency)
