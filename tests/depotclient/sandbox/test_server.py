"""What the Depot sandbox answers, seen by a plain HTTP client."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import aiohttp
import msgspec
import pytest

from depotclient.sandbox import Churn, DepotSandbox, Fault, ReportShape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SMALL = ReportShape.small()
ONE = {"CP-1": ["1"]}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class Depot:
    """A sandbox with one connector, and a way to ask it."""

    def __init__(self, http: aiohttp.ClientSession, sandbox: DepotSandbox) -> None:
        self.http, self.sandbox = http, sandbox

    async def ask(self, token: str | None = None, /, **query: str | int) -> tuple[int, Any]:
        url = f"{self.sandbox.base_url}/sessionReports"
        params = {"chargerId": "CP-1", "connectorId": "1"} | query
        params = {name.rstrip("_"): value for name, value in params.items() if value != ""}
        headers = {"Authorization": f"Bearer {token or self.sandbox.token}"}
        async with self.http.get(url, params=params, headers=headers) as response:
            return response.status, msgspec.json.decode(await response.read())

    async def ids(self, **query: str | int) -> list[int]:
        status, body = await self.ask(**query)
        assert status == 200, body
        return [item["sessionId"] for item in body["items"]]

    async def login(self, **changes: str | None) -> tuple[int, Any]:
        given: dict[str, str | None] = {
            "user": self.sandbox.client_id,
            "password": self.sandbox.client_secret,
            "grant_type": "client_credentials",
        }
        given.update(changes)
        pair = base64.b64encode(f"{given['user']}:{given['password']}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
        form = {} if given["grant_type"] is None else {"grant_type": given["grant_type"]}
        url = self.sandbox.token_url
        async with self.http.post(url, data=form, headers=headers) as response:
            return response.status, msgspec.json.decode(await response.read())

    @property
    def truth(self) -> list[int]:
        return self.sandbox.session_ids("CP-1", "1")


@pytest.fixture
async def depot(
    http: aiohttp.ClientSession, request: pytest.FixtureRequest
) -> AsyncIterator[Depot]:
    settings: dict[str, Any] = {"sessions": 10, "shape": SMALL, "chargers": ONE}
    settings |= getattr(request, "param", {})
    async with DepotSandbox(**settings) as sandbox:
        yield Depot(http, sandbox)


def personality(**settings: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("depot", [settings], indirect=True, ids=[""])


async def test_the_items_are_the_reports_byte_for_byte(depot: Depot) -> None:
    status, body = await depot.ask(limit=10)
    assert status == 200
    assert [msgspec.json.encode(item) for item in body["items"]] == depot.sandbox.reports("CP-1", 1)
    assert (body["ChargerID"], body["ConnectorID"]) == ("CP-1", "1")


async def test_pages_count_from_one_and_hold_three_by_default(depot: Depot) -> None:
    assert await depot.ids() == await depot.ids(page=1) == depot.truth[:3]
    assert await depot.ids(page=2) == depot.truth[3:6]


async def test_the_last_page_is_short(depot: Depot) -> None:
    assert await depot.ids(page=3, limit=4) == depot.truth[8:]


async def test_a_page_past_the_end_is_empty(depot: Depot) -> None:
    status, body = await depot.ask(page=4, limit=4)
    assert (status, body) == (200, {"items": [], "ChargerID": "CP-1", "ConnectorID": "1"})


@personality(max_limit=2)
async def test_a_limit_above_the_highest_is_lowered(depot: Depot) -> None:
    assert await depot.ids(limit=5, page=2) == depot.truth[2:4]


@personality(max_limit=None)
async def test_without_a_highest_limit_any_is_served(depot: Depot) -> None:
    assert await depot.ids(limit=99999) == depot.truth


@personality(min_limit=4)
async def test_a_limit_below_the_lowest_is_raised(depot: Depot) -> None:
    assert await depot.ids(limit=0, page=2) == depot.truth[4:8]


@personality(ignore_page=True)
async def test_a_server_that_ignores_the_page_repeats_the_first(depot: Depot) -> None:
    assert await depot.ids(page=5) == depot.truth[:3]


@personality(order="descending")
async def test_items_can_descend(depot: Depot) -> None:
    assert await depot.ids(limit=10) == depot.truth[::-1]


@personality(order="shuffled")
async def test_a_shuffled_order_is_fixed_and_survives_a_deletion(depot: Depot) -> None:
    shuffled = await depot.ids(limit=10)
    assert sorted(shuffled) == depot.truth != shuffled
    assert await depot.ids(limit=10) == shuffled
    depot.sandbox.delete("CP-1", "1", shuffled.pop(4))
    assert await depot.ids(limit=10) == shuffled


def bare(session_id: int, start: datetime, end: datetime | None = None) -> bytes:
    return msgspec.json.encode(
        {"sessionId": session_id, "sessionTimeStart": start, "sessionTimeEnd": end}
    )


NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [2, 3]),
        ({"inclusive": False}, []),
        ({"time_filter": "end"}, [1, 2]),
        ({"time_filter": "end", "inclusive": False}, []),
        ({"time_filter": "overlap"}, [1, 2, 3]),
        ({"time_filter": "overlap", "inclusive": False}, [2]),
    ],
)
async def test_from_and_to_test_the_time_that_was_chosen(
    http: aiohttp.ClientSession, settings: dict[str, Any], expected: list[int]
) -> None:
    async with DepotSandbox(chargers=ONE, sessions=0, **settings) as sandbox:
        # Three sessions of an hour each; the window is the middle one.
        for n in (1, 2, 3):
            start = NOON + n * HOUR
            sandbox.insert("CP-1", "1", bare(n, start, start + HOUR))
        window = {
            "from_": (NOON + 2 * HOUR).isoformat(),
            "to": (NOON + 3 * HOUR).isoformat().replace("+00:00", "Z"),
        }
        assert await Depot(http, sandbox).ids(limit=10, **window) == expected


async def test_from_alone_and_to_alone_leave_the_other_side_open(depot: Depot) -> None:
    third = msgspec.json.decode(depot.sandbox.reports("CP-1", "1")[2])["sessionTimeStart"]
    assert await depot.ids(limit=10, from_=third) == depot.truth[2:]
    assert await depot.ids(limit=10, to=third) == depot.truth[:3]
    assert await depot.ids(limit=10, from_=third, to=third.lower()) == depot.truth[2:3]


async def test_an_inserted_report_is_served_as_it_is_where_it_belongs(depot: Depot) -> None:
    report = b' {"sessionId": 7,  "sessionTimeStart": "2020-01-01T00:00:00Z", "x": [1]} '
    depot.sandbox.insert("CP-1", 1, report)
    assert depot.sandbox.reports("CP-1", 1)[0] == report
    assert (await depot.ids())[0] == 7
    depot.sandbox.insert("CP-1", 1, bare(8, datetime(2026, 3, 1, tzinfo=UTC)))
    assert depot.truth[-1] == 8


@pytest.mark.parametrize("time_filter", ["start", "end", "overlap"])
async def test_a_report_without_a_start_is_served_by_its_end(
    http: aiohttp.ClientSession, time_filter: Any
) -> None:
    async with DepotSandbox(chargers=ONE, sessions=0, time_filter=time_filter) as sandbox:
        sandbox.insert("CP-1", 1, b'{"sessionId": 7, "sessionTimeEnd": "2020-01-01T00:00:00Z"}')
        depot = Depot(http, sandbox)

        assert await depot.ids(to="2020-01-02T00:00:00Z", from_="2019-12-31T00:00:00Z") == [7]
        assert await depot.ids(to="2019-01-02T00:00:00Z") == []


@pytest.mark.parametrize("times", ["", ', "sessionTimeStart": null, "sessionTimeEnd": null'])
async def test_a_report_without_times_sorts_last_and_is_in_every_window(
    depot: Depot, times: str
) -> None:
    report = f'{{"sessionId": 7{times}}}'.encode()
    depot.sandbox.insert("CP-1", 1, report)

    assert depot.sandbox.reports("CP-1", 1)[-1] == report
    assert await depot.ids(to="1999-01-02T00:00:00Z") == [7]
    assert await depot.ids(from_="2099-01-02T00:00:00Z") == [7]
    depot.sandbox.delete("CP-1", 1, 7)
    assert await depot.ids(to="1999-01-02T00:00:00Z") == []


async def test_a_selection_is_made_anew_after_a_change(depot: Depot) -> None:
    assert await depot.ids() == depot.truth[:3]
    depot.sandbox.delete("CP-1", "1", depot.truth[0])
    assert await depot.ids() == depot.truth[:3]
    assert len(depot.truth) == 9


@personality(churn=Churn(inserts=2))
async def test_sessions_that_have_just_ended_come_in_as_the_newest(depot: Depot) -> None:
    before = depot.truth
    started = datetime.now(UTC)
    await depot.ask()
    assert depot.truth == [*before, *depot.sandbox.inserted]
    assert len(depot.sandbox.inserted) == 2
    for report in depot.sandbox.reports("CP-1", "1")[10:]:
        ended = datetime.fromisoformat(msgspec.json.decode(report)["sessionTimeEnd"])
        assert started - timedelta(milliseconds=1) <= ended <= datetime.now(UTC)


@personality(churn=Churn(late_inserts=20))
async def test_sessions_that_are_uploaded_late_come_in_between_the_others(depot: Depot) -> None:
    first, *before, last = depot.truth
    await depot.ask()
    assert len(depot.sandbox.inserted) == 20
    assert (depot.truth[0], depot.truth[-1]) == (first, last)
    assert set(depot.truth[1:-1]) == {*before, *depot.sandbox.inserted}
    assert depot.truth[1:-1] != [*before, *depot.sandbox.inserted]


@personality(churn=Churn(deletes=3))
async def test_sessions_vanish_after_a_page_until_none_is_left(depot: Depot) -> None:
    before = depot.truth
    assert await depot.ids(limit=10) == before
    assert len(depot.truth) == 7
    assert {*depot.truth, *depot.sandbox.deleted} == set(before)
    for _ in range(4):
        await depot.ask()
    assert depot.truth == await depot.ids() == []
    assert sorted(depot.sandbox.deleted) == before


@personality(sessions=0, churn=Churn(inserts=1, late_inserts=1, deletes=1))
async def test_sessions_come_and_go_where_there_were_none(depot: Depot) -> None:
    for _ in range(3):
        await depot.ask()
    assert (len(depot.sandbox.inserted), len(depot.sandbox.deleted)) == (6, 3)
    assert len(depot.truth) == 3


@personality(churn=Churn(inserts=1, deletes=1, pages=2))
async def test_nothing_moves_any_more_after_so_many_pages(depot: Depot) -> None:
    for _ in range(5):
        await depot.ask()
    assert len(depot.sandbox.inserted) == len(depot.sandbox.deleted) == 2


async def test_only_the_connector_that_was_asked_for_moves(http: aiohttp.ClientSession) -> None:
    chargers = {"CP-1": ["1", "2"]}
    async with DepotSandbox(chargers=chargers, churn=Churn(inserts=1, deletes=1)) as sandbox:
        left_alone = sandbox.session_ids("CP-1", "2")
        await Depot(http, sandbox).ask()
        assert sandbox.session_ids("CP-1", "2") == left_alone
        assert not {*sandbox.inserted} & {*left_alone}


async def test_what_comes_and_goes_is_drawn_by_the_seed(http: aiohttp.ClientSession) -> None:
    async def moved(seed: int) -> tuple[list[int], list[int], list[int]]:
        churn = Churn(inserts=0.2, late_inserts=0.5, deletes=0.5)
        async with DepotSandbox(chargers=ONE, shape=SMALL, churn=churn, seed=seed) as sandbox:
            depot = Depot(http, sandbox)
            for _ in range(40):
                await depot.ask()
            return sandbox.inserted, sandbox.deleted, depot.truth

    inserted, deleted, _ = await moved(3)
    assert await moved(3) == await moved(3) != await moved(4)
    assert 10 < len(inserted) < 50
    assert 5 < len(deleted) < 35


async def test_ids_given_by_hand_are_not_given_again(http: aiohttp.ClientSession) -> None:
    async with DepotSandbox(chargers=ONE, sessions=2, churn=Churn(inserts=1)) as sandbox:
        sandbox.insert("CP-1", "1", bare(100_000_003, NOON))
        await Depot(http, sandbox).ask()
        assert sandbox.inserted == [100_000_004]


def test_sessions_in_a_row_can_begin_in_one_millisecond() -> None:
    def times(cluster: int) -> list[tuple[datetime, timedelta]]:
        reports = DepotSandbox(chargers=ONE, sessions=7, shape=SMALL, cluster=cluster).reports(
            "CP-1", "1"
        )
        headers = [msgspec.json.decode(report) for report in reports]
        starts, ends = (
            [datetime.fromisoformat(header[key]) for header in headers]
            for key in ("sessionTimeStart", "sessionTimeEnd")
        )
        return [(start, end - start) for start, end in zip(starts, ends, strict=True)]

    apart, together = times(1), times(3)
    assert [start for start, _ in together] == [apart[n - n % 3][0] for n in range(7)]
    assert [lasted for _, lasted in together] == [lasted for _, lasted in apart]


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"[]",
        b'{"sessionId": "7", "sessionTimeStart": "2020-01-01T00:00:00Z"}',
        b'{"sessionTimeStart": "2020-01-01T00:00:00Z"}',
        b'{"sessionId": 7, "sessionTimeStart": "2020-01-01T00:00:00"}',
    ],
)
def test_a_report_without_an_id_or_with_a_bad_time_is_refused(report: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be served"):
        DepotSandbox(chargers=ONE, sessions=0).insert("CP-1", "1", report)


def test_changes_that_make_no_sense_are_refused() -> None:
    sandbox = DepotSandbox(chargers=ONE, sessions=1)
    [session_id] = sandbox.session_ids("CP-1", "1")
    with pytest.raises(ValueError, match="exists already"):
        sandbox.insert("CP-1", "1", bare(session_id, NOON))
    sandbox.delete("CP-1", "1", session_id)
    with pytest.raises(ValueError, match="does not exist"):
        sandbox.delete("CP-1", "1", session_id)
    with pytest.raises(ValueError, match="unknown charger 'CP-9'"):
        sandbox.reports("CP-9", "1")
    sandbox.insert("CP-1", "1", bare(session_id, NOON))
    assert sandbox.session_ids("CP-1", "1") == [session_id]


def test_session_ids_are_unique_across_connectors() -> None:
    sandbox = DepotSandbox(sessions=50)
    ids = [
        session_id
        for charger_id, connector_ids in sandbox.chargers.items()
        for connector_id in connector_ids
        for session_id in sandbox.session_ids(charger_id, connector_id)
    ]
    assert len(set(ids)) == 150


def test_the_same_seed_offers_the_same_reports() -> None:
    def offered(seed: int) -> list[bytes]:
        return DepotSandbox(seed=seed, sessions=5, shape=SMALL).reports("CP-002", "1")

    assert offered(3) == offered(3) != offered(4)


@pytest.mark.parametrize("token", ["nonsense", "é"])
async def test_a_wrong_token_is_unauthorized(depot: Depot, token: str) -> None:
    assert await depot.ask(token) == (401, {"message": "Unauthorized"})


async def test_no_token_is_unauthorized(depot: Depot) -> None:
    async with depot.http.get(f"{depot.sandbox.base_url}/sessionReports") as response:
        assert response.status == 401


async def test_a_fetched_token_opens_the_door_until_it_is_revoked(depot: Depot) -> None:
    status, body = await depot.login()
    assert status == 200
    assert body.keys() == {"access_token", "expires_in", "token_type"}
    assert (body["expires_in"], body["token_type"]) == (3600, "bearer")
    assert (await depot.ask(body["access_token"]))[0] == 200
    depot.sandbox.revoke_tokens()
    assert (await depot.ask(body["access_token"]))[0] == 401
    assert (await depot.ask(depot.sandbox.token))[0] == 200


@personality(token_lifetime=0.02)
async def test_a_token_expires(depot: Depot) -> None:
    _, body = await depot.login()
    assert body["expires_in"] == 0.02
    await asyncio.sleep(0.03)
    assert (await depot.ask(body["access_token"]))[0] == 401


@pytest.mark.parametrize(
    "changes",
    [{"user": "x"}, {"password": "x"}, {"grant_type": "password"}, {"grant_type": None}],
)
async def test_a_wrong_token_request_is_forbidden(
    depot: Depot, changes: dict[str, str | None]
) -> None:
    assert await depot.login(**changes) == (403, {"message": "Forbidden"})


@personality(faults=[Fault.status(503)], token_faults=[Fault.status(500)])
async def test_token_requests_are_recorded_and_spoiled_apart(depot: Depot) -> None:
    assert (await depot.login())[0] == 500
    assert (await depot.login())[0] == 200
    assert (await depot.ask())[0] == 503
    assert (await depot.ask())[0] == 200
    assert [seen.status for seen in depot.sandbox.token_requests] == [500, 200]
    assert [seen.status for seen in depot.sandbox.requests] == [503, 200]
    assert {seen.path for seen in depot.sandbox.requests} == {"/v1/sessionReports"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"page": "0"}, "page must be >= 1"),
        ({"page": "-1"}, "page"),
        ({"page": "1.0"}, "page"),
        ({"page": "9" * 5000}, "page"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "\u0661"}, "limit"),
        ({"from_": "yesterday"}, "from"),
        ({"from_": "2026-01-01"}, "from"),
        ({"from_": "2026-01-01T00:00:00"}, "from"),
        ({"from_": "2026-01-01T00:00:00 01:00"}, "from"),
        ({"to": "2026-13-01T00:00:00Z"}, "to"),
        ({"chargerId": ""}, "chargerId"),
        ({"connectorId": ""}, "connectorId"),
    ],
)
async def test_a_malformed_query_is_refused_by_name(
    depot: Depot, query: dict[str, str], message: str
) -> None:
    status, body = await depot.ask(None, **query)
    assert status == 400
    assert message in body["message"]


async def test_an_unknown_charger_or_connector_is_not_found(depot: Depot) -> None:
    assert await depot.ask(chargerId="CP-9") == (
        404,
        {"message": "unknown charger 'CP-9'; known: CP-1"},
    )
    assert await depot.ask(connectorId="9") == (
        404,
        {"message": "unknown connector '9' of CP-1; known: 1"},
    )


async def test_other_paths_and_methods_are_refused(depot: Depot) -> None:
    sandbox = depot.sandbox
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    for method, url, status in [
        ("GET", f"{sandbox.base_url}/nothing", 404),
        ("GET", sandbox.origin, 404),
        ("POST", f"{sandbox.base_url}/sessionReports", 405),
        ("GET", sandbox.token_url, 405),
    ]:
        async with depot.http.request(method, url, headers=headers) as response:
            assert (response.status, response.content_type) == (status, "application/json")


async def test_settings_can_change_while_it_runs(depot: Depot) -> None:
    assert len(await depot.ids(limit=8)) == 8
    depot.sandbox.max_limit = 5
    assert len(await depot.ids(limit=8)) == 5


async def test_the_environment_is_what_a_client_needs_and_the_repr_keeps_it_secret(
    depot: Depot,
) -> None:
    sandbox = depot.sandbox
    assert sandbox.environment == {
        "DEPOT_BASE_URL": f"{sandbox.origin}/v1",
        "DEPOT_TOKEN_URL": f"{sandbox.origin}/oauth2/token",
        "DEPOT_CLIENT_ID": sandbox.client_id,
        "DEPOT_CLIENT_SECRET": sandbox.client_secret,
    }
    await depot.login()
    shown = f"{sandbox!r}{sandbox}{sandbox.requests}{sandbox.token_requests}"
    assert not any(
        secret in shown for secret in (sandbox.token, sandbox.client_id, sandbox.client_secret)
    )


def test_the_defaults_are_three_connectors_with_sessions_in_the_past() -> None:
    sandbox = DepotSandbox()
    assert sandbox.chargers == {"CP-001": ("1", "2"), "CP-002": ("1",)}
    first, *_, last = sandbox.reports("CP-001", "1")
    assert msgspec.json.decode(first)["sessionTimeStart"] == "2026-01-01T00:00:00.000Z"
    assert msgspec.json.decode(last)["sessionTimeEnd"] < "2026-02"
    assert len(sandbox.session_ids("CP-002", "1")) == 60


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chargers": {"": ["1"]}}, "chargers"),
        ({"chargers": {"CP-1": "12"}}, "chargers"),
        ({"chargers": {"CP-1": ["1", 1]}}, "distinct"),
        ({"chargers": {"CP-1": [""]}}, "not empty"),
        ({"sessions": -1}, "sessions"),
        ({"min_limit": 0}, "min_limit"),
        ({"max_limit": 5, "min_limit": 6}, "max_limit"),
        ({"order": "random"}, "order"),
        ({"time_filter": "middle"}, "time_filter"),
        ({"cluster": 0}, "cluster"),
        ({"token_lifetime": -1}, "token_lifetime"),
        ({"port": -1}, "port"),
        ({"start": datetime(2026, 1, 1)}, "aware"),  # noqa: DTZ001
        ({"start": datetime.now(UTC) - timedelta(minutes=1)}, "future"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DepotSandbox(**settings)


@pytest.mark.parametrize(
    "setting", [{"inserts": -1}, {"late_inserts": -0.1}, {"deletes": "1"}, {"pages": 0.5}]
)
def test_churn_out_of_range_is_refused_by_name(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        Churn(**setting)


def test_the_pytest_fixture_serves_synchronous_tests(depot_sandbox: DepotSandbox) -> None:
    request = Request(  # noqa: S310
        f"{depot_sandbox.base_url}/sessionReports?chargerId=CP-001&connectorId=2&limit=1",
        headers={"Authorization": f"Bearer {depot_sandbox.token}"},
    )
    with urlopen(request) as response:  # noqa: S310
        body = msgspec.json.decode(response.read())
    assert body["items"] == [msgspec.json.decode(depot_sandbox.reports("CP-001", "2")[0])]


async def test_the_pytest_fixture_serves_asynchronous_tests(
    http: aiohttp.ClientSession, depot_sandbox: DepotSandbox
) -> None:
    depot = Depot(http, depot_sandbox)
    ids = await depot.ids(chargerId="CP-002", limit=5)
    assert ids == depot_sandbox.session_ids("CP-002", "1")[:5]


def test_a_number_of_chargers_makes_that_many_with_two_connectors_each() -> None:
    sandbox = DepotSandbox(chargers=3, sessions=1)

    assert sandbox.chargers == dict.fromkeys(("CP-001", "CP-002", "CP-003"), ("1", "2"))
    with pytest.raises(ValueError, match="chargers"):
        DepotSandbox(chargers=-1)
