"""What the Thor sandbox answers, seen by a plain HTTP client."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote
from urllib.request import Request, urlopen

import aiohttp
import msgspec
import pytest
from yarl import URL

from thorclient.sandbox import Fault, ThorSandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Coordinates(Strict):
    latitude: float
    longitude: float


class Connector(Strict):
    power: int
    type: Literal["ccs", "chademo", "commando", "type_1", "type_2", "type_3a", "type_3c", "schuko"]
    format: Literal["CABLE", "SOCKET"]
    max_amperage: int
    power_type: Literal["AC_1_PHASE", "AC_3_PHASE", "DC"]
    terminal_id: str
    token: str


class Kind(Strict):
    vehicle: Literal["car", "bicycle"]
    msg: Literal["json", "soap"]
    version: Literal["1.5", "1.6"]


class Chargebox(Strict):
    id: str
    alias: str
    active: bool
    connected: bool
    public: bool
    reservable: bool
    timezone: str
    last_heartbeat: int
    coordinates: Coordinates
    type: Kind
    connectors: list[Connector]
    occupied_connectors: list[int]
    reserved_connectors: list[int]


class Rolling(Strict):
    last_7: int
    last_30: int
    last_60: int


class Analytics(Strict):
    active_since: datetime
    charges: Rolling
    disconnections: Rolling
    energy: Rolling
    users: Rolling


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(
    http: aiohttp.ClientSession,
    sandbox: ThorSandbox,
    path: str,
    key: str | None = None,
    method: str = "GET",
) -> tuple[int, bytes]:
    url = URL(sandbox.base_url + path, encoded=True)
    headers = {"X-Api-Key": sandbox.api_key if key is None else key}
    async with http.request(method, url, headers=headers) as response:
        return response.status, await response.read()


async def error(
    http: aiohttp.ClientSession, sandbox: ThorSandbox, path: str, key: str | None = None
) -> tuple[int, str]:
    status, body = await ask(http, sandbox, path, key)
    return status, msgspec.json.decode(body)["message"]


async def test_every_chargebox_has_all_documented_fields(http: aiohttp.ClientSession) -> None:
    async with ThorSandbox() as sandbox:
        assert len(sandbox.chargebox_ids) == 20
        for chargebox_id in sandbox.chargebox_ids:
            status, body = await ask(http, sandbox, f"/chargeboxes/{chargebox_id}")
            assert (status, body) == (200, sandbox.chargebox(chargebox_id))
            assert msgspec.json.decode(body, type=Chargebox).id == chargebox_id


async def test_every_chargebox_has_analytics(http: aiohttp.ClientSession) -> None:
    async with ThorSandbox() as sandbox:
        assert sandbox.chargebox_ids[0] == "TB-0001"
        for chargebox_id in sandbox.chargebox_ids:
            status, body = await ask(http, sandbox, f"/analytics/{chargebox_id}")
            assert (status, body) == (200, sandbox.analytics(chargebox_id))
            msgspec.json.decode(body, type=Analytics)


def test_connectors_in_use_exist_and_are_not_in_use_twice() -> None:
    sandbox = ThorSandbox(chargeboxes=200)
    boxes = [
        msgspec.json.decode(sandbox.chargebox(chargebox_id), type=Chargebox)
        for chargebox_id in sandbox.chargebox_ids
    ]
    for box in boxes:
        in_use = box.occupied_connectors + box.reserved_connectors
        assert set(in_use) <= set(range(1, len(box.connectors) + 1))
        assert len(set(in_use)) == len(in_use)
        assert not in_use or (box.connected and box.active)
        assert not box.reserved_connectors or box.reservable
    assert any(box.occupied_connectors for box in boxes)
    assert any(box.reserved_connectors for box in boxes)
    assert not all(box.connected for box in boxes)


def test_the_figures_of_analytics_agree_with_each_other() -> None:
    sandbox = ThorSandbox(chargeboxes=200)
    everything = [
        msgspec.json.decode(sandbox.analytics(chargebox_id), type=Analytics)
        for chargebox_id in sandbox.chargebox_ids
    ]
    for it in everything:
        for counts in (it.charges, it.disconnections, it.energy, it.users):
            assert 0 <= counts.last_7 <= counts.last_30 <= counts.last_60
        for users, charges in zip(
            msgspec.structs.astuple(it.users), msgspec.structs.astuple(it.charges), strict=True
        ):
            assert users <= charges
            assert bool(users) == bool(charges)
        if it.energy.last_60:
            assert 300 <= it.energy.last_60 / it.charges.last_60 <= 60_000
    unmetered = [it for it in everything if it.charges.last_60 and not it.energy.last_60]
    assert 10 < len(unmetered) < 100


def test_the_same_seed_describes_the_same_chargeboxes() -> None:
    one, same, other = ThorSandbox(seed=1), ThorSandbox(seed=1), ThorSandbox(seed=2)
    assert one.chargebox("TB-0002") == same.chargebox("TB-0002") != other.chargebox("TB-0002")
    assert one.analytics("TB-0002") == same.analytics("TB-0002") != other.analytics("TB-0002")


@pytest.mark.parametrize("chargebox_id", ["a/b?c#d%e", "..", "⚡ 1", "%2F", "+"])
async def test_an_id_is_one_segment_whatever_it_holds(
    http: aiohttp.ClientSession, chargebox_id: str
) -> None:
    async with ThorSandbox(chargeboxes=[chargebox_id]) as sandbox:
        path = f"/chargeboxes/{quote(chargebox_id, safe='').replace('.', '%2E')}"
        status, body = await ask(http, sandbox, path)
        assert (status, body) == (200, sandbox.chargebox(chargebox_id))
        assert sandbox.requests[0].path == "/latest/integration" + path


@pytest.mark.parametrize("key", ["", "wrong", "é"])
async def test_a_wrong_key_is_not_found(http: aiohttp.ClientSession, key: str) -> None:
    async with ThorSandbox() as sandbox:
        assert await error(http, sandbox, "/analytics/TB-0001", key) == (403, "APIKeyNotFound")


async def test_no_key_is_not_found(http: aiohttp.ClientSession) -> None:
    async with (
        ThorSandbox() as sandbox,
        http.get(f"{sandbox.base_url}/analytics/TB-0001") as response,
    ):
        assert (response.status, await response.json()) == (403, {"message": "APIKeyNotFound"})


async def test_an_integration_that_is_switched_off_says_so(http: aiohttp.ClientSession) -> None:
    async with ThorSandbox(enabled=False) as sandbox:
        assert await error(http, sandbox, "/analytics/TB-0001") == (403, "RestAPINotEnabled")
        sandbox.enabled = True
        assert (await ask(http, sandbox, "/analytics/TB-0001"))[0] == 200


async def test_another_address_than_the_allowed_one_is_refused(
    http: aiohttp.ClientSession,
) -> None:
    async with ThorSandbox(allowed_address="192.0.2.1") as sandbox:
        assert await error(http, sandbox, "/analytics/TB-0001") == (403, "InvalidSourceIPAddr")
        sandbox.allowed_address = "127.0.0.1"
        assert (await ask(http, sandbox, "/analytics/TB-0001"))[0] == 200


@pytest.mark.parametrize("path", ["/analytics/TB-9999", "/chargeboxes/", "/analytics/TB-0001%2F"])
async def test_an_unknown_chargebox_is_not_found(http: aiohttp.ClientSession, path: str) -> None:
    async with ThorSandbox() as sandbox:
        assert await error(http, sandbox, path) == (404, "ChargeboxNotFound")


async def test_a_broken_chargebox_always_fails_and_spares_the_others(
    http: aiohttp.ClientSession,
) -> None:
    async with ThorSandbox(broken=["TB-0002"]) as sandbox:
        for _ in range(2):
            assert await error(http, sandbox, "/analytics/TB-0002") == (500, "InternalServerError")
        assert (await ask(http, sandbox, "/analytics/TB-0001"))[0] == 200


@pytest.mark.parametrize("path", ["", "/", "/sites/1", "/analytics", "/analytics/TB-0001/x", "x"])
async def test_other_paths_are_not_found(http: aiohttp.ClientSession, path: str) -> None:
    async with ThorSandbox() as sandbox:
        assert (await ask(http, sandbox, path))[0] == 404


async def test_other_methods_are_refused(http: aiohttp.ClientSession) -> None:
    async with ThorSandbox() as sandbox:
        assert (await ask(http, sandbox, "/analytics/TB-0001", method="POST"))[0] == 405


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("message", b'{"message":"ChargeboxNotFound"}'),
        ("Message", b'{"Message":"ChargeboxNotFound"}'),
        ("error", b'{"error":"ChargeboxNotFound"}'),
        ("error.message", b'{"error":{"message":"ChargeboxNotFound"}}'),
        ("string", b'"ChargeboxNotFound"'),
        ("text", b"ChargeboxNotFound"),
    ],
)
async def test_an_error_is_carried_in_the_shape_that_was_chosen(
    http: aiohttp.ClientSession, shape: Any, body: bytes
) -> None:
    async with ThorSandbox(error_shape=shape) as sandbox:
        assert await ask(http, sandbox, "/analytics/nobody") == (404, body)


async def test_faults_come_before_everything_else(http: aiohttp.ClientSession) -> None:
    async with ThorSandbox(faults=[Fault.status(429, retry_after=1), None]) as sandbox:
        assert (await ask(http, sandbox, "/analytics/TB-0001"))[0] == 429
        assert (await ask(http, sandbox, "/analytics/TB-0001"))[0] == 200


async def test_the_environment_is_what_a_client_needs_and_the_repr_keeps_it_secret() -> None:
    async with ThorSandbox() as sandbox:
        assert sandbox.environment == {
            "THOR_API_KEY": sandbox.api_key,
            "THOR_BASE_URL": f"{sandbox.origin}/latest/integration",
        }
        token = msgspec.json.decode(sandbox.chargebox("TB-0001"))["connectors"][0]["token"]
        assert sandbox.api_key not in repr(sandbox)
        assert token not in repr(sandbox)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chargeboxes": -1}, "chargeboxes"),
        ({"chargeboxes": 1.5}, "chargeboxes"),
        ({"chargeboxes": "TB-0001"}, "chargeboxes"),
        ({"chargeboxes": ["a", "a"]}, "distinct"),
        ({"chargeboxes": [""]}, "not empty"),
        ({"broken": "TB-0001"}, "broken"),
        ({"broken": {"TB-0021"}}, "TB-0021"),
        ({"error_shape": "xml"}, "error_shape"),
        ({"fault_rate": 2}, "fault_rate"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ThorSandbox(**settings)


def test_the_pytest_fixture_serves_synchronous_tests(thor_sandbox: ThorSandbox) -> None:
    request = Request(  # noqa: S310
        f"{thor_sandbox.base_url}/analytics/TB-0001",
        headers={"X-Api-Key": thor_sandbox.api_key},
    )
    with urlopen(request) as response:  # noqa: S310
        assert response.read() == thor_sandbox.analytics("TB-0001")


async def test_the_pytest_fixture_serves_asynchronous_tests(
    http: aiohttp.ClientSession, thor_sandbox: ThorSandbox
) -> None:
    assert (await ask(http, thor_sandbox, "/analytics/TB-0001"))[0] == 200
