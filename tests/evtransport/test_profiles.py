"""Parts of a profile. The profiles of both APIs test the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import attrs
import pytest

from evtransport.profiles import (
    ProfileFormat,
    mapping_field,
    number,
    one_of,
    refuse_impossible_shares,
    shares,
)

Rule = Literal["clamp"] | int

FORMAT = ProfileFormat("some-profile", 3, "some probe --profile FILE")


@attrs.frozen
class Small:
    """A profile with a value of each kind."""

    status: int | None = attrs.field(default=None, validator=number(400, maximum=599, whole=True))
    seconds: float | None = attrs.field(default=None, validator=number(0))
    rule: str | int | None = attrs.field(default=None, validator=one_of(Rule))
    shares: Mapping[str, float] | None = mapping_field(shares({"a", "b"}.__contains__, "a"))


def test_a_profile_is_read_back_from_its_json() -> None:
    text = FORMAT.encode(Small(404, rule="clamp"))
    assert text.startswith(b'{\n  "kind": "some-profile",\n  "version": 3,\n  "status": 404,\n')
    values = {"status": 404, "seconds": None, "rule": "clamp", "shares": None}
    assert FORMAT.decode(text, Small) == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"status": 399}, "status must be an int from 400 to 599, got 399"),
        ({"status": 600}, "status must be an int from 400 to 599"),
        ({"status": 404.0}, "status must be an int"),
        ({"status": True}, "status must be an int"),
        ({"seconds": -1}, "seconds must be a finite number >= 0, got -1"),
        ({"seconds": float("nan")}, "seconds must be a finite number"),
        ({"seconds": float("inf")}, "seconds must be a finite number"),
        ({"rule": "none"}, "rule must be one of clamp or a status from 400 to 599, got 'none'"),
        ({"rule": 200}, "rule must be one of"),
        ({"rule": True}, "rule must be one of"),
        ({"rule": 404.0}, "rule must be one of"),
        ({"rule": ["clamp"]}, "rule must be one of"),
        ({"shares": ["a"]}, "shares must map at most 1000 paths to shares"),
        ({"shares": dict.fromkeys(map(str, range(1001)), 0)}, "at most 1000 paths"),
        ({"shares": {"c": 1}}, "shares: 'c' is not a path, such as 'a'"),
        ({"shares": {1: 1}}, "1 is not a path"),
        ({"shares": {"a": 1.1}}, "the share of a must be a number from 0 to 1, got 1.1"),
        ({"shares": {"a": "1"}}, "the share of a must be a number"),
    ],
)
def test_a_bad_value_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Small(**values)


def test_a_message_quotes_the_start_of_a_long_value() -> None:
    with pytest.raises(ValueError, match=f"got '{'x' * 99}$"):
        Small(rule="x" * 200)


def test_a_field_is_missing_or_null_in_at_most_all_objects() -> None:
    refuse_impossible_shares({"a": 0.5, "b": 1}, {"a": 0.5})
    with pytest.raises(ValueError, match="a is missing or null in more than all objects"):
        refuse_impossible_shares({"a": 0.5}, {"a": 0.6})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff{}", "not a profile"),
        (b"[" * 100_000, "not a profile"),
        (b"[1]", "not a profile"),
        (b"{", "the text is not the JSON object that `some probe --profile FILE` writes"),
        (
            b"{}",
            "the text has no kind, instead of the JSON object that `some probe --profile FILE`",
        ),
        (b'{"kind": "other"}', "not a profile: the text is of the kind 'other'"),
        (b'{"kind": "some-profile"}', "the profile has version None"),
        (b'{"kind": "some-profile", "version": 2}', "the profile has version 2, but this release"),
        (
            b'{"kind": "some-profile", "version": 3, "x": 1}',
            "unknown fields: 'x'; version 3 has st",
        ),
    ],
)
def test_a_text_of_another_kind_or_version_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        FORMAT.decode(text, Small)
