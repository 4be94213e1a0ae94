"""Cursor: its string can be parsed again, and any other string is rejected."""

from __future__ import annotations

import base64
import string
import tracemalloc
import zlib
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport.paging import Cursor

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
keys = st.integers(0, 2**64 - 1)
cursors = st.builds(
    Cursor,
    query=st.dictionaries(words, words, max_size=4),
    pinned=st.dictionaries(words, words, max_size=2),
    offset=st.integers(0, 10**15),
    limit=st.integers(1, 2000),
    max_limit=st.none() | st.integers(1, 2000),
    overlap=st.booleans(),
    recent=st.lists(keys, max_size=5).map(tuple),
    delivered=st.lists(st.binary(min_size=8, max_size=8)).map(b"".join),
)

CURSOR = Cursor(
    query={"chargerId": "xyz", "connectorId": "1"},
    pinned={"to": "2022-08-03T16:40:30.440Z"},
    offset=1_234,
    limit=40,
    max_limit=20,
    overlap=False,
    recent=(2**64 - 1, 0, 7),
    delivered=b"secret_1secret_2",
)
TEXT = (
    "evc2.oS9nC4elcXVlcnmCqWNoYXJnZXJJZKN4eXqrY29ubmVjdG9ySWShMaZwaW5uZWSBonRvuDIwMjItMDgtM"
    "DNUMTY6NDA6MzAuNDQwWqZvZmZzZXTNBNKlbGltaXQoqW1heF9saW1pdBSnb3ZlcmxhcMKmcmVjZW50k8_____"
    "______wAH.c2VjcmV0XzFzZWNyZXRfMg"
)


def text_of(content: bytes, delivered: bytes = b"") -> str:
    checksum = zlib.crc32(delivered, zlib.crc32(content)).to_bytes(4)
    parts = [checksum + content, delivered] if delivered else [checksum + content]
    return ".".join(
        ["evc2", *(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)]
    )


def content_of(**changes: object) -> bytes:
    return msgspec.msgpack.encode({"query": {}, "limit": 10} | changes)


@given(cursors)
def test_a_cursor_can_be_parsed_from_its_text(cursor: Cursor) -> None:
    parsed = Cursor.parse(str(cursor))

    assert parsed == cursor
    assert hash(parsed) == hash(cursor)
    assert set(str(cursor)) <= set(string.ascii_letters + string.digits + "-_.")


@given(cursors, st.lists(st.lists(st.binary(min_size=8, max_size=8)).map(b"".join)))
def test_keys_added_page_by_page_and_all_at_once_give_the_same_text(
    cursor: Cursor, pages: list[bytes]
) -> None:
    extended = cursor
    for page in pages:
        extended = extended.with_delivered(page)
        assert str(extended) == str(attrs.evolve(cursor, delivered=extended.delivered))
        assert Cursor.parse(str(extended)) == extended


def test_a_text_cannot_set_the_encoded_keys() -> None:
    cursor = Cursor.parse(text_of(content_of(_encoded="AAAA"), b"secret_1"))

    assert Cursor.parse(str(cursor)) == cursor == Cursor(query={}, limit=10, delivered=b"secret_1")


def test_a_saved_cursor_of_this_version_stays_readable() -> None:
    assert Cursor.parse(TEXT) == CURSOR


def test_the_text_of_a_usual_cursor_has_at_most_2000_characters() -> None:
    query = {"chargerId": "c" * 100, "connectorId": "1" * 20, "from": "2026-01-01T00:00:00.000Z"}
    recent = tuple(range(2**64 - 100, 2**64))
    cursor = attrs.evolve(CURSOR, query=query, recent=recent, delivered=b"")
    verifying = attrs.evolve(cursor, delivered=bytes(8 * 10_000))

    assert len(str(cursor)) <= 2000
    assert len(str(verifying)) - len(str(cursor)) <= 11 * 10_000


@pytest.mark.parametrize("text", [None, b"evc2.", CURSOR, "", "evc1.x", "evc2", "EVC2.x"])
def test_a_value_without_the_prefix_is_rejected(text: Any) -> None:
    with pytest.raises(ValueError, match=r"not a cursor .* must start with 'evc2\.'"):
        Cursor.parse(text)


@given(st.text().map("evc2.{}".format) | st.binary().map(text_of))
def test_other_strings_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="the cursor is garbled"):
        Cursor.parse(text)


@given(st.integers(0, len(TEXT) - 1), st.text(max_size=1), st.sampled_from([1, len(TEXT)]))
def test_a_changed_or_truncated_string_is_rejected_or_gives_the_same_cursor(
    place: int, letter: str, removed: int
) -> None:
    try:
        parsed = Cursor.parse(TEXT[:place] + letter + TEXT[place + removed :])
    except ValueError:
        return
    assert parsed == CURSOR


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": -1},
        {"offset": 10**16},
        {"limit": 0},
        {"limit": "10"},
        {"max_limit": 0},
        {"max_limit": 10**16},
        {"query": {"a": 1}},
        {"pinned": {str(n): "" for n in range(101)}},
        {"recent": ["a"]},
        {"recent": list(range(101))},
        {"delivered": 10**15},
    ],
    ids=lambda changes: str(changes)[:20],
)
def test_a_string_with_an_impossible_value_is_rejected(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="garbled"):
        Cursor.parse(text_of(content_of(**changes)))


def test_an_impossible_position_and_an_incomplete_key_are_rejected() -> None:
    with pytest.raises(ValueError, match="impossible position"):
        Cursor(query={}, limit=0)
    with pytest.raises(ValueError, match="garbled"):
        Cursor.parse(text_of(content_of(), b"seven b"))


def parse_within(text: str) -> Cursor | None:
    """Parse a string, and check that this needs at most 20 times its memory."""
    tracemalloc.start()
    try:
        return Cursor.parse(text)
    except ValueError:
        return None
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak <= 20 * len(text)


@pytest.mark.parametrize(
    "content",
    [
        content_of(recent=[2**40 + n for n in range(5_000)]),
        content_of(query={chr(256 + n): "" for n in range(12_000)}),
        content_of(other=[[]] * 48_000),
        b"\x82\xa5query\x80\xa6recent\xdd\x7f\xff\xff\xff" + b"\x01" * 48_000,
        b"\x91" * 48_000,
    ],
    ids=lambda content: str(content[:30]),
)
def test_parsing_needs_at_most_20_times_the_memory_of_the_text(content: bytes) -> None:
    parse_within(text_of(content))
    parse_within(text_of(content * 20))
    parse_within(text_of(content) + "." + "A" * 64_000)


def test_a_string_over_64_kib_is_accepted_only_with_keys_of_verify() -> None:
    long = Cursor(query={"chargerId": "c" * 50_000}, limit=10)
    verifying = attrs.evolve(CURSOR, delivered=bytes(8 * 100_000))

    assert parse_within(str(verifying)) == verifying
    with pytest.raises(ValueError, match="garbled"):
        Cursor.parse(str(long))
