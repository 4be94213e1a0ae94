"""Construction of a `DepotClient`: credentials, regions and the environment."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from aioresponses import aioresponses as AioResponses  # noqa: N812
from yarl import URL

from depotclient import DepotClient
from tests.support.error_dump import dump_error

SECRET = "s3cr3t-v4lue"
PAIR: dict[str, Any] = {"client_id": "my-id", "client_secret": SECRET}
API = "https://api.eu.depot.emobility.io/v1"
ANY_URL = re.compile("http")
ONE_KIND = "give exactly one kind of credentials: token, or client_id and client_secret"


def check_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        make()

    assert SECRET not in dump_error(raised.value)


async def request_page(client: DepotClient) -> None:
    async with client:
        assert await client.session_reports("xyz", 1).collect(max_items=1) == []


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("credentials", [{"token": SECRET}, PAIR], ids=["token", "pair"])
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
        ({"token": "", **PAIR}, ONE_KIND),
        ({"client_id": "my-id"}, "client_secret is missing"),
        ({"client_secret": SECRET}, "client_id is missing"),
        ({"token": f"{SECRET}\n"}, "token must not hold control characters"),
        ({**PAIR, "client_secret": f"{SECRET}\n"}, "client_secret must not hold control"),
        ({**PAIR, "client_id": "a:b"}, "client_id must not hold a colon"),
        ({**PAIR, "token_url": "http://auth.example"}, "token_url must be https"),
        ({"token": SECRET, "token_url": "http://auth.example"}, "token_url must be https"),
        ({**PAIR, "base_url": "http://api.example"}, "base_url must be https"),
        ({"token": SECRET, "session": "x"}, "session must be an aiohttp.ClientSession"),
        ({"token": SECRET, "retry": 3}, "retry"),
        ({"token": SECRET, "timeout": 5}, "timeout"),
        ({"token": SECRET, "limiter": 5}, "limiter must be an async context manager"),
        ({"token": SECRET, "max_response_bytes": 0}, "max_response_bytes must be an int"),
    ],
    ids=lambda value: re.sub(r"[^\w ,:']", "", ascii(value))[:60],
)
def test_an_invalid_argument_is_refused_without_showing_a_secret(
    options: dict[str, Any], message: str
) -> None:
    check_refused(lambda: DepotClient(**options), message)


# Regions.


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("region", "options", "missing"),
    [
        ("us", {"token": SECRET}, "base_url"),
        ("EU", PAIR, "base_url"),
        ("", {**PAIR, "token_url": "https://auth.example"}, "base_url"),
        (["eu"], {**PAIR, "base_url": "https://api.example"}, "token_url"),
    ],
    ids=str,
)
def test_a_region_without_known_addresses_requires_them(
    region: Any, options: dict[str, Any], missing: str
) -> None:
    check_refused(
        lambda: DepotClient(region=region, **options),
        f"the addresses of region {region!r} are not published (known: eu); give {missing}",
    )


async def test_given_addresses_override_those_of_the_region(answers: AioResponses) -> None:
    answers.post("https://auth.example/token", payload={"access_token": "t"})
    answers.get(ANY_URL, payload={"items": []})

    await request_page(
        DepotClient(
            **PAIR,
            region="us",
            base_url="https://api.example/v9/",
            token_url=URL("https://auth.example/token"),
        )
    )

    post, get = answers.requests
    assert post == ("POST", URL("https://auth.example/token"))
    assert str(get[1]).startswith("https://api.example/v9/sessionReports?")


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
    environment: Callable[..., None], answers: AioResponses
) -> None:
    environment(TOKEN=f"{SECRET}\n", CLIENT_ID=" ")
    answers.get(ANY_URL, payload={"items": []})

    await request_page(DepotClient.from_env())

    ((method, url), (call,)) = next(iter(answers.requests.items()))
    assert (method, url.origin(), url.path) == ("GET", URL(API).origin(), "/v1/sessionReports")
    assert call.kwargs["headers"]["Authorization"] == f"Bearer {SECRET}"


async def test_the_environment_provides_client_credentials_and_addresses(
    environment: Callable[..., None], answers: AioResponses
) -> None:
    environment(
        CLIENT_ID="my-id",
        CLIENT_SECRET=SECRET,
        REGION="us",
        BASE_URL="http://localhost:8080",
        TOKEN_URL="http://localhost:8080/token",
    )
    answers.post("http://localhost:8080/token", payload={"access_token": "t0k3n"})
    answers.get(ANY_URL, payload={"items": []})

    await request_page(DepotClient.from_env())

    (post,), (get,) = answers.requests.values()
    basic = post.kwargs["headers"]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic).decode() == f"my-id:{SECRET}"
    assert post.kwargs["data"] == b"grant_type=client_credentials"
    assert get.kwargs["headers"]["Authorization"] == "Bearer t0k3n"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "no credentials: set DEPOT_TOKEN, or DEPOT_CLIENT_ID and DEPOT_CLIENT_SECRET"),
        ({"TOKEN": " ", "CLIENT_ID": ""}, "no credentials: set DEPOT_TOKEN"),
        ({"TOKEN": SECRET, "CLIENT_ID": "my-id"}, ONE_KIND),
        ({"CLIENT_SECRET": SECRET}, "client_id is missing"),
        ({"TOKEN": SECRET, "REGION": "us"}, "the addresses of region 'us' are not published"),
        ({"TOKEN": SECRET, "BASE_URL": "http://api.example"}, "base_url must be https"),
        ({"TOKEN": f"{SECRET}\nmore"}, "token must not hold control characters"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_an_invalid_environment_is_refused_without_showing_a_secret(
    environment: Callable[..., None], variables: dict[str, str], message: str
) -> None:
    environment(**variables)

    check_refused(DepotClient.from_env, message)
