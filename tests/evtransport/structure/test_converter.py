"""From bytes to attrs objects: what is accepted, what is refused, and how that is explained."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar
from unittest import mock

import attrs
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evtransport import DecodeError, JsonValue, SchemaError, Secret
from evtransport.structure import EpochMillis, ScalarCodec, Structures, decode
from evtransport.structure.explain import MAX_WORK, Explainer

T = TypeVar("T")


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STRUCTURES = Structures(
    rename=camel, codecs={Secret: ScalarCodec(str, lambda value, _: Secret(value))}
)


@attrs.frozen
class Sample:
    meter_value: float
    taken_at: datetime | None = None


@attrs.frozen
class Everything:
    an_int: int
    a_float: float | None = None
    a_bool: bool | None = None
    a_str: str | None = None
    a_number: int | float | None = None
    a_colour: Colour | str | None = None
    a_time: datetime | None = None
    some_millis: EpochMillis | None = None
    a_secret: Secret | None = None
    anything: JsonValue = None
    one_sample: Sample | None = None
    all_samples: list[Sample] = attrs.field(factory=list)
    all_colours: list[Colour | str] = attrs.field(factory=list)
    a_matrix: list[list[int]] = attrs.field(factory=list)
    with_gaps: list[int | None] = attrs.field(factory=list)
    times_with_gaps: list[datetime | None] = attrs.field(factory=list)
    maybe_a_list: list[str] | None = None
    a_default: int = 17
    a_default_time: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    a_default_colour: Colour | str = Colour.RED


structure = STRUCTURES.of(Everything)


def everything(**members: object) -> Everything:
    return structure(json.dumps({"anInt": 1, **members}).encode())


def problems(body: bytes, path: str = "$") -> tuple[str, ...]:
    with pytest.raises(SchemaError) as caught:
        structure(body, path)
    return caught.value.problems


def problem(**members: object) -> str:
    (line,) = problems(json.dumps({"anInt": 1, **members}).encode())
    return line


# Values.


@pytest.mark.parametrize(
    ("members", "name", "value"),
    [
        ({"anInt": -5}, "an_int", -5),
        ({"anInt": 2**70}, "an_int", 2**70),
        ({"aFloat": 1.5}, "a_float", 1.5),
        ({"aFloat": 5}, "a_float", 5.0),
        ({"aFloat": -0.0}, "a_float", -0.0),
        ({"aBool": False}, "a_bool", False),
        ({"aStr": "é\U0001f50c"}, "a_str", "é\U0001f50c"),
        ({"aStr": ""}, "a_str", ""),
        ({"aNumber": 5}, "a_number", 5),
        ({"aNumber": 5.0}, "a_number", 5.0),
        ({"aColour": "red"}, "a_colour", Colour.RED),
        ({"aColour": "mauve"}, "a_colour", "mauve"),
        ({"aSecret": "s3cr3t"}, "a_secret", Secret("s3cr3t")),
        ({"anything": {"a": [1, None, "x"]}}, "anything", {"a": [1, None, "x"]}),
        ({"oneSample": {"meterValue": 1}}, "one_sample", Sample(1.0)),
        ({"allSamples": [{"meterValue": 1}]}, "all_samples", [Sample(1.0)]),
        ({"allColours": ["blue", "mauve"]}, "all_colours", [Colour.BLUE, "mauve"]),
        ({"aMatrix": [[1, 2], [], None]}, "a_matrix", [[1, 2], [], []]),
        ({"withGaps": [1, None, 2]}, "with_gaps", [1, None, 2]),
        ({"timesWithGaps": [None, "1970-01-01T01:00:00+01:00"]}, "times_with_gaps", [None, EPOCH]),
        ({"maybeAList": []}, "maybe_a_list", []),
        ({"maybeAList": ["a"]}, "maybe_a_list", ["a"]),
        ({"aDefault": 0}, "a_default", 0),
        ({"aDefaultColour": "blue"}, "a_default_colour", Colour.BLUE),
    ],
    ids=lambda value: str(value)[:32],
)
def test_a_value_of_the_right_type_arrives_as_that_type(
    members: dict[str, object], name: str, value: object
) -> None:
    found = getattr(everything(**members), name)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"anInt": "5"}, "$.anInt: expected int, got str"),
        ({"anInt": True}, "$.anInt: expected int, got bool"),
        ({"anInt": 5.0}, "$.anInt: expected int, got float"),
        ({"anInt": None}, "$.anInt: expected int, got null"),
        ({"aFloat": "1.5"}, "$.aFloat: expected float, got str"),
        ({"aFloat": True}, "$.aFloat: expected float, got bool"),
        ({"aBool": 1}, "$.aBool: expected bool, got int"),
        ({"aBool": "true"}, "$.aBool: expected bool, got str"),
        ({"aStr": 5}, "$.aStr: expected str, got int"),
        ({"aStr": []}, "$.aStr: expected str, got array"),
        ({"aNumber": "5"}, "$.aNumber: expected int | float, got str"),
        ({"aColour": 5}, "$.aColour: expected str, got int"),
        ({"aTime": 5}, "$.aTime: expected datetime, got int"),
        ({"aTime": "yesterday"}, "$.aTime: invalid RFC3339 encoded datetime"),
        ({"aTime": "2020-01-01"}, "$.aTime: invalid RFC3339 encoded datetime"),
        ({"someMillis": 1.0}, "$.someMillis: expected int, got float"),
        ({"someMillis": "1"}, "$.someMillis: expected int, got str"),
        ({"aSecret": {"s": "x"}}, "$.aSecret: expected str, got object"),
        ({"oneSample": []}, "$.oneSample: expected object, got array"),
        ({"oneSample": 5}, "$.oneSample: expected object, got int"),
        ({"oneSample": {}}, "$.oneSample.meterValue: required field missing"),
        ({"allSamples": {}}, "$.allSamples: expected array, got object"),
        ({"allSamples": "x"}, "$.allSamples: expected array, got str"),
        ({"allSamples": [None]}, "$.allSamples[0]: expected object, got null"),
        ({"allColours": ["red", None]}, "$.allColours[1]: expected str, got null"),
        ({"aMatrix": [[1], [2, "x"]]}, "$.aMatrix[1][1]: expected int, got str"),
        ({"maybeAList": [5]}, "$.maybeAList[0]: expected str, got int"),
        ({"aDefault": "x"}, "$.aDefault: expected int, got str"),
        ({"aDefaultTime": "x"}, "$.aDefaultTime: invalid RFC3339 encoded datetime"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_value_of_another_type_is_refused_by_its_name_on_the_wire(
    members: dict[str, object], complaint: str
) -> None:
    line = problem(**members)

    assert line == complaint


def test_every_bad_field_is_named_with_its_path() -> None:
    body = {
        "anInt": "x",
        "aFloat": [],
        "allSamples": [
            {"meterValue": 1},
            {"meterValue": "x", "takenAt": "2020-01-01T00:00:00"},
            {"meterValue": None},
        ],
        "oneSample": {"meterValue": True},
    }

    assert sorted(problems(json.dumps(body).encode(), "$.items[3]")) == [
        "$.items[3].aFloat: expected float, got array",
        "$.items[3].allSamples[1].meterValue: expected float, got str",
        "$.items[3].allSamples[1].takenAt: expected datetime with a timezone component",
        "$.items[3].allSamples[2].meterValue: expected float, got null",
        "$.items[3].anInt: expected int, got str",
        "$.items[3].oneSample.meterValue: expected float, got bool",
    ]


@pytest.mark.parametrize(
    ("body", "got"), [(b"[]", "array"), (b"null", "null"), (b'"{}"', "str"), (b"5", "int")]
)
def test_a_body_that_is_no_object_is_refused_as_a_whole(body: bytes, got: str) -> None:
    assert problems(body) == (f"$: expected object, got {got}",)


def test_a_field_that_is_required_and_missing_is_named() -> None:
    assert problems(b"{}") == ("$.anInt: required field missing",)


def test_values_are_never_quoted_in_a_problem() -> None:
    assert "s3cr3t" not in problem(anInt="s3cr3t")
    assert "s3cr3t" not in problem(aSecret=["s3cr3t"])


@pytest.mark.parametrize("absent", [{}, None], ids=["missing", "null"])
def test_what_is_missing_or_null_is_none_or_empty_or_the_default(absent: object) -> None:
    names = [] if absent == {} else [camel(f.name) for f in attrs.fields(Everything)][1:]

    assert everything(**dict.fromkeys(names)) == Everything(an_int=1)


def test_lists_and_defaults_are_not_shared_between_objects() -> None:
    one, other = everything(), everything()
    one.all_samples.append(Sample(1))

    assert other.all_samples == []


def test_keys_that_nobody_asked_for_are_ignored() -> None:
    assert everything(an_int="x", ANINT="x", other=[{"deep": None}]) == Everything(an_int=1)


def test_the_last_of_two_equal_keys_counts() -> None:
    assert structure(b'{"anInt": 1, "anInt": 2}').an_int == 2


def test_an_earlier_one_of_two_equal_keys_is_checked_too() -> None:
    assert problems(b'{"anInt": "x", "anInt": 2}') == ("$.anInt: expected int, got str",)


# Times.


@pytest.mark.parametrize(
    "text",
    [
        "2021-03-23T16:54:56.087Z",
        "2021-03-23T16:54:56.087+00:00",
        "2021-03-23T16:54:56.087-00:00",
        "2021-03-23T18:24:56.087+01:30",
        "2021-03-23t11:54:56.087000-05:00",
        "2021-03-24T16:53:56.087+23:59",
    ],
)
def test_times_of_every_offset_arrive_in_utc(text: str) -> None:
    at = everything(aTime=text).a_time

    assert at == datetime(2021, 3, 23, 16, 54, 56, 87_000, tzinfo=UTC)
    assert at is not None
    assert at.tzinfo is UTC


@given(st.datetimes(timezones=st.timezones() | st.just(UTC)), st.integers(-1439, 1439))
def test_any_aware_time_arrives_as_the_same_moment_or_is_a_schema_error(
    at: datetime, offset: int
) -> None:
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    text = f"{at.replace(tzinfo=None).isoformat()}{sign}{minutes // 60:02}:{minutes % 60:02}"
    try:
        expected = (at.replace(tzinfo=UTC) - timedelta(minutes=offset)).replace(tzinfo=UTC)
    except OverflowError:
        assert problem(aTime=text).startswith("$.aTime: ")
        return

    assert everything(aTime=text).a_time == expected


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"], ids=["before", "after"]
)
@pytest.mark.parametrize("name", ["aTime", "aDefaultTime"])
def test_a_time_that_utc_can_not_hold_is_a_schema_error(name: str, text: str) -> None:
    assert problem(**{name: text}).startswith(f"$.{name}: ")


@pytest.mark.parametrize("name", ["aTime", "aDefaultTime"])
def test_a_naive_time_is_refused(name: str) -> None:
    line = problem(**{name: "2021-03-23T16:54:56.087"})

    assert line == f"$.{name}: expected datetime with a timezone component"


@pytest.mark.parametrize("written", ['"%s":""', '"%s": ""', '"%s" \n:\t""'])
@pytest.mark.parametrize("name", ["aTime", "someMillis"])
def test_an_empty_string_in_an_optional_time_is_none(name: str, written: str) -> None:
    text = '"takenAt":""'
    body = f'{{"anInt": 1, {written % name}, "allSamples": [{{"meterValue": 1, {text}}}],'
    found = structure(f'{body} "aStr": {json.dumps(text)}}}'.encode())

    assert found == Everything(1, a_str=text, all_samples=[Sample(1)])


def test_an_empty_string_is_not_named_among_the_problems() -> None:
    assert problem(aTime="", aStr=5) == "$.aStr: expected str, got int"
    assert problem(aStr=5, aTime="") == "$.aStr: expected str, got int"
    assert problem(aTime="", someMillis="x") == "$.someMillis: expected int, got str"


def test_an_empty_string_is_refused_as_a_required_time() -> None:
    assert problem(aDefaultTime="") == "$.aDefaultTime: invalid RFC3339 encoded datetime"


@pytest.mark.parametrize(
    ("millis", "at"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_600_000_000_123, datetime(2020, 9, 13, 12, 26, 40, 123_000, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (253_402_300_799_999, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_epoch_milliseconds_arrive_as_a_time_in_utc(millis: int, at: datetime) -> None:
    assert everything(someMillis=millis).some_millis == at


@pytest.mark.parametrize("millis", [253_402_300_800_000, -(10**18), 10**18, 2**63, 10**40])
def test_milliseconds_out_of_all_range_are_a_schema_error(millis: int) -> None:
    line = problem(someMillis=millis)

    assert line == "$.someMillis: milliseconds since 1970 beyond the year 9999"


# Bytes.


def test_a_byte_order_mark_is_passed_over() -> None:
    assert structure(b'\xef\xbb\xbf{"anInt": 5}').an_int == 5
    assert problems(b'\xef\xbb\xbf{"anInt": "x"}') == ("$.anInt: expected int, got str",)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xef\xbb\xbf",
        b" ",
        b'{"anInt": 1',
        b'{"anInt": 1, "aStr": "x',
        b'{"anInt": 1} x',
        b'{"anInt": 1}{"anInt": 1}',
        b"{'anInt': 1}",
        b'{"anInt": 1,}',
        b"<html></html>",
        b'{"anInt": NaN}',
        b'{"anInt": 1, "aFloat": Infinity}',
        b'{"anInt": 1, "other": NaN}',
        b'{"anInt": 1, "aStr": "\xff"}',
        b'{"anInt": 1, "other": "\xff"}',
        b'{"anInt": 1, "\xff": 1}',
        b'{"anInt": 1, "aStr": "\xed\xa0\x80"}',
        b'{"anInt": 1, "aStr": "\\ud800"}',
        b'{"anInt": 1, "other": "\\ud800"}',
        b'{"anInt": 1, "anything": "\\udc00 "}',
        b'{"anInt": 1, "aStr": "a\nb"}',
        b'{"anInt": 1, "anything": ' + b"[" * 1_000_000,
        b'{"anInt": 1, "other": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
        b'{"anInt": 1, "other": ' + b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_001,
        b"[" * 1_000_000,
        b"\xef\xbb\xbf" * 3_000 + b'{"anInt": 1}',
        '{"anInt": 1}'.encode("utf-16"),
        '{"anInt": 1}'.encode("utf-32"),
        b"\x1f\x8b\x08\x00",
    ],
    ids=lambda body: ascii(body[:30]),
)
def test_what_is_no_json_in_utf_8_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^the body is not JSON in UTF-8: \S") as caught:
        structure(body)

    assert len(str(caught.value)) < 300


def test_an_empty_body_is_called_so() -> None:
    with pytest.raises(DecodeError, match=r"it is empty$"):
        structure(b"")


def test_deep_nesting_is_called_so() -> None:
    with pytest.raises(DecodeError, match=r"nested too deeply$"):
        structure(b'{"other": ' + b"[" * 1_000_000)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"anInt": ' + b"9" * 5_000 + b"}", "$.anInt: "),
        (b'{"anInt": 1, "aFloat": ' + b"9" * 5_000 + b"}", "$.aFloat: "),
        (b'{"anInt": 1, "aFloat": 1e999}', "$.aFloat: "),
        (b'{"anInt": 1, "aNumber": ' + b"9" * 5_000 + b"}", "$.aNumber: "),
        (b'{"anInt": 1, "someMillis": ' + b"9" * 100_000 + b"}", "$.someMillis: "),
        (b'{"anInt": 1, "anything": ' + b"9" * 100_000 + b"}", "$.anything: "),
        (b'{"anInt": "x", "other": ' + b"9" * 5_000 + b"}", "$.anInt: expected int, got str"),
    ],
    ids=lambda value: value[:30],
)
def test_a_number_beyond_all_range_is_a_schema_error(body: bytes, named: str) -> None:
    (line,) = problems(body)

    assert line.startswith(named)


def test_a_number_beyond_all_range_that_nobody_asked_for_is_ignored() -> None:
    assert structure(b'{"anInt": 1, "other": ' + b"9" * 100_000 + b"}").an_int == 1


def test_a_part_of_a_larger_text_is_structured_under_its_path() -> None:
    first, second = msgspec.json.decode(
        b'[{"anInt": 1, "aStr": "\xc3\xa9"}, {"anInt": "x"}]', type=list[msgspec.Raw]
    )

    assert structure(first, "$.items[0]").a_str == "é"
    with pytest.raises(SchemaError, match=r"^\$\.items\[1\]\.anInt: expected int, got str$"):
        structure(second, "$.items[1]")


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (b'{"anInt": 1, "aStr": "\\ud800"}', ": half of a surrogate pair in a string"),
        (b'{"anInt": "x", "aStr": "\\ud800"}', ".anInt: expected int, got str"),
        (b'{"anInt": 1, ', ": input data was truncated"),
    ],
)
def test_a_broken_part_of_a_larger_text_is_a_schema_error(part: bytes, problem: str) -> None:
    with pytest.raises(SchemaError) as caught:
        structure(msgspec.Raw(part), "$.items[1]")

    assert [line.lower() for line in caught.value.problems] == [f"$.items[1]{problem}".lower()]


def test_a_lone_surrogate_in_a_skipped_field_of_a_part_is_ignored() -> None:
    part = msgspec.Raw(b'{"anInt": 1, "other": "\\ud800", "\\udc00": 1}')

    assert structure(part, "$.items[1]") == Everything(1)


def test_decoding_alone_names_the_first_problem() -> None:
    decoder = msgspec.json.Decoder(list[int])

    assert decode(b"[1, 2]", decoder) == [1, 2]
    with pytest.raises(SchemaError, match=r"^\$\.a\[1\]: expected int, got str$"):
        decode(b'[1, "x", "y"]', decoder, "$.a")
    with pytest.raises(SchemaError, match=r"^\$\.a: expected array, got object$"):
        decode(b"{}", decoder, "$.a")


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_whatever_bring_out_an_undocumented_error(body: bytes) -> None:
    with contextlib.suppress(DecodeError, SchemaError):
        structure(body)


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
def test_a_damaged_body_is_structured_or_one_typed_error(place: int, damage: bytes) -> None:
    body = (
        b'{"anInt": 1, "aFloat": 1.5, "aTime": "2021-03-23T16:54:56.087+01:00", "aStr": "\xc3\xa9",'
        b' "allSamples": [{"meterValue": 1e3}], "someMillis": 1600000000, "anything": {"a": [1]}}'
    )
    place %= len(body)

    with contextlib.suppress(DecodeError, SchemaError):
        structure(body[:place] + damage + body[place + len(damage) :])


# The whole and its parts.

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
times = st.sampled_from(
    [
        "2021-03-23T16:54:56.087Z",
        "2021-03-23T16:54:56.087+05:30",
        "2021-03-23T16:54:56",
        "2021-03-23",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["red", "mauve", ""])
    | texts
    | times
)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["meterValue", "takenAt", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
bodies: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        **{camel(field.name): json_values for field in attrs.fields(Everything)},
        "anInt": st.integers() | json_values,
        "aTime": times | json_values,
        "other": json_values,
    },
)


@given(bodies)
@example({"anInt": 1, "aTime": "0001-01-01T00:00:00+05:00"})
@example({"anInt": 1, "aFloat": 2**70, "aNumber": 2**70})
@example({"anInt": 1, "oneSample": {"meterValue": 1, "takenAt": ""}, "someMillis": ""})
def test_the_parts_of_a_text_are_accepted_exactly_if_the_whole_is(body: dict[str, object]) -> None:
    text = json.dumps(body).encode()
    explainer = Explainer(STRUCTURES.lenient.structure, camel)
    explainer.check(Everything, text, "$")
    try:
        structure(text)
        lines: list[str] = []
    except SchemaError as error:
        lines = list(error.problems)

    assert explainer.work > 0
    assert lines == explainer.problems
    assert all(line.startswith("$") for line in lines)


# Bounds.


@attrs.frozen
class Log:
    samples: list[Sample]
    lists: list[list[Sample]]


structure_log = STRUCTURES.of(Log)


def log(item: bytes, size: int, *, last: bytes | None = None, name: bytes = b"samples") -> bytes:
    """Return a log of about `size` bytes that repeats one item."""
    items = [item] * (size // (len(item) + 1))
    return b'{"%s": [%s]}' % (name, b",".join([*items, item if last is None else last]))


def refused(body: bytes) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        structure_log(body)
    return caught.value


@pytest.mark.parametrize("count", [1, 2, 99, 100, 101, 150])
def test_at_most_100_problems_are_named_and_the_others_are_counted(count: int) -> None:
    error = refused(b'{"samples": [%s]}' % b",".join([b"1"] * count))

    first = "$.samples[0]: expected object, got int"
    named = [f"$.samples[{n}]: expected object, got int" for n in range(min(count, 100))]
    assert list(error.problems) == named + [f"and {count - 100} more"] * (count > 100)
    assert str(error) == first + f" (and {count - 1} more)" * (count > 1)


BAD = [b"1", b'"a"', b"[]", b"{}", b'{"meterValue":"x"}', b'{"meterValue":1,"takenAt":"x"}']


@pytest.mark.parametrize("item", BAD)
@pytest.mark.parametrize("name", [b"samples", b"lists"])
@pytest.mark.parametrize("size", [50_000, 800_000])
def test_a_list_full_of_problems_names_the_first_100(item: bytes, name: bytes, size: int) -> None:
    if item == b"[]" and name == b"lists":
        item = b"[1]"
    problems = refused(log(item, size, name=name)).problems

    assert len(problems) == 101
    assert problems[-1] == "and more"
    assert problems[0].startswith(f"$.{name.decode()}[0]")
    assert problems[99].startswith(f"$.{name.decode()}[99]")


@pytest.mark.parametrize("last", BAD)
def test_a_late_problem_is_named_even_if_the_search_ends_before_it(last: bytes) -> None:
    body = log(b'{"meterValue":1}', 800_000, last=last)

    first, rest = refused(body).problems

    assert first.startswith(f"$.samples[{800_000 // 17}]")
    assert rest == "and perhaps more"


def test_a_problem_between_many_good_values_is_the_only_one() -> None:
    sample = b'{"meterValue":731.25,"takenAt":"2026-01-01T00:00:00.000Z","key":"present_voltage"}'
    body = log(sample, 500_000, last=b'{"meterValue":"x"}')

    index = 500_000 // (len(sample) + 1)
    assert refused(body).problems == (f"$.samples[{index}].meterValue: expected float, got str",)


def test_a_text_over_1_mib_names_only_the_first_problem() -> None:
    body = log(b"1", 2_000_000)

    assert refused(body).problems == (
        "$.samples[0]: expected object, got int",
        "and perhaps more",
    )


HOSTILE = {
    "numbers": log(b"1", 800_000),
    "lists": log(b"[]", 800_000),
    "lists in lists": log(b"[[]]", 800_000, name=b"lists"),
    "good items": log(b'{"meterValue":1}', 800_000, last=b"1"),
    "good lists": log(b"[]", 800_000, last=b"1", name=b"lists"),
    "one list": b'{"samples": 5, "lists": [[%s 1]]}' % (b"1," * 400_000),
    "one item": b'{"samples": [%s]}' % log(b"1", 800_000),
    "an unknown list": b'{"samples": 5, "x": [%s 1]}' % (b"{}," * 270_000),
    "keys": b'{"samples": 5, %s "x": 1}' % (b'"x":{},' * 110_000),
    "the same key": b'{"samples": 5, %s "x": 1}' % (b'"samples":[1],' * 60_000),
    "commas in a string": b'{"samples": [1, "%s"]}' % (b"," * 800_000),
    "32 MiB of numbers": log(b"1", 32 * 2**20),
    "32 MiB of lists": log(b"[]", 32 * 2**20, name=b"lists", last=b"1")[:-1] + b',"samples":[1]}',
    "32 MiB of a string": b'{"samples": [1, "%s"]}' % (b"x" * 32 * 2**20),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_explanation_is_bounded_whatever_the_body(name: str) -> None:
    body, looked_at = HOSTILE[name], 0
    value = Explainer.check

    def counted(self: Explainer, *args: Any) -> Any:
        nonlocal looked_at
        looked_at += 1
        return value(self, *args)

    tracemalloc.start()
    try:
        with mock.patch.object(Explainer, "check", counted):
            Explainer(STRUCTURES.lenient.structure, camel).explain(
                Log, body, "$", "$: as decoding said"
            )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    started = time.process_time()
    Explainer(STRUCTURES.lenient.structure, camel).explain(Log, body, "$", "$: as decoding said")

    assert time.process_time() - started < 1
    assert looked_at <= MAX_WORK + 1
    assert peak < 64 * 2**20


# Classes.


@attrs.frozen
class Single:
    an_id: int


@attrs.frozen
class Singles:
    singles: list[Single]


def positive(_: object, __: object, value: int) -> None:
    if value <= 0:
        raise ValueError("must be positive")


@attrs.define(on_setattr=attrs.setters.NO_OP)
class Checked:
    number: int = attrs.field(validator=positive)


@attrs.frozen
class SeveralChecked:
    several: list[Checked]


def test_keyword_only_aliases_and_private_fields_are_taken_by_their_wire_names() -> None:
    @attrs.frozen(kw_only=True)
    class Odd:
        _hidden_value: int
        renamed_value: int = attrs.field(alias="other")
        computed: int = attrs.field(init=False, default=9)
        last_value: str = "x"

    odd = STRUCTURES.of(Odd)

    assert odd(b'{"HiddenValue": 1, "renamedValue": 2, "computed": 5}') == Odd(
        hidden_value=1, other=2
    )
    with pytest.raises(SchemaError) as caught:
        odd(b'{"HiddenValue": "x", "renamedValue": "x", "lastValue": 5}')
    assert caught.value.problems == (
        "$.HiddenValue: expected int, got str",
        "$.renamedValue: expected int, got str",
        "$.lastValue: expected str, got int",
    )


def test_a_class_of_a_single_field_is_a_class() -> None:
    assert STRUCTURES.of(Single)(b'{"anId": 5, "more": 6}') == Single(5)
    assert STRUCTURES.of(Singles)(b'{"singles": [{"anId": 5}]}') == Singles([Single(5)])
    assert STRUCTURES.of(Singles)(b"{}") == Singles([])


def test_a_class_without_fields_is_a_class() -> None:
    @attrs.frozen
    class Nothing:
        pass

    assert STRUCTURES.of(Nothing)(b'{"an": "object"}') == Nothing()


def test_a_field_may_hold_any_json_and_be_required() -> None:
    @attrs.frozen
    class Open:
        anything: JsonValue

    assert STRUCTURES.of(Open)(b'{"anything": null}') == Open(None)
    with pytest.raises(SchemaError, match="required field"):
        STRUCTURES.of(Open)(b"{}")


def test_a_factory_makes_what_is_missing_each_time() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    @attrs.frozen
    class Counted:
        number: int = attrs.field(factory=make)

    counted = STRUCTURES.of(Counted)

    assert [counted(b"{}").number, counted(b'{"number": null}').number] == [0, 1]
    assert counted(b'{"number": 17}').number == 17
    assert made == [0, 1]


def test_a_validator_of_the_class_has_its_say() -> None:
    assert STRUCTURES.of(Checked)(b'{"number": 1}') == Checked(1)
    with pytest.raises(SchemaError) as caught:
        STRUCTURES.of(SeveralChecked)(b'{"several": [{"number": 1}, {"number": 0}]}')
    assert caught.value.problems == ("$.several[1]: must be positive",)


def test_an_error_without_words_is_named_by_its_class() -> None:
    @attrs.frozen
    class Mute:
        number: int

        def __attrs_post_init__(self) -> None:
            raise ValueError

    with pytest.raises(SchemaError, match=r"^\$: valueError$"):
        STRUCTURES.of(Mute)(b'{"number": 1}')


@attrs.define
class Bare:
    number: int
    at: datetime | None = None


@attrs.define
class Filled(Bare):
    number: int = 17


@attrs.define
class Kept(Bare):
    memory: list[int] = attrs.field(factory=lambda: [1], init=False)


@attrs.define
class Doubled(Bare):
    def __attrs_post_init__(self) -> None:
        self.number *= 2


@attrs.define(slots=False)
class Prepared(Bare):
    def __attrs_pre_init__(self) -> None:
        self.__dict__["prepared"] = True


@attrs.define
class Written(Bare):
    def __init__(self, number: int, at: datetime | None = None) -> None:
        self.__attrs_init__(number + 1, at)  # type: ignore[attr-defined]


@attrs.define(kw_only=True, on_setattr=attrs.setters.NO_OP)
class Converted(Bare):
    number: int = attrs.field(converter=abs)


@attrs.define(unsafe_hash=True, cache_hash=True)
class Hashed(Bare):
    pass


@attrs.define(slots=False)
class Made(Bare):
    def __new__(cls, *_: object, **__: object) -> Self:
        made = super().__new__(cls)
        made.__dict__["origin"] = "made"
        return made


@attrs.define(on_setattr=lambda instance, attribute, value: value * 2)
class Watched:
    number: int
    at: datetime | None = None


class Counted(type):
    made = 0

    def __call__(cls, *values: object, **named: object) -> Any:
        cls.made += 1
        return super().__call__(*values, **named)


@attrs.define
class Registered(Bare, metaclass=Counted):
    pass


@attrs.define
class Renamed(Bare):
    def __init__(self, count: int, moment: datetime | None) -> None:
        self.__attrs_init__(count, moment)  # type: ignore[attr-defined]


@attrs.frozen(eq=False)
class Frozen:
    number: int
    at: datetime | None = None


@attrs.define(slots=False)
class Roomy(Bare):
    pass


@attrs.define(kw_only=True)
class Named(Bare):
    _hidden: int = attrs.field(default=3, alias="shown")


@pytest.mark.parametrize(
    "cls",
    [
        *(Bare, Filled, Kept, Doubled, Prepared, Written, Converted, Hashed, Made, Watched),
        *(Frozen, Roomy, Named),
    ],
)
@pytest.mark.parametrize("given", [{}, {"at": "2026-01-01T01:00:00+01:00"}])
def test_an_object_is_what_its_constructor_makes_of_the_values(
    cls: Callable[..., attrs.AttrsInstance], given: dict[str, str]
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC) if given else None

    def state(made: attrs.AttrsInstance) -> list[object]:
        names = [field.name for field in attrs.fields(type(made))]
        return [type(made), [getattr(made, name) for name in names], getattr(made, "__dict__", 0)]

    made = STRUCTURES.of(cls)(json.dumps({"number": -5, **given}).encode())  # type: ignore[arg-type]

    assert state(made) == state(cls(number=-5, at=at))
    assert cls is not Hashed or hash(made) == hash(cls(number=-5, at=at))


def test_a_metaclass_has_its_say() -> None:
    assert STRUCTURES.of(Registered)(b'{"number": 1}') == Registered(1)
    assert Registered.made == 2


def test_a_constructor_may_name_its_arguments_as_it_likes() -> None:
    assert STRUCTURES.of(Renamed)(b'{"number": 1}') == Renamed(1, None)


@attrs.define
class Held(Generic[T]):
    number: T
    name: str | None = None


@attrs.define
class Holders:
    whole: Held[int]
    broken: Held[int | float] | None = None
    several: list[Held[str]] = attrs.field(factory=list)


def test_a_generic_class_has_the_types_of_its_parameters() -> None:
    holders = STRUCTURES.of(Holders)

    body = b'{"whole": {"number": 1}, "broken": {"number": 1.5}, "several": [{"number": "x"}]}'
    assert holders(body) == Holders(Held(1), Held(1.5), [Held("x")])
    with pytest.raises(SchemaError) as caught:
        holders(b'{"whole": {"number": 1.5}, "broken": {"number": "x", "name": 5}}')
    assert caught.value.problems == (
        "$.whole.number: expected int, got float",
        "$.broken.number: expected int | float, got str",
        "$.broken.name: expected str, got int",
    )
    assert STRUCTURES.of(Held[int])(b'{"number": 1}') == Held(1)


def test_a_default_of_a_mutable_class_fills_in_for_what_is_missing() -> None:
    assert STRUCTURES.of(Filled)(b"{}") == Filled()
    assert STRUCTURES.of(Filled)(b'{"number": null}') == Filled()


def test_a_class_may_stand_in_several_others() -> None:
    @attrs.frozen
    class Pair:
        left: Sample
        right: Sample | None

    assert STRUCTURES.of(Pair)(b'{"left": {"meterValue": 1}}') == Pair(Sample(1.0), None)


class Custom:
    """Something that JSON knows nothing of."""


@attrs.frozen
class HasCustom:
    value: Custom


@attrs.frozen
class HasCustomInside:
    values: list[Custom | None]


@attrs.frozen
class HasComplex:
    value: complex


@attrs.frozen
class HasUnresolved:
    value: Nowhere  # type: ignore[name-defined]  # noqa: F821


@attrs.frozen
class HasAmbiguous:
    value: list[Sample] | list[int]


@attrs.frozen
class HasRecursion:
    children: list[HasRecursion]


def without_annotation() -> type:
    return attrs.make_class("HasNoAnnotation", ["value"])


@pytest.mark.parametrize(
    "cls",
    [
        HasCustom,
        HasCustomInside,
        HasComplex,
        HasUnresolved,
        HasAmbiguous,
        HasRecursion,
        without_annotation(),
    ],
    ids=lambda cls: cls.__name__,
)
def test_a_class_that_json_can_not_fill_is_refused_before_any_body(cls: type) -> None:
    with pytest.raises(ValueError, match=f"^{cls.__name__} can't be structured from JSON: "):
        STRUCTURES.of(cls)


def test_a_package_may_bring_types_of_its_own() -> None:
    @attrs.frozen
    class Price:
        amount: Decimal | None
        others: list[Decimal]

    def cents(value: int, _: object) -> Decimal:
        return Decimal(value) / 100

    build: Callable[[bytes], Price] = Structures(codecs={Decimal: ScalarCodec(int, cents)}).of(
        Price
    )

    assert build(b'{"amount": 1234}') == Price(Decimal("12.34"), [])
    assert build(b'{"others": [1, 2]}') == Price(None, [Decimal("0.01"), Decimal("0.02")])
    with pytest.raises(SchemaError, match=r"^\$\.others\[0\]: expected int, got str$"):
        build(b'{"others": ["1"]}')


def test_threads_may_ask_for_a_class_at_the_same_time() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            for _ in range(20):
                structures = Structures(rename=camel, codecs={Secret: ScalarCodec(str)})
                asked = [threads.submit(structures.of, Everything) for _ in range(8)]
                assert {of.result().cls for of in asked} == {Everything}
    finally:
        sys.setswitchinterval(interval)
