"""R5: no error and no log shows a secret, whatever a server sends back."""

from __future__ import annotations

import asyncio
import base64
import gc
import html
import json
import logging
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from urllib.parse import quote

import attrs
import pytest

from depotclient import NotFoundError
from tests.promises.candidates import OURS, Candidate, Limits
from tests.promises.loops import AIOHTTP_LOOP
from tests.promises.secret_search import (
    FETCHED_TOKEN,
    SECRETS,
    TOKEN_RESPONSE,
    WAYS,
    Search,
    access,
    captured_logs,
    find_secrets,
    spellings,
    state_of,
)
from tests.promises.test_r04_redirects import ROUTES, call
from tests.support.faults import BYTE_BY_BYTE, ONE_RESPONSE
from tests.support.figures import Figures, Record
from tests.support.pages import ANALYTICS, pages_of
from tests.support.responses import BodyOf, chunk, head, respond, response, serve
from tests.support.waiting import loop_until
from tests.support.wire import Received, Script, Wire, raw, stall

ANALYTICS_BODY: BodyOf = lambda _: ANALYTICS  # noqa: E731
TOKEN_BODY: BodyOf = lambda _: TOKEN_RESPONSE  # noqa: E731
FETCHED = FETCHED_TOKEN.encode()

LIMITS = Limits(attempts=2, total=5.0, read=0.1)
SHORT_LIMITS = Limits(attempts=2, total=0.2, read=0.1)
DEADLINE = Limits(attempts=2, total=0.05, read=0.2)

Form = Callable[[str], bytes]
"""Returns a response that repeats a string."""


