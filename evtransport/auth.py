"""Credentials: how a request proves who sends it, and how no text ever shows with what."""

from __future__ import annotations

import asyncio
import base64
import copy
import math
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn, Protocol
from urllib.parse import quote, quote_plus

import attrs
import msgspec
from yarl import URL

from evtransport.errors import ApiError, AuthError, ResponseError, SchemaError, StatusError
from evtransport.http import ErrorNames, Response, decipher, failure_of, says_invalid_token
from evtransport.structure import JsonValue, decode
from evtransport.validation import CONTROL, identifier

__all__ = ["ApiKey", "Auth", "BearerToken", "ClientCredentials", "Secret", "redact"]

MASK = "**********"

LONGEST_SECRET = 16 * 1024
"""Maximum length of a credential in characters.

Servers refuse longer headers, and masking a longer text is slow.
"""

_PERCENT_ENCODINGS: tuple[Callable[[str], str], ...] = (partial(quote, safe=""), quote, quote_plus)
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}

OAUTH_ERRORS: ErrorNames = {
    "access_denied": AuthError,
    "invalid_client": AuthError,
    "invalid_grant": AuthError,
    "invalid_scope": AuthError,
    "unauthorized_client": AuthError,
}
"""The answers of RFC 6749 that mean that the credentials were refused, under whatever status."""

EXPIRY_SKEW = 60.0
"""Seconds before expiry at which a token is renewed, but at most half of its lifetime."""

FORBIDDEN_PAUSE = 60.0
"""Minimum number of seconds between two token requests that 403s cause.

Also the age in seconds from which a token that gets a 403 is renewed.
"""

_SUBJECT = "the token URL"
_LIFETIME = re.compile(r'"?\s*(-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)\s*"?')


class Secret:
    """A string that shows itself to nobody who does not ask for it by `reveal()`."""

    __slots__ = ("_encodings", "_value")

    def __init__(self, value: str) -> None:
        self._encodings: tuple[bytes, ...] = ()
        # Of a string of another class, such as an enum's member, the text and not its name.
        self._value = str.__str__(value) if isinstance(value, str) else value

    def reveal(self) -> str:
        """The string itself."""
        return self._value

    @property
    def encodings(self) -> tuple[bytes, ...]:
        """The string in all usual encodings, computed once."""
        if not self._encodings:
            self._encodings = _encodings(self._value)
        return self._encodings

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled; hand its reveal() over yourself, if you must")


def problem_of(secret: Secret) -> str | None:
    """What keeps a credential from standing in a header, without quoting it."""
    if not isinstance(secret.reveal(), str):
        return f"must be a string, not {type(secret.reveal()).__name__}"
    if not secret.reveal().strip():
        return "must not be empty"
    if len(secret.reveal()) > LONGEST_SECRET:
        return f"must have at most {LONGEST_SECRET:,} characters"
    if CONTROL.search(secret.reveal()):
        return "must not hold control characters; a line end at its end is one too"
    if not secret.reveal().isascii():
        return "must be ASCII, since it is sent in a header"
    return None


def check_secret(name: str, secret: Secret) -> None:
    """Check a credential that a caller gave.

    Raises:
        ValueError: It can't stand in a header. The message does not quote it.
    """
    if problem := problem_of(secret):
        raise ValueError(f"{name} {problem}")


def redact(data: bytes, secrets: tuple[Secret, ...]) -> bytes:
    """Overwrite secrets that a server has sent back, in all usual encodings.

    Secrets of up to three characters stay: they are part of many words, so masking shows them.
    """
    for secret in secrets:
        if len(secret.reveal()) > 3:
            for encoding in secret.encodings:
                data = data.replace(encoding, MASK.encode())
    return data


def _encodings(plain: str) -> tuple[bytes, ...]:
    """Return the plain text, and its JSON, percent-encoded and HTML forms, each once."""
    escaped = msgspec.json.encode(plain).decode()[1:-1]
    codes = plain.encode().hex("-")
    texts = [
        *(form for text in (plain, escaped) for form in (text, text.replace("/", r"\/"))),
        *(rf"\u00{form}".replace("-", r"\u00") for form in (codes, codes.upper())),
        *(
            _encoded(plain, variant)
            for encode in _PERCENT_ENCODINGS
            for variant in (encode, _lower(encode))
        ),
        _encoded(plain, lambda character: _HTML.get(character, character)),
    ]
    return tuple(text.encode() for text in dict.fromkeys(texts))


