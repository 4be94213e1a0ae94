"""What every client is: a transport with methods, that closes what it made."""

from __future__ import annotations

import copy
import os
from types import TracebackType
from typing import Self

from evtransport.retry import RetryPolicy, Timeout
from evtransport.transport import UNCHANGED, Limiter, Transport, Unchanged

__all__ = ["ApiClient", "from_environment"]


class ApiClient:
    """The base of `ThorClient` and `DepotClient`.

    Use it as `async with client:` or call `aclose()` at the end. Nothing is opened before the
    first call. A client belongs to the event loop of its first call.
    """

    _transport: Transport

    def with_options(
        self,
        *,
        retry: RetryPolicy | None = None,
        timeout: Timeout | None = None,
        limiter: Limiter | Unchanged | None = UNCHANGED,
    ) -> Self:
        """The same client under other options.

        It shares session, credentials and retry quota, and does not own the session: closing it
        does nothing.

        Args:
            retry: Another policy; None keeps this one.
            timeout: Other timeouts; None keeps these.
            limiter: Another limiter; None goes without.
        """
        other = copy.copy(self)
        other._transport = self._transport.with_options(
            retry=retry, timeout=timeout, limiter=limiter
        )
        return other

    async def aclose(self) -> None:
        """Close the session if this client made it; further calls do nothing."""
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
        # A client whose construction failed has none, and is still shown in the traceback.
        transport = getattr(self, "_transport", None)
        address = "no address" if transport is None else transport.base_url
        return f"<{type(self).__name__} of {address}>"


def from_environment(name: str) -> str | None:
    """An environment variable; None where it is not set or blank."""
    return os.environ.get(name, "").strip() or None
