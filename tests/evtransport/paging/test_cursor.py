"""The text of a cursor: it reads back as the same cursor, and any other text is refused."""

from __future__ import annotations

import base64
import pickle
import string
import tracemalloc
import zlib
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport.paging.cursor import Cursor, DeliveredKeys

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
    delivered=st.lists(keys).map(DeliveredKeys().plus),
)

CURSOR = Cursor(
    query={"chargerId": "xyz", "connectorId": "1"},
    pinned={"to": "2022-08-03T16:40:30.440Z"},
    offset=1_234,
    limit=40,
    max_limit=20,
    overlap=False,
    recent=(2**64 - 1, 0, 7),
    delivered=DeliveredKeys().plus([123_456_789, 7]),
)


def text_of(content: bytes) -> str:
    data = zlib.crc32(content).to_bytes(4) + content
    return "evc2." + base64.urlsafe_b64encode(data).decode().rstrip("=")


@given(cursors)
def test_a_cursor_reads_back_from_its_text(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) == cursor
    assert hash(Cursor.parse(str(cursor))) == hash(cursor)


@given(cursors)
def test_the_text_fits_into_file_names_urls_and_environment_variables(cursor: Cursor) -> None:
    assert set(str(cursor)) <= set(string.ascii_letters + string.digits + "-_.")


def test_the_text_of_a_plain_walk_has_at_most_2000_characters() -> None:
    names = {"chargerId": "c" * 100, "connectorId": "1" * 20, "from": "2026-01-01T00:00:00.000Z"}
    recent = tuple(range(2**64 - 100, 2**64))
    cursor = attrs.evolve(CURSOR, query=names, recent=recent, delivered=DeliveredKeys())

    assert len(str(cursor)) <= 2000


def test_with_verify_the_text_has_11_characters_for_each_report() -> None:
    cursor = attrs.evolve(CURSOR, delivered=DeliveredKeys().plus(range(10_000)))

    assert len(str(cursor)) - len(str(CURSOR)) <= 11 * 10_000


def test_the_defaults_are_the_start_of_a_walk() -> None:
    cursor = Cursor(query={}, limit=10)

    assert Cursor.parse(str(cursor)) == cursor
    assert (cursor.offset, cursor.max_limit, cursor.overlap) == (0, None, True)
    assert (cursor.pinned, cursor.recent, len(cursor.delivered)) == ({}, (), 0)


def test_a_saved_cursor_of_this_version_stays_readable() -> None:
    saved = (
        "evc2.AOLiB4ilcXVlcnmCqWNoYXJnZXJJZKN4eXqrY29ubmVjdG9ySWShMaZwaW5uZWSBonRvuDIwMjI"
        "tMDgtMDNUMTY6NDA6MzAuNDQwWqZvZmZzZXTNBNKlbGltaXQoqW1heF9saW1pdBSnb3ZlcmxhcMKmcmV"
        "jZW50k8___________wAHqWRlbGl2ZXJlZMQQAAAAAAdbzRUAAAAAAAAABw"
    )

    assert Cursor.parse(saved) == CURSOR


def test_a_cursor_of_the_old_version_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"older format .* walk the window again without resume="):
        Cursor.parse("evc1.eJwlikEOQDAQAP")


@given(st.text() | st.text().map("evc2.{}".format) | st.binary().map(text_of))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        Cursor.parse(text)


@pytest.mark.parametrize(
    "value", [None, 5, b"evc2.", CURSOR], ids=lambda value: type(value).__name__
)
def test_a_value_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not a cursor of this library"):
        Cursor.parse(value)


def test_each_change_of_one_character_is_refused_or_harmless() -> None:
    text = str(CURSOR)
    for place in range(len(text)):
        for letter in string.ascii_letters + string.digits + "-_+/=. \n\u00e9":
            try:
                read = Cursor.parse(text[:place] + letter + text[place + 1 :])
            except ValueError:
                continue
            assert read == CURSOR


def test_a_text_that_was_cut_anywhere_is_refused() -> None:
    text = str(CURSOR)
    for length in range(len(text)):
        with pytest.raises(ValueError, match="cursor"):
            Cursor.parse(text[:length])


