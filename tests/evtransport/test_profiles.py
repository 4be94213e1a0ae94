"""Parts of a profile. The profiles of both APIs test the rest."""

from __future__ import annotations

import re

import attrs
import pytest

from evtransport.profiles import ProfileFormat, number

FORMAT = ProfileFormat("some-profile", 3, "some probe --profile FILE")


@attrs.frozen
class Small:
    """A profile with one value."""

    status: int | None = attrs.field(default=None, validator=number(400, maximum=599, whole=True))


def test_a_profile_is_read_back_from_its_json() -> None:
    text = FORMAT.encode(Small(404))
    assert text == b'{\n  "kind": "some-profile",\n  "version": 3,\n  "status": 404\n}\n'
    assert FORMAT.decode(text, Small) == {"status": 404}


@pytest.mark.parametrize("status", [399, 600, 404.0, True])
def test_a_number_out_of_its_range_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="status must be an int from 400 to 599, got "):
        Small(status)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "the text has no kind, instead of the JSON object that `some probe --profile FILE`"),
        (b'{"kind": "other"}', "not a profile: the text is of the kind 'other'"),
        (b'{"kind": "some-profile", "version": 2}', "the profile has version 2, but this release"),
        (b'{"kind": "some-profile", "version": 3, "x": 1}', "unknown fields: x; version 3 has st"),
    ],
)
def test_a_text_of_another_kind_or_version_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        FORMAT.decode(text, Small)
