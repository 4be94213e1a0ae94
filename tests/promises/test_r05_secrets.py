"""R5: whatever goes wrong and however one looks at it, no secret is to be seen."""

from __future__ import annotations

import asyncio
import base64
import copy
import enum
import gc
import html
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from urllib.parse import quote

import aiohttp
import attrs
import cattrs
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.pretty import pretty_repr
from stamina.instrumentation import set_on_retry_hooks
from yarl import URL

import depotclient.cli.app
import thorclient.cli
from depotclient import ApiError, Cursor, DepotClient, NotFoundError
from depotclient.pages import RawPage
from evtransport.auth import ApiKey, BearerToken, ClientCredentials
from tests.promises.contestants import CHARGEBOX, OURS, Access, Contestant, Depot, Patience, Thor
from tests.promises.test_r04_redirects import (
    API_KEY,
    CLIENT_SECRET,
    CREDENTIALS,
    FETCHED_TOKEN,
    ROADS,
    SECRETS,
    TOKEN,
    call,
    spellings,
)
from tests.support.commands import Command
from tests.support.faults import BYTE_BY_BYTE, ONE_ANSWER, Honest, chunk, head, serving, whole
from tests.support.figures import Figures, Record
from tests.support.pages import ANALYTICS, pages_of
from tests.support.shown import TESTS
from tests.support.wire import Received, Script, Wire, raw, stall
from thorclient import RetryPolicy, Secret, ThorClient

QUICK = Patience(attempts=2, total=5.0, read=0.1)
QUICKER = Patience(attempts=2, total=0.2, read=0.1)

NAYAX_TOKEN = "n4yax/of+a=terminal-0d8f3c6a51b2e97f4c"
EVERY_SECRET = (*SECRETS, NAYAX_TOKEN)

TOKEN_ANSWER = json.dumps({"access_token": FETCHED_TOKEN, "expires_in": 3600}).encode()
CHARGEBOX_ANSWER = json.dumps(
    {"id": CHARGEBOX, "connectors": [{"type": "ccs", "token": NAYAX_TOKEN}]}
).encode()


# The search.

PARTS = {
    part
    for secret in EVERY_SECRET
    # A piece of a secret that something has cut is worth as much as the rest of it is short.
    for part in (*spellings(secret), secret[:16], secret[-16:])
}
LETTERS = str.maketrans("", "", " \r\n\t│")


def hits(told: str) -> set[str]:
    """What of the secrets stands in a text, also where that was folded to lines."""
    in_one = told.translate(LETTERS)
    return {part for part in PARTS if part in told or part in in_one}


# The ways of showing an error.

OPAQUE = (
    *(type, ModuleType, FunctionType, MethodType, CodeType, enum.Enum),
    *(asyncio.AbstractEventLoop, asyncio.Future, logging.Logger),
    RawPage,  # It holds the answer, in which a server may repeat a secret.
)


def state_of(value: object) -> str:
    """All that is reached from an object by attributes, slots and containers, a `Secret` apart."""
    told: list[str] = []
    seen: dict[int, object] = {}
    rest = [value]
    while rest:
        it = rest.pop()
        if id(it) in seen or isinstance(it, OPAQUE):
            continue
        seen[id(it)] = it
        if isinstance(it, str):
            told.append(it)
        elif isinstance(it, bytes | bytearray | memoryview):
            told.append(bytes(it).decode("latin-1"))
        elif isinstance(it, Secret):
            told.append(f"{it!r} {it}")
        elif isinstance(it, Mapping):
            rest += [*it.keys(), *it.values()]
        elif isinstance(it, list | tuple | AbstractSet):
            rest += it
        elif isinstance(it, partial):
            rest += [it.func, *it.args, *it.keywords.values()]
        else:
            rest += members_of(it)
    return "\n".join(told)


def members_of(value: object) -> list[object]:
    members = list(getattr(value, "__dict__", {}).values())
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else slots
        members += [getattr(value, name, None) for name in names]
    return members


def chain_of(error: BaseException) -> list[BaseException]:
    """The error, and all that hang on it."""
    links = [error]
    for link in links:
        others = (link.__cause__, link.__context__, *getattr(link, "exceptions", ()))
        links += [other for other in others if other is not None and other not in links]
    return links


def locals_of(error: BaseException) -> Iterator[object]:
    """The locals of all frames, the tests' own apart."""
    for link in chain_of(error):
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if not frame.f_code.co_filename.startswith(TESTS):
                yield from frame.f_locals.values()


