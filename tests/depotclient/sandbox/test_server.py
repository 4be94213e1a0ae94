"""Server of the Depot sandbox: its responses to a plain HTTP client."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import attrs
import msgspec
import pytest

from depotclient.sandbox import Churn, DepotSandbox, Fault, ReportShape, make_report

SMALL = ReportShape.small()
ONE = {"CP-1": ["1"]}


@attrs.frozen
class Depot:
    """A sandbox with one connector of 10 sessions, and its HTTP client."""

    http: aiohttp.ClientSession
    sandbox: DepotSandbox

    async def send(
        self,
        token: str | None = None,
        /,
        method: str = "GET",
        path: str = "/v1/sessionReports",
        **query: str | int,
    ) -> tuple[int, bytes]:
        params = {"chargerId": "CP-1", "connectorId": "1"} | query
        params = {name.rstrip("_"): value for name, value in params.items() if value != ""}
        headers = {"Authorization": f"Bearer {token or self.sandbox.token}"}
        url = self.sandbox.origin + path
        async with self.http.request(method, url, params=params, headers=headers) as response:
            return response.status, await response.read()

    async def fetch_ids(self, **query: str | int) -> list[int]:
        status, body = await self.send(None, **query)  # type: ignore[arg-type]
        assert status == 200, body
        return [item["sessionId"] for item in msgspec.json.decode(body)["items"]]

    async def login(self, **changes: str) -> tuple[int, Any]:
        sandbox = self.sandbox
        form = {"user": sandbox.client_id, "password": sandbox.client_secret}
        form |= {"grant_type": "client_credentials"} | changes
        pair = base64.b64encode(f"{form.pop('user')}:{form.pop('password')}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
        async with self.http.post(sandbox.token_url, data=form, headers=headers) as response:
            return response.status, msgspec.json.decode(await response.read())

    @property
    def ids(self) -> list[int]:
        return self.sandbox.session_ids("CP-1", "1")


@pytest.fixture
async def depot(request: pytest.FixtureRequest) -> AsyncIterator[Depot]:
    settings: dict[str, Any] = {"sessions": 10, "shape": SMALL, "chargers": ONE}
    settings |= getattr(request, "param", {})
    async with aiohttp.ClientSession() as http, DepotSandbox(**settings) as sandbox:
        yield Depot(http, sandbox)


def settings(**values: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("depot", [values], indirect=True, ids=[""])


async def test_the_items_are_the_reports_byte_for_byte(depot: Depot) -> None:
    report = b' {"sessionId": 7,  "sessionTimeStart": "2020-01-01T00:00:00Z", "x": [1]} '
    depot.sandbox.add("CP-1", 1, report)
    depot.sandbox.remove("CP-1", 1, depot.ids[-1])
    depot.sandbox.add("CP-1", 1, without_times := b'{"sessionId": 8}')
    reports = depot.sandbox.reports("CP-1", 1)
    assert (len(reports), reports[0], reports[-1]) == (11, report, without_times)
    body = b'{"items":[%b],"ChargerID":"CP-1","ConnectorID":"1"}' % b",".join(reports)
    assert await depot.send(limit=11) == (200, body)


@settings(chargers={})
async def test_reports_added_together_are_sorted_like_one_by_one(depot: Depot) -> None:
    later = make_report(7, session_time_start=datetime(2026, 7, 1, tzinfo=UTC))
    reports = (later, b'{"sessionId": 8}', make_report(9))
    depot.sandbox.add("CP-1", 1, *reports)
    for report in reports:
        depot.sandbox.add("CP-2", 1, report)
    assert depot.sandbox.session_ids("CP-1", 1) == depot.sandbox.session_ids("CP-2", 1) == [9, 7, 8]


@settings(chargers={})
async def test_a_report_of_a_new_connector_is_served_corrected_and_removed(depot: Depot) -> None:
    sandbox, place = depot.sandbox, {"chargerId": "CP-9", "connectorId": "2"}
    sandbox.add("CP-9", 2, make_report(7))
    assert sandbox.chargers == {"CP-9": ("2",)}
    sandbox.correct("CP-9", "2", 7, energy_soc_end=99)
    assert sandbox.reports("CP-9", "2") == [make_report(7, energy_soc_end=99)]
    assert await depot.fetch_ids(**place) == [7]
    sandbox.remove("CP-9", "2", 7)
    assert await depot.fetch_ids(**place) == []


async def test_a_rejected_change_changes_nothing(depot: Depot) -> None:
    sandbox, before = depot.sandbox, depot.sandbox.reports("CP-1", "1")
    refusals: list[tuple[str, Callable[[], None]]] = [
        ("cannot be served", lambda: sandbox.add("CP-9", "1", b"[]")),
        ("charger_id must not be empty", lambda: sandbox.add("", "1", make_report(7))),
        ("connector_id must not be empty", lambda: sandbox.add("CP-9", "", make_report(7))),
        ("connector_id must be a string", lambda: sandbox.add("CP-9", None, make_report(7))),  # type: ignore[arg-type]
        ("must be JSON in bytes, not str", lambda: sandbox.add("CP-9", 1, "{}")),  # type: ignore[arg-type]
        ("already exists", lambda: sandbox.add("CP-1", 1, make_report(depot.ids[0]))),
        ("session 7 already", lambda: sandbox.add("CP-1", 1, make_report(7), make_report(7))),
        ("session 7 does not exist", lambda: sandbox.correct("CP-1", 1, 7, vehicle_id="B")),
        ("session 7 does not exist", lambda: sandbox.remove("CP-1", 1, 7)),
        ("unknown charger", lambda: sandbox.remove("CP-9", 1, depot.ids[0])),
        (
            "cannot be served",
            lambda: sandbox.correct("CP-1", 1, depot.ids[0], session_time_end="x"),  # type: ignore[arg-type]
        ),
    ]
    for message, change in refusals:
        with pytest.raises(ValueError, match=message):
            change()
    assert (sandbox.chargers, sandbox.reports("CP-1", "1")) == ({"CP-1": ("1",)}, before)


async def test_sessions_of_a_live_sandbox_end_at_a_fixed_interval() -> None:
    now = [100.0]
    sandbox = DepotSandbox(
        chargers={"CP-1": ["1", "2"]}, sessions=2, live=True, live_interval=60, clock=lambda: now[0]
    )
    opened = int(time.time() * 1000)
    old = {n: sandbox.session_ids("CP-1", n) for n in (1, 2)}
    now[0] += 59.9
    assert sandbox.session_ids("CP-1", 1) == old[1]
    now[0] += 60.1
    assert len({*sandbox.session_ids("CP-1", 1)} - {*old[1]}) == 2
    now[0] += 60
    for n in (1, 2):
        reports = [msgspec.json.decode(report) for report in sandbox.reports("CP-1", n)]
        live = sorted(
            (report for report in reports if report["sessionId"] not in old[n]),
            key=lambda report: report["sessionId"],
        )
        ends = [datetime.fromisoformat(each["sessionTimeEnd"]).timestamp() for each in live]
        assert [round(end - opened / 1000, -1) for end in ends] == [60, 120, 180]
        # The counters continue those of the earlier sessions.
        counters = [reports[1], *live]
        for before, after in pairwise(counters):
            assert after["energyChargeStart"] == before["energyChargeEnd"]


@settings(client_id="id", client_secret="s e/cret", token="fixed")
async def test_the_credentials_can_be_chosen(depot: Depot) -> None:
    assert depot.sandbox.environment["DEPOT_CLIENT_SECRET"] == "s e/cret"
    assert (await depot.login(user="id", password="s e/cret"))[0] == 200
    assert (await depot.send("fixed"))[0] == 200


@pytest.mark.parametrize(
    ("depot", "query", "expected"),
    [
        ({}, {}, slice(0, 3)),
        ({}, {"page": 2}, slice(3, 6)),
        ({}, {"page": 3, "limit": 4}, slice(8, 10)),
        ({}, {"page": 4, "limit": 4}, slice(10, 10)),
        ({"max_limit": 2}, {"limit": 5, "page": 2}, slice(2, 4)),
        ({"max_limit": None}, {"limit": 99999}, slice(0, 10)),
        ({"min_limit": 4}, {"limit": 0, "page": 2}, slice(4, 8)),
        ({"ignore_page": True}, {"page": 5}, slice(0, 3)),
        ({"past_the_end": "first_page"}, {"page": 9, "limit": 4}, slice(0, 4)),
        ({"odd_limits": "clamp"}, {"limit": 11}, slice(0, 10)),
    ],
    indirect=["depot"],
)
async def test_a_page_is_a_slice_of_the_reports(
    depot: Depot, query: dict[str, int], expected: slice
) -> None:
    assert await depot.fetch_ids(**query) == depot.ids[expected]


@pytest.mark.parametrize(
    ("depot", "from_", "to"),
    [
        ({"inclusive": False}, 0, 0),
        ({"includes_from": False}, 0, 1),
        ({"includes_to": False}, 1, 0),
    ],
    indirect=["depot"],
)
async def test_each_end_of_the_time_range_is_included_or_not(
    depot: Depot, from_: int, to: int
) -> None:
    reports = map(msgspec.json.decode, depot.sandbox.reports("CP-1", "1"))
    starts = [report["sessionTimeStart"] for report in reports]
    found = await depot.fetch_ids(limit=10, from_=starts[2], to=starts[5])
    assert found == depot.ids[3 - from_ : 5 + to]


@settings(order="changing")
async def test_a_page_in_changing_order_has_the_same_reports_each_time(depot: Depot) -> None:
    pages = [await depot.fetch_ids(limit=10) for _ in range(3)]
    assert len(set(map(tuple, pages))) == 3
    assert all(sorted(page) == depot.ids for page in pages)


@settings(past_the_end="null", high_limits=422, max_limit=5)
async def test_a_page_can_be_null_and_a_limit_refused(depot: Depot) -> None:
    status, body = await depot.send(None, page=9)
    assert (status, msgspec.json.decode(body)["items"]) == (200, None)
    assert (await depot.send(None, limit=6))[0] == 422


@pytest.mark.parametrize(
    ("depot", "expected"),
    [
        ({}, {"ChargerID": "Cp-1", "ConnectorID": "a"}),
        ({"echo": "upper"}, {"ChargerID": "CP-1", "ConnectorID": "A"}),
        ({"echo": "lower"}, {"ChargerID": "cp-1", "ConnectorID": "a"}),
        ({"echo": "absent"}, {}),
    ],
    indirect=["depot"],
)
async def test_the_ids_in_the_response_are_echoed_in_the_chosen_form(
    depot: Depot, expected: dict[str, str]
) -> None:
    depot.sandbox.add("Cp-1", "a", make_report())
    _, body = await depot.send(None, chargerId="Cp-1", connectorId="a")
    assert {**msgspec.json.decode(body), "items": 0} == {**expected, "items": 0}


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_page_is_compressed_for_a_client_that_accepts_it(encoding: Any) -> None:
    async with DepotSandbox(chargers=ONE, compression=encoding) as sandbox:
        url = f"{sandbox.base_url}/sessionReports?chargerId=CP-1&connectorId=1&limit=1"
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        for accepted, expected in ((encoding, encoding), ("identity", None)):
            headers["Accept-Encoding"] = accepted
            async with aiohttp.request("GET", url, headers=headers) as response:
                assert response.headers.get("Content-Encoding") == expected
                assert sandbox.reports("CP-1", 1)[0] in await response.read()


@settings(credentials="token")
async def test_the_environment_of_a_token_account_has_the_token(depot: Depot) -> None:
    environment = depot.sandbox.environment
    assert environment.keys() == {"DEPOT_BASE_URL", "DEPOT_TOKEN"}
    assert (await depot.send(environment["DEPOT_TOKEN"]))[0] == 200


@settings(order="descending", time_filter="end", inclusive=False)
async def test_the_query_and_the_settings_select_reports(depot: Depot) -> None:
    third = msgspec.json.decode(depot.sandbox.reports("CP-1", "1")[2])["sessionTimeEnd"]

    assert await depot.fetch_ids(limit=10, from_=third.lower()) == depot.ids[:2:-1]
    assert await depot.fetch_ids(limit=10, to=third) == depot.ids[1::-1]


@settings(churn=Churn(inserts=1, deletes=1), chargers={"CP-1": ["1", "2"]})
async def test_churn_changes_only_the_requested_connector(depot: Depot) -> None:
    other, before = depot.sandbox.session_ids("CP-1", "2"), set(depot.ids)
    await depot.send()

    assert len(depot.sandbox.inserted) == len(depot.sandbox.deleted) == 1
    assert {*depot.ids} == (before | {*depot.sandbox.inserted}) - {*depot.sandbox.deleted}
    assert depot.sandbox.session_ids("CP-1", "2") == other
    assert depot.sandbox.inserted[0] not in other


async def test_an_issued_token_is_valid_until_it_is_revoked(depot: Depot) -> None:
    status, body = await depot.login()
    assert status == 200
    token = body.pop("access_token")
    assert body == {"expires_in": 3600, "token_type": "bearer"}
    assert (await depot.send(token))[0] == 200
    depot.sandbox.revoke_tokens()
    assert await depot.send(token) == (401, b'{"message":"Unauthorized"}')
    assert [(await depot.send(key))[0] for key in ("é", depot.sandbox.token)] == [401, 200]


@settings(token_lifetime=2, clock=iter(range(9)).__next__)
async def test_a_token_expires(depot: Depot) -> None:
    _, body = await depot.login()
    assert [(await depot.send(body["access_token"]))[0] for _ in range(2)] == [200, 401]


@pytest.mark.parametrize("changes", [{"user": "x"}, {"password": "x"}, {"grant_type": "password"}])
async def test_an_invalid_token_request_is_forbidden(depot: Depot, changes: dict[str, str]) -> None:
    assert await depot.login(**changes) == (403, {"message": "Forbidden"})


@settings(faults=[Fault.status(503)], token_faults=[Fault.status(500)])
async def test_token_requests_have_their_own_faults_and_records(depot: Depot) -> None:
    assert [(await depot.login())[0] for _ in range(2)] == [500, 200]
    assert [(await depot.send())[0] for _ in range(2)] == [503, 200]
    assert [request.status for request in depot.sandbox.token_requests] == [500, 200]
    assert [request.status for request in depot.sandbox.requests] == [503, 200]


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"page": "0"}, 400, "page must be >= 1"),
        ({"page": "-1"}, 400, "page"),
        ({"page": "9" * 5000}, 400, "page"),
        ({"limit": "\u0661"}, 400, "limit"),
        ({"from_": "2026-01-01T00:00:00"}, 400, "from"),
        ({"to": "2026-13-01T00:00:00Z"}, 400, "to"),
        ({"chargerId": ""}, 400, "chargerId"),
        ({"connectorId": ""}, 400, "connectorId"),
        ({"chargerId": "CP-9"}, 404, "unknown charger 'CP-9'; known: CP-1"),
        ({"connectorId": "9"}, 404, "unknown connector '9' of CP-1; known: 1"),
        ({"path": "/v1/nothing"}, 404, "no such resource"),
        ({"path": ""}, 404, "no such resource"),
        ({"method": "POST"}, 405, "the method must be GET"),
        ({"path": "/oauth2/token"}, 405, "the method must be POST"),
    ],
)
async def test_an_invalid_request_is_rejected_with_a_reason(
    depot: Depot, request_: dict[str, str], status: int, message: str
) -> None:
    found, body = await depot.send(None, **request_)
    assert found == status
    assert message in msgspec.json.decode(body)["message"]


def test_the_default_is_three_connectors_with_60_past_sessions_each() -> None:
    sandbox = DepotSandbox(shape=SMALL)
    assert sandbox.chargers == {"CP-001": ("1", "2"), "CP-002": ("1",)}
    connectors = [("CP-001", "1"), ("CP-001", "2"), ("CP-002", "1")]
    assert len({n for each in connectors for n in sandbox.session_ids(*each)}) == 180
    first, *_, last = [msgspec.json.decode(report) for report in sandbox.reports("CP-002", 1)]
    assert first["sessionTimeStart"] == "2026-01-01T00:00:00.000Z"
    assert last["sessionTimeEnd"] < "2026-02"
    assert DepotSandbox(shape=SMALL, seed=1).reports("CP-002", 1) != sandbox.reports("CP-002", 1)
    two = DepotSandbox(chargers=2, sessions=1)
    assert two.chargers == {"CP-001": ("1", "2"), "CP-002": ("1", "2")}


def test_a_cluster_of_sessions_starts_in_the_same_millisecond() -> None:
    def starts(cluster: int) -> list[str]:
        sandbox = DepotSandbox(chargers=ONE, sessions=7, shape=SMALL, cluster=cluster)
        reports = map(msgspec.json.decode, sandbox.reports("CP-1", "1"))
        return [report["sessionTimeStart"] for report in reports]

    single = starts(1)
    assert starts(3) == [single[n - n % 3] for n in range(7)]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"chargers": -1}, "chargers"),
        ({"chargers": {"CP-1": "12"}}, "chargers"),
        ({"chargers": {"CP-1": ["1", 1]}}, "distinct"),
        ({"chargers": {"CP-1": [""]}}, "not empty"),
        ({"sessions": -1}, "sessions"),
        ({"min_limit": 0}, "min_limit"),
        ({"max_limit": 5, "min_limit": 6}, "max_limit"),
        ({"order": "random"}, "order"),
        ({"order": None}, "order must not be None"),
        ({"compression": "zip"}, "compression"),
        ({"missing_fields": {"vehicle": 0.5}}, "missing_fields"),
        ({"time_filter": "middle"}, "time_filter"),
        ({"cluster": 0}, "cluster"),
        ({"token_lifetime": -1}, "token_lifetime"),
        ({"live_interval": 0}, "live_interval must be a finite number >= 0.001, got 0"),
        ({"token": ""}, "token"),
        ({"client_id": "a:b"}, "client_id"),
        ({"client_secret": "\n"}, "client_secret"),
        ({"start": datetime.now(UTC) - timedelta(minutes=1)}, "future"),
    ],
)
def test_a_setting_out_of_range_is_rejected_by_name(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DepotSandbox(**setting)


def test_the_fixtures_run_sandboxes_for_synchronous_tests(
    depot_sandbox: DepotSandbox, depot_sandbox_factory: Callable[..., DepotSandbox]
) -> None:
    large = depot_sandbox_factory(chargers=40, sessions=1, token="fixed")
    assert len(large.chargers) == 40
    for sandbox in (depot_sandbox, large):
        url = f"{sandbox.base_url}/sessionReports?chargerId=CP-002&connectorId=1&limit=1"
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        with urlopen(Request(url, headers=headers)) as response:  # noqa: S310
            assert sandbox.reports("CP-002", 1)[0] in response.read()
