"""A cursor's text: it comes back as it went, and nothing else passes for one."""

from __future__ import annotations

import base64
import string
import tracemalloc
import zlib
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport import Cursor

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
cursors = st.builds(
    Cursor,
    query=st.dictionaries(words, words, max_size=4),
    pinned=st.dictionaries(words, words, max_size=2),
    offset=st.integers(0, 10**15),
    limit=st.integers(1, 2000),
    size=st.none() | st.integers(1, 2000),
    last=st.none() | st.integers(-(2**63), 2**63),
    delivered=st.lists(st.integers(-(2**63), 2**64)).map(tuple),
)

CURSOR = Cursor(
    query={"chargerId": "xyz", "connectorId": "1"},
    pinned={"to": "2022-08-03T16:40:30.440Z"},
    offset=1_234,
    limit=40,
    size=20,
    last=123_456_789,
    delivered=(123_456_789, 123_456_000, 7),
)


def text_of(unpacked: bytes) -> str:
    return "evc1." + base64.urlsafe_b64encode(zlib.compress(unpacked)).decode().rstrip("=")


def without_order(cursor: Cursor) -> tuple[Cursor, list[int]]:
    return attrs.evolve(cursor, delivered=()), sorted(cursor.delivered)


@given(cursors)
def test_a_cursor_comes_back_from_its_text(cursor: Cursor) -> None:
    assert without_order(Cursor.parse(str(cursor))) == without_order(cursor)


@given(cursors)
def test_the_text_goes_into_file_names_urls_and_environment_variables(cursor: Cursor) -> None:
    assert set(str(cursor)) <= set(string.ascii_letters + string.digits + "-_.")


def test_the_text_of_many_delivered_ids_stays_short() -> None:
    cursor = attrs.evolve(CURSOR, delivered=tuple(range(10**9, 10**9 + 100_000)))

    assert len(str(cursor)) < 1_000
    assert Cursor.parse(str(cursor)) == cursor


def test_the_defaults_are_the_start_of_a_walk() -> None:
    cursor = Cursor(query={}, limit=10)

    assert Cursor.parse(str(cursor)) == cursor
    assert (cursor.offset, cursor.size, cursor.last) == (0, None, None)
    assert (cursor.pinned, cursor.delivered) == ({}, ())


def test_a_saved_cursor_of_this_version_can_be_read_for_ever() -> None:
    saved = (
        "evc1.eJwlikEOQDAQAP-y5yXb7ba0P3B3Ig5SwkkTcUDj7xpuM5PpE4R13Jd5bybwcF43IIS4bXM44t8UPJjg"
        "iBmZmAuqC9Ktsl7IaypFqMuHYi0ohEwfGlvVDvvqF-OcxhyG4QULkhzZ"
    )

    assert without_order(Cursor.parse(saved)) == without_order(CURSOR)


@given(st.text() | st.text().map("evc1.{}".format) | st.binary().map(text_of))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a cursor of this library|the cursor is garbled"):
        Cursor.parse(text)


@pytest.mark.parametrize(
    "value", [None, 5, b"evc1.", CURSOR], ids=lambda value: type(value).__name__
)
def test_what_is_no_text_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="not a cursor of this library"):
        Cursor.parse(value)


def test_every_change_of_one_character_is_refused_or_harmless() -> None:
    text = str(CURSOR)
    for place in range(len(text)):
        for letter in string.ascii_letters + string.digits + "-_+/=. \n\u00e9":
            try:
                read = Cursor.parse(text[:place] + letter + text[place + 1 :])
            except ValueError:
                continue
            assert read == Cursor.parse(text)


def test_a_text_that_was_cut_anywhere_is_refused() -> None:
    text = str(CURSOR)
    for length in range(len(text)):
        with pytest.raises(ValueError, match="cursor"):
            Cursor.parse(text[:length])


@given(cursors, st.text(string.ascii_letters + string.digits + "-_=", min_size=1))
def test_a_text_with_more_behind_it_is_refused_or_harmless(cursor: Cursor, more: str) -> None:
    text = str(cursor)
    try:
        read = Cursor.parse(text + more)
    except ValueError:
        return
    assert read == Cursor.parse(text)
    assert not more.strip("=")


@pytest.mark.parametrize("text", ["evc2.", "evc0.", "EVC1.", "evc1", "evc11."])
def test_a_text_of_another_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor of this library"):
        Cursor.parse(text + str(CURSOR).removeprefix("evc1."))


@pytest.mark.parametrize(
    "unpacked",
    [
        b"",
        b"{}",
        b"[]",
        b"[{},{},0,1,null,null]",
        b"[{},{},0,1,null,null,[],0]",
        b"[{},{},-1,1,null,null,[]]",
        b"[{},{},0,0,null,null,[]]",
        b"[{},{},0,1,0,null,[]]",
        b"[{},{},0.5,1,1,null,[]]",
        b'[{},{},0,1,1,null,["5"]]',
        b'[{"a":1},{},0,1,1,null,[]]',
        b'[{"\xff":"a"},{},0,1,1,null,[]]',
        b"[{},{},0,1,1,null,[" + b"9" * 5000 + b"]]",
        b"[" * 1_000_000,
    ],
    ids=lambda unpacked: ascii(unpacked[:32]),
)
def test_a_well_packed_text_of_something_else_is_refused(unpacked: bytes) -> None:
    with pytest.raises(ValueError, match="the cursor is garbled"):
        Cursor.parse(text_of(unpacked))


def test_a_crafted_text_does_not_fill_the_memory() -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    text = "evc1." + base64.urlsafe_b64encode(bomb).decode()

    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="the cursor is garbled"):
            Cursor.parse(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 160 * 2**20


def test_a_cursor_does_not_show_the_thousands_of_ids_it_may_hold() -> None:
    assert "delivered" not in repr(CURSOR)


def test_equal_cursors_have_equal_hashes_though_they_hold_dictionaries() -> None:
    assert len({CURSOR, attrs.evolve(CURSOR), Cursor.parse(str(Cursor(query={}, limit=1)))}) == 2


@pytest.mark.parametrize(
    "nowhere",
    [
        {"limit": 0},
        {"limit": 10**16},
        {"limit": 10, "offset": -1},
        {"limit": 10, "offset": 2**70},
        {"limit": 10, "size": 0},
    ],
)
def test_a_cursor_at_which_no_walk_can_stand_is_refused(nowhere: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no walk can stand there"):
        Cursor(query={}, **nowhere)