def pickled(value: object) -> str:
    """The pickle, or what is said where there can be none."""
    try:
        return pickle.dumps(value).decode("latin-1")
    except Exception as error:
        return shown_in_short(error)


def shown_in_short(error: BaseException) -> str:
    return "\n".join(f"{link!r} {link} {link.args}" for link in chain_of(error))


def copied(value: object) -> str:
    """How a copy shows, or what is said where there can be none."""
    try:
        return repr(copy.copy(value))
    except Exception as error:
        return shown_in_short(error)


def each_local(show: Callable[[object], str]) -> Callable[[BaseException], str]:
    def shown(value: object) -> str:
        try:
            return show(value)
        except Exception as error:  # a frame that failed may hold objects that are half built
            return shown_in_short(error)

    return lambda error: "\n".join(map(shown, locals_of(error)))


WAYS: dict[str, Callable[[BaseException], str]] = {
    "repr": repr,
    "str": str,
    "args": lambda error: repr(error.args),
    "__dict__, recursively": lambda error: state_of(vars(error)),
    "causes and contexts": lambda error: "\n".join(
        f"{shown_in_short(link)} {state_of(vars(link))}" for link in chain_of(error)[1:]
    ),
    "traceback": lambda error: "".join(traceback.format_exception(error)),
    "traceback with locals": each_local(repr),
    "the locals, recursively": each_local(state_of),
    "pickle": pickled,
    "copy": copied,
}


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Everything that anybody logs at any level, with all that the records hold."""
    told: list[str] = []
    formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(f"{formatter.format(record)}\n{state_of(vars(record))}\n{vars(record)!r}")

    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in root.manager.loggerDict)]
    levels = [logger.level for logger in loggers]
    ear = Ear()
    others, root.handlers = root.handlers, [ear]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield told
    finally:
        root.handlers = others
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@attrs.define
class Search:
    """Counts the probes and keeps what was found: the situation, the way, and the words."""

    probes: int = 0
    found: list[tuple[str, str, set[str]]] = attrs.field(factory=list)

    def probe(self, situation: str, way: str, told: str) -> None:
        self.probes += 1
        if here := hits(told):
            self.found.append((situation, way, here))

    def probe_error(self, situation: str, error: BaseException) -> None:
        for way, show in WAYS.items():
            self.probe(situation, way, show(error))

    @property
    def summary(self) -> dict[str, list[str]]:
        """In which situations something was found, and by which ways of looking."""
        return {it: [way for name, way, _ in self.found if name == it] for it, _, _ in self.found}

    @property
    def figures(self) -> Figures:
        return {"probes": self.probes, "secrets each": len(EVERY_SECRET), "hits": len(self.found)}


# The situations.


def credentials_in(request: Received) -> list[str]:
    """What a server has learned of the credentials, the one of the header itself first."""
    told = []
    for name, value in request.headers.items():
        if name.lower() in {"authorization", "x-api-key"}:
            scheme, _, bare = value.rpartition(" ")
            told += [bare, value]
            if scheme == "Basic":
                pair = base64.b64decode(bare).decode()
                told = [pair.partition(":")[2], *told, pair]
    if request.body:
        told.append(request.body.decode())
    return told


def echoing(form: Callable[[str], bytes], which: slice = slice(None)) -> Script:
    """Answer with what was learned of the credentials."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(form(" ".join(credentials_in(request)[which])))
        await writer.drain()
        writer.close()

    return play


def stating(status: int, *names: str) -> Callable[[str], bytes]:
    """A JSON error with the text under these names."""
    return lambda text: whole(json.dumps(dict.fromkeys(names, text)).encode(), status)


def in_header(name: str, status: int) -> Callable[[str], bytes]:
    return lambda text: whole(b"{}", status, **{name: text})


def unasked(value: Callable[[str], object]) -> Callable[[str], bytes]:
    """A 200 with JSON of another shape than is due."""
    return lambda text: whole(json.dumps(value(text)).encode())


def giving_a_token(status: int) -> Callable[[str], bytes]:
    return lambda _: whole(TOKEN_ANSWER, status)


def as_escapes(text: str) -> bytes:
    return "".join(f"\\u{ord(letter):04x}" for letter in text).encode()