@pytest.mark.parametrize("text", ["evc3.", "evc0.", "EVC2.", "evc2", "evc22."])
def test_a_text_of_an_unknown_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor of this library"):
        Cursor.parse(text + str(CURSOR).removeprefix("evc2."))


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": -1},
        {"offset": 10**16},
        {"limit": 0},
        {"limit": "10"},
        {"max_limit": 0},
        {"max_limit": 10**16},
        {"overlap": 1},
        {"query": {"a": 1}},
        {"query": None},
        {"recent": ["a"]},
        {"recent": 5},
        {"delivered": 10**15},
        {"delivered": "keys"},
    ],
    ids=str,
)
def test_a_text_with_an_impossible_value_is_refused(changes: dict[str, object]) -> None:
    fields = attrs.asdict(CURSOR, recurse=False) | {"delivered": b""} | changes

    with pytest.raises(ValueError, match="garbled"):
        Cursor.parse(text_of(msgspec.msgpack.encode(fields)))


def test_a_deeply_nested_text_is_refused() -> None:
    with pytest.raises(ValueError, match="garbled"):
        Cursor.parse(text_of(b"\x91" * 1_000_000))


def saved(**changes: object) -> bytes:
    return msgspec.msgpack.encode({"query": {}, "limit": 10} | changes)


def parse_within(text: str) -> Cursor | None:
    """Parse a text, and check that this takes at most 20 times its memory."""
    tracemalloc.start()
    try:
        try:
            found = Cursor.parse(text)
        except ValueError:
            found = None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 20 * len(text)
    return found


@pytest.mark.parametrize(
    "content",
    [
        saved(recent=[1] * 48_000),
        saved(recent=[2**40 + n for n in range(5_000)]),
        saved(query={chr(256 + n): "" for n in range(12_000)}),
        saved(pinned={chr(256 + n): "" for n in range(12_000)}),
        saved(delivered=[[]] * 48_000),
        saved(delivered={str(n): {} for n in range(6_000)}),
        saved(other=[[]] * 48_000),
        b"\x82\xa5query\x80\xa6recent\xdd\x7f\xff\xff\xff" + b"\x01" * 48_000,
        b"\x82\xa5query\xdf\x7f\xff\xff\xff" + b"\xa0" * 48_000,
        b"\x91" * 48_000,
    ],
    ids=lambda content: str(content[:30]),
)
@pytest.mark.parametrize("times", [1, 20], ids=["64 KiB", "1 MiB"])
def test_parsing_takes_at_most_20_times_the_size_of_the_text(content: bytes, times: int) -> None:
    parse_within(text_of(content * times))
    parse_within(text_of(content) + "." + "A" * times * 64_000)


def test_a_plain_text_over_64_kib_is_refused_unread() -> None:
    names = {"chargerId": "c" * 48_000}
    short, long = Cursor(query=names, limit=10), Cursor(query=names | {"to": "t" * 2_000}, limit=10)

    assert Cursor.parse(str(short)) == short
    with pytest.raises(ValueError, match="garbled"):
        Cursor.parse(str(long))


def test_a_text_of_verify_may_be_larger() -> None:
    cursor = attrs.evolve(CURSOR, delivered=DeliveredKeys().plus(range(100_000)))

    assert len(str(cursor)) > 2**20
    assert parse_within(str(cursor)) == cursor


@pytest.mark.parametrize("keys", ["A", "AAAA", "AAAAAAAAAAA", "?", ".", "AAAAAAAAAAA."])
def test_changed_keys_are_refused(keys: str) -> None:
    with pytest.raises(ValueError, match="garbled"):
        Cursor.parse(f"{text_of(saved())}.{keys}")


def test_an_impossible_position_is_refused() -> None:
    with pytest.raises(ValueError, match="impossible position"):
        Cursor(query={}, limit=0)


def test_a_cursor_shows_no_keys() -> None:
    assert "123456789" not in repr(CURSOR)


def test_a_pickled_cursor_is_the_same() -> None:
    assert pickle.loads(pickle.dumps(CURSOR)) == CURSOR  # noqa: S301


def test_cursors_of_one_walk_share_their_delivered_keys() -> None:
    tracemalloc.start()
    try:
        delivered = DeliveredKeys()
        cursors = [delivered]
        for key in range(10_000):
            delivered = delivered.plus([key])
            cursors.append(delivered)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size < 250 * 10_000
    assert [len(cursor) for cursor in cursors] == list(range(10_001))
    assert list(cursors[3]) == [0, 1, 2]


def test_two_walks_from_one_cursor_do_not_mix_their_keys() -> None:
    start = DeliveredKeys().plus([1, 2])
    one, other = start.plus([3]), start.plus([4])

    assert (list(start), list(one), list(other)) == ([1, 2], [1, 2, 3], [1, 2, 4])
    assert one.first(2) == start != other
    assert start != (1, 2)
