"""Candidates of the comparison: this library, and the interface of hand-written loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, Protocol, TypeVar

import attrs

from depotclient import ApiError, DepotClient, PaginationError, RetryPolicy, Timeout
from thorclient import ThorClient

T = TypeVar("T")
Call = Callable[[], Coroutine[Any, Any, object]]

CHARGER, CONNECTOR, CHARGEBOX = "CP-001", "1", "TB-0001"


@attrs.frozen(kw_only=True)
class Access:
    """Address and credentials of a server: an API key, a token, or client credentials."""

    base_url: str
    api_key: str = "k3y-of-the-integration"
    token: str | None = None
    client_id: str = "client-of-the-depot"
    client_secret: str = "s3cret-of-the-depot"
    token_url: str = ""


def with_token(base_url: str) -> Access:
    """Return access by a token that doesn't expire."""
    return Access(base_url=base_url, token="t0k3n-that-lasts")


@attrs.frozen(kw_only=True)
class Limits:
    """Maximum number of requests of a call, and its time limits in seconds."""

    attempts: int = 3
    total: float = 60.0
    read: float = 30.0


DEFAULTS = Limits()


class Depot(Protocol):
    """Client of session reports."""

    def walk(
        self, limit: int | None = None, *, verify: bool = False, read_ahead: int = 1
    ) -> AsyncGenerator[int, None]:
        """Yield the session ids of one walk with retries."""
        ...

    async def collect(self, limit: int | None = None, *, restarts: int = 0) -> list[int]:
        """Return all session ids. Resume after an error, up to `restarts` times."""
        ...


class Thor(Protocol):
    """Client of a chargebox's analytics."""

    async def get_analytics(self, chargebox_id: str) -> object:
        """Return the analytics of a chargebox."""
        ...


Client = TypeVar("Client", covariant=True)


class Open(Protocol[Client]):
    """Function that opens a client."""

    def __call__(
        self, access: Access, limits: Limits = ..., /
    ) -> AbstractAsyncContextManager[Client]: ...


@attrs.frozen
class Candidate:
    """Library, or loop over one.

    Attributes:
        errors: Documented errors of a call.
    """

    name: str
    errors: tuple[type[Exception], ...]
    depot: Open[Depot]
    thor: Open[Thor]

    @asynccontextmanager
    async def call(
        self, client: Literal["thor", "depot"], access: Access, limits: Limits = DEFAULTS
    ) -> AsyncGenerator[Call, None]:
        """Open a client, and provide a call that reads analytics or all reports."""
        if client == "thor":
            async with self.thor(access, limits) as thor:
                yield lambda: thor.get_analytics(CHARGEBOX)
        else:
            async with self.depot(access, limits) as depot:
                yield lambda: depot.collect(100)


class DidNotEndError(Exception):
    """A call did not end within its time limit."""


async def result_of(call: Awaitable[T], seconds: float = 60.0) -> T | Exception:
    """Return the value or the error of a call, or `DidNotEndError` after `seconds`."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await call
    except Exception as error:
        return DidNotEndError() if limit.expired() else error


@attrs.frozen
class _OurDepot:
    client: DepotClient

    async def walk(
        self, limit: int | None = None, *, verify: bool = False, read_ahead: int = 1
    ) -> AsyncGenerator[int, None]:
        reports = self.client.session_reports(
            CHARGER, CONNECTOR, limit=limit, verify=verify, read_ahead=read_ahead
        )
        async with reports.walk() as walk:
            async for report in walk:
                yield report.session_id

    async def collect(self, limit: int | None = None, *, restarts: int = 0) -> list[int]:
        found: list[int] = []
        cursor: str | None = None
        while True:
            reports = self.client.session_reports(CHARGER, CONNECTOR, limit=limit, resume=cursor)
            try:
                async for report in reports:
                    found.append(report.session_id)
                break
            except ApiError as error:
                if not restarts or isinstance(error, PaginationError):
                    raise
                restarts -= 1
                cursor = str(error.cursor)
        return found


def _options(limits: Limits) -> dict[str, Any]:
    return {
        "retry": RetryPolicy(attempts=limits.attempts),
        "timeout": Timeout(total=limits.total, read=limits.read),
    }


@asynccontextmanager
async def _open_depot(access: Access, limits: Limits = DEFAULTS, /) -> AsyncGenerator[Depot, None]:
    credentials: dict[str, Any] = {"token": access.token}
    if access.token is None:
        credentials = {
            "client_id": access.client_id,
            "client_secret": access.client_secret,
            "token_url": access.token_url or None,
        }
    async with DepotClient(base_url=access.base_url, **credentials, **_options(limits)) as client:
        yield _OurDepot(client)


def _open_thor(access: Access, limits: Limits = DEFAULTS, /) -> ThorClient:
    return ThorClient(api_key=access.api_key, base_url=access.base_url, **_options(limits))


OURS = Candidate("this library", (ApiError, ValueError), _open_depot, _open_thor)
