"""Credentials: the header that authenticates a request, and the tokens that it needs."""

from __future__ import annotations

import abc
import asyncio
import base64
import copy
import math
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar

import attrs
from yarl import URL

from evtransport.errors import ApiError, StatusError
from evtransport.http import Response, names_invalid_token
from evtransport.secrets import Secret, find_problem, validate_secret
from evtransport.telemetry import Reporter, TokenFetched
from evtransport.tokens import parse_token, renewal_age
from evtransport.validation import validate_id

__all__ = ["ApiKey", "Auth", "BearerToken", "ClientCredentials", "Credential", "Post"]
__all__ += ["RenewableToken", "TokenFunction"]

FORBIDDEN_PAUSE = 60.0
"""Minimum number of seconds between two token requests that 403s cause.

Also the age in seconds from which a token that gets a 403 is renewed.
"""


@attrs.frozen
class Credential:
    """Header that authenticates one request.

    Attributes:
        name: Name of the header.
        scheme: Text in front of the secret, such as `Bearer `.
        secret: Secret that must not appear in an error.
    """

    name: str
    scheme: str
    secret: Secret

    @property
    def value(self) -> str:
        """Value of the header."""
        return self.scheme + self.secret.reveal()


Post = Callable[[URL, Credential, bytes], Awaitable[Response]]
"""Function that posts a form to a token URL."""


class Auth(abc.ABC):
    """Credentials of a client. By default, they can't be renewed."""

    @property
    @abc.abstractmethod
    def secrets(self) -> tuple[Secret, ...]:
        """Return the secrets that must not appear in an error."""

    @abc.abstractmethod
    async def get_credential(self, post: Post, reporter: Reporter | None = None) -> Credential:
        """Return the credential for one request. Use `post` to request a token if needed."""

    def invalidate(self, credential: Credential) -> bool:
        """Forget a credential that got a 401. Return True if another one is available."""
        return False

    async def renew_forbidden(
        self,
        credential: Credential,
        response: Response,
        post: Post,
        reporter: Reporter | None = None,
    ) -> bool:
        """Renew a credential that got this 403. Return True if another one is available."""
        return False


@attrs.frozen
class _FixedSecret(Auth):
    secret: Secret

    _argument: ClassVar[str]
    _header: ClassVar[tuple[str, str]]

    def __attrs_post_init__(self) -> None:
        validate_secret(self._argument, self.secret)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self.secret,)

    async def get_credential(self, post: Post, reporter: Reporter | None = None) -> Credential:
        return Credential(*self._header, self.secret)


@attrs.frozen
class ApiKey(_FixedSecret):
    """Key of the Thor API, sent as `X-Api-Key` with every request.

    Example:
        >>> ApiKey(Secret("key"))
        ApiKey(...)
    """

    _argument = "api_key"
    _header = ("X-Api-Key", "")


@attrs.frozen
class BearerToken(_FixedSecret):
    """Access token from the caller, sent as `Authorization: Bearer`.

    Example:
        >>> BearerToken(Secret("token"))
        BearerToken(...)
    """

    _argument = "token"
    _header = ("Authorization", "Bearer ")


@attrs.frozen(eq=False)
class _Token:
    """Access token with its times, in monotonic seconds.

    Attributes:
        credential: Header with the token.
        requested_at: Time of the token request.
        renew_at: Time from which the token is renewed.
        lifetime: Seconds from the request to the expiry, or None if unknown.
    """

    credential: Credential
    requested_at: float
    renew_at: float
    lifetime: float | None

    @classmethod
    def of(cls, secret: Secret, requested_at: float, lifetime: float | None = None) -> _Token:
        """Return a token with the time of its renewal."""
        credential = Credential("Authorization", "Bearer ", secret)
        return cls(credential, requested_at, requested_at + renewal_age(lifetime), lifetime)