ECHOES: dict[str, Callable[[str], bytes]] = {
    "JSON:API": lambda text: whole(
        json.dumps({"errors": [{"code": text, "title": text, "detail": text}]}).encode(), 400
    ),
    "a code": stating(400, "code"),
    "a code of a kind of its own": lambda t: whole(json.dumps({"code": [t]}).encode(), 400),
    "an error of OAuth": lambda text: whole(
        json.dumps({"error": "invalid_client", "error_description": text}).encode(), 401
    ),
    "slashes escaped": lambda text: whole(
        json.dumps({"message": text, "code": text}).replace("/", r"\/").encode(), 400
    ),
    "all escaped": lambda t: whole(b'{"message": "%s"}' % as_escapes(t), 400),
    "percent-encoded": lambda text: whole(json.dumps({"message": quote(text)}).encode(), 400),
    "percent-encoded whole": lambda t: stating(400, "message", "code")(quote(t, safe="")),
    "plain text": lambda text: whole(f"got {text}".encode(), 500, Content_Type="text/plain"),
    "HTML": lambda text: whole(f"<p>{html.escape(text)}</p>".encode(), 403),
    "a header": in_header("X_Echo", 403),
    "Set-Cookie": in_header("Set_Cookie", 403),
    "WWW-Authenticate": in_header("WWW_Authenticate", 401),
    "Retry-After": in_header("Retry_After", 503),
    "Location": lambda t: whole(b"", 302, Location=f"https://u:{quote(t)}@e.example/{t}?t={t}"),
    "Location, host": lambda text: whole(b"", 302, Location=f"https://{text}/"),
    "Location, bare": in_header("Location", 302),
    "the reason": lambda text: f"HTTP/1.1 403 {text}\r\nContent-Length: 0\r\n\r\n".encode(),
    "the status": lambda text: f"HTTP/1.1 {text}\r\nContent-Length: 0\r\n\r\n".encode(),
    "no HTTP": lambda text: f"{text}\r\n\r\n".encode(),
    "a header without a colon": lambda text: f"HTTP/1.1 200 OK\r\n{text}\r\n\r\n".encode(),
    "a header's name": lambda text: f"HTTP/1.1 200 OK\r\n{text}: 1\r\n\r\n".encode(),
    "a header with a control": lambda t: f"HTTP/1.1 200 OK\r\nX-E: {t}\0{t}\r\n\r\n".encode(),
    "Content-Length": lambda text: head(Content_Length=text),
    "Content-Encoding": lambda text: whole(b"{}", Content_Encoding=text),
    "Transfer-Encoding": lambda text: head(Transfer_Encoding=text) + b"{}",
    "Content-Type": lambda text: whole(b"{", Content_Type=f"application/json; charset={text}"),
    "no gzip": lambda text: whole(text.encode(), Content_Encoding="gzip"),
    "the size of a chunk": lambda t: head(Transfer_Encoding="chunked") + f"{t}\r\n".encode(),
    "a chunk's extension": lambda text: (
        head(Transfer_Encoding="chunked") + f"2;{text}\r\n[]\r\n0\r\n{text}: x\r\n\r\n".encode()
    ),
    "a chunk too long": lambda text: (
        head(Transfer_Encoding="chunked") + chunk(text.encode())[:-2] + b"x\r\n"
    ),
    "unknown keys": unasked(lambda text: {text: {text: text}}),
    "no object": unasked(lambda text: text),
    "a list": unasked(lambda text: [text]),
    "wrong items": unasked(lambda text: {"items": text}),
    "wrong reports": unasked(lambda text: {"items": [{"sessionId": text}]}),
    "reports that are none": unasked(lambda text: {"items": [text]}),
    "another charger": unasked(lambda text: {"items": [], "ChargerID": text, "ConnectorID": text}),
    "wrong fields": unasked(
        lambda text: {"items": [{"sessionId": 1, "energySocEnd": text, "sessionTimeStart": text}]}
    ),
    "wrong analytics": unasked(
        lambda text: {**json.loads(ANALYTICS), "active_since": text, "charges": {"last_7": text}}
    ),
    "cut JSON": lambda text: whole(f'{{"message": "{text}'.encode()),
    "bad UTF-8": lambda text: whole(f'{{"message": "{text}'.encode() + b'\xff"}'),
    **{f"a message with {code}": stating(code, "message") for code in (300, 404, 418, 429, 503)},
    "all escaped, to be retried": lambda t: whole(b'{"message": "%s"}' % as_escapes(t), 503),
}

TOKEN_ECHOES: dict[str, Callable[[str], bytes]] = {
    "a token in a token": unasked(lambda text: {"access_token": {text: text}}),
    "a token with a line end": unasked(lambda text: {"access_token": f"{text}\n"}),
    "a token that expires oddly": unasked(lambda t: {"access_token": t, "expires_in": t}),
    "a token of letters": unasked(lambda text: {"access_token": f"é{text}"}),
    **{
        f"a token with {code}": giving_a_token(code) for code in (201, 203, 206, 301, 400, 401, 500)
    },
}