def credentials_in(request: Received) -> list[str]:
    """Return the credentials of a request, the bare one first."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    if "x-api-key" in headers:
        return [headers["x-api-key"]]
    scheme, _, bare = headers["authorization"].partition(" ")
    found = [bare, headers["authorization"]]
    if scheme == "Basic":
        pair = base64.b64decode(bare).decode()
        found = [pair.partition(":")[2], *found, pair, request.body.decode()]
    return found


def echoing(form: Form, part: slice = slice(None)) -> Script:
    """Repeat the credentials of the request."""
    return respond(lambda request: form(" ".join(credentials_in(request)[part])), close=True)


def json_error(status: int, *names: str) -> Form:
    return lambda text: response(json.dumps(dict.fromkeys(names, text)).encode(), status)


def json_body(value: Callable[[str], object]) -> Form:
    return lambda text: response(json.dumps(value(text)).encode())


def in_header(name: str, status: int) -> Form:
    return lambda text: response(b"{}", status, **{name: text})


def escaped_message(status: int) -> Form:
    def form(text: str) -> bytes:
        escapes = "".join(f"\\u{ord(letter):04x}" for letter in text)
        return response(b'{"message": "%s"}' % escapes.encode(), status)

    return form


ECHOES: dict[str, Form] = {
    "JSON:API": lambda text: response(
        json.dumps({"errors": [{"code": text, "title": text, "detail": text}]}).encode(), 400
    ),
    "a code": json_error(400, "code"),
    "a code of another type": lambda t: response(json.dumps({"code": [t]}).encode(), 400),
    "an error of OAuth": lambda text: response(
        json.dumps({"error": "invalid_client", "error_description": text}).encode(), 401
    ),
    "slashes escaped": lambda text: response(
        json.dumps({"message": text, "code": text}).replace("/", r"\/").encode(), 400
    ),
    "all escaped": escaped_message(400),
    "all escaped, to be retried": escaped_message(503),
    "percent-encoded": lambda text: response(json.dumps({"message": quote(text)}).encode(), 400),
    "percent-encoded whole": lambda t: json_error(400, "message", "code")(quote(t, safe="")),
    "plain text": lambda text: response(f"got {text}".encode(), 500, Content_Type="text/plain"),
    "HTML": lambda text: response(f"<p>{html.escape(text)}</p>".encode(), 403),
    "a header": in_header("X_Echo", 403),
    "Set-Cookie": in_header("Set_Cookie", 403),
    "WWW-Authenticate": in_header("WWW_Authenticate", 401),
    "Retry-After": in_header("Retry_After", 503),
    "Location": lambda t: response(b"", 302, Location=f"https://u:{quote(t)}@e.example/{t}?t={t}"),
    "Location, host": lambda text: response(b"", 302, Location=f"https://{text}/"),
    "Location, bare": in_header("Location", 302),
    "the reason": lambda text: f"HTTP/1.1 403 {text}\r\nContent-Length: 0\r\n\r\n".encode(),
    "the status": lambda text: f"HTTP/1.1 {text}\r\nContent-Length: 0\r\n\r\n".encode(),
    "no HTTP": lambda text: f"{text}\r\n\r\n".encode(),
    "a header without a colon": lambda text: f"HTTP/1.1 200 OK\r\n{text}\r\n\r\n".encode(),
    "a header's name": lambda text: f"HTTP/1.1 200 OK\r\n{text}: 1\r\n\r\n".encode(),
    "a header with a control": lambda t: f"HTTP/1.1 200 OK\r\nX-E: {t}\0{t}\r\n\r\n".encode(),
    "Content-Length": lambda text: head(Content_Length=text),
    "Content-Encoding": in_header("Content_Encoding", 200),
    "Transfer-Encoding": lambda text: head(Transfer_Encoding=text) + b"{}",
    "Content-Type": lambda t: response(b"{", Content_Type=f"application/json; charset={t}"),
    "no gzip": lambda text: response(text.encode(), Content_Encoding="gzip"),
    "the size of a chunk": lambda t: head(Transfer_Encoding="chunked") + f"{t}\r\n".encode(),
    "a chunk's extension": lambda text: (
        head(Transfer_Encoding="chunked") + f"2;{text}\r\n[]\r\n0\r\n{text}: x\r\n\r\n".encode()
    ),
    "a chunk too long": lambda text: (
        head(Transfer_Encoding="chunked") + chunk(text.encode())[:-2] + b"x\r\n"
    ),
    "unknown keys": json_body(lambda text: {text: {text: text}}),
    "no object": json_body(lambda text: text),
    "a list": json_body(lambda text: [text]),
    "wrong items": json_body(lambda text: {"items": text}),
    "wrong reports": json_body(lambda text: {"items": [{"sessionId": text}]}),
    "reports of another type": json_body(lambda text: {"items": [text]}),
    "another charger": json_body(
        lambda text: {"items": [], "ChargerID": text, "ConnectorID": text}
    ),
    "wrong fields": json_body(
        lambda text: {"items": [{"sessionId": 1, "energySocEnd": text, "sessionTimeStart": text}]}
    ),
    "wrong analytics": json_body(
        lambda text: {**json.loads(ANALYTICS), "active_since": text, "charges": {"last_7": text}}
    ),
    "cut JSON": lambda text: response(f'{{"message": "{text}'.encode()),
    "bad UTF-8": lambda text: response(f'{{"message": "{text}'.encode() + b'\xff"}'),
    **{f"a message with {code}": json_error(code, "message") for code in (300, 404, 418, 429, 503)},
}

TOKEN_ECHOES: dict[str, Form] = {
    "a token in a token": json_body(lambda text: {"access_token": {text: text}}),
    "a token with a line break": json_body(lambda text: {"access_token": f"{text}\n"}),
    "a token with a wrong lifetime": json_body(lambda t: {"access_token": t, "expires_in": t}),
    "a token beyond ASCII": json_body(lambda text: {"access_token": f"é{text}"}),
    **{
        f"a token with {code}": lambda _, code=code: response(TOKEN_RESPONSE, code)  # type: ignore[misc]
        for code in (201, 203, 206, 301, 400, 401, 500)
    },
}

# The client or aiohttp truncates these strings: the padding moves the secret across the end.
CUT_ECHOES: dict[str, Callable[[int, str], bytes]] = {
    "message": lambda pad, text: json_error(400, "message", "code")("m" * (200 - pad) + text),
    "body": lambda pad, text: response(b"b" * (65536 - pad) + text.encode(), 400),
    "JSON body": lambda pad, text: json_error(400, "x")("b" * (65536 - 7 - pad) + text),
    "long header": lambda pad, text: response(b"", X=f"{'h' * (100 - pad)}{text}{'h' * 9000}"),
    "end of a long header": lambda pad, text: response(b"", X=f"{'h' * (8190 - pad)}{text}"),
    "long reason": lambda pad, text: (
        f"HTTP/1.1 200 {'r' * (80 - pad)}{text}{'r' * 9000}\r\n\r\n".encode()
    ),
    "long garbage": lambda pad, text: f"{'g' * (100 - pad)}{text}{'g' * 9000}\r\n\r\n".encode(),
}


@attrs.frozen
class Situation:
    """A server that fails or repeats secrets, and the route of the request."""

    name: str
    route: str
    script_for: Callable[[BodyOf], Script]
    limits: Limits = LIMITS
    cancelled: bool = False


def always(script: Script) -> Callable[[BodyOf], Script]:
    return lambda _: script


def situations_of(route: str, *, full: bool) -> Iterator[Situation]:
    for fault in ONE_RESPONSE:
        yield Situation(str(fault), route, fault.script)
    yield Situation(str(BYTE_BY_BYTE), route, BYTE_BY_BYTE.script, SHORT_LIMITS)
    echoes = dict(ECHOES)
    for pad, name in product(range(0, 48, 1 if full else 12), CUT_ECHOES):
        echoes[f"{name} cut at {pad}"] = partial(CUT_ECHOES[name], pad)
    if route == "depot, token call":
        echoes |= TOKEN_ECHOES
    parts = (slice(None), slice(1), slice(1, None)) if full else (slice(None),)
    for (name, form), part in product(echoes.items(), parts):
        yield Situation(f"echo in {name}", route, always(echoing(form, part)))
    yield Situation("deadline", route, always(stall()), DEADLINE)
    yield Situation("deadline in the head", route, always(stall(head()[:-2])), DEADLINE)
    yield Situation("cancelled", route, always(stall()), Limits(), cancelled=True)
    yield Situation("no response", route, always(raw(b"", close=True)))
    yield Situation("no failure", route, serve)


def situations(*, full: bool) -> Iterator[Situation]:
    """Yield every situation on every route. Without `full`, yield each on one route."""
    for index, route in enumerate(ROUTES):
        for number, situation in enumerate(situations_of(route, full=full)):
            if full or number % len(ROUTES) == index or situation.name[5:] in TOKEN_ECHOES:
                yield situation


async def error_of(candidate: Candidate, situation: Situation) -> BaseException | None:
    """Return the error of a call in this situation."""
    body_of = ANALYTICS_BODY if situation.route == "thor" else pages_of(range(1, 25))
    token_call = situation.route == "depot, token call"
    script = situation.script_for(TOKEN_BODY if token_call else body_of)
    async with (
        Wire(default=serve(body_of) if token_call else script) as api,
        Wire(default=script if token_call else serve(TOKEN_BODY)) as tokens,
    ):
        task = asyncio.create_task(call(candidate, situation.route, api, tokens, situation.limits))
        if situation.cancelled:
            await loop_until(lambda: (tokens if token_call else api).received or task.done())
            task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
    return result


async def search_errors_and_logs(candidate: Candidate, *, full: bool) -> Search:
    """Search the error and the logs of every situation."""
    search = Search()
    with captured_logs() as logged:
        for situation in situations(full=full):
            name = f"{situation.route}: {situation.name}"
            if (error := await error_of(candidate, situation)) is not None:
                search.probe_error(name, error)
            search.probe(name, "logs", "\n".join(logged))
            logged.clear()
        del error
        gc.collect()  # asyncio logs an error that was never retrieved when its task is collected.
        search.probe("at the end", "logs", "\n".join(logged))
    return search


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Search the errors and logs of calls for secrets."""
    return (await search_errors_and_logs(candidate, full=full)).figures


