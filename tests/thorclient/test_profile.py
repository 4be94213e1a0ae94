"""Profile of a Thor account: its values, and its JSON form."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest

from thorclient.profile import Profile, is_unknown_field

COMPLETE = Profile(
    analytics_not_found=404,
    chargebox_not_found=400,
    error_shape="error.message",
    case_sensitive=False,
    echo="upper",
    missing_fields={"chargebox.connectors[].token": 0.25},
    null_fields={"analytics.active_since": 1},
    unknown_fields={"chargebox.tariff": 0.5, "analytics.energy.last_90": 0.1},
    unknown_values={"chargebox.type.vehicle": 0},
    occupied_type="object",
    filters_active=True,
    compression="gzip",
    latency=0.125,
)


@pytest.mark.parametrize("profile", [COMPLETE, Profile()])
def test_a_profile_is_read_back_from_its_json(profile: Profile) -> None:
    assert Profile.parse(profile.to_json()) == profile
    assert hash(Profile.parse(profile.to_json())) == hash(profile)
    assert None not in attrs.astuple(COMPLETE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{}", "the JSON object that `thorclient probe ID --profile FILE` writes"),
        (
            b'{"kind": "depotclient.profile", "version": 1}',
            "the text is of the kind 'depotclient.profile'",
        ),
        (b'{"kind": "thorclient.profile", "version": 2}', "the profile has version 2, but this"),
        (b'{"kind": "thorclient.profile", "version": 1, "echo": 1}', "echo must be one of same, "),
    ],
)
def test_a_text_that_is_not_a_profile_of_this_version_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Profile.parse(text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"chargebox_not_found": 200}, "chargebox_not_found must be an int from 400 to 599"),
        ({"error_shape": "title"}, "error_shape must be one of message, Message, error"),
        ({"case_sensitive": 1}, "case_sensitive must be true or false, got 1"),
        ({"missing_fields": {"chargebox.id": 1}}, "'chargebox.id' is not a path, such as 'charge"),
        ({"null_fields": {"timezone": 1}}, "'timezone' is not a path, such as 'chargebox.timezone"),
        ({"unknown_values": {"chargebox.alias": 1}}, "such as 'chargebox.connectors[].type'"),
        (
            {"missing_fields": {"chargebox.alias": 1}, "null_fields": {"chargebox.alias": 0.1}},
            "missing or null",
        ),
    ],
)
def test_a_bad_value_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Profile(**values)


@pytest.mark.parametrize(
    ("path", "is_name"),
    [
        ("chargebox.tariff", True),
        ("chargebox.connectors[].evse_id", True),
        ("analytics.charges.last_90", True),
        ("chargebox.alias", False),
        ("chargebox.tariff.price", False),
        ("tariff", False),
        ("chargebox.TB-0001", False),
    ],
)
def test_an_unknown_field_is_a_name_in_a_known_object_and_not_an_id(
    path: str, is_name: bool
) -> None:
    assert is_unknown_field(path) == is_name