def _encoded(plain: str, encode: Callable[[str], str]) -> str:
    # A token may have 16,384 characters, but few different ones: encode each of these once.
    return plain.translate({ord(character): encode(character) for character in set(plain)})


def _lower(encode: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that encodes with lower-case hexadecimal digits."""

    def encode_character(character: str) -> str:
        encoded = encode(character)
        return encoded if encoded == character else encoded.lower()

    return encode_character


Post = Callable[[URL, Secret, bytes], Awaitable[Response]]
"""Posts a form to a token URL, with the given `Authorization`."""


class Auth(Protocol):
    """What the transport asks of credentials."""

    @property
    def header_name(self) -> str:
        """The header that carries them."""
        ...

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All that must not show in an error."""
        ...

    async def header(self, post: Post) -> Secret:
        """The header's value for one request, fetched by `post` where it has to be."""
        ...

    def invalidate(self, header: Secret) -> bool:
        """Take note that the API refused this value with 401; True when another may be had."""
        ...

    async def forbidden(self, header: Secret, response: Response, post: Post) -> bool:
        """Return True if the request that got this 403 should be sent again with another value."""
        ...


@attrs.frozen
class _Fixed:
    """A credential that stays what it is."""

    secret: Secret

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self.secret,)

    def invalidate(self, header: Secret) -> bool:
        return False

    async def forbidden(self, header: Secret, response: Response, post: Post) -> bool:
        return False


@attrs.frozen
class ApiKey(_Fixed):
    """The Thor API's key, sent as `X-Api-Key` with every request."""

    header_name = "X-Api-Key"

    def __attrs_post_init__(self) -> None:
        check_secret("api_key", self.secret)

    async def header(self, post: Post) -> Secret:
        """The key itself."""
        return self.secret


@attrs.frozen
class BearerToken(_Fixed):
    """An access token that the caller obtained, sent as `Authorization: Bearer`."""

    header_name = "Authorization"

    def __attrs_post_init__(self) -> None:
        check_secret("token", self.secret)

    async def header(self, post: Post) -> Secret:
        """The token behind its scheme."""
        return Secret(f"Bearer {self.secret.reveal()}")


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: msgspec.Raw = msgspec.Raw()


class _Refusal(msgspec.Struct):
    error: str | dict[str, JsonValue]


_TOKEN_DECODER = msgspec.json.Decoder(_TokenAnswer)
_REFUSAL_DECODER = msgspec.json.Decoder(_Refusal)


@attrs.frozen(eq=False)
class _Token:
    """Access token with its times, in monotonic seconds.

    Attributes:
        header: The token with its scheme, as the header carries it.
        value: The bare token.
        asked_at: Time of the request for it.
        renew_at: Time to renew it.
    """

    header: Secret
    value: Secret
    asked_at: float
    renew_at: float


def _token_from(response: Response, asked_at: float) -> _Token:
    """Return the token in an answer of the token URL.

    Raises:
        StatusError: The answer is an error. Its status may be 200.
        ResponseError: The answer has no token that a header can carry.
    """
    body = decipher(response, OAUTH_ERRORS, now=time.time(), subject=_SUBJECT)
    try:
        answer = decode(body, _TOKEN_DECODER)
        if len(answer.access_token) <= LONGEST_SECRET:
            value = Secret(answer.access_token)
            if problem := problem_of(value):
                raise SchemaError((f"$.access_token: {problem}",))
            return _token(value, _lifetime(answer.expires_in), asked_at)
        failure: ApiError = AuthError(
            f"{_SUBJECT} answered 200: the token has more than {LONGEST_SECRET:,} characters",
            status=200,
        )
    except ResponseError as error:
        failure = error
    if _states_an_error(body):
        failure = failure_of(response, OAUTH_ERRORS, now=time.time(), subject=_SUBJECT)
    raise failure


def _states_an_error(body: bytes) -> bool:
    try:
        return bool(decode(body, _REFUSAL_DECODER).error)
    except ResponseError:
        return False


def _lifetime(expires_in: msgspec.Raw) -> float:
    """Return the lifetime of a token in seconds, infinity if the answer has no readable one."""
    number = _LIFETIME.fullmatch(bytes(expires_in).decode())
    return max(0.0, float(number[1])) if number else math.inf


def _token(value: Secret, lifetime: float, asked_at: float) -> _Token:
    return _Token(
        header=Secret(f"Bearer {value.reveal()}"),
        value=value,
        asked_at=asked_at,
        renew_at=asked_at + lifetime - min(EXPIRY_SKEW, lifetime / 2),
    )