def cut_echoes(step: int) -> Iterator[tuple[str, Callable[[str], bytes]]]:
    """Texts that stand across a place where something on their way is cut."""
    for pad in range(0, 48, step):
        for name, form in CUT.items():
            yield f"{name} cut at {pad}", partial(form, pad)


CUT: dict[str, Callable[[int, str], bytes]] = {
    "message": lambda pad, text: stating(400, "message", "code")("m" * (200 - pad) + text),
    "body": lambda pad, text: whole(b"b" * (65536 - pad) + text.encode(), 400),
    "JSON body": lambda pad, text: stating(400, "x")("b" * (65536 - 7 - pad) + text),
    "long header": lambda pad, text: whole(b"", X=f"{'h' * (100 - pad)}{text}{'h' * 9000}"),
    "end of a long header": lambda pad, text: whole(b"", X=f"{'h' * (8190 - pad)}{text}"),
    "long reason": lambda pad, text: (
        f"HTTP/1.1 200 {'r' * (80 - pad)}{text}{'r' * 9000}\r\n\r\n".encode()
    ),
    "long garbage": lambda pad, text: f"{'g' * (100 - pad)}{text}{'g' * 9000}\r\n\r\n".encode(),
}


def always(script: Script) -> Callable[[Honest], Script]:
    """In the place of whatever the right answer is."""
    return lambda _: script


@attrs.frozen
class Situation:
    """A server that fails, and a road on which its answer is met."""

    name: str
    road: str
    fault: Callable[[Honest], Script]
    patience: Patience = QUICK
    cancelled: bool = False


def situations(full: bool) -> Iterator[Situation]:
    """Every fault on every road."""
    for road in ROADS:
        for fault in ONE_ANSWER:
            yield Situation(str(fault), road, fault.script)
        yield Situation(str(BYTE_BY_BYTE), road, BYTE_BY_BYTE.script, QUICKER)
        echoes = [*ECHOES.items(), *cut_echoes(1 if full else 12)]
        if road == "depot, token call":
            echoes += TOKEN_ECHOES.items()
        for name, form in echoes:
            for which in (slice(None), slice(1), slice(1, None)) if full else (slice(None),):
                script = echoing(form, which)
                yield Situation(f"echoed in {name}", road, always(script))
        in_time = Patience(attempts=2, total=0.05, read=0.2)
        yield Situation("deadline", road, lambda _: stall(), in_time)
        yield Situation("deadline in the head", road, lambda _: stall(head()[:-2]), in_time)
        yield Situation("cancelled", road, lambda _: stall(), Patience(), cancelled=True)
        yield Situation("nothing", road, lambda _: raw(b"", close=True))
        yield Situation("all is well", road, serving)


async def error_of(contestant: Contestant, situation: Situation) -> BaseException | None:
    """What one call comes to."""
    token_call = situation.road == "depot, token call"
    honest: Honest = pages_of(range(1, 25))
    if situation.road == "thor":
        honest = lambda _: ANALYTICS  # noqa: E731
    if token_call:
        api, tokens = serving(honest), situation.fault(lambda _: TOKEN_ANSWER)
    else:
        api, tokens = situation.fault(honest), serving(lambda _: TOKEN_ANSWER)
    async with Wire(default=api) as api_wire, Wire(default=tokens) as token_wire:
        calling = asyncio.create_task(
            call(contestant, situation.road, api_wire, token_wire, situation.patience)
        )
        failing = token_wire if token_call else api_wire
        while situation.cancelled and not (failing.received or calling.done()):
            await asyncio.sleep(0.001)
        if situation.cancelled:
            calling.cancel()
        try:
            await calling
        except (Exception, asyncio.CancelledError) as error:
            return error
    return None