@attrs.define(eq=False)
class RenewableToken(Auth, abc.ABC):
    """Access token that a subclass requests.

    A token is requested on first use, before the current one expires, and after a 401.
    Concurrent calls share one token request and its outcome. If the call that sends the request
    is cancelled, the next waiting call sends another.

    Args:
        clock: Returns monotonic seconds.
    """

    clock: Callable[[], float] = attrs.field(default=time.monotonic, kw_only=True, repr=False)
    _outcome: _Token | ApiError | None = attrs.field(default=None, init=False, repr=False)
    _forbidden_at: float = attrs.field(default=-math.inf, init=False, repr=False)
    _lock: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False, repr=False)

    # `ApiError.source` of a failed request.
    _source: ClassVar[str]

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Return the current token."""
        outcome = self._outcome
        return (outcome.credential.secret,) if isinstance(outcome, _Token) else ()

    async def get_credential(self, post: Post, reporter: Reporter | None = None) -> Credential:
        """Return the current token as a header. Renew it first if it is about to expire.

        Raises:
            AuthError: The token URL rejected the credentials (Depot: status 403).
            ApiError: The token request failed for another reason.
        """
        outcome = self._outcome
        if not isinstance(outcome, _Token) or self.clock() >= outcome.renew_at:
            outcome = await self._renew(outcome, post, reporter)
        return outcome.credential

    def invalidate(self, credential: Credential) -> bool:
        """Forget this token if it is the current one. Return True: a new token is available."""
        if isinstance(self._outcome, _Token) and self._outcome.credential == credential:
            self._outcome = None
        return True

    async def renew_forbidden(
        self,
        credential: Credential,
        response: Response,
        post: Post,
        reporter: Reporter | None = None,
    ) -> bool:
        """Renew the token if this 403 may mean that the token is no longer valid.

        A token can become invalid early, for example when a key is rotated. A token older than a
        minute is renewed. A younger one is renewed only if the response calls it invalid.

        Most 403s mean a lack of permission. So 403s cause at most one token request a minute, and
        failed or cancelled requests count too. The current token stays until a new one arrives.

        Returns:
            True if the request should be sent again with another token.

        Raises:
            ApiError: The token request failed.
        """
        async with self._lock:
            token = self._outcome
            if not isinstance(token, _Token) or token.credential != credential:
                return True  # another call has replaced it
            now = self.clock()
            is_old = now - token.requested_at >= FORBIDDEN_PAUSE
            is_suspect = is_old or names_invalid_token(response)
            if not is_suspect or now - self._forbidden_at < FORBIDDEN_PAUSE:
                return False
            self._forbidden_at = now
            outcome = await self._request_token(post, reporter)
            if isinstance(outcome, ApiError):
                raise outcome
            self._outcome = outcome
            return True

    async def _renew(
        self, known: _Token | ApiError | None, post: Post, reporter: Reporter | None
    ) -> _Token:
        """Return a newer token than `known`, which this call or another one requests."""
        async with self._lock:
            outcome, shared = self._outcome, True
            # None: the API rejected a new token before this waiting call could use it.
            if outcome is None or outcome is known:
                outcome, shared = await self._request_token(post, reporter), False
            self._outcome = outcome
        if isinstance(outcome, _Token):
            return outcome
        # Each call needs its own error, because a walk sets its cursor on it.
        error = copy.copy(outcome)
        error.shared = shared
        raise error

    async def _request_token(self, post: Post, reporter: Reporter | None) -> _Token | ApiError:
        """Return a new token or the failure that all waiting calls share."""
        try:
            token = await self._fetch(post, self.clock())
        except ApiError as error:
            if isinstance(error, StatusError):
                error.body = b""  # it may hold a token
            error.source = self._source
            return error.with_traceback(None)
        if reporter is not None:
            reporter.event(TokenFetched(token.lifetime))
        return token

    @abc.abstractmethod
    async def _fetch(self, post: Post, requested_at: float) -> _Token:
        """Return a new token.

        Raises:
            ApiError: The request failed.
        """


@attrs.define(eq=False)
class ClientCredentials(RenewableToken):
    """OAuth 2 client credentials, exchanged for access tokens at a token URL.

    Args:
        client_id: Client id. It is not secret.
        client_secret: Client secret.
        token_url: URL of the token endpoint (Depot: Token Management API).
        clock: Returns monotonic seconds.

    Example:
        >>> from yarl import URL
        >>> ClientCredentials("id", Secret("secret"), URL("https://example.com/oauth2/token"))
        ClientCredentials(...)
    """

    client_id: str
    client_secret: Secret
    token_url: URL
    _basic: Credential = attrs.field(init=False)

    _source = "the token URL"

    def __attrs_post_init__(self) -> None:
        validate_id("client_id", self.client_id)
        if ":" in self.client_id:
            raise ValueError(
                "client_id must not contain a colon: Basic headers use it as separator"
            )
        validate_secret("client_secret", self.client_secret)
        pair = f"{self.client_id}:{self.client_secret.reveal()}".encode()
        self._basic = Credential("Authorization", "Basic ", Secret(base64.b64encode(pair).decode()))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Return the client secret, bare and encoded, and the current token."""
        return (self.client_secret, self._basic.secret, *super().secrets)

    async def _fetch(self, post: Post, requested_at: float) -> _Token:
        response = await post(self.token_url, self._basic, b"grant_type=client_credentials")
        secret, lifetime = parse_token(response)
        return _Token.of(secret, requested_at, lifetime)


@attrs.define(eq=False)
class TokenFunction(RenewableToken):
    """Access tokens from the caller's function, such as one that reads a vault.

    The expiry of a token is unknown: the function is called on first use and after a rejection.

    Args:
        function: Async function without arguments that returns a token. If it raises
            an `ApiError`, all waiting calls raise it. Any other error passes unchanged to its own
            call, without the frames of the function: they may hold a token.
        clock: Returns monotonic seconds.
    """

    # A `partial` shows its arguments, which may be secrets.
    function: Callable[[], Awaitable[str]] = attrs.field(repr=False)

    _source = "the token function"

    async def _fetch(self, post: Post, requested_at: float) -> _Token:
        """Return a new token.

        Raises:
            ApiError: The function raised it.
            ValueError: The function returned no token that a header can carry.
        """
        try:
            secret = Secret(await self.function())
        except Exception as error:
            error.add_note("raised by the function that was passed as token")
            _drop_frames(error)
            raise error.with_traceback(None)  # noqa: B904
        if problem := find_problem(secret):
            raise ValueError(f"the result of the function that was passed as token {problem}")
        return _Token.of(secret, requested_at)


def _drop_frames(error: BaseException) -> None:
    """Remove the frames of an error, of its chain, and of the errors in a group."""
    found: dict[int, BaseException] = {}  # A chain may have a cycle: `raise error from error`.
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in found:
            continue
        found[id(link)] = link
        link.__traceback__ = None
        waiting += (link.__cause__, link.__context__)
        if isinstance(link, BaseExceptionGroup):
            waiting += link.exceptions
