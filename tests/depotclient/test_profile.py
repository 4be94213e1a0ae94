"""Profile of an account: its values, and its JSON form."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest

from depotclient.profile import Profile, is_unknown_field
from tests.support.probing import COMPLETE


@pytest.mark.parametrize("profile", [COMPLETE, Profile()])
def test_a_profile_is_read_back_from_its_json(profile: Profile) -> None:
    assert Profile.parse(profile.to_json()) == profile
    assert hash(Profile.parse(profile.to_json())) == hash(profile)


def test_the_complete_profile_of_these_tests_has_every_value() -> None:
    assert None not in attrs.astuple(COMPLETE)


def test_an_absent_value_is_unknown() -> None:
    text = b'{"kind": "depotclient.profile", "version": 1, "max_limit": 20}'
    assert Profile.parse(text) == Profile(max_limit=20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{}", "the JSON object that `depotclient probe --profile FILE` writes"),
        (b'{"kind": "thorclient.profile"}', "the text is of the kind 'thorclient.profile'"),
        (b'{"kind": "depotclient.profile", "version": 2}', "the profile has version 2"),
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
        ({"low_limits": 200}, "low_limits must be one of clamp or a status from 400 to 599"),
        ({"token_lifetime": -1}, "token_lifetime must be a finite number >= 0, got -1"),
        ({"bytes_per_second": 0}, "bytes_per_second must be a finite number > 0, got 0"),
        ({"max_limit": 1.5}, "max_limit must be an int >= 1, got 1.5"),
        ({"min_limit": 6, "max_limit": 5}, "max_limit must be at least min_limit (6), got 5"),
        ({"odd_limits": "clamp", "max_limit": 7}, "max_limit must be at least 10 if odd_limits"),
        ({"includes_to": 1}, "includes_to must be true or false, got 1"),
        ({"missing_fields": {"vehicle_id": 1}}, "'vehicle_id' is not a path, such as 'vehicleId'"),
        ({"null_fields": {"vehicleId": 1.1}}, "the share of vehicleId must be a number from 0 to"),
        (
            {"missing_fields": {"vehicleId": 1}, "null_fields": {"vehicleId": 0.1}},
            "missing or null",
        ),
        ({"unknown_values": {"vehicleId": 1}}, "'vehicleId' is not a path, such as 'ocppStatus"),
        ({"page_seconds": {0: 1}}, "page_seconds must map page sizes"),
        ({"page_seconds": {10: -1}}, "page_seconds must map page sizes"),
    ],
)
def test_a_bad_value_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
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
        ("VIN", False),
        ("a1b2c3", False),
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
