"""Construction of a `DepotClient`: credentials, regions and the environment."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock

import attrs
import pytest
from aioresponses import aioresponses as AioResponses  # noqa: N812
from yarl import URL

from depotclient import AuthError, DepotClient
from tests.support.error_dump import dump_error
from tests.support.wire import Wire, reply

SECRET = "s3cr3t-v4lue"
PAIR: dict[str, Any] = {"client_id": "my-id", "client_secret": SECRET}
API = "https://api.eu.depot.emobility.io/v1"
ONE_KIND = "pass exactly one kind of credentials: token, or client_id and client_secret"


def check_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        make()

    assert SECRET not in dump_error(raised.value)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("credentials", [{"token": SECRET}, PAIR])
def test_construction_opens_nothing_and_shows_no_secret(credentials: dict[str, Any]) -> None:
    client = DepotClient(**credentials)
    reports = client.session_reports("xyz", 1)

    assert repr(client) == f"<DepotClient of {API}>"
    assert SECRET not in repr(reports) + str(vars(client)) + str(attrs.asdict(reports))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, ONE_KIND),
        ({"token": SECRET, **PAIR}, ONE_KIND),
        ({"token": SECRET, "client_id": "my-id"}, ONE_KIND),
        ({"client_id": "my-id"}, "client_secret is missing"),
        ({"client_secret": SECRET}, "client_id is missing"),
        ({"token": lambda: SECRET, **PAIR}, ONE_KIND),
        ({"token": SECRET.encode()}, "token must be a string, not bytes"),
        ({"token": f"{SECRET}\n"}, "token must not contain control characters"),
        ({**PAIR, "client_secret": f"{SECRET}\n"}, "client_secret must not contain control"),
        ({**PAIR, "client_id": "a:b"}, "client_id must not contain a colon"),
        ({**PAIR, "token_url": "http://auth.example"}, "token_url must be https"),
        ({"token": SECRET, "token_url": "http://auth.example"}, "token_url must be https"),
        ({**PAIR, "base_url": "http://api.example"}, "base_url must be https"),
        ({"token": SECRET, "session": "x"}, "session must be an aiohttp.ClientSession"),
        ({"token": SECRET, "retry": 3}, "retry"),
        ({"token": SECRET, "timeout": 5}, "timeout"),
        ({"token": SECRET, "limiter": 5}, "limiter must be an async context manager"),
        ({"token": SECRET, "max_response_bytes": 0}, "max_response_bytes must be an int"),
    ],
)
def test_an_invalid_argument_is_rejected_without_showing_a_secret(
    options: dict[str, Any], message: str
) -> None:
    check_refused(lambda: DepotClient(**options), message)


async def test_a_function_provides_a_new_token_after_the_api_rejected_one() -> None:
    tokens = iter(["t0k3n-1", "t0k3n-2"])

    async def fetch_token() -> str:
        return next(tokens)

    async with Wire(reply(status=401), reply(b'{"items": []}')) as wire:
        async with DepotClient(token=fetch_token, base_url=wire.url) as client:
            assert await client.session_reports("xyz", 1).collect(max_items=1) == []

    sent = [request.headers["Authorization"] for request in wire.received]
    assert sent == ["Bearer t0k3n-1", "Bearer t0k3n-2"]


# Regions.


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("region", "options", "missing"),
    [
        ("us", {"token": SECRET}, "base_url"),
        ("", {**PAIR, "token_url": "https://auth.example"}, "base_url"),
        (["eu"], {**PAIR, "base_url": "https://api.example"}, "token_url"),
    ],
)
def test_a_region_without_known_addresses_requires_them(
    region: Any, options: dict[str, Any], missing: str
) -> None:
    check_refused(
        lambda: DepotClient(region=region, **options),
        f"the addresses of region {region!r} are not published (known: eu); pass {missing}",
    )


@pytest.mark.usefixtures("offline")
def test_a_region_may_have_any_name_if_its_addresses_are_given() -> None:
    address, token_url = "https://api.example/v9", URL("https://auth.example/token")
    client = DepotClient(**PAIR, region="us", base_url=address, token_url=token_url)

    assert repr(client) == f"<DepotClient of {address}>"


# Environment.


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the variables of the client."""
    for name in ("TOKEN", "CLIENT_ID", "CLIENT_SECRET", "BASE_URL", "TOKEN_URL", "REGION"):
        monkeypatch.delenv(f"DEPOT_{name}", raising=False)

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"DEPOT_{name}", value)

    return set_variables


async def test_the_environment_provides_a_token(
    environment: Callable[..., None], mocked: AioResponses
) -> None:
    environment(TOKEN=f"{SECRET}\n", CLIENT_ID=" ")
    mocked.get(re.compile("http"), payload={"items": []})

    async with DepotClient.from_env() as client:
        assert await client.session_reports("xyz", 1).collect(max_items=1) == []

    ((method, url), (call,)) = next(iter(mocked.requests.items()))
    assert (method, url.origin(), url.path) == ("GET", URL(API).origin(), "/v1/sessionReports")
    assert call.kwargs["headers"]["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("credentials", "hint"),
    [
        ({"token": SECRET}, "check token (DEPOT_TOKEN)"),
        ({"token": AsyncMock(return_value=SECRET)}, "check the function passed as token"),
        (PAIR, "check client_id and client_secret (DEPOT_CLIENT_ID and DEPOT_CLIENT_SECRET)"),
    ],
)
async def test_an_error_of_authentication_names_the_credential_to_check(
    credentials: dict[str, Any], hint: str, mocked: AioResponses
) -> None:
    mocked.post(re.compile("http"), status=403)
    mocked.get(re.compile("http"), status=403, repeat=True)
    async with DepotClient(**credentials) as client:
        with pytest.raises(AuthError, match=f"403 Forbidden; {re.escape(hint)}") as caught:
            await client.session_reports("xyz", 1).collect(max_items=1)

    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "no credentials: set DEPOT_TOKEN, or DEPOT_CLIENT_ID and DEPOT_CLIENT_SECRET"),
        ({"TOKEN": " ", "CLIENT_ID": ""}, "no credentials: set DEPOT_TOKEN"),
        ({"CLIENT_SECRET": SECRET}, "client_id is missing"),
        ({"TOKEN": SECRET, "REGION": "us"}, "the addresses of region 'us' are not published"),
        ({"TOKEN": f"{SECRET}\nmore"}, "token must not contain control characters"),
    ],
)
def test_an_invalid_environment_is_rejected_without_showing_a_secret(
    environment: Callable[..., None], variables: dict[str, str], message: str
) -> None:
    environment(**variables)

    check_refused(DepotClient.from_env, message)


async def test_a_token_function_without_more_tokens_does_not_look_like_the_end_of_a_walk() -> None:
    async def no_token() -> str:
        raise StopAsyncIteration

    async with DepotClient(token=no_token) as depot:
        for walk in (
            depot.session_reports("CP-001", 1).walk(),
            depot.session_reports_many([("CP-001", 1)]).walk(),
        ):
            with pytest.raises(RuntimeError, match="raised StopAsyncIteration"):
                await anext(walk)