async def test_no_error_and_no_log_shows_a_secret(full: bool, record: Record) -> None:
    search = await search_errors_and_logs(OURS, full=full)
    record("R5", search.figures)
    assert search.probes >= 500
    assert search.found == []


async def test_no_error_shows_a_token_replaced_during_the_request() -> None:
    replaced = asyncio.Event()

    async def echo_later(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await replaced.wait()
        await echoing(json_error(404, "message", "token"))(request, reader, writer)

    tokens = (raw(response(b'{"access_token": "%s-%d"}' % (FETCHED, n))) for n in (1, 2))
    rejected, empty_page = raw(response(b"", 401)), raw(response(b'{"items":[]}'))
    async with Wire(*tokens) as token_wire, Wire(echo_later, rejected, empty_page) as api:
        credentials = access(api.url, token_wire.url, by_token=False)
        async with OURS.depot(credentials) as depot:
            slow = asyncio.create_task(depot.collect())
            await loop_until(lambda: api.received)
            assert await depot.collect() == []
            replaced.set()
            with pytest.raises(NotFoundError) as caught:
                await slow
    assert b'"token"' in caught.value.body
    assert find_secrets(f"{caught.value!r} {caught.value.body!r}") == set()


async def test_the_search_finds_the_secrets_of_a_loop_in_each_way() -> None:
    search = await search_errors_and_logs(AIOHTTP_LOOP, full=False)
    assert {way for _, way, _ in search.found} == set(WAYS)
    # Which other secrets a loop shows depends on the aiohttp release.
    assert set.union(*(secrets for _, _, secrets in search.found)) >= set(SECRETS[:2])


@attrs.define  # with slots
class Hidden:
    value: object


@pytest.mark.parametrize("secret", SECRETS)
def test_the_search_finds_a_secret_in_any_form_and_in_logs(secret: str) -> None:
    hidden: list[object] = [Hidden([secret.encode()]), partial(print, {"key": secret})]
    texts = [*map(state_of, hidden), f"{secret[:16]}...", " ".join(secret)]
    texts += [spelling for spelling in spellings(secret) if spelling]
    logger = logging.getLogger("another.module")
    with captured_logs() as logged:
        logger.debug("sent", extra={"request": {"headers": [secret]}})
        logger.debug("sent %s", secret)
        logger.debug("failed", exc_info=ValueError(secret))
    assert len(logged) == 3
    for text in texts + logged:
        assert find_secrets(text) == {secret}