async def search(contestant: Contestant, *, full: bool) -> Search:
    """Play every situation, and look at the error and the logs of each."""
    found = Search()
    with overheard() as logged:
        for situation in situations(full):
            name = f"{situation.road}: {situation.name}"
            error = await error_of(contestant, situation)
            if error is not None:
                found.probe_error(name, error)
            found.probe(name, "logs", "\n".join(logged))
            logged.clear()
        del error
        gc.collect()  # asyncio logs what was never looked at when it is collected
        found.probe("the end", "logs", "\n".join(logged))
    return found


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Search what calls come to for secrets."""
    return (await search(contestant, full=full)).figures


async def test_no_error_and_no_log_shows_a_secret(full: bool, record: Record) -> None:
    found = await search(OURS, full=full)
    record("R5", found.figures)
    assert found.probes >= 500
    assert found.summary == {}


AWKWARD = """sl/ash back\\slash "quote" 'apostrophe' &amp <tag> 100% plus+ tilde~ end"""


@pytest.mark.parametrize("form", ECHOES.values(), ids=ECHOES.keys())
async def test_no_error_shows_a_key_of_awkward_characters(form: Callable[[str], bytes]) -> None:
    async with Wire(default=echoing(form)) as api:
        async with ThorClient(api_key=AWKWARD, base_url=api.url) as thor:
            with pytest.raises(ApiError) as caught:
                await thor.get_analytics(CHARGEBOX)

    shown = {way: show(caught.value) for way, show in WAYS.items()}
    found = {way: [it for it in spellings(AWKWARD) if it in told] for way, told in shown.items()}
    assert {way: parts for way, parts in found.items() if parts} == {}


# What is not an error: the objects that a debugger or a log shows.


def as_dict(value: object) -> str:
    if attrs.has(type(value)):
        return repr(attrs.asdict(value))  # type: ignore[arg-type]
    return repr(getattr(value, "__dict__", None))


def encoded(value: object) -> str:
    """By encoders that take any object, or what they say of one that they don't take."""
    told = []
    encoders: tuple[Callable[[], str], ...] = (
        lambda: json.dumps(value, default=str),
        lambda: msgspec.json.encode(value, enc_hook=str).decode(),
        lambda: msgspec.json.encode(value).decode(),
        lambda: repr(msgspec.to_builtins(value)),
        lambda: repr(cattrs.unstructure(value)),
    )
    for encode in encoders:
        try:
            told.append(encode())
        except Exception as error:
            told.append(shown_in_short(error))
    return "\n".join(told)


LOOKS: dict[str, Callable[[object], str]] = {
    "repr": repr,
    "str": str,
    "format": format,
    "pprint": pprint.pformat,
    "rich": pretty_repr,
    "__dict__, recursively": state_of,
    "attrs.asdict": as_dict,
    "encoders": encoded,
    "pickle": pickled,
    "copy": copied,
}


def honest_api(request: Received) -> bytes:
    """Right answers to all that is asked for."""
    if "/analytics/" in request.target:
        return ANALYTICS
    if "/chargeboxes/" in request.target:
        return CHARGEBOX_ANSWER
    return pages_of(range(1, 25))(request)


def parts_of(client: ThorClient | DepotClient) -> dict[str, object]:
    """A client and what it is made of."""
    transport = client._transport
    return {
        "client": client,
        "client with options": client.with_options(retry=RetryPolicy(attempts=1)),
        "transport": transport,
        "credentials": transport.auth,
        "each secret": transport.auth.secrets,
    }


async def in_use(client: ThorClient | DepotClient) -> dict[str, object]:
    """What comes of calls."""
    if isinstance(client, ThorClient):
        box = await client.get_chargebox(CHARGEBOX)
        assert box.connectors[0].token == Secret(NAYAX_TOKEN)
        return {
            "analytics": await client.get_analytics(CHARGEBOX),
            "chargebox": box,
            "connector": box.connectors[0],
            "token of a connector": box.connectors[0].token,
        }
    reports = client.session_reports("CP-001", "1", limit=10)
    page = await anext(reports.pages())
    async with reports.walk() as walk:
        report = await anext(walk)
        return {
            "session reports": reports,
            "walk": walk,
            "iterator": aiter(reports),
            "page": page,
            "reports of a page": page.reports,
            "report": report,
            "cursor": walk.cursor,
            "cursor's text": str(walk.cursor),
            "cursor, unpacked": Cursor.parse(str(walk.cursor)),
        }


async def test_no_object_shows_a_secret() -> None:
    found = Search()
    async with (
        Wire(default=serving(honest_api)) as api,
        Wire(default=serving(lambda _: TOKEN_ANSWER)) as tokens,
    ):
        clients: dict[str, ThorClient | DepotClient] = {
            "thor": ThorClient(api_key=API_KEY, base_url=api.url),
            "depot, token": DepotClient(token=TOKEN, base_url=api.url),
            "depot, pair": DepotClient(
                client_id=CREDENTIALS.client_id,
                client_secret=CLIENT_SECRET,
                base_url=api.url,
                token_url=tokens.url,
            ),
        }
        for name, client in clients.items():
            async with client:
                for stage in (parts_of(client), await in_use(client), parts_of(client)):
                    for part, thing in stage.items():
                        for look, show in LOOKS.items():
                            found.probe(f"{name}, {part}", look, show(thing))
        assert tokens.received
    assert found.probes > 300
    assert found.summary == {}


