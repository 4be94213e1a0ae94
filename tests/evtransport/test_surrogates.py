"""Lone surrogates in JSON texts are replaced, and nothing else changes."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport.surrogates import in_one_line, without_lone_surrogates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rb"\ud83d", rb"\ufffd"),
        (rb"\uDE00", rb"\ufffd"),
        (rb"\ud83d\ude00", rb"\ud83d\ude00"),
        (rb"\uD83D\uDE00", rb"\uD83D\uDE00"),
        (rb"\ud83d\ud83d\ude00", rb"\ufffd\ud83d\ude00"),
        (rb"\ud83d\ude00\ude00", rb"\ud83d\ude00\ufffd"),
        (rb"\ude00\ud83d", rb"\ufffd\ufffd"),
        (rb"\\ud83d", rb"\\ud83d"),
        (rb"\\\ud83d", rb"\\\ufffd"),
        (rb"\\ud83d\ude00", rb"\\ud83d\ufffd"),
        (rb"\"\ud83d\n\u00e9", rb"\"\ufffd\n\u00e9"),
        (b"ud83d \xed\xa0\xbd", b"ud83d \xed\xa0\xbd"),
    ],
)
def test_lone_surrogates_are_replaced(text: bytes, expected: bytes) -> None:
    assert without_lone_surrogates(text) == expected


PARTS = [r"\ud83d", r"\uDE00", r"\\", r"\"", r"\n", r"\u0041", "ud83d", "a", "é"]


@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_the_result_is_json_of_the_same_length_without_lone_surrogates(inner: str) -> None:
    text = f'"{inner}"'.encode()

    found = without_lone_surrogates(text)

    whole = json.loads(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert len(found) == len(text)
    assert msgspec.json.decode(found) == whole


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'{"a": 1,\r\n "b": [ 1.50 ]}\n', b'{"a":1,"b":[1.50]}'),
        (b'{"a": "\\ud83d",\r\n "b": 1}\n', b'{"a": "\\ud83d",  "b": 1}'),
    ],
)
def test_one_line_has_the_same_values(text: bytes, line: bytes) -> None:
    assert in_one_line(text) == line
