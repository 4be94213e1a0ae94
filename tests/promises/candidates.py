"""Candidates of the comparison: this library, and the interface of hand-written loops."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import attrs

from depotclient import ApiError, DepotClient, PaginationError, RetryPolicy, Timeout
from thorclient import ThorClient

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

    async def analytics(self, chargebox_id: str) -> object:
        """Return the analytics of a chargebox."""
        ...


class Candidate(Protocol):
    """Library, or loop over one."""

    @property
    def name(self) -> str:
        """Return the name for the table."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Return the documented errors of a call."""
        ...

    def depot(self, access: Access, limits: Limits = ...) -> AbstractAsyncContextManager[Depot]:
        """Return a client of session reports."""
        ...

    def thor(self, access: Access, limits: Limits = ...) -> AbstractAsyncContextManager[Thor]:
        """Return a client of analytics."""
        ...


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
                async with reports.walk() as walk:
                    async for report in walk:
                        found.append(report.session_id)
                break
            except ApiError as error:
                if not restarts or isinstance(error, PaginationError):
                    raise
                restarts -= 1
                cursor = str(error.cursor)
        return found


@attrs.frozen
class _OurThor:
    client: ThorClient

    async def analytics(self, chargebox_id: str) -> object:
        return await self.client.get_analytics(chargebox_id)


class Ours:
    """This library."""

    name = "this library"
    errors = (ApiError, ValueError)

    @asynccontextmanager
    async def depot(self, access: Access, limits: Limits = DEFAULTS) -> AsyncGenerator[Depot, None]:
        by_token = access.token is not None
        async with DepotClient(
            token=access.token,
            client_id=None if by_token else access.client_id,
            client_secret=None if by_token else access.client_secret,
            base_url=access.base_url,
            token_url=access.token_url or None,
            retry=RetryPolicy(attempts=limits.attempts),
            timeout=Timeout(total=limits.total, read=limits.read),
        ) as client:
            yield _OurDepot(client)

    @asynccontextmanager
    async def thor(self, access: Access, limits: Limits = DEFAULTS) -> AsyncGenerator[Thor, None]:
        async with ThorClient(
            api_key=access.api_key,
            base_url=access.base_url,
            retry=RetryPolicy(attempts=limits.attempts),
            timeout=Timeout(total=limits.total, read=limits.read),
        ) as client:
            yield _OurThor(client)


OURS = Ours()
