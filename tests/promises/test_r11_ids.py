"""R11: whatever an id holds, it arrives as itself in one place, or nothing is sent."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import Enum, IntEnum
from itertools import islice
from typing import Any
from urllib.parse import unquote, unquote_plus

import aiohttp
import attrs
import pytest

from depotclient import DepotClient
from tests.promises.contestants import CHARGEBOX, OURS, Access, Contestant, Depot, Patience, Thor
from tests.promises.test_r04_redirects import FOR_EVERYBODY, Listener
from tests.support.figures import Figures, Record
from thorclient import ThorClient

ARRIVED, REFUSED = "arrived as one segment", "refused before anything was sent"
SOMETHING_ELSE, UNDOCUMENTED = "arrived as something else", "ended in an undocumented error"


class Named(str, Enum):  # noqa: UP042 - its str() is its name, where a StrEnum's is its value
    """A string that some code takes for another one."""

    CHARGEBOX = "TB-0007"
    SLASHES = "a/b"


Draw = Callable[[random.Random], object]


def out_of(letters: str, most: int = 12) -> Draw:
    """Strings of these characters."""
    return lambda draw: "".join(draw.choices(letters, k=draw.randint(1, most)))


def one_of(*values: object) -> Draw:
    """One of them as it is."""
    return lambda draw: draw.choice(values)


PATIENCE = Patience(attempts=1, total=5.0, read=1.0)

LETTERS = "ABCabc019-_~"
EMOJI = "😀🔌⚡👩‍🚒🏳️‍🌈🇩🇪"
COMBINING = "e\u0301o\u0308\u0327a\u20dd\u200d\ufe0f"
SPACES = " \u00a0\u2003\u3000\u200b\ufeff"

KINDS: dict[str, Draw] = {
    "ASCII": out_of(LETTERS),
    "printable": out_of("".join(map(chr, range(32, 127))), 30),
    "of meaning in a URL": out_of("/?#%.\\;:@&=+$,!*'()[]{}|^`\"<>~ "),
    "dots": out_of("."),
    "dots and slashes": out_of("./\\", 9),
    "dots and spaces": out_of(". "),
    "another path": one_of(
        *("../chargebox/TB-0001", "..", "%2e%2e", "%2E%2E%2Fadmin", "..;/", "..%2f..%2f", ".%00."),
        *("/", "//", "//evil.example/x", "http://evil.example/", r"\\evil.example", "?x=1", "#x"),
        *("TB-0001/", "TB-0001?limit=1", "TB-0001#x", "TB-0001&chargerId=x", "TB-0001;v=1", "%"),
    ),
    "percent-encoded": lambda draw: "".join(f"%{draw.randrange(256):02X}" for _ in range(6)),
    "cut percent-encoding": out_of("%2fF0"),
    "spaces": out_of(SPACES, 4),
    "letters and spaces": out_of(LETTERS + SPACES),
    "emoji": out_of(EMOJI),
    "combining": out_of(COMBINING + "aeo"),
    "right to left": out_of("\u202e\u2066\u2069\u05d0\u05d1\u05d2\u0645\u0631\u062d"),
    "any of Unicode": lambda draw: "".join(
        chr(draw.choice((draw.randrange(0xA0, 0xD800), draw.randrange(0xE000, 0x110000))))
        for _ in range(8)
    ),
    "control characters": out_of("\r\n\0\t\x0b\x1b\x7f" + LETTERS),
    "late control characters": out_of("\x80\x85\x9f\u2028\u2029" + LETTERS),
    "another header": one_of(
        *("x\r\nX-Injected: 1", "x HTTP/1.1\r\nX-Injected: 1\r\n\r\n", "x\nX-Injected: 1"),
        *("x\r\n\r\nGET /chargebox/x HTTP/1.1\r\nHost: x\r\n\r\n", "\r", "\n", "\0", "x\0", "\nx"),
    ),
    "lone surrogates": out_of("\ud800\udbff\udc00\udfff" + LETTERS),
    "surrogates in a pair": one_of("\ud83d\ude00", "x\ud83d\ude00"),
    "very long": lambda draw: draw.choice(LETTERS + "/%é😀") * draw.randint(2_000, 20_000),
    "no strings": one_of(None, True, 1.5, b"TB-0001", bytearray(b"x"), ["TB-0001"], (), {}, ...),
    "strings of another class": one_of(*Named),
    "empty": one_of(""),
}


def all_kinds(seed: int) -> Iterator[Any]:
    """Endless ids: each kind in its turn, and strings put together from several."""
    draw = random.Random(seed)
    while True:
        for kind in KINDS.values():
            yield kind(draw)
            several = [draw.choice(list(KINDS.values()))(draw) for _ in range(draw.randint(2, 4))]
            yield "".join(part[:40] for part in several if isinstance(part, str))


def value_of(identifier: object) -> object:
    """What is meant by an id: of an enum's member its value."""
    return identifier.value if isinstance(identifier, Enum) else identifier


