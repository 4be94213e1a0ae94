"""What `ThorClient` checks before anything is sent, and the shape of what it sends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses as AioResponses  # noqa: N812
from yarl import URL

from tests.support.shown import all_that_shows
from thorclient import APIKeyNotFound, RetryPolicy, ThorClient, Timeout

KEY = "s3cr3t-k3y"
ANY_THOR = re.compile(r"https://api\.thor\.tools/")
COUNTS = {"last_7": 1, "last_30": 2, "last_60": 3}
ANALYTICS = dict.fromkeys(("charges", "disconnections", "energy", "users"), COUNTS)


def refusal(make: Callable[[], object], complaint: str, *secrets: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)) as caught:
        make()

    shown = all_that_shows(caught.value)
    assert [secret for secret in secrets if secret in shown] == []


@pytest.mark.usefixtures("offline")
def test_a_client_is_made_outside_of_any_loop_and_opens_nothing() -> None:
    client = ThorClient(api_key=KEY)

    assert repr(client) == "<ThorClient of https://api.thor.tools/latest/integration>"
    assert KEY not in str(vars(client))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("", "api_key must not be empty"),
        ("  ", "api_key must not be empty"),
        (f"{KEY}\n", "api_key must not hold control characters; a line end at its end is one too"),
        (f"\r\nX-Evil: {KEY}", "api_key must not hold control characters"),
        (f"{KEY}\x00", "api_key must not hold control characters"),
        (f"{KEY}\u00e9", "api_key must be ASCII"),
        (f"{KEY}\ud800", "api_key must be ASCII"),
        (KEY.encode(), "api_key must be a string, not bytes"),
        (None, "api_key must be a string, not NoneType"),
        (5, "api_key must be a string, not int"),
    ],
    ids=ascii,
)
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it_anywhere(
    key: str, complaint: str
) -> None:
    refusal(lambda: ThorClient(api_key=key), complaint, KEY)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"base_url": "http://api.thor.tools"}, "base_url must be https"),
        ({"base_url": ""}, "base_url must be an absolute https URL"),
        ({"base_url": None}, "base_url must be an absolute https URL"),
        ({"base_url": "api.thor.tools"}, "base_url must be an absolute https URL"),
        ({"base_url": "https://me:pw@api.thor.tools"}, "base_url must not hold a user or password"),
        ({"base_url": "https://api.thor.tools?a=b"}, "base_url must end after its path"),
        ({"session": 5}, "session must be an aiohttp.ClientSession"),
        ({"retry": 3}, "retry"),
        ({"retry": None}, "retry"),
        ({"timeout": 5.0}, "timeout"),
        ({"timeout": None}, "timeout"),
        ({"limiter": 5}, "limiter must be an async context manager"),
        ({"max_response_bytes": 0}, "max_response_bytes must be an int of at least 1"),
        ({"max_response_bytes": -1}, "max_response_bytes must be an int of at least 1"),
        ({"max_response_bytes": True}, "max_response_bytes must be an int of at least 1"),
        ({"max_response_bytes": 1e6}, "max_response_bytes must be an int of at least 1"),
        ({"max_response_bytes": None}, "max_response_bytes must be an int of at least 1"),
    ],
    ids=str,
)
def test_an_option_that_is_none_is_refused_by_its_name(
    options: dict[str, Any], complaint: str
) -> None:
    refusal(lambda: ThorClient(api_key=KEY, **options), complaint, KEY)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"retry": 3}, "retry"), ({"timeout": 5}, "timeout"), ({"limiter": 5}, "limiter must be")],
    ids=str,
)
def test_other_options_are_checked_when_they_are_given(
    options: dict[str, Any], complaint: str
) -> None:
    client = ThorClient(api_key=KEY)

    refusal(lambda: client.with_options(**options), complaint, KEY)


def test_nothing_is_positional_in_a_constructor() -> None:
    with pytest.raises(TypeError):
        ThorClient(KEY)  # type: ignore[call-arg]


# By the environment.


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("THOR_API_KEY", "THOR_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


async def test_the_environment_gives_key_and_address(
    environment: pytest.MonkeyPatch, answers: AioResponses
) -> None:
    environment.setenv("THOR_API_KEY", f" {KEY}\n")
    environment.setenv("THOR_BASE_URL", "http://localhost:8080/thor/")
    answers.get("http://localhost:8080/thor/analytics/a", payload=ANALYTICS)

    async with ThorClient.from_env() as thor:
        await thor.get_analytics("a")

    assert sent_headers(answers)["X-Api-Key"] == KEY


@pytest.mark.parametrize("address", [None, "", "  "])
def test_without_an_address_in_the_environment_it_is_the_vendors(
    environment: pytest.MonkeyPatch, address: str | None
) -> None:
    environment.setenv("THOR_API_KEY", KEY)
    if address is not None:
        environment.setenv("THOR_BASE_URL", address)

    assert repr(ThorClient.from_env()).endswith("https://api.thor.tools/latest/integration>")


@pytest.mark.parametrize("key", [None, "", " \n"])
def test_without_a_key_in_the_environment_it_is_asked_for(
    environment: pytest.MonkeyPatch, key: str | None
) -> None:
    if key is not None:
        environment.setenv("THOR_API_KEY", key)

    refusal(ThorClient.from_env, "THOR_API_KEY is not set")


def test_a_bad_environment_is_refused_without_showing_the_key(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("THOR_API_KEY", KEY)
    environment.setenv("THOR_BASE_URL", "http://api.thor.tools")
    refusal(ThorClient.from_env, "base_url must be https", KEY)

    environment.delenv("THOR_BASE_URL")
    environment.setenv("THOR_API_KEY", f"{KEY}\nmore")
    refusal(ThorClient.from_env, "api_key must not hold control characters", KEY)


# Ids.


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("method", ["get_analytics", "get_chargebox"])
@pytest.mark.parametrize(
    ("chargebox_id", "complaint"),
    [
        ("", "chargebox_id must not be empty"),
        (" ", "chargebox_id must not be empty"),
        (".", "chargebox_id must be more than dots"),
        ("..", "chargebox_id must be more than dots"),
        ("a\n", "chargebox_id must not hold control characters"),
        ("a\ud800", "chargebox_id must be valid Unicode"),
        (5, "chargebox_id must be a string, not int"),
        (None, "chargebox_id must be a string, not NoneType"),
    ],
    ids=ascii,
)
async def test_what_is_no_id_is_refused_before_anything_is_opened(
    method: str, chargebox_id: str, complaint: str
) -> None:
    thor = ThorClient(api_key=KEY)

    with pytest.raises(ValueError, match=f"^{complaint}") as caught:
        await getattr(thor, method)(chargebox_id)

    assert KEY not in all_that_shows(caught.value)


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5, "16", None])
def test_a_concurrency_that_is_no_count_is_refused_at_the_call(concurrency: int) -> None:
    thor = ThorClient(api_key=KEY)

    refusal(
        lambda: thor.get_analytics_many(["a"], concurrency),
        "concurrency must be an int of at least 1",
    )


@pytest.mark.usefixtures("offline")
async def test_an_id_that_is_none_ends_the_many_with_a_value_error() -> None:
    thor = ThorClient(api_key=KEY)

    with pytest.raises(ValueError, match="chargebox_id must be more than dots"):
        async for _ in thor.get_analytics_many([".."]):
            pass


# What is sent.


def sent_headers(answers: AioResponses) -> dict[str, str]:
    ((call,),) = answers.requests.values()
    headers: dict[str, str] = call.kwargs["headers"]
    return headers


async def test_a_call_asks_for_one_address_with_the_key_in_its_header(
    answers: AioResponses,
) -> None:
    answers.get(ANY_THOR, payload=ANALYTICS)

    async with ThorClient(api_key=KEY) as thor:
        await thor.get_analytics("IT-123")

    ((method, url),) = answers.requests
    assert (method, url) == (
        "GET",
        URL("https://api.thor.tools/latest/integration/analytics/IT-123"),
    )
    headers = sent_headers(answers)
    assert headers["X-Api-Key"] == KEY
    assert headers["Accept"] == "application/json"
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    "base", ["https://dev.api.thor.tools/v2", "https://dev.api.thor.tools/v2/"]
)
async def test_an_id_is_one_segment_below_another_base_url(
    answers: AioResponses, base: str
) -> None:
    chargebox_id = "../a?b#c%2F\U0001f50c"
    answers.get(re.compile(r"https://dev\.api"), payload={"id": chargebox_id})

    async with ThorClient(api_key=KEY, base_url=URL(base)) as thor:
        await thor.get_chargebox(chargebox_id)

    ((_, url),) = answers.requests
    assert str(url) == ("https://dev.api.thor.tools/v2/chargeboxes/..%2Fa%3Fb%23c%252F%F0%9F%94%8C")


async def test_a_documented_error_comes_out_as_its_class(answers: AioResponses) -> None:
    answers.get(ANY_THOR, status=403, payload={"message": "APIKeyNotFound"})

    async with ThorClient(api_key=KEY) as thor:
        with pytest.raises(APIKeyNotFound) as caught:
            await thor.get_chargebox("a")

    assert (caught.value.status, caught.value.attempts) == (403, 1)
    assert KEY not in all_that_shows(caught.value)


async def test_a_given_session_is_used_and_left_open(answers: AioResponses) -> None:
    answers.get(ANY_THOR, payload=ANALYTICS)

    async with aiohttp.ClientSession() as session:
        async with ThorClient(api_key=KEY, session=session) as thor:
            await thor.get_analytics("a")
        assert not session.closed
        assert "X-Api-Key" not in session.headers


async def test_other_options_keep_address_and_key(answers: AioResponses) -> None:
    answers.get(ANY_THOR, payload=ANALYTICS)

    async with ThorClient(api_key=KEY) as thor:
        other = thor.with_options(
            retry=RetryPolicy(attempts=1), timeout=Timeout(total=5), limiter=asyncio.Semaphore(1)
        )
        await other.get_analytics("a")

    assert type(other) is ThorClient
    assert repr(other) == repr(thor)
    assert sent_headers(answers)["X-Api-Key"] == KEY
