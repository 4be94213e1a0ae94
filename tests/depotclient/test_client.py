"""What `DepotClient` and its queries check before anything is sent, and the shape of a request."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import aiohttp
import attrs
import pytest
from aioresponses import aioresponses as AioResponses  # noqa: N812
from yarl import URL

from depotclient import Cursor, DepotClient, SessionReport
from depotclient.reports import SessionReports
from tests.support.shown import all_that_shows

SECRET = "s3cr3t-v4lue"
PAIR: dict[str, Any] = {"client_id": "my-id", "client_secret": SECRET}
DAY = datetime(2022, 8, 3, tzinfo=UTC)
API = "https://api.eu.depot.emobility.io/v1"
TOKENS = "https://clientapp-auth.eu.depot.emobility.io/oauth2/token"
ANYWHERE = re.compile("http")


def refusal(make: Callable[[], object], complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)) as caught:
        make()

    assert SECRET not in all_that_shows(caught.value)


@pytest.fixture
def depot() -> DepotClient:
    return DepotClient(token=SECRET)


# The client.


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("credentials", [{"token": SECRET}, PAIR], ids=["token", "pair"])
def test_a_client_and_a_query_are_made_outside_of_any_loop_and_open_nothing(
    credentials: dict[str, Any],
) -> None:
    client = DepotClient(**credentials)
    reports = client.session_reports("xyz", 1)

    assert repr(client) == f"<DepotClient of {API}>"
    assert SECRET not in repr(reports) + str(vars(client)) + str(attrs.asdict(reports))


ONE_KIND = "give exactly one kind of credentials: token, or client_id and client_secret"


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, ONE_KIND),
        ({"token": SECRET, **PAIR}, ONE_KIND),
        ({"token": SECRET, "client_id": "my-id"}, ONE_KIND),
        ({"token": "x", "client_secret": SECRET}, ONE_KIND),
        ({"token": "", **PAIR}, ONE_KIND),
        ({"client_id": "my-id"}, "client_secret is missing"),
        ({"client_secret": SECRET}, "client_id is missing"),
        ({"token": ""}, "token must not be empty"),
        ({"token": f"{SECRET}\n"}, "token must not hold control characters; a line end"),
        ({"token": f"{SECRET}\u00e9"}, "token must be ASCII"),
        ({"token": SECRET.encode()}, "token must be a string, not bytes"),
        ({**PAIR, "client_secret": ""}, "client_secret must not be empty"),
        ({**PAIR, "client_secret": f"{SECRET}\n"}, "client_secret must not hold control"),
        ({**PAIR, "client_secret": SECRET.encode()}, "client_secret must be a string, not bytes"),
        ({**PAIR, "client_id": ""}, "client_id must not be empty"),
        ({**PAIR, "client_id": "a:b"}, "client_id must not hold a colon"),
        ({**PAIR, "client_id": "a\n"}, "client_id must not hold control characters"),
        ({**PAIR, "client_id": 5}, "client_id must be a string, not int"),
        ({**PAIR, "token_url": "http://auth.example"}, "token_url must be https"),
        ({**PAIR, "token_url": "nonsense"}, "token_url must be an absolute https URL"),
        ({"token": SECRET, "token_url": "http://auth.example"}, "token_url must be https"),
        ({**PAIR, "base_url": "http://api.example"}, "base_url must be https"),
        ({"token": SECRET, "base_url": ""}, "base_url must be an absolute https URL"),
        ({"token": SECRET, "base_url": "https://h?a=b"}, "base_url must end after its path"),
        ({"token": SECRET, "session": "x"}, "session must be an aiohttp.ClientSession"),
        ({"token": SECRET, "retry": 3}, "retry"),
        ({"token": SECRET, "timeout": 5}, "timeout"),
        ({"token": SECRET, "limiter": 5}, "limiter must be an async context manager"),
        ({"token": SECRET, "max_response_bytes": 0}, "max_response_bytes must be an int of"),
    ],
    ids=lambda value: re.sub(r"[^\w ,:']", "", ascii(value))[:60],
)
def test_an_argument_that_can_not_be_used_is_refused_without_showing_a_secret(
    options: dict[str, Any], complaint: str
) -> None:
    refusal(lambda: DepotClient(**options), complaint)


# Regions.


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"token": SECRET}, "base_url"),
        (PAIR, "base_url"),
        ({**PAIR, "token_url": "https://auth.example"}, "base_url"),
        ({**PAIR, "base_url": "https://api.example"}, "token_url"),
    ],
    ids=["token", "pair", "pair and token_url", "pair and base_url"],
)
@pytest.mark.parametrize("region", ["us", "EU", "", None, ["eu"]], ids=str)
def test_a_region_without_known_addresses_needs_them_given(
    region: str, options: dict[str, Any], missing: str
) -> None:
    refusal(
        lambda: DepotClient(region=region, **options),
        f"the addresses of region {region!r} are not published (known: eu); give {missing}",
    )


async def test_a_region_with_its_addresses_given_is_served(answers: AioResponses) -> None:
    answers.post("https://auth.example/token", payload={"access_token": "t"})
    answers.get(ANYWHERE, payload={"items": []})

    async with DepotClient(
        **PAIR,
        region="us",
        base_url="https://api.example/v9/",
        token_url=URL("https://auth.example/token"),
    ) as depot:
        await depot.session_reports("xyz", 1).collect(max_items=1)

    post, get = answers.requests
    assert post == ("POST", URL("https://auth.example/token"))
    assert str(get[1]).startswith("https://api.example/v9/sessionReports?")


def test_a_given_address_wins_over_the_regions() -> None:
    assert repr(DepotClient(token=SECRET, base_url="https://api.example")) == (
        "<DepotClient of https://api.example>"
    )


# By the environment.


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("TOKEN", "CLIENT_ID", "CLIENT_SECRET", "BASE_URL", "TOKEN_URL", "REGION"):
        monkeypatch.delenv(f"DEPOT_{name}", raising=False)
    return monkeypatch


async def test_the_environment_gives_a_token(
    environment: pytest.MonkeyPatch, answers: AioResponses
) -> None:
    environment.setenv("DEPOT_TOKEN", f"{SECRET}\n")
    environment.setenv("DEPOT_CLIENT_ID", " ")
    answers.get(ANYWHERE, payload={"items": []})

    async with DepotClient.from_env() as depot:
        await depot.session_reports("xyz", 1).collect(max_items=1)

    ((method, url), (call,)) = next(iter(answers.requests.items()))
    assert (method, url.origin(), url.path) == ("GET", URL(API).origin(), "/v1/sessionReports")
    assert call.kwargs["headers"]["Authorization"] == f"Bearer {SECRET}"


async def test_the_environment_gives_a_pair_and_addresses(
    environment: pytest.MonkeyPatch, answers: AioResponses
) -> None:
    environment.setenv("DEPOT_CLIENT_ID", "my-id")
    environment.setenv("DEPOT_CLIENT_SECRET", SECRET)
    environment.setenv("DEPOT_REGION", "us")
    environment.setenv("DEPOT_BASE_URL", "http://localhost:8080")
    environment.setenv("DEPOT_TOKEN_URL", "http://localhost:8080/token")
    answers.post("http://localhost:8080/token", payload={"access_token": "t0k3n"})
    answers.get(ANYWHERE, payload={"items": []})

    async with DepotClient.from_env() as depot:
        await depot.session_reports("xyz", 1).collect(max_items=1)

    (post,), (get,) = answers.requests.values()
    basic = post.kwargs["headers"]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic).decode() == f"my-id:{SECRET}"
    assert post.kwargs["data"] == b"grant_type=client_credentials"
    assert get.kwargs["headers"]["Authorization"] == "Bearer t0k3n"


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({}, "no credentials: set DEPOT_TOKEN, or DEPOT_CLIENT_ID and DEPOT_CLIENT_SECRET"),
        ({"TOKEN": " ", "CLIENT_ID": ""}, "no credentials: set DEPOT_TOKEN"),
        ({"TOKEN": SECRET, "CLIENT_ID": "my-id"}, ONE_KIND),
        ({"CLIENT_SECRET": SECRET}, "client_id is missing"),
        ({"CLIENT_ID": "my-id"}, "client_secret is missing"),
        ({"TOKEN": SECRET, "REGION": "us"}, "the addresses of region 'us' are not published"),
        ({"TOKEN": SECRET, "BASE_URL": "http://api.example"}, "base_url must be https"),
        ({"TOKEN": f"{SECRET}\nmore"}, "token must not hold control characters"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_an_environment_that_can_not_be_used_is_refused_without_showing_a_secret(
    environment: pytest.MonkeyPatch, variables: dict[str, str], complaint: str
) -> None:
    for name, value in variables.items():
        environment.setenv(f"DEPOT_{name}", value)

    refusal(DepotClient.from_env, complaint)


# A query.

CURSOR = Cursor(
    query={"chargerId": "xyz", "connectorId": "1"},
    pinned={"to": "2022-08-03T00:00:00.000Z"},
    limit=10,
    offset=25,
    recent=(1, 2, 3),
)


@attrs.frozen
class Ids:
    session_id: int


@attrs.frozen
class Strangers:
    session_id: int
    colour: str
    wheels: int


@attrs.frozen
class Unannotated:
    session_id = attrs.field()  # type: ignore[var-annotated]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("charger_id", "connector_id", "complaint"),
    [
        ("", "1", "charger_id must not be empty"),
        ("a\n", "1", "charger_id must not hold control characters"),
        ("a\ud800", "1", "charger_id must be valid Unicode"),
        (5, "1", "charger_id must be a string, not int"),
        (None, "1", "charger_id must be a string, not NoneType"),
        ("xyz", "", "connector_id must not be empty"),
        ("xyz", "1\x00", "connector_id must not hold control characters"),
        ("xyz", 1.0, "connector_id must be a string, not float"),
        ("xyz", True, "connector_id must be a string, not bool"),
        ("xyz", None, "connector_id must be a string, not NoneType"),
    ],
    ids=ascii,
)
def test_what_is_no_id_is_refused(
    depot: DepotClient, charger_id: str, connector_id: str, complaint: str
) -> None:
    refusal(lambda: depot.session_reports(charger_id, connector_id), complaint)


FAR_EAST, FAR_WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"from_": DAY.replace(tzinfo=None)}, "from_ must be aware"),
        ({"to": DAY.replace(tzinfo=None)}, "to must be aware"),
        ({"from_": date(2022, 8, 3)}, "from_ must be a datetime, not date"),
        ({"to": "2022-08-03T00:00:00Z"}, "to must be a datetime, not str"),
        ({"to": 1_600_000_000}, "to must be a datetime, not int"),
        ({"from_": DAY, "to": DAY}, "must be before to=2022-08-03T00:00:00+00:00"),
        ({"from_": DAY + timedelta(seconds=1), "to": DAY}, "must be before to="),
        ({"from_": DAY, "to": DAY.replace(tzinfo=FAR_EAST)}, "must be before to="),
        ({"from_": datetime(9000, 1, 1, tzinfo=UTC)}, "must be before now"),
        ({"from_": datetime.min.replace(tzinfo=FAR_EAST)}, "from_"),
        ({"to": datetime.max.replace(tzinfo=FAR_WEST)}, "to"),
        *(
            ({"limit": limit}, "limit must be an int from 1 to 2000")
            for limit in (0, -1, 2001, True, 10.0, "10")
        ),
        *(
            ({"read_ahead": count}, "read_ahead must be an int of at least 0")
            for count in (-1, True, 1.0, "1", None)
        ),
        ({"into": int}, "into must be an attrs class"),
        ({"into": dict}, "into must be an attrs class"),
        ({"into": None}, "into must be an attrs class"),
        ({"into": Ids(1)}, "into must be an attrs class"),
        (
            {"into": Strangers},
            "into=Strangers has fields that no session report has: colour, wheels; there are ",
        ),
        ({"into": Unannotated}, "Unannotated can't be structured from JSON"),
        ({"resume": ""}, "not a cursor of this library"),
        ({"resume": "garbled"}, "not a cursor of this library"),
        ({"resume": 5}, "not a cursor of this library"),
        ({"resume": str(CURSOR)[:-1]}, "the cursor is garbled"),
        ({"resume": str(CURSOR) + "\n"}, "the cursor is garbled"),
        (
            {"resume": attrs.evolve(CURSOR, query={"chargerId": "abc", "connectorId": "1"})},
            "the cursor belongs to another query: chargerId 'abc' instead of 'xyz'",
        ),
        (
            {"resume": str(CURSOR), "from_": datetime(2022, 1, 1, tzinfo=UTC)},
            "another query: from None instead of '2022-01-01T00:00:00.000Z'",
        ),
        (
            {"resume": str(CURSOR), "to": DAY},
            "another query: to None instead of '2022-08-03T00:00:00.000Z'",
        ),
        ({"resume": attrs.evolve(CURSOR, pinned={})}, "another query: no window"),
    ],
    ids=lambda value: re.sub(r"[^\w .:=]", "", ascii(value))[:70],
)
def test_an_option_that_can_not_be_used_is_refused_before_anything_is_asked(
    depot: DepotClient, options: dict[str, Any], complaint: str
) -> None:
    refusal(lambda: depot.session_reports("xyz", 1, **options), complaint)


@pytest.mark.parametrize("max_items", [0, -1, True, 1.5, None])
async def test_collecting_needs_a_bound(depot: DepotClient, max_items: int) -> None:
    with pytest.raises(ValueError, match="max_items must be an int of at least 1"):
        await depot.session_reports("xyz", 1).collect(max_items=max_items)
    with pytest.raises(TypeError):
        await depot.session_reports("xyz", 1).collect()  # type: ignore[call-arg]


@pytest.mark.parametrize("limit", [None, 1, 10, 2000])
@pytest.mark.parametrize("read_ahead", [0, 1, 100])
@pytest.mark.parametrize("into", [SessionReport, Ids])
def test_what_can_be_used_is_kept_in_an_immutable_description(
    depot: DepotClient, limit: int | None, read_ahead: int, into: type[Any]
) -> None:
    reports = depot.session_reports(
        "xyz", 1, from_=DAY, limit=limit, read_ahead=read_ahead, into=into, verify=True
    )

    assert (reports.limit, reports.read_ahead, reports.verify) == (limit, read_ahead, True)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        reports.limit = 5  # type: ignore[misc]


@pytest.mark.parametrize("resume", [CURSOR, str(CURSOR)], ids=["cursor", "text"])
@pytest.mark.parametrize("connector_id", [1, "1"])
def test_a_cursor_and_its_text_resume_the_same_query(
    depot: DepotClient, resume: Cursor | str, connector_id: int | str
) -> None:
    assert depot.session_reports("xyz", connector_id, resume=resume).resume == CURSOR


# What is sent.


@pytest.fixture
def addresses(answers: AioResponses, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that are asked for, as they go out: aioresponses would decode them."""
    answers.get(ANYWHERE, payload={"items": []}, repeat=True)
    asked: list[str] = []
    request = aiohttp.ClientSession.request

    def recording(session: aiohttp.ClientSession, method: str, url: URL, **options: Any) -> Any:
        asked.append(str(url))
        return request(session, method, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "request", recording)
    return asked


