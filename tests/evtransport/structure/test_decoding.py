"""Decoding of bytes: JSON in UTF-8 is accepted, and other bytes raise a typed error."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport import DecodeError, SchemaError
from tests.support.structures import Everything, problems, structure


def test_a_byte_order_mark_is_ignored() -> None:
    assert structure(b'\xef\xbb\xbf{"anInt": 5}').an_int == 5


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b'{"anInt": 1', "truncated"),
        (b"<html></html>", "malformed"),
        (b'{"anInt": 1, "other": NaN}', "malformed"),
        (b'{"anInt": 1, "other": "\xff"}', "codec"),
        (b'{"anInt": 1, "other": "\\ud800", "a": 1}', "hex escape"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"anInt": 1, "anything": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"other": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "nested too deeply"),
        (b"\xef\xbb\xbf" * 2 + b'{"anInt": 1}', "malformed"),
        ('{"anInt": 1}'.encode("utf-16"), "codec"),
    ],
    ids=lambda value: ascii(value[:30]),
)
def test_a_body_that_is_not_json_in_utf_8_is_a_decode_error(body: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=f"^the body is not JSON in UTF-8: .*{reason}") as caught:
        structure(body)

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"anInt": ' + b"9" * 5_000 + b"}", "$.anInt: "),
        (b'{"anInt": 1, "aFloat": 1e999}', "$.aFloat: "),
        (b'{"anInt": 1, "someMillis": ' + b"9" * 100_000 + b"}", "$.someMillis: "),
        (b'{"anInt": 1, "anything": ' + b"9" * 100_000 + b"}", "$.anything: "),
    ],
    ids=lambda value: value[:30],
)
def test_a_number_out_of_range_is_a_problem(body: bytes, path: str) -> None:
    (line,) = problems(Everything, body)

    assert line.startswith(path)


@pytest.mark.parametrize(
    ("part", "line"),
    [
        (b'{"anInt": 1, "aStr": "\\ud800"}', ": half of a surrogate pair in a string"),
        (b'{"anInt": "x", "aStr": "\\ud800"}', ".anInt: expected int, got str"),
        (b'{"anInt": 1, ', ": Input data was truncated"),
    ],
)
def test_a_broken_part_of_a_larger_text_is_a_problem(part: bytes, line: str) -> None:
    assert problems(Everything, msgspec.Raw(part), "$.items[1]") == (f"$.items[1]{line}",)


def test_lone_surrogates_and_large_numbers_in_skipped_fields_of_a_part_are_ignored() -> None:
    skipped = b'"\\udc00": %s' % (b"9" * 100_000)
    part = msgspec.Raw(b'{"anInt": 1, "aStr": "\xc3\xa9", "other": "\\ud800", %s}' % skipped)

    assert structure(part, "$.items[1]") == Everything(1, a_str="é")


BODY = (
    b'{"anInt": 1, "aFloat": 1.5, "aTime": "2021-03-23T16:54:56.087+01:00", "aStr": "\xc3\xa9",'
    b' "allSamples": [{"meterValue": 1e3}], "someMillis": 1600000000, "anything": {"a": [1]}}'
)


@given(st.integers(0, len(BODY)), st.integers(0, 5), st.binary(max_size=5))
def test_a_damaged_body_is_structured_or_raises_one_typed_error(
    place: int, removed: int, inserted: bytes
) -> None:
    with contextlib.suppress(DecodeError, SchemaError):
        structure(BODY[:place] + inserted + BODY[place + removed :])
