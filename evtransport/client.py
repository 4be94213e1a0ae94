"""Base class of the clients."""

from __future__ import annotations

import copy
import os
from enum import Enum
from types import TracebackType
from typing import Final, Self

from evtransport.connection import Limiter
from evtransport.retry import RetryPolicy, Timeout
from evtransport.transport import Transport

__all__ = ["UNCHANGED", "ApiClient", "Unchanged", "read_environment"]


class Unchanged(Enum):
    """Type of `UNCHANGED`, for an option that accepts None as a value."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


class ApiClient:
    """Base class of `ThorClient` and `DepotClient`.

    Use a client with `async with client:`, or call `aclose()` at the end. No connection is opened
    before the first call. A client belongs to the event loop of its first call.
    """

    _transport: Transport

    def with_options(
        self,
        *,
        retry: RetryPolicy | None = None,
        timeout: Timeout | None = None,
        limiter: Limiter | Unchanged | None = UNCHANGED,
    ) -> Self:
        """Return a client with other options.

        It shares session, credentials and retry quota with this client. Closing it does nothing.

        Args:
            retry: Retry settings. None keeps those of this client.
            timeout: Time limits. None keeps those of this client.
            limiter: Limiter around each request, or None for no limiter.
        """
        transport, other = self._transport, copy.copy(self)
        other._transport = transport.with_options(
            retry=transport.retry if retry is None else retry,
            timeout=transport.timeout if timeout is None else timeout,
            limiter=transport.limiter if limiter is UNCHANGED else limiter,
        )
        return other

    async def aclose(self) -> None:
        """Close the session if this client made it. Closing twice is allowed."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # A traceback may show a client whose construction has failed.
        transport = getattr(self, "_transport", None)
        address = "no address" if transport is None else transport.base_url
        return f"<{type(self).__name__} of {address}>"


def read_environment(name: str) -> str | None:
    """Return an environment variable, or None if it is not set or blank."""
    return os.environ.get(name, "").strip() or None