async def ask(reports: SessionReports[SessionReport]) -> None:
    assert await reports.collect(max_items=1) == []


async def test_a_page_is_asked_for_with_all_parameters_in_the_query(
    depot: DepotClient, addresses: list[str], answers: AioResponses
) -> None:
    rome = timezone(timedelta(hours=2))
    reports = depot.session_reports(
        "a&b/c +\u00e9",
        "1",
        from_=datetime(2022, 8, 3, 18, 20, 30, 661_999, tzinfo=rome),
        to=datetime(2022, 8, 4, tzinfo=UTC),
        limit=50,
        read_ahead=0,
    )

    async with depot:
        await ask(reports)

    assert addresses == [
        (
            f"{API}/sessionReports?chargerId=a%26b%2Fc%20%2B%C3%A9&connectorId=1&page=1&limit=50"
            "&from=2022-08-03T16%3A20%3A30.661Z&to=2022-08-04T00%3A00%3A00.000Z"
        )
    ]
    ((call,),) = answers.requests.values()
    assert call.kwargs["headers"]["Authorization"] == f"Bearer {SECRET}"
    assert call.kwargs["data"] is None
    assert call.kwargs["allow_redirects"] is False


async def test_the_limit_is_sent_though_none_was_given_and_the_end_is_pinned(
    depot: DepotClient, addresses: list[str]
) -> None:
    before = datetime.now(UTC)
    async with depot:
        await ask(depot.session_reports("xyz", 7))
    after = datetime.now(UTC)

    query = URL(addresses[0]).query
    assert {name: query[name] for name in ("chargerId", "connectorId", "page", "limit")} == {
        "chargerId": "xyz",
        "connectorId": "7",
        "page": "1",
        "limit": "10",
    }
    assert set(query) == {"chargerId", "connectorId", "page", "limit", "to"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", query["to"])
    pinned = datetime.fromisoformat(query["to"])
    assert before - timedelta(milliseconds=1) < pinned <= after


async def test_a_resumed_walk_asks_for_the_window_that_its_cursor_pinned(
    depot: DepotClient, addresses: list[str]
) -> None:
    async with depot:
        await ask(depot.session_reports("xyz", 1, resume=str(CURSOR)))

    query = URL(addresses[0]).query
    assert (query["page"], query["limit"], query["to"]) == ("3", "10", "2022-08-03T00:00:00.000Z")