CONSTRUCTIONS: dict[str, Callable[[], object]] = {
    "a key with a line end": lambda: ThorClient(api_key=f"{API_KEY}\n"),
    "a key beyond ASCII": lambda: ThorClient(api_key=f"{API_KEY}é"),
    "a key of bytes": lambda: ThorClient(api_key=API_KEY.encode()),  # type: ignore[arg-type]
    "a key in a list": lambda: ThorClient(api_key=[API_KEY]),  # type: ignore[arg-type]
    "http to elsewhere": lambda: ThorClient(api_key=API_KEY, base_url="http://a.example"),
    "no URL": lambda: ThorClient(api_key=API_KEY, base_url="nowhere"),
    "no policy": lambda: ThorClient(api_key=API_KEY, retry=3),  # type: ignore[arg-type]
    "no timeout": lambda: ThorClient(api_key=API_KEY, timeout=3),  # type: ignore[arg-type]
    "no limiter": lambda: ThorClient(api_key=API_KEY, limiter=3),  # type: ignore[arg-type]
    "no session": lambda: ThorClient(api_key=API_KEY, session=3),  # type: ignore[arg-type]
    "no size": lambda: ThorClient(api_key=API_KEY, max_response_bytes=0),
    "two kinds": lambda: DepotClient(token=TOKEN, client_id="c", client_secret=CLIENT_SECRET),
    "half a pair": lambda: DepotClient(client_secret=CLIENT_SECRET),
    "a colon": lambda: DepotClient(client_id="c:d", client_secret=CLIENT_SECRET),
    "no region": lambda: DepotClient(token=TOKEN, region="atlantis"),
    "no token URL": lambda: DepotClient(
        client_id="c", client_secret=CLIENT_SECRET, token_url="ftp://a.example"
    ),
    "a secret with a line end": lambda: DepotClient(
        client_id="c", client_secret=f"{CLIENT_SECRET}\r\n"
    ),
    "a token with a line end": lambda: DepotClient(token=f"{TOKEN}\n"),
    "a bare key with a line end": lambda: ApiKey(Secret(f"{API_KEY}\n")),
    "a bare token with a line end": lambda: BearerToken(Secret(f"{TOKEN}\n")),
    "a bare pair with a line end": lambda: ClientCredentials(
        "c", Secret(f"{CLIENT_SECRET}\n"), URL("https://a.example")
    ),
}


async def test_no_error_shows_a_token_that_was_replaced_while_it_was_under_way() -> None:
    tokens: list[str] = []
    asked, replaced = asyncio.Event(), asyncio.Event()

    async def token(_: web.Request) -> web.Response:
        tokens.append(f"{FETCHED_TOKEN}-{len(tokens)}")
        return web.json_response({"access_token": tokens[-1], "expires_in": 3600})

    async def reports(request: web.Request) -> web.Response:
        sent = request.headers["Authorization"].removeprefix("Bearer ")
        if request.query["chargerId"] == "slow":
            asked.set()
            await replaced.wait()
            return web.json_response({"message": sent, "token": sent}, status=404)
        return web.Response(status=401) if sent == tokens[0] else web.json_response({"items": []})

    app = web.Application()
    app.add_routes([web.post("/token", token), web.get("/sessionReports", reports)])
    async with (
        TestServer(app) as server,
        DepotClient(
            client_id="an-id",
            client_secret=CLIENT_SECRET,
            base_url=str(server.make_url("/")),
            token_url=str(server.make_url("/token")),
        ) as client,
    ):
        slow = asyncio.create_task(client.session_reports("slow", "1").collect(max_items=1))
        await asked.wait()
        await client.session_reports("quick", "1").collect(max_items=1)
        replaced.set()
        with pytest.raises(NotFoundError) as caught:
            await slow
    assert len(tokens) == 2
    assert b'"token"' in caught.value.body
    assert not hits(f"{caught.value!r} {caught.value.body!r}")


@pytest.mark.parametrize("construct", CONSTRUCTIONS.values(), ids=CONSTRUCTIONS.keys())
def test_no_failed_construction_shows_a_secret(construct: Callable[[], object]) -> None:
    found = Search()
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is what is looked at
        construct()
    found.probe_error("construction", caught.value)
    assert found.summary == {}