def is_no_id(identifier: object, *, in_path: bool) -> bool:
    """No string, blank, beyond what a URL can hold, or only dots, which a path swallows."""
    return (
        not isinstance(identifier, str)
        or not identifier.strip()
        or re.search("[\x00-\x1f\x7f\ud800-\udfff]", identifier) is not None
        or (in_path and not identifier.strip("."))
    )


def decoded(encoded: str, decode: Callable[..., str] = unquote) -> str | None:
    """What a server reads there, None where it is not one thing to all servers."""
    if re.search(r"[^!-~]|[/?#]", encoded):
        return None
    try:
        return decode(encoded, errors="strict")
    except UnicodeDecodeError:
        return None


@attrs.frozen
class Asked:
    """A request as it arrived: its target, and every byte that is not the target."""

    target: str
    rest: tuple[bytes, bytes]

    @classmethod
    def of(cls, request: bytes) -> Asked:
        method, _, rest = request.partition(b" ")
        target, _, rest = rest.partition(b" HTTP/1.1\r\n")
        return cls(target.decode("latin-1"), (method, rest))

    def is_of_one_segment(self, plain: Asked, chargebox_id: object) -> bool:
        """Whether it is the plain request but for the id, which stands there as one segment."""
        before, _, after = plain.target.partition(CHARGEBOX)
        if not (self.target.startswith(before) and self.target.endswith(after)):
            return False
        read = decoded(self.target[len(before) : len(self.target) - len(after)])
        swallowed = {"", ".", ".."}
        return self.rest == plain.rest and read == value_of(chargebox_id) and read not in swallowed

    def parameters(self) -> list[tuple[str, str | None]]:
        """The query, decoded as forms are."""
        query = self.target.partition("?")[2]
        pairs = (pair.partition("=") for pair in query.split("&"))
        return [(name, decoded(value, unquote_plus)) for name, _, value in pairs]


@attrs.frozen
class Trial:
    """Gives ids to a client and looks at what the server gets."""

    thor: Thor
    errors: tuple[type[Exception], ...]
    listener: Listener
    plain: Asked

    @classmethod
    @asynccontextmanager
    async def of(cls, contestant: Contestant) -> AsyncGenerator[Trial, None]:
        async with Listener(FOR_EVERYBODY) as listener:
            access = Access(base_url=f"http://{listener.address}/v1")
            async with contestant.thor(access, PATIENCE) as thor:
                await thor.analytics(CHARGEBOX)
                plain = Asked.of(listener.requests[0])
                yield cls(thor, contestant.errors, listener, plain)

    async def fate_of(self, chargebox_id: Any) -> str:
        """What has come of a call with this id."""
        error: Exception | None = None
        requests, before = len(self.listener.requests), self._seen()
        try:
            await self.thor.analytics(chargebox_id)
        except Exception as raised:
            error = raised
        if self._seen() == before:
            return REFUSED if isinstance(error, self.errors) else UNDOCUMENTED
        arrived = list(map(Asked.of, self.listener.requests[requests:]))
        whole = len(arrived) == 1 and arrived[0].is_of_one_segment(self.plain, chargebox_id)
        return ARRIVED if whole else SOMETHING_ELSE

    def _seen(self) -> tuple[int, int]:
        return self.listener.connections, len(self.listener.heard)


