"""Scalars, times and annotations of `evtransport.structure.types`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport import Secret
from tests.support.structures import (
    Colour,
    Everything,
    Sample,
    camel,
    everything,
    problem,
    structure,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("members", "name", "value"),
    [
        ({"aFloat": 5}, "a_float", 5.0),
        ({"aBool": False}, "a_bool", False),
        ({"aStr": "é\U0001f50c"}, "a_str", "é\U0001f50c"),
        ({"aNumber": 5.0}, "a_number", 5.0),
        ({"aColour": "red"}, "a_colour", Colour.RED),
        ({"aColour": "mauve"}, "a_colour", "mauve"),
        ({"aSecret": "s3cr3t"}, "a_secret", Secret("s3cr3t")),
        ({"anything": {"a": [1, None, "x"]}}, "anything", {"a": [1, None, "x"]}),
        ({"allColours": ["blue", "mauve"]}, "all_colours", [Colour.BLUE, "mauve"]),
        ({"aMatrix": [[1, 2], [], None]}, "a_matrix", [[1, 2], [], []]),
        ({"withGaps": [1, None, 2]}, "with_gaps", [1, None, 2]),
        ({"timesWithGaps": [None, "1970-01-01T01:00:00+01:00"]}, "times_with_gaps", [None, EPOCH]),
        ({"aDefault": 0}, "a_default", 0),
        ({"anint": "x", "other": [{"deep": None}]}, "an_int", 1),
    ],
    ids=lambda value: str(value)[:32],
)
def test_a_value_has_the_annotated_type(
    members: dict[str, object], name: str, value: object
) -> None:
    found = getattr(everything(**members), name)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({"anInt": "5"}, "$.anInt: expected int, got str"),
        ({"anInt": True}, "$.anInt: expected int, got bool"),
        ({"aNumber": "5"}, "$.aNumber: expected int | float, got str"),
        ({"aColour": 5}, "$.aColour: expected str, got int"),
        ({"aTime": "2020-01-01"}, "$.aTime: invalid RFC3339 encoded datetime"),
        ({"someMillis": "1"}, "$.someMillis: expected int, got str"),
        ({"someMillis": 10**40}, "$.someMillis: milliseconds since 1970 beyond the year 9999"),
        ({"aSecret": {"s": "s3cr3t"}}, "$.aSecret: expected str, got object"),
        ({"oneSample": {}}, "$.oneSample.meterValue: required field missing"),
        ({"allSamples": [None]}, "$.allSamples[0]: expected object, got null"),
        ({"allColours": ["red", None]}, "$.allColours[1]: expected str, got null"),
        ({"aMatrix": [[1], [2, "x"]]}, "$.aMatrix[1][1]: expected int, got str"),
        ({"aDefaultTime": ""}, "$.aDefaultTime: invalid RFC3339 encoded datetime"),
        (
            {"aDefaultTime": "2021-03-23T16:54:56.087"},
            "$.aDefaultTime: expected datetime with a timezone component",
        ),
        ({"aDefaultMillis": ""}, "$.aDefaultMillis: expected int, got str"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_value_of_another_type_is_rejected_by_its_json_name(
    members: dict[str, object], line: str
) -> None:
    assert problem(**members) == line


@pytest.mark.parametrize("members", [{}, None], ids=["missing", "null"])
def test_a_missing_or_null_value_is_none_or_empty_or_the_default(members: object) -> None:
    names = [] if members == {} else [camel(f.name) for f in attrs.fields(Everything)][1:]

    assert everything(**dict.fromkeys(names)) == Everything(an_int=1)


# Times.


@given(st.datetimes(), st.integers(-1439, 1439), st.sampled_from(["T", "t"]))
def test_a_time_of_any_offset_is_the_same_moment_in_utc(
    at: datetime, offset: int, separator: str
) -> None:
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    text = f"{at.isoformat(separator)}{sign}{minutes // 60:02}:{minutes % 60:02}"
    try:
        expected = at.replace(tzinfo=UTC) - timedelta(minutes=offset)
    except OverflowError:
        for name in ("aTime", "aDefaultTime"):
            line = problem(**{name: text})
            assert line == f"$.{name}: a time before the year 1 or after 9999 in UTC"
        return

    found = everything(aTime=text).a_time

    assert (found, found and found.tzinfo) == (expected, UTC)


@pytest.mark.parametrize(
    ("millis", "at"),
    [
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (253_402_300_799_999, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_epoch_milliseconds_are_a_time_in_utc(millis: int, at: datetime) -> None:
    found = everything(someMillis=millis, aDefaultMillis=millis)

    assert found.some_millis == found.a_default_millis == at


@pytest.mark.parametrize("member", ['"aTime":""', '"aTime" \n:\t""', '"someMillis":""'])
def test_an_empty_string_in_an_optional_time_is_none(member: str) -> None:
    text = '"takenAt":""'
    times = '["", "1970-01-01T01:00:00+01:00"]'
    body = f'{{"anInt": 1, {member}, "allSamples": [{{"meterValue": 1, {text}}}],'
    found = structure(f'{body} "timesWithGaps": {times}, "aStr": {json.dumps(text)}}}'.encode())

    expected = Everything(1, a_str=text, all_samples=[Sample(1)], times_with_gaps=[None, EPOCH])
    assert found == expected
