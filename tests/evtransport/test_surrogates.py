"""Lone surrogates in JSON texts are replaced, and nothing else changes."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport.surrogates import join_lines, replace_lone_surrogates

PARTS = [r"\ud83d", r"\uDE00", r"\\", r"\"", r"\n", r"\u0041", "ud83d", "a", "é"]


@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_the_result_is_json_of_the_same_length_without_lone_surrogates(inner: str) -> None:
    text = f'"{inner}"'.encode()

    found = replace_lone_surrogates(text)

    whole = json.loads(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert len(found) == len(text)
    assert msgspec.json.decode(found) == whole


def test_bytes_that_are_not_escapes_are_unchanged() -> None:
    assert replace_lone_surrogates(b"ud83d \xed\xa0\xbd") == b"ud83d \xed\xa0\xbd"
    assert replace_lone_surrogates(rb"\ud83d", b"fffe") == rb"\ufffe"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'{"a": 1,\r\n "b": [ 1.50 ]}\n', b'{"a":1,"b":[1.50]}'),
        (b'{"a": "\\ud83d",\r\n "b": 1}\n', b'{"a": "\\ud83d",  "b": 1}'),
    ],
)
def test_joined_lines_have_the_same_values(text: bytes, line: bytes) -> None:
    assert join_lines(text) == line
