"""Search for secrets in everything that an error, an object or a log may show."""

from __future__ import annotations

import asyncio
import base64
import copy
import enum
import html
import json
import logging
import pickle
import re
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from urllib.parse import quote, quote_plus

import attrs

from depotclient.pages import Page, RawPage
from tests.promises.candidates import Access
from tests.support.error_dump import TESTS, chain_of
from tests.support.figures import Figures
from thorclient import Secret

# The key has characters that encodings change.
API_KEY = """k3y/of+the="int\\egration' <tag> &amp 100%~-2b7e151628aed2a6"""
TOKEN = "t0k3n/that+lasts=abf7158809cf4f3c762e7160"
CLIENT_ID = "client-of-the-depot"
CLIENT_SECRET = "s3cret/of+the=depot-f38b4da56a784d9045190cf"
FETCHED_TOKEN = "f3tched/by+the=client-af2e03c1a6e5b0d7f9c8"
CONNECTOR_TOKEN = "n4yax/of+a=terminal-0d8f3c6a51b2e97f4c"
BASIC_PAIR = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
SECRETS = (API_KEY, TOKEN, CLIENT_SECRET, BASIC_PAIR, FETCHED_TOKEN, CONNECTOR_TOKEN)

TOKEN_RESPONSE = json.dumps({"access_token": FETCHED_TOKEN, "expires_in": 3600}).encode()


def access(api: str, tokens: str, *, by_token: bool) -> Access:
    """Return access by these secrets."""
    return Access(
        base_url=api,
        api_key=API_KEY,
        token=TOKEN if by_token else None,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        token_url=f"{tokens}/oauth2/token",
    )


def spellings(secret: str) -> set[str]:
    """Return the secret in the encodings of headers, URLs, JSON, HTML and Python."""
    percent_encoded = quote(secret, safe="")
    return {
        secret,
        percent_encoded,
        re.sub("%..", lambda found: found[0].lower(), percent_encoded),
        quote_plus(secret),
        quote(secret),
        json.dumps(secret)[1:-1],
        secret.replace("/", r"\/"),
        html.escape(secret),
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode().rstrip("="),
    }


_LAYOUT = str.maketrans("", "", " \r\n\t│")

# A long part of a secret is as bad as the whole.
_PARTS = {
    part: secret
    for secret in SECRETS
    for spelling in (*spellings(secret), secret[:16], secret[-16:])
    for part in (spelling, spelling.translate(_LAYOUT))
}


def find_secrets(text: str) -> set[str]:
    """Return the secrets that a string shows, even if it breaks them into lines."""
    folded = text.translate(_LAYOUT)
    return {secret for part, secret in _PARTS.items() if part in text or part in folded}


_OPAQUE = (
    *(type, ModuleType, FunctionType, MethodType, CodeType, enum.Enum),
    *(asyncio.AbstractEventLoop, asyncio.Future, logging.Logger),
    *(Page, RawPage),  # They hold the response, in which a server may repeat a secret.
)


def state_of(value: object) -> str:
    """Return every text that attributes, slots and containers lead to, except in a `Secret`."""
    texts: list[str] = []
    seen: dict[int, object] = {}
    rest = [value]
    while rest:
        item = rest.pop()
        if id(item) in seen or isinstance(item, _OPAQUE):
            continue
        seen[id(item)] = item
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, bytes | bytearray | memoryview):
            texts.append(bytes(item).decode("latin-1"))
        elif isinstance(item, Secret):
            texts.append(f"{item!r} {item}")
        elif isinstance(item, Mapping):
            rest += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | AbstractSet):
            rest += item
        elif isinstance(item, partial):
            rest += [item.func, *item.args, *item.keywords.values()]
        else:
            rest += _members_of(item)
    return "\n".join(texts)


def _members_of(value: object) -> Iterator[object]:
    yield from list(getattr(value, "__dict__", {}).values())
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield getattr(value, name, None)


def show_errors(errors: Iterable[BaseException]) -> str:
    """Return the texts of errors."""
    return "\n".join(f"{error!r} {error} {error.args}" for error in errors)


def attempt(show: Callable[[object], str], value: object) -> str:
    """Return a string, or the error that `show` raises: a half-built object can't be shown."""
    try:
        return show(value)
    except Exception as error:
        return show_errors(chain_of(error))


def pickled(value: object) -> str:
    return attempt(lambda value: pickle.dumps(value).decode("latin-1"), value)


def copied(value: object) -> str:
    return attempt(lambda value: repr(copy.copy(value)), value)


def _each_local(show: Callable[[object], str], error: BaseException) -> str:
    """Return the locals of all frames outside the tests."""
    return "\n".join(
        attempt(show, value)
        for link in chain_of(error)
        for frame, _ in traceback.walk_tb(link.__traceback__)
        if not frame.f_code.co_filename.startswith(TESTS)
        for value in frame.f_locals.values()
    )


def _show_chain(error: BaseException) -> str:
    links = chain_of(error)[1:]
    return "\n".join([show_errors(links), *(state_of(vars(link)) for link in links)])


WAYS: dict[str, Callable[[BaseException], str]] = {
    "repr": repr,
    "str": str,
    "args": lambda error: repr(error.args),
    "__dict__, recursively": lambda error: state_of(vars(error)),
    "causes and contexts": _show_chain,
    "traceback": lambda error: "".join(traceback.format_exception(error)),
    "traceback with locals": partial(_each_local, repr),
    "locals, recursively": partial(_each_local, state_of),
    "pickle": pickled,
    "copy": copied,
}
"""Ways of showing an error."""


@contextmanager
def captured_logs() -> Generator[list[str]]:
    """Collect the records of all loggers at all levels as text."""
    texts: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: texts.append(  # type: ignore[method-assign]
        f"{handler.format(record)}\n{state_of(vars(record))}\n{vars(record)!r}"
    )
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in root.manager.loggerDict)]
    levels = [logger.level for logger in loggers]
    handlers, root.handlers = root.handlers, [handler]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield texts
    finally:
        root.handlers = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@attrs.define
class Search:
    """Number of texts searched, and the secrets found: situation, way and secrets."""

    probes: int = 0
    found: list[tuple[str, str, set[str]]] = attrs.field(factory=list)

    def probe(self, situation: str, way: str, text: str) -> None:
        """Search a string."""
        self.probes += 1
        if secrets := find_secrets(text):
            self.found.append((situation, way, secrets))

    def probe_error(self, situation: str, error: BaseException) -> None:
        """Search an error in every way."""
        for way, show in WAYS.items():
            self.probe(situation, way, show(error))

    @property
    def figures(self) -> Figures:
        """Return the figures of the promise."""
        return {"probes": self.probes, "secrets each": len(SECRETS), "hits": len(self.found)}