@attrs.define(eq=False)
class ClientCredentials:
    """OAuth 2 client credentials, exchanged for access tokens at a token URL.

    A token is fetched on first use and renewed before it expires or when the API refuses it.
    However many calls need one at once, one request is made and all share its outcome; a call
    that is cancelled while it makes the request leaves that to the next in line.

    Args:
        client_id: Sent in clear within the Basic header; not a secret by itself.
        client_secret: Its secret.
        token_url: Where tokens are had (Depot: Token Management API).
        clock: Monotonic seconds.
    """

    client_id: str
    client_secret: Secret
    token_url: URL
    clock: Callable[[], float] = time.monotonic
    _basic: Secret = attrs.field(init=False)
    _outcome: _Token | ApiError | None = attrs.field(default=None, init=False, repr=False)
    _requests_ended: int = attrs.field(default=0, init=False, repr=False)
    _forbidden_at: float = attrs.field(default=-math.inf, init=False, repr=False)
    _lock: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False, repr=False)

    header_name = "Authorization"

    def __attrs_post_init__(self) -> None:
        identifier("client_id", self.client_id)
        if ":" in self.client_id:
            raise ValueError("client_id must not hold a colon, which ends it in a Basic header")
        check_secret("client_secret", self.client_secret)
        pair = f"{self.client_id}:{self.client_secret.reveal()}".encode()
        self._basic = Secret(f"Basic {base64.b64encode(pair).decode()}")

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The client secret, bare and encoded, and the current token."""
        fixed = (self.client_secret, Secret(self._basic.reveal().removeprefix("Basic ")))
        return (*fixed, self._outcome.value) if isinstance(self._outcome, _Token) else fixed

    async def header(self, post: Post) -> Secret:
        """The current token behind its scheme, renewed first where its time has come.

        Raises:
            AuthError: The token URL refused the credentials (the Depot API does so with 403).
            ApiError: The token request failed in another way.
        """
        token = self._outcome
        if not isinstance(token, _Token) or self.clock() >= token.renew_at:
            token = await self._renew(post)
        return token.header

    def invalidate(self, header: Secret) -> bool:
        """Forget the token that was refused, unless another call has replaced it already."""
        if isinstance(self._outcome, _Token) and self._outcome.header == header:
            self._outcome = None
        return True

    async def forbidden(self, header: Secret, response: Response, post: Post) -> bool:
        """Renew the token if this 403 may mean that the token is no longer valid.

        A token can become invalid early: a computer slept, or a key was rotated. A token older
        than a minute is renewed. A younger one is renewed only if the answer calls it invalid.

        Most 403s mean a lack of permission. So 403s cause at most one token request a minute, and
        failed or cancelled requests count too. The current token stays until a new one arrives.

        Returns:
            True if the request should be sent again with another token.

        Raises:
            ApiError: The token request failed.
        """
        async with self._lock:
            token = self._outcome
            if not isinstance(token, _Token) or token.header != header:
                return True  # another call has replaced it
            now = self.clock()
            old = now - token.asked_at >= FORBIDDEN_PAUSE
            if not (old or says_invalid_token(response)):
                return False
            if now - self._forbidden_at < FORBIDDEN_PAUSE:
                return False
            self._forbidden_at = now
            outcome = await self._request(post)
            if isinstance(outcome, ApiError):
                raise outcome
            self._outcome = outcome
            self._requests_ended += 1
            return True

    async def _renew(self, post: Post) -> _Token:
        ended_before = self._requests_ended
        async with self._lock:
            waited = self._requests_ended != ended_before
            if not waited:
                self._outcome = await self._request(post)
                self._requests_ended += 1
            outcome = self._outcome
        if outcome is None:  # refused by the API while this call stood in line
            return await self._renew(post)
        if isinstance(outcome, ApiError):
            # Each caller gets an error of its own: a walk writes its cursor on it.
            error = copy.copy(outcome)
            error.borrowed = waited
            raise error
        return outcome

    async def _request(self, post: Post) -> _Token | ApiError:
        asked_at = self.clock()
        try:
            response = await post(self.token_url, self._basic, b"grant_type=client_credentials")
            return _token_from(response, asked_at)
        except ApiError as error:
            if isinstance(error, StatusError):
                error.body = b""  # of all bodies, this one may hold a token
            return error.with_traceback(None)
