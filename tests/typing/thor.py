"""The public API of `thorclient` as a user writes it, for type checkers. Nothing runs this file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_type

import aiohttp
from yarl import URL

import thorclient
from evtransport.paging import Cursor
from tests.typing.api import MyLimiter, Summary, read_summary
from thorclient import ApiError, RetryPolicy, ThorClient, Timeout
from thorclient.probe import measure, probe
from thorclient.profile import Profile
from thorclient.sandbox import ThorSandbox


class MyThorClient(ThorClient):
    """Client of a user."""


async def thor(session: aiohttp.ClientSession) -> None:
    assert_type(ThorClient.from_env(), ThorClient)
    client = ThorClient(
        api_key="key",
        base_url=URL("https://api.thor.tools/latest/integration"),
        session=session,
        proxy="http://user:password@proxy:3128",
        retry=RetryPolicy(attempts=3, base_delay=0.5, max_delay=20, max_retry_after=120),
        timeout=Timeout(total=60, connect=10.0, read=30),
        limiter=asyncio.Semaphore(4),
        max_response_bytes=2**20,
    )
    limiter: thorclient.Limiter = MyLimiter()
    assert_type(client.with_options(limiter=limiter), ThorClient)
    assert_type(client.with_options(limiter=None, retry=RetryPolicy()), ThorClient)
    assert_type(MyThorClient(api_key="key").with_options(timeout=Timeout()), MyThorClient)
    assert_type(await client.aclose(), None)

    async with ThorClient(api_key="key") as opened:
        assert_type(opened, ThorClient)
        analytics = await opened.get_analytics("IT-123")
        assert_type(analytics, thorclient.Analytics)
        assert_type(analytics.active_since, datetime | None)
        assert_type(analytics.charges.last_7, int)
        assert_type(analytics.energy, thorclient.RollingCounts[int | float])

        many = opened.get_analytics_many((f"IT-{n}" for n in range(9)), concurrency=4)
        assert_type(many, AsyncGenerator[tuple[str, thorclient.Analytics | ApiError], None])
        async for chargebox_id, result in many:
            assert_type(chargebox_id, str)
            assert_type(result, thorclient.Analytics | ApiError)
            if isinstance(result, ApiError):
                assert_type(result.attempts, int)
            else:
                assert_type(result.users.last_7, int)
        await many.aclose()
        polled = opened.poll(["IT-1"], every=timedelta(minutes=1), concurrency=4)
        assert_type(polled, AsyncGenerator[tuple[str, thorclient.Analytics | ApiError], None])
        async for polled_id, polled_result in opened.poll():
            assert_type(polled_id, str | None)
            assert_type(polled_result, thorclient.Analytics | ApiError)

        chargebox(await opened.get_chargebox("IT-123"))
        assert_type(await opened.get("charges", "running"), thorclient.JsonValue)
        charge = await opened.get(
            "charges", "running", query={"chargebox": "IT-123", "page": 1}, into=Summary
        )
        assert_type(charge, Summary)
        assert_type(await opened.get("charges", into=list[Summary]), list[Summary])
        assert_type(await opened.get("charges", into=read_summary), Summary)
        everything = await opened.get_chargeboxes()
        assert_type(everything, list[thorclient.Chargebox])
        await opened.get_chargeboxes(
            only_active=False,
            within=(44, 11.2, 44.6, 11.5),
            connector_type=thorclient.ConnectorType.CCS,
        )


def chargebox(found: thorclient.Chargebox) -> None:
    assert_type(found.last_heartbeat, datetime | None)
    assert_type(found.coordinates, thorclient.Coordinates | None)
    assert_type(found.occupied_connectors, list[thorclient.JsonValue])
    if found.type is not None:
        assert_type(found.type.version, thorclient.OcppVersion | str | None)
    for connector in found.connectors:
        assert_type(connector.power, int | float | None)
        assert_type(connector.type, thorclient.ConnectorType | str | None)
        if connector.token is not None:
            assert_type(connector.token.reveal(), str)


async def thor_errors(client: ThorClient) -> None:
    try:
        await client.get_analytics("IT-123")
    except thorclient.APIKeyNotFound as refused:
        auth: thorclient.AuthError = refused
        assert_type(auth.status, int)
    except (thorclient.ChargeboxNotFound, thorclient.RateLimitedError) as named:
        assert_type(named.code, str | None)
        assert_type(named.retry_after, float | None)
        assert_type(named.body, bytes)
    except thorclient.SchemaError as schema:
        assert_type(schema.problems, tuple[str, ...])
    except ApiError as error:
        assert_type(error.cursor, Cursor | None)
        assert_type((error.method, error.path, error.label), tuple[str, str, str])
        assert_type((error.reason, error.source, error.hint), tuple[str, str, str])
        assert_type(error.context, dict[str, str])
        assert_type((error.attempts, error.elapsed), tuple[int, float])


async def thor_probe(client: ThorClient) -> None:
    profile = await probe(client, "IT-123")
    assert_type(profile, Profile)
    assert_type(profile.case_sensitive, bool | None)
    assert_type(profile.missing_fields, Mapping[str, float] | None)
    assert_type(Profile.parse(profile.to_json()), Profile)
    measurement = await measure(client, "IT-123", on_request=print)
    assert_type(measurement.reasons, Mapping[str, str])
    assert_type(ThorSandbox(profile=profile, error_shape="error.code").profile, Profile)
    ThorSandbox(profile=Path("profile.json"))
