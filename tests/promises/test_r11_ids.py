"""R11: an id arrives as exactly one path segment or query value, or nothing is sent."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from enum import Enum, IntEnum
from itertools import islice
from typing import Any
from unittest.mock import ANY
from urllib.parse import unquote, unquote_plus

import attrs
import pytest

from depotclient import DepotClient
from tests.promises.candidates import CHARGEBOX, OURS, Access, Candidate, Limits, result_of
from tests.promises.loops import AIOHTTP_LOOP
from tests.promises.test_r04_redirects import ANY_BODY
from tests.support.figures import Figures, Record, nonzero, tally
from tests.support.responses import serve
from tests.support.wire import Received, Wire

ARRIVED, REFUSED = "arrived as one segment", "refused before anything was sent"
CHANGED, UNDOCUMENTED = "arrived as something else", "ended in an undocumented error"


class NamedId(str, Enum):  # noqa: UP042 - str() of a StrEnum would be its value
    """Strings for which str() does not return their value."""

    CHARGEBOX = "TB-0007"
    SLASHES = "a/b"


Draw = Callable[[random.Random], object]


def text_of(characters: str, max_length: int = 12) -> Draw:
    return lambda draw: "".join(draw.choices(characters, k=draw.randint(1, max_length)))


def any_of(*values: object) -> Draw:
    return lambda draw: draw.choice(values)


LETTERS = "ABCabc019-_~"
SPACES = " \u00a0\u2003\u3000\u200b\ufeff"

KINDS: dict[str, Draw] = {
    "ASCII": text_of(LETTERS),
    "printable": text_of("".join(map(chr, range(32, 127))), 30),
    "special in a URL": text_of("/?#%.\\;:@&=+$,!*'()[]{}|^`\"<>~ "),
    "dots": text_of("."),
    "dots and slashes": text_of("./\\", 9),
    "dots and spaces": text_of(". "),
    "another path": any_of(
        *("../chargebox/TB-0001", "..", "%2e%2e", "%2E%2E%2Fadmin", "..;/", "..%2f..%2f", ".%00."),
        *("/", "//", "//evil.example/x", "http://evil.example/", r"\\evil.example", "?x=1", "#x"),
        *("TB-0001/", "TB-0001?limit=1", "TB-0001#x", "TB-0001&chargerId=x", "TB-0001;v=1", "%"),
    ),
    "percent-encoded": lambda draw: "".join(f"%{draw.randrange(256):02X}" for _ in range(6)),
    "cut percent-encoding": text_of("%2fF0"),
    "spaces": text_of(SPACES, 4),
    "letters and spaces": text_of(LETTERS + SPACES),
    "emoji": text_of("😀🔌⚡👩‍🚒🏳️‍🌈🇩🇪"),
    "combining": text_of("e\u0301o\u0308\u0327a\u20dd\u200d\ufe0faeo"),
    "right to left": text_of("\u202e\u2066\u2069\u05d0\u05d1\u05d2\u0645\u0631\u062d"),
    "any of Unicode": lambda draw: "".join(
        chr(draw.choice((draw.randrange(0xA0, 0xD800), draw.randrange(0xE000, 0x110000))))
        for _ in range(8)
    ),
    "control characters": text_of("\r\n\0\t\x0b\x1b\x7f" + LETTERS),
    "late control characters": text_of("\x80\x85\x9f\u2028\u2029" + LETTERS),
    "another header": any_of(
        *("x\r\nX-Injected: 1", "x HTTP/1.1\r\nX-Injected: 1\r\n\r\n", "x\nX-Injected: 1"),
        *("x\r\n\r\nGET /chargebox/x HTTP/1.1\r\nHost: x\r\n\r\n", "\r", "\n", "\0", "x\0", "\nx"),
    ),
    "lone surrogates": text_of("\ud800\udbff\udc00\udfff" + LETTERS),
    "surrogates in a pair": any_of("\ud83d\ude00", "x\ud83d\ude00"),
    "very long": lambda draw: draw.choice(LETTERS + "/%é😀") * draw.randint(2_000, 20_000),
    "no strings": any_of(None, True, 1.5, b"TB-0001", bytearray(b"x"), ["TB-0001"], (), {}, ...),
    "strings of another class": any_of(*NamedId),
    "empty": any_of(""),
}


def mixed_ids(*, full: bool) -> Iterator[Any]:
    """Yield ids of each kind, and strings that combine several kinds."""
    draw = random.Random(11)

    def endless() -> Iterator[object]:
        while True:
            for kind in KINDS.values():
                yield kind(draw)
                parts = [draw.choice(list(KINDS.values()))(draw) for _ in range(draw.randint(2, 4))]
                yield "".join(part[:40] for part in parts if isinstance(part, str))

    return islice(endless(), 10_000 if full else 1_000)


def value_of(identifier: object) -> object:
    return identifier.value if isinstance(identifier, Enum) else identifier


def is_invalid(identifier: object, *, in_path: bool) -> bool:
    """Return True for a non-string, a blank, text that no URL can hold, and dots in a path."""
    return (
        not isinstance(identifier, str)
        or not identifier.strip()
        or re.search("[\x00-\x1f\x7f\ud800-\udfff]", identifier) is not None
        or (in_path and not identifier.strip("."))
    )


def decode(encoded: str, unquote: Callable[..., str] = unquote) -> str | None:
    """Return the text that every server reads, or None if servers may disagree."""
    if re.search(r"[^!-~]|[/?#]", encoded):
        return None
    try:
        return unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        return None


def without_target(request: Received) -> Received:
    return attrs.evolve(request, target="")


def holds_id(request: Received, plain: Received, chargebox_id: object) -> bool:
    """Return True if the id replaces `CHARGEBOX` in the plain request as one segment."""
    before, _, after = plain.target.partition(CHARGEBOX)
    if not (request.target.startswith(before) and request.target.endswith(after)):
        return False
    read = decode(request.target[len(before) : len(request.target) - len(after)])
    is_id = read == value_of(chargebox_id) and read not in {"", ".", ".."}
    return is_id and without_target(request) == without_target(plain)


def parameters_of(request: Received) -> list[tuple[str, str | None]]:
    """Return the decoded query of a request."""
    pairs = (pair.partition("=") for pair in request.target.partition("?")[2].split("&"))
    return [(name, decode(value, unquote_plus)) for name, _, value in pairs]


async def send(server: Wire, call: Awaitable[object]) -> tuple[list[Received] | None, object]:
    """Make a call. Return the requests that arrive, or None if no byte arrives, and the result."""
    before = server.connections, len(server.bytes)
    server.received.clear()
    result = await result_of(call)
    if (server.connections, len(server.bytes)) == before:
        return None, result
    return server.received.copy(), result


@asynccontextmanager
async def trial(candidate: Candidate) -> AsyncGenerator[Callable[[Any], Awaitable[str]], None]:
    """Provide a function that requests the analytics of any id and returns the result."""
    async with Wire(default=serve(lambda _: ANY_BODY)) as server:
        access = Access(base_url=f"{server.url}/v1")
        async with candidate.thor(access, Limits(attempts=1, total=5.0, read=1.0)) as thor:
            await thor.get_analytics(CHARGEBOX)
            plain = server.received[0]

            async def result_for(chargebox_id: Any) -> str:
                requests, result = await send(server, thor.get_analytics(chargebox_id))
                if requests is None:
                    return REFUSED if isinstance(result, candidate.errors) else UNDOCUMENTED
                arrived = [holds_id(request, plain, chargebox_id) for request in requests]
                return ARRIVED if arrived == [True] else CHANGED

            yield result_for


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Request the analytics of many ids."""
    figures = tally("ids", ARRIVED, REFUSED, CHANGED, UNDOCUMENTED, "valid ids refused")
    async with trial(candidate) as result_for:
        for some_id in mixed_ids(full=full):
            result = await result_for(some_id)
            figures["ids"] += 1
            figures[result] += 1
            is_valid = not is_invalid(some_id, in_path=True)
            figures["valid ids refused"] += result == REFUSED and is_valid
    return figures