def some_ids(full: bool) -> Iterator[Any]:
    return islice(all_kinds(seed=11), 10_000 if full else 1_000)


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Ask for the analytics of every id."""
    async with Trial.of(contestant) as trial:
        fates = Counter([await trial.fate_of(chargebox_id) for chargebox_id in some_ids(full)])
    return {
        "ids": fates.total(),
        **{fate: fates[fate] for fate in (ARRIVED, REFUSED, SOMETHING_ELSE, UNDOCUMENTED)},
    }


async def test_an_id_arrives_as_one_segment_or_not_at_all(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R11", measured)
    assert measured["ids"] == (10_000 if full else 1_000)
    assert (measured[SOMETHING_ELSE], measured[UNDOCUMENTED]) == (0, 0)
    assert measured[ARRIVED] + measured[REFUSED] == measured["ids"]
    assert measured[ARRIVED] > measured["ids"] / 2


@pytest.mark.parametrize("kind", KINDS)
async def test_only_what_can_be_no_id_is_refused(kind: str) -> None:
    draw = random.Random(kind)
    async with Trial.of(OURS) as trial:
        for _ in range(20):
            chargebox_id = KINDS[kind](draw)
            refused = await trial.fate_of(chargebox_id) == REFUSED
            assert refused == is_no_id(chargebox_id, in_path=True)


@pytest.mark.parametrize("kind", KINDS)
async def test_both_ids_of_a_query_arrive_as_one_value_each_or_not_at_all(
    full: bool, kind: str
) -> None:
    draw = random.Random(kind)
    async with (
        Listener(FOR_EVERYBODY) as listener,
        DepotClient(token="t0k3n", base_url=f"http://{listener.address}/v1") as depot,
    ):
        await depot.session_reports("CP-001", 1, limit=10).collect(max_items=1)
        plain = Asked.of(listener.requests[0])
        for _ in range(400 if full else 20):
            ids: tuple[Any, Any] = KINDS[kind](draw), KINDS[kind](draw)
            nothing_sent = listener.connections, len(listener.heard)
            listener.requests.clear()
            try:
                await depot.session_reports(*ids, limit=10).collect(max_items=1)
            except ValueError:
                assert any(is_no_id(it, in_path=False) for it in ids)
                assert (listener.connections, len(listener.heard)) == nothing_sent
                continue
            (asked,) = map(Asked.of, listener.requests)
            assert asked.rest == plain.rest
            assert asked.target.partition("?")[0] == plain.target.partition("?")[0]
            *_, (last, to) = asked.parameters()
            assert (last, bool(to)) == ("to", True)
            assert asked.parameters()[:-1] == [
                ("chargerId", value_of(ids[0])),
                ("connectorId", value_of(ids[1])),
                ("page", "1"),
                ("limit", "10"),
            ]


async def test_a_connector_may_be_a_number() -> None:
    class Plain(int, Enum):
        LEFT = 1

    class Number(IntEnum):
        LEFT = 1

    async with (
        Listener(FOR_EVERYBODY) as listener,
        DepotClient(token="t0k3n", base_url=f"http://{listener.address}/v1") as depot,
    ):
        for connector_id in (1, Number.LEFT, Plain.LEFT):
            await depot.session_reports("CP-001", connector_id).collect(max_items=1)
    sent = [Asked.of(request).parameters()[1] for request in listener.requests]
    assert sent == [("connectorId", "1")] * 3


@pytest.mark.usefixtures("offline")
async def test_what_is_refused_is_refused_before_anything_is_opened(full: bool) -> None:
    thor, depot = ThorClient(api_key="k3y"), DepotClient(token="t0k3n")
    refused = [it for it in some_ids(full) if is_no_id(it, in_path=True)]
    assert len(refused) > 100
    for chargebox_id in refused:
        for ask in (thor.get_analytics, thor.get_chargebox):
            with pytest.raises(ValueError, match=r"^chargebox_id must "):
                await ask(chargebox_id)
        if is_no_id(chargebox_id, in_path=False):
            for ids in ((chargebox_id, "1"), ("CP-001", chargebox_id)):
                with pytest.raises(ValueError, match=r"^(charger|connector)_id must "):
                    depot.session_reports(*ids)


BREAKING = ("\r", "\n", "\0", "\r\n", "\r\nX-Injected: 1", "\n\n", "\x0b", "\x1b", "\x7f", "\t")
NO_HEADER = (*BREAKING, "é", "€", "😀", "\u2028", "\udcff", "\x80", "\x85")
CREDENTIALS: dict[str, Callable[[str], object]] = {
    "api_key": lambda value: ThorClient(api_key=value),
    "token": lambda value: DepotClient(token=value),
    "client_secret": lambda value: DepotClient(client_id="client", client_secret=value),
}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("odd", NO_HEADER, ids=ascii)
@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_credential_that_no_header_can_hold_is_refused_unquoted(name: str, odd: str) -> None:
    for value in (f"{odd}s3cret", f"s3c{odd}ret", f"s3cret{odd}", odd):
        with pytest.raises(ValueError, match=rf"^{name} must ") as caught:
            CREDENTIALS[name](value)
        assert value not in str(caught.value)
        assert "s3c" not in str(caught.value)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("odd", BREAKING, ids=ascii)
def test_a_client_id_that_no_header_can_hold_is_refused(odd: str) -> None:
    for value in (f"{odd}client", f"cli{odd}ent", f"client{odd}", odd):
        with pytest.raises(ValueError, match=r"^client_id must "):
            DepotClient(client_id=value, client_secret="s3cret")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("odd", BREAKING, ids=ascii)
def test_an_address_with_a_line_end_is_refused(odd: str) -> None:
    for address in (f"https://a.example/{odd}", f"https://a.{odd}example/", f"{odd}https://a/"):
        with pytest.raises(ValueError, match=r"^base_url must "):
            ThorClient(api_key="k3y", base_url=address)
        with pytest.raises(ValueError, match=r"^base_url must "):
            DepotClient(token="t0k3n", base_url=address)
        with pytest.raises(ValueError, match=r"^token_url must "):
            DepotClient(client_id="client", client_secret="s3cret", token_url=address)


async def test_an_id_that_gets_elsewhere_would_be_seen() -> None:
    async with Trial.of(Careless()) as trial:
        seen = [await trial.fate_of(it) for it in ("TB-0001", "a b", "a/b", "a?b", "a#b", "..", 5)]
    assert seen == [ARRIVED, ARRIVED, *[SOMETHING_ELSE] * 5]


class Careless:
    """Puts ids into paths as they are."""

    name = "aiohttp and an f-string"
    errors = (aiohttp.ClientError,)

    @asynccontextmanager
    async def thor(
        self, access: Access, patience: Patience = PATIENCE
    ) -> AsyncGenerator[Thor, None]:
        async with aiohttp.ClientSession() as session:
            yield CarelessThor(session, access.base_url)

    def depot(
        self, access: Access, patience: Patience = PATIENCE
    ) -> AbstractAsyncContextManager[Depot]:
        raise NotImplementedError


@attrs.frozen
class CarelessThor:
    session: aiohttp.ClientSession
    base_url: str

    async def analytics(self, chargebox_id: str) -> object:
        async with self.session.get(f"{self.base_url}/analytics/{chargebox_id}") as response:
            return await response.json()
