"""Who is measured: this library, and below the same interface what users would write instead."""

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
    """Where a server is and how to get in: by an API key, a token, or client credentials."""

    base_url: str
    api_key: str = "k3y-of-the-integration"
    token: str | None = None
    client_id: str = "client-of-the-depot"
    client_secret: str = "s3cret-of-the-depot"
    token_url: str = ""


@attrs.frozen(kw_only=True)
class Patience:
    """How long and how often to try; seconds."""

    attempts: int = 3
    total: float = 60.0
    read: float = 30.0


class Depot(Protocol):
    """A client of session reports."""

    def walk(
        self, limit: int | None = None, *, verify: bool = False, read_ahead: int = 1
    ) -> AsyncGenerator[int, None]:
        """The session ids of one walk, retries included; an error ends it."""
        ...

    async def collect(self, limit: int | None = None, *, restarts: int = 0) -> list[int]:
        """The session ids as a job collects them: after an error it goes on where it stood."""
        ...


class Thor(Protocol):
    """A client of charge boxes' analytics."""

    async def analytics(self, chargebox_id: str) -> object:
        """One call."""
        ...


class Contestant(Protocol):
    """A library, or a loop over one."""

    @property
    def name(self) -> str:
        """As it stands in the table."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its documentation says that a call may raise."""
        ...

    def depot(self, access: Access, patience: Patience = ...) -> AbstractAsyncContextManager[Depot]:
        """A client of session reports, closed in the end."""
        ...

    def thor(self, access: Access, patience: Patience = ...) -> AbstractAsyncContextManager[Thor]:
        """A client of analytics, closed in the end."""
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
    async def depot(
        self,
        access: Access,
        patience: Patience = Patience(),
    ) -> AsyncGenerator[Depot, None]:
        by_token = access.token is not None
        async with DepotClient(
            token=access.token,
            client_id=None if by_token else access.client_id,
            client_secret=None if by_token else access.client_secret,
            base_url=access.base_url,
            token_url=access.token_url or None,
            retry=RetryPolicy(attempts=patience.attempts),
            timeout=Timeout(total=patience.total, read=patience.read),
        ) as client:
            yield _OurDepot(client)

    @asynccontextmanager
    async def thor(
        self,
        access: Access,
        patience: Patience = Patience(),
    ) -> AsyncGenerator[Thor, None]:
        async with ThorClient(
            api_key=access.api_key,
            base_url=access.base_url,
            retry=RetryPolicy(attempts=patience.attempts),
            timeout=Timeout(total=patience.total, read=patience.read),
        ) as client:
            yield _OurThor(client)


OURS = Ours()
