"""The Thor client over real sockets: both calls, the documented errors, and many ids at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.wire import Received, Wire, answer
from thorclient import (
    Analytics,
    APIKeyNotFound,
    AuthError,
    ChargeboxNotFound,
    InternalServerError,
    InvalidSourceIPAddr,
    MisdirectedResponse,
    NotFoundError,
    RestAPINotEnabled,
    RetryPolicy,
    SchemaError,
    ServerError,
    StatusError,
    ThorClient,
)
from thorclient.sandbox import ThorSandbox


def client_of(sandbox: ThorSandbox, **options: Any) -> ThorClient:
    return ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url, **options)


@pytest.fixture
async def sandbox() -> AsyncIterator[ThorSandbox]:
    async with ThorSandbox() as running:
        yield running


@pytest.fixture
async def thor(sandbox: ThorSandbox) -> AsyncIterator[ThorClient]:
    async with client_of(sandbox) as client:
        yield client


async def test_analytics_are_what_the_server_has(sandbox: ThorSandbox, thor: ThorClient) -> None:
    chargebox_id = sandbox.chargebox_ids[0]
    sent = json.loads(sandbox.analytics(chargebox_id))

    analytics = await thor.get_analytics(chargebox_id)

    for name in ("charges", "disconnections", "energy", "users"):
        counts = getattr(analytics, name)
        assert [counts.last_7, counts.last_30, counts.last_60] == list(sent[name].values())
    assert analytics.active_since is not None
    assert analytics.active_since.isoformat()[:19] == sent["active_since"][:19]


async def test_a_chargebox_is_what_the_server_has_and_hides_its_tokens(
    sandbox: ThorSandbox, thor: ThorClient
) -> None:
    for chargebox_id in sandbox.chargebox_ids:
        sent = json.loads(sandbox.chargebox(chargebox_id))

        chargebox = await thor.get_chargebox(chargebox_id)

        assert chargebox.id == chargebox_id
        assert chargebox.alias == sent["alias"]
        assert chargebox.last_heartbeat is not None
        assert chargebox.last_heartbeat.timestamp() * 1000 == sent["last_heartbeat"]
        assert chargebox.occupied_connectors == sent["occupied_connectors"]
        for connector, sent_connector in zip(chargebox.connectors, sent["connectors"], strict=True):
            assert connector.type == sent_connector["type"]
            if (secret := sent_connector.get("token")) is not None:
                assert connector.token is not None
                assert connector.token.reveal() == secret
                assert secret not in repr(chargebox)


@pytest.mark.parametrize("asked", ["TB-1", "tb-1"])
async def test_the_case_of_a_chargebox_id_does_not_matter(asked: str) -> None:
    async with Wire(answer(b'{"id": "TB-1"}')) as wire:
        async with ThorClient(api_key="k", base_url=wire.url) as thor:
            assert (await thor.get_chargebox(asked)).id == "TB-1"


async def test_another_chargebox_is_an_error_and_its_connection_is_not_used_again() -> None:
    async with Wire(answer(b'{"id": "TB-2"}'), answer(b'{"id": "TB-1"}')) as wire:
        async with ThorClient(api_key="k", base_url=wire.url) as thor:
            with pytest.raises(MisdirectedResponse, match="asked for id 'TB-1', got 'TB-2'"):
                await thor.get_chargebox("TB-1")
            assert (await thor.get_chargebox("TB-1")).id == "TB-1"
        assert wire.connections == 2


@pytest.mark.parametrize(
    "shape", ["message", "Message", "error", "error.message", "string", "text"]
)
async def test_the_documented_errors_are_known_by_name_however_the_body_carries_it(
    shape: Any,
) -> None:
    cases: list[tuple[dict[str, Any], str | None, type[StatusError], type[StatusError], int]] = [
        ({}, "wrong-key", APIKeyNotFound, AuthError, 403),
        ({"enabled": False}, None, RestAPINotEnabled, AuthError, 403),
        ({"allowed_address": "192.0.2.1"}, None, InvalidSourceIPAddr, AuthError, 403),
        ({"chargeboxes": ["other"]}, None, ChargeboxNotFound, NotFoundError, 404),
        ({"broken": ["TB-0001"]}, None, InternalServerError, ServerError, 500),
    ]
    for settings_, key, error, parent, status in cases:
        async with (
            ThorSandbox(error_shape=shape, **settings_) as sandbox,
            ThorClient(api_key=key or sandbox.api_key, base_url=sandbox.base_url) as thor,
        ):
            with pytest.raises(error) as caught:
                await thor.get_chargebox("TB-0001")
        assert isinstance(caught.value, parent)
        assert caught.value.code == error.__name__
        assert caught.value.status == status


async def test_an_answer_without_counts_is_no_analytics() -> None:
    async with Wire(answer(b'{"message": "InternalServerError"}')) as wire:
        async with ThorClient(api_key="k", base_url=wire.url) as thor:
            with pytest.raises(SchemaError, match="required field missing") as caught:
                await thor.get_analytics("a")

    assert len(caught.value.problems) == 4


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chargebox_id=st.text(max_size=40) | st.sampled_from(["..", "a/../b", "%2e%2e", "?#", "🔌"]))
def test_any_id_arrives_as_exactly_one_segment_or_is_refused_before_any_socket(
    chargebox_id: str,
) -> None:
    async def scenario() -> None:
        async with Wire(default=answer(b"{}")) as wire:
            async with ThorClient(api_key="k", base_url=f"{wire.url}/base") as thor:
                try:
                    await thor.get_analytics(chargebox_id)
                except ValueError:
                    assert wire.received == []
                except SchemaError:
                    (received,) = wire.received
                    assert _decoded(received) == chargebox_id

    asyncio.run(scenario())


def _decoded(received: Received) -> str:
    base, segment, encoded = received.target.removeprefix("/").split("/")
    assert (base, segment) == ("base", "analytics")
    assert not set(encoded) & set("?#")
    return unquote(encoded)


async def test_many_ids_come_in_the_order_of_completion_each_with_its_result_or_error(
    sandbox: ThorSandbox, thor: ThorClient
) -> None:
    wanted = [*sandbox.chargebox_ids, "nowhere", *sandbox.chargebox_ids]

    results = [pair async for pair in thor.get_analytics_many(wanted)]

    assert sorted(chargebox_id for chargebox_id, _ in results) == sorted(wanted)
    errors = {i: type(r) for i, r in results if not isinstance(r, Analytics)}
    assert errors == {"nowhere": ChargeboxNotFound}


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_ids_are_taken_lazily_and_no_more_calls_run_than_allowed(
    sandbox: ThorSandbox, thor: ThorClient, concurrency: int
) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield sandbox.chargebox_ids[0]

    yielded = 0
    results = thor.get_analytics_many(endless(), concurrency=concurrency)
    async for _ in results:
        yielded += 1
        assert taken - yielded <= concurrency
        if yielded == 20:
            break
    await results.aclose()

    assert sandbox.peak_in_flight <= concurrency
    assert not [t for t in asyncio.all_tasks() if "get_analytics_many" in repr(t)]


@pytest.mark.parametrize(
    ("bad", "error"),
    [("", ValueError), (None, ValueError), (RuntimeError("db gone"), RuntimeError)],
)
async def test_an_id_that_is_none_ends_the_iteration_after_all_results_before_it(
    sandbox: ThorSandbox, thor: ThorClient, bad: Any, error: type[Exception]
) -> None:
    good = sandbox.chargebox_ids[:5]

    def ids() -> Iterator[str]:
        yield from good
        if isinstance(bad, Exception):
            raise bad
        yield bad

    found = []
    with pytest.raises(error):
        async for chargebox_id, _ in thor.get_analytics_many(ids(), concurrency=3):
            found.append(chargebox_id)

    assert sorted(found) == sorted(good)


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, None])
def test_a_concurrency_that_is_none_is_refused_at_once(concurrency: Any) -> None:
    thor = ThorClient(api_key="k")
    with pytest.raises(ValueError, match="concurrency must be an int of at least 1"):
        thor.get_analytics_many([], concurrency=concurrency)


async def test_no_ids_bring_no_results(thor: ThorClient) -> None:
    assert [pair async for pair in thor.get_analytics_many([])] == []


async def test_a_cancelled_iteration_leaves_no_call_behind() -> None:
    async with ThorSandbox(latency=30) as sandbox, client_of(sandbox) as thor:

        async def poll() -> None:
            async for _ in thor.get_analytics_many(sandbox.chargebox_ids):
                raise AssertionError("no answer is due")

        task = asyncio.create_task(poll())
        while sandbox.in_flight < 16:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert not [t for t in asyncio.all_tasks() if "get_analytics_many" in repr(t)]


async def test_a_fleet_is_polled_through_faults() -> None:
    async with (
        ThorSandbox(fault_rate=0.3, seed=3, chargeboxes=100) as sandbox,
        client_of(sandbox, retry=RetryPolicy(attempts=10)) as thor,
    ):
        results = dict([pair async for pair in thor.get_analytics_many(sandbox.chargebox_ids)])

    assert set(results) == set(sandbox.chargebox_ids)
    assert all(isinstance(result, Analytics) for result in results.values())