@pytest.mark.parametrize("secret", [API_KEY, quote(API_KEY, safe="")])
@pytest.mark.parametrize("address", ["https://user:{}@a.example", "https://a.example/v1?key={}"])
def test_no_message_quotes_a_secret_out_of_an_address(address: str, secret: str) -> None:
    told = []
    for construct in (
        lambda url: ThorClient(api_key="k3y", base_url=url),
        lambda url: DepotClient(token="t0k3n", base_url=url),
        lambda url: DepotClient(client_id="c", client_secret="s3cret", token_url=url),
    ):
        with pytest.raises(ValueError, match="_url must ") as caught:
            construct(address.format(secret))
        told += ["".join(traceback.format_exception_only(caught.value))]
    assert [hits(text) for text in told] == [set()] * 3


# The command lines.

THOR = Command(thorclient.cli.app, "thorclient")
DEPOT = Command(depotclient.cli.app.app, "depotclient")


@attrs.frozen
class Terminal:
    """Runs commands, and searches what they print."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    found: Search

    async def run(self, situation: str, command: Command, *argv: str, **settings: str) -> int:
        """Run one in a thread of this process; its status."""
        with self.environment(settings):
            try:
                status = await asyncio.to_thread(command.run, *argv)
            finally:
                set_on_retry_hooks(None)
        captured = self.capsys.readouterr()
        self.search(f"{command.name} {argv}: {situation}", captured.out, captured.err)
        return status

    async def run_apart(self, command: Command, *argv: str, **settings: str) -> int:
        """Run one in a process of its own, as it must where it prints JSON; its status."""
        with self.environment(settings):
            status, out, err = await asyncio.to_thread(command.completed, *argv)
        self.search(f"{command.name} {argv}", out.decode(), err.decode())
        return status

    @contextmanager
    def environment(self, settings: Mapping[str, str]) -> Iterator[None]:
        with self.monkeypatch.context() as environment:
            for name, value in settings.items():
                environment.setenv(name, value)
            yield

    def search(self, situation: str, out: str, err: str) -> None:
        assert "Traceback" not in err
        self.found.probe(situation, "stdout", out)
        self.found.probe(situation, "stderr", err)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    for name in ("TOKEN", "CLIENT_ID", "CLIENT_SECRET", "REGION", "BASE_URL", "TOKEN_URL"):
        monkeypatch.delenv(f"DEPOT_{name}", raising=False)
    monkeypatch.setenv("TERM", "dumb")
    return Terminal(monkeypatch, capsys, Search())


async def test_no_command_line_shows_a_secret_of_a_server_that_fails(terminal: Terminal) -> None:
    for name, form in (*ECHOES.items(), *TOKEN_ECHOES.items()):
        async with (
            Wire(default=echoing(form)) as wrong,
            Wire(default=serving(lambda _: TOKEN_ANSWER)) as right,
        ):
            thor = {"THOR_API_KEY": API_KEY, "THOR_BASE_URL": wrong.url}
            pair = {"DEPOT_CLIENT_ID": CREDENTIALS.client_id, "DEPOT_CLIENT_SECRET": CLIENT_SECRET}
            by_token = {"DEPOT_TOKEN": TOKEN, "DEPOT_BASE_URL": wrong.url}
            by_pair = {**pair, "DEPOT_BASE_URL": wrong.url, "DEPOT_TOKEN_URL": right.url}
            no_token = {**pair, "DEPOT_BASE_URL": right.url, "DEPOT_TOKEN_URL": wrong.url}
            runs = [
                await terminal.run(name, THOR, "analytics", CHARGEBOX, **thor),
                await terminal.run(name, DEPOT, "reports", "CP-001", "1", **by_token),
                await terminal.run(name, DEPOT, "reports", "CP-001", "1", **by_pair),
                await terminal.run(name, DEPOT, "reports", "CP-001", "1", **no_token),
            ]
            assert runs.count(0) <= 1
    assert terminal.found.summary == {}


async def test_no_command_line_shows_a_secret_where_all_is_well_or_wrongly_used(
    terminal: Terminal,
) -> None:
    async with Wire(default=serving(honest_api)) as api:
        thor = {"THOR_API_KEY": API_KEY, "THOR_BASE_URL": api.url}
        depot = {"DEPOT_TOKEN": TOKEN, "DEPOT_BASE_URL": api.url}
        assert await terminal.run_apart(THOR, "chargebox", CHARGEBOX, **thor) == 0
        assert await terminal.run_apart(DEPOT, "reports", "CP-001", "1", **depot) == 0
        asked = len(api.received)
        for settings in (
            {"THOR_API_KEY": f"{API_KEY}é"},
            {"THOR_BASE_URL": "http://a.example"},
            {"THOR_BASE_URL": f"https://user:{quote(API_KEY, safe='')}@a.example"},
            {"THOR_BASE_URL": f"https://a.example/?key={quote(API_KEY, safe='')}"},
        ):
            assert await terminal.run("wrong", THOR, "analytics", "x", **{**thor, **settings}) == 2
        for settings in (
            {"DEPOT_CLIENT_SECRET": CLIENT_SECRET},
            {"DEPOT_TOKEN": f"{TOKEN}é"},
            {"DEPOT_REGION": "atlantis", "DEPOT_BASE_URL": ""},
            {"DEPOT_BASE_URL": f"https://a.example/?token={quote(TOKEN, safe='')}"},
        ):
            argv = ("reports", "CP-001", "1")
            assert await terminal.run("wrong", DEPOT, *argv, **{**depot, **settings}) == 2
        assert len(api.received) == asked
    assert terminal.found.summary == {}


# That the search finds something where there is something.


def raised_with(error: Exception, **hidden: object) -> Exception:
    """Raised by a frame that is none of the tests', with these locals."""
    code = compile("def fail(error, hidden):\n    raise error", "/elsewhere/code.py", "exec")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    try:
        names["fail"](error, hidden)
    except Exception as raised:
        return raised
    raise AssertionError


