"""Profile of an account: its values, and its JSON form."""

from __future__ import annotations

import re
from typing import Any

import attrs
import msgspec
import pytest

from depotclient.profile import Profile, is_unknown_field

COMPLETE = Profile(
    credentials="client_credentials",
    token_lifetime=3600,
    min_limit=1,
    max_limit=500,
    low_limits="clamp",
    high_limits=400,
    odd_limits="honoured",
    order="descending",
    ignore_page=False,
    past_the_end="null",
    page_zero=422,
    time_filter="overlap",
    includes_from=True,
    includes_to=False,
    echo="upper",
    missing_fields={"deviceStatus[].errorCodes": 0.25},
    null_fields={"vehicleId": 1},
    unknown_fields={"phase1Voltage": 0.5, "ocppStatus[].reason": 0.1},
    unknown_values={"ocppStatus[].value": 0},
    compression="gzip",
    latency=0.125,
    bytes_per_second=1e6,
    page_seconds={10: 0.25, 100: 1.5},
    report_bytes=200_000,
    longest_session=3,
)


@pytest.mark.parametrize("profile", [COMPLETE, Profile()])
def test_a_profile_is_read_back_from_its_json(profile: Profile) -> None:
    assert Profile.parse(profile.to_json()) == profile
    assert hash(Profile.parse(profile.to_json())) == hash(profile)


def test_the_complete_profile_of_these_tests_has_every_value() -> None:
    assert None not in attrs.astuple(COMPLETE)


def test_the_json_has_a_kind_a_version_and_null_for_what_is_unknown() -> None:
    content = msgspec.json.decode(Profile(order="shuffled").to_json())
    assert {name: content.pop(name) for name in ("kind", "version", "order")} == {
        "kind": "depotclient.profile",
        "version": 1,
        "order": "shuffled",
    }
    assert {*content.values()} == {None}


def test_an_absent_value_is_unknown() -> None:
    text = b'{"kind": "depotclient.profile", "version": 1, "max_limit": 20}'
    assert Profile.parse(text) == Profile(max_limit=20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not a profile: the text has no kind"),
        (b"\xff{}", "not a profile"),
        (b"[" * 100_000, "not a profile"),
        (b"[1]", "not a profile"),
        (b'{"version": 1}', "not a profile"),
        (b'{"kind": "follow-state"}', "not a profile: the text is of the kind 'follow-state'"),
        (
            b'{"kind": "depotclient.profile"}',
            "has version None, but this release reads version 1: run",
        ),
        (b'{"kind": "depotclient.profile", "version": 2}', "the profile has version 2"),
        (
            b'{"kind": "depotclient.profile", "version": 1, "oder": 1}',
            "unknown fields: oder; version 1",
        ),
        (
            b'{"kind": "depotclient.profile", "version": 1, "order": "up"}',
            "order must be one of asc",
        ),
        (
            b'{"kind": "depotclient.profile", "version": 1, "page_seconds": {"ten": 1}}',
            "page_seconds must map page sizes (int > 0) to seconds (>= 0), got {'ten': 1}",
        ),
        (
            b'{"kind": "depotclient.profile", "version": 1, "page_seconds": 1}',
            "page_seconds must map",
        ),
    ],
)
def test_a_text_that_is_not_a_profile_of_this_version_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Profile.parse(text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"credentials": "password"}, "credentials must be one of token, client_credentials, got"),
        ({"credentials": 400}, "credentials must be one of"),
        ({"credentials": ["token"]}, "credentials must be one of"),
        ({"low_limits": 200}, "low_limits must be one of clamp or a status from 400 to 599"),
        ({"low_limits": True}, "low_limits must be one of"),
        ({"token_lifetime": -1}, "token_lifetime must be a finite number >= 0, got -1"),
        ({"token_lifetime": float("nan")}, "token_lifetime must be a finite number"),
        ({"latency": float("inf")}, "latency must be a finite number"),
        ({"bytes_per_second": 0}, "bytes_per_second must be a finite number > 0, got 0"),
        ({"max_limit": 1.5}, "max_limit must be an int >= 1, got 1.5"),
        ({"max_limit": True}, "max_limit must be an int"),
        ({"min_limit": 6, "max_limit": 5}, "max_limit must be at least min_limit (6), got 5"),
        ({"includes_to": 1}, "includes_to must be true or false, got 1"),
        ({"missing_fields": ["vehicleId"]}, "missing_fields must map at most 1000 paths"),
        ({"missing_fields": {"vehicle_id": 1}}, "'vehicle_id' is not a path, such as 'vehicleId'"),
        ({"missing_fields": {1: 1}}, "1 is not a path"),
        ({"null_fields": {"vehicleId": 1.1}}, "the share of vehicleId must be a number from 0 to"),
        ({"null_fields": {"vehicleId": "1"}}, "the share of vehicleId must be a number"),
        (
            {"missing_fields": {"vehicleId": 0.5}, "null_fields": {"vehicleId": 0.6}},
            "vehicleId is missing or null in more than all objects",
        ),
        ({"unknown_values": {"vehicleId": 1}}, "'vehicleId' is not a path, such as 'ocppStatus"),
        ({"unknown_fields": dict.fromkeys(map(str, range(1001)), 0)}, "at most 1000 paths"),
        ({"page_seconds": {0: 1}}, "page_seconds must map page sizes"),
        ({"page_seconds": {10: -1}}, "page_seconds must map page sizes"),
        ({"echo": "x" * 200}, re.escape(f"'{'x' * 99}") + "$"),
    ],
)
def test_a_bad_value_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message if "$" in message else re.escape(message)):
        Profile(**values)


@pytest.mark.parametrize(
    ("path", "is_name"),
    [
        ("tariff", True),
        ("phase12_voltage", True),
        ("deviceStatus[].errorCodes[].reason", True),
        ("batteryAlignmentResults.margin", True),
        ("vehicleId", False),
        ("tariff.price", False),
        ("ocppStatus.reason", False),
        ("CP-001", False),
        ("BUS001", False),
        ("", False),
    ],
)
def test_an_unknown_field_is_a_name_in_a_known_object_and_not_an_id(
    path: str, is_name: bool
) -> None:
    assert is_unknown_field(path) == is_name


def test_no_value_can_hold_an_id_or_a_time_or_any_other_text() -> None:
    kinds = {field.name: str(field.type) for field in attrs.fields(Profile)}
    texts = {name for name, kind in kinds.items() if "str" in kind.replace("Mapping[str", "")}
    assert texts == set()
