"""Responses and data of the Thor sandbox, read by a plain HTTP client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import aiohttp
import attrs
import pytest
from yarl import URL

from thorclient import Analytics, Chargebox, RollingCounts
from thorclient.models import structure_analytics, structure_chargebox
from thorclient.profile import Profile
from thorclient.sandbox import ThorSandbox, make_analytics, make_chargebox


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def fetch(
    http: aiohttp.ClientSession, sandbox: ThorSandbox, path: str, method: str = "GET"
) -> tuple[int, bytes]:
    url = URL(sandbox.base_url + path, encoded=True)
    headers = {"X-Api-Key": sandbox.api_key}
    async with http.request(method, url, headers=headers) as response:
        return response.status, await response.read()


# Data.


@pytest.fixture(scope="module")
def fleet() -> list[tuple[Chargebox, Analytics]]:
    sandbox = ThorSandbox(chargeboxes=100)
    return [
        (structure_chargebox(sandbox.chargebox(name)), structure_analytics(sandbox.analytics(name)))
        for name in sandbox.chargebox_ids
    ]


def test_all_documented_fields_are_set_with_documented_values(
    fleet: list[tuple[Chargebox, Analytics]],
) -> None:
    for box, analytics in fleet:
        assert box.connectors
        parts: list[Any] = [box, analytics, box.type, *box.connectors]
        for part in parts:
            assert None not in attrs.astuple(part, recurse=False)
        enums = [attrs.astuple(box.type)] if box.type else []
        enums += [(each.type, each.format, each.power_type) for each in box.connectors]
        assert {isinstance(value, StrEnum) for values in enums for value in values} == {True}


def test_connectors_in_use_exist_once_on_a_connected_chargebox(
    fleet: list[tuple[Chargebox, Analytics]],
) -> None:
    for box, _ in fleet:
        in_use = [*box.occupied_connectors, *box.reserved_connectors]
        numbers = range(1, len(box.connectors) + 1)
        assert [number for number in numbers if number in in_use] == sorted(in_use, key=str)
        assert not in_use or (box.connected and box.active)
        assert not box.reserved_connectors or box.reservable
    assert any(box.occupied_connectors for box, _ in fleet)
    assert any(box.reserved_connectors for box, _ in fleet)
    assert {box.connected for box, _ in fleet} == {True, False}


def test_the_counts_of_analytics_agree(fleet: list[tuple[Chargebox, Analytics]]) -> None:
    for _, found in fleet:
        for counts in (found.charges, found.disconnections, found.energy, found.users):
            assert 0 <= counts.last_7 <= counts.last_30 <= counts.last_60
        users, charges = attrs.astuple(found.users), attrs.astuple(found.charges)
        for user_count, charge_count in zip(users, charges, strict=True):
            assert user_count <= charge_count
            assert bool(user_count) == bool(charge_count)
        if found.energy.last_60:
            assert 300 <= found.energy.last_60 / found.charges.last_60 <= 60_000
    unmetered = [a for _, a in fleet if a.charges.last_60 and not a.energy.last_60]
    assert 5 < len(unmetered) < 50


def test_the_seed_determines_the_data() -> None:
    first, same, other = ThorSandbox(seed=1), ThorSandbox(seed=1), ThorSandbox(seed=2)

    assert first.chargebox("TB-0002") == same.chargebox("TB-0002") != other.chargebox("TB-0002")
    assert first.analytics("TB-0002") == same.analytics("TB-0002") != other.analytics("TB-0002")


# Responses.


@pytest.mark.parametrize("chargebox_id", ["TB-0001", "a/b?c#d%e", "..", "⚡ 1", "%2F", "+"])
async def test_an_id_is_one_segment(http: aiohttp.ClientSession, chargebox_id: str) -> None:
    async with ThorSandbox(chargeboxes=[chargebox_id]) as sandbox:
        segment = quote(chargebox_id, safe="").replace(".", "%2E")
        box = await fetch(http, sandbox, f"/chargeboxes/{segment}")
        analytics = await fetch(http, sandbox, f"/analytics/{segment}")

    assert box == (200, sandbox.chargebox(chargebox_id))
    assert analytics == (200, sandbox.analytics(chargebox_id))
    assert sandbox.requests[0].path.endswith(f"/chargeboxes/{segment}")


async def test_the_list_has_the_selected_chargeboxes_unchanged(
    http: aiohttp.ClientSession,
) -> None:
    async with ThorSandbox(broken=["TB-0001"]) as sandbox:
        bodies = [sandbox.chargebox(name) for name in sandbox.chargebox_ids]
        active = [text for text in bodies if b'"active":true' in text]
        assert 0 < len(active) < len(bodies)
        query = {"": active, "?onlyactive=1": active, "?onlyactive=false": bodies, "?type=x": []}
        for text, selected in query.items():
            expected = b"[%s]" % b",".join(selected)
            assert await fetch(http, sandbox, f"/chargeboxes{text}") == (200, expected)
        sandbox.enabled = False
        assert (await fetch(http, sandbox, "/chargeboxes"))[0] == 403


async def test_a_chargebox_is_added_replaced_and_removed(http: aiohttp.ClientSession) -> None:
    async with ThorSandbox(chargeboxes=0) as sandbox:
        invalid = b'{"id": "TB-9", "connectors": 7}'
        analytics = make_analytics(charges=RollingCounts(1, 2, 3))
        for text, extra in ((make_chargebox(id="TB-9"), analytics), (invalid, None)):
            sandbox.add(text, extra)
            assert await fetch(http, sandbox, "/chargeboxes/TB-9") == (200, text)
            assert await fetch(http, sandbox, "/analytics/TB-9") == (200, analytics)
            assert await fetch(http, sandbox, "/chargeboxes") == (200, b"[%s]" % text)
        sandbox.remove("TB-9")
        assert (await fetch(http, sandbox, "/analytics/TB-9"))[0] == 404
        with pytest.raises(ValueError, match="chargebox 'TB-9' does not exist"):
            sandbox.remove("TB-9")
        sandbox.add(make_chargebox())
        assert sandbox.analytics("TB-0001") == make_analytics()


@pytest.mark.parametrize("texts", [('{"id": "TB-1"}',), (make_chargebox(), "{}")])
def test_a_chargebox_or_analytics_that_are_no_bytes_are_rejected(texts: Any) -> None:
    sandbox = ThorSandbox(chargeboxes=0)
    with pytest.raises(ValueError, match="must be JSON in bytes, not str"):
        sandbox.add(*texts)
    assert sandbox.chargebox_ids == ()


@pytest.mark.parametrize("chargebox", [b"{}", b'{"id": ""}', b"<html>"])
def test_a_chargebox_without_an_id_is_rejected(chargebox: bytes) -> None:
    with pytest.raises(ValueError, match=r"cannot be served|must not be empty"):
        ThorSandbox().add(chargebox)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/chargeboxes?onlyactive=maybe", 400),
        ("GET", "/chargeboxes?cswlat=1&cswlng=2&cnelat=3", 400),
        ("GET", "/chargeboxes?cswlat=1&cswlng=2&cnelat=3&cnelng=x", 400),
        ("POST", "/chargeboxes", 405),
        ("GET", "/chargeboxes/", 404),
        ("GET", "/analytics/TB-0001%2F", 404),
        ("GET", "/sites/1", 404),
        ("GET", "/analytics/TB-0001/x", 404),
        ("POST", "/analytics/TB-0001", 405),
    ],
)
async def test_other_requests_are_rejected(
    http: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with ThorSandbox() as sandbox:
        assert (await fetch(http, sandbox, path, method=method))[0] == status


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
async def test_an_error_has_the_selected_shape(
    http: aiohttp.ClientSession, shape: Any, body: bytes
) -> None:
    async with ThorSandbox(error_shape=shape) as sandbox:
        assert await fetch(http, sandbox, "/analytics/nobody") == (404, body)


# Settings and fixture.


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
        ({"api_key": ""}, "api_key"),
    ],
)
def test_a_setting_out_of_range_is_rejected_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ThorSandbox(**settings)


def test_the_fixtures_run_sandboxes_for_synchronous_tests(
    thor_sandbox: ThorSandbox, thor_sandbox_factory: Callable[..., ThorSandbox]
) -> None:
    for sandbox in (thor_sandbox, thor_sandbox_factory(chargeboxes=["TB-0001"], api_key="fixed")):
        request = Request(  # noqa: S310
            f"{sandbox.base_url}/analytics/TB-0001", headers={"X-Api-Key": sandbox.api_key}
        )
        with urlopen(request) as response:  # noqa: S310
            assert response.read() == sandbox.analytics("TB-0001")


def test_explicit_arguments_win_over_a_profile(tmp_path: Path) -> None:
    profile = Profile(error_shape="text", echo="absent", latency=0.25)
    path = tmp_path / "profile.json"
    path.write_bytes(profile.to_json())
    default = ThorSandbox().profile
    for given in (profile, path, str(path)):
        sandbox = ThorSandbox(profile=given, echo="same")
        assert sandbox.profile == attrs.evolve(default, error_shape="text", latency=0.25)


def test_a_setting_that_no_profile_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match="echo must not be None"):
        ThorSandbox(echo=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="occupied_type must be one of integer, number"):
        ThorSandbox(occupied_type="int")  # type: ignore[arg-type]