class Bearing(Exception):
    """Hides something in an attribute of an attribute."""

    def __init__(self, hidden: object) -> None:
        super().__init__("all is well")
        self.path = {"request": [Hidden(hidden)]}


class Hidden:
    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


def caused_by(cause: Exception) -> Exception:
    error = ValueError("all is well")
    error.__context__ = RuntimeError("nor here")
    error.__context__.__cause__ = cause
    return error


@pytest.mark.parametrize("secret", EVERY_SECRET)
def test_the_search_finds_a_secret_wherever_it_is_planted(secret: str) -> None:
    anywhere = {"repr", "str", "args", "traceback", "pickle", "copy"}
    planted: dict[Exception, set[str]] = {
        ValueError(f"refused: {secret}"): anywhere,
        ValueError({"headers": [f"Bearer {secret}".encode()]}): anywhere,
        ValueError(f"refused: {quote(secret)}"): anywhere,
        ValueError(f"refused: {base64.b64encode(secret.encode()).decode()}"): anywhere,
        ValueError(f"refused: {secret[:16]}..."): anywhere,
        ValueError(" ".join(secret)): anywhere,
        Bearing(secret): {"__dict__, recursively", "pickle"},
        caused_by(ValueError(secret)): {"causes and contexts", "traceback"},
        caused_by(Bearing(secret.encode())): {"causes and contexts"},
        raised_with(ValueError(), key=secret): {"traceback with locals", "the locals, recursively"},
        raised_with(ValueError(), key=Hidden(secret)): {"the locals, recursively"},
    }
    for error, ways in planted.items():
        found = Search()
        found.probe_error("planted", error)
        assert ways <= {way for _, way, _ in found.found}


@pytest.mark.parametrize("secret", EVERY_SECRET)
def test_the_search_finds_a_secret_in_a_log(secret: str) -> None:
    quiet = logging.getLogger("somebody.elses")
    with overheard() as logged:
        quiet.debug("sent", extra={"request": {"headers": [secret]}})
        quiet.debug("sent %s", secret)
        quiet.debug("failed", exc_info=ValueError(secret))
    assert [bool(hits(told)) for told in logged] == [True, True, True]


async def test_the_search_finds_what_aiohttp_itself_shows() -> None:
    found = await search(Careless(), full=False)
    assert {"__dict__, recursively", "traceback with locals"} <= {way for _, way, _ in found.found}


class Careless:
    """aiohttp as its documentation shows it."""

    name = "aiohttp as it is"
    errors = (aiohttp.ClientError,)

    @asynccontextmanager
    async def thor(self, access: Access, patience: Patience = QUICK) -> AsyncGenerator[Thor, None]:
        timeout = aiohttp.ClientTimeout(total=patience.total, sock_read=patience.read)
        headers = {"X-Api-Key": access.api_key}
        async with aiohttp.ClientSession(
            access.base_url, headers=headers, timeout=timeout, raise_for_status=True
        ) as session:
            yield CarelessThor(session)

    @asynccontextmanager
    async def depot(
        self, access: Access, patience: Patience = QUICK
    ) -> AsyncGenerator[Depot, None]:
        raise NotImplementedError
        yield


@attrs.frozen
class CarelessThor:
    session: aiohttp.ClientSession

    async def analytics(self, chargebox_id: str) -> object:
        async with self.session.get(f"/analytics/{chargebox_id}") as response:
            return await response.json()