async def test_an_id_arrives_as_one_segment_or_not_at_all(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R11", measured)
    assert nonzero(measured) == {"ids", ARRIVED, REFUSED}
    assert measured[ARRIVED] > measured["ids"] / 2


async def test_a_client_that_inserts_ids_unquoted_fails_the_trial() -> None:
    async with trial(AIOHTTP_LOOP) as result_for:
        ids = ("TB-0001", "a b", "a/b", "a?b", "a#b", "..", 5)
        results = [await result_for(some_id) for some_id in ids]
    assert results == [ARRIVED, ARRIVED, *[CHANGED] * 5]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_ids_of_a_query_arrive_as_one_value_each_or_not_at_all(
    full: bool, kind: str
) -> None:
    draw = random.Random(kind)
    async with (
        Wire(default=serve(lambda _: ANY_BODY)) as server,
        DepotClient(token="t0k3n", base_url=f"{server.url}/v1") as depot,
    ):

        async def request(*ids: Any) -> None:
            await depot.session_reports(*ids, limit=10).collect(max_items=1)

        await request("CP-001", 1)
        plain = server.received[0]
        for _ in range(400 if full else 20):
            ids = KINDS[kind](draw), KINDS[kind](draw)
            requests, result = await send(server, request(*ids))
            if requests is None:
                assert isinstance(result, ValueError)
                assert any(is_invalid(some_id, in_path=False) for some_id in ids)
                continue
            (sent,) = requests
            assert without_target(sent) == without_target(plain)
            assert sent.target.partition("?")[0] == plain.target.partition("?")[0]
            values = {"chargerId": value_of(ids[0]), "connectorId": value_of(ids[1]), "to": ANY}
            expected = [(name, values.get(name, value)) for name, value in parameters_of(plain)]
            assert parameters_of(sent) == expected


class IntId(int, Enum):
    LEFT = 1


class IntEnumId(IntEnum):
    LEFT = 1


async def test_a_connector_id_may_be_an_int() -> None:
    async with (
        Wire(default=serve(lambda _: ANY_BODY)) as server,
        DepotClient(token="t0k3n", base_url=f"{server.url}/v1") as depot,
    ):
        for connector_id in (1, IntId.LEFT, IntEnumId.LEFT):
            await depot.session_reports("CP-001", connector_id).collect(max_items=1)
    sent = [parameters_of(request)[1] for request in server.received]
    assert sent == [("connectorId", "1")] * 3
