"""Client that the options of a command choose."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from thorclient.client import ThorClient

__all__ = ["open_client"]


@asynccontextmanager
async def open_client(sandbox: bool) -> AsyncGenerator[ThorClient]:
    """Yield a client of the built-in sandbox, or of the account in the environment.

    Raises:
        ValueError: The environment has no API key.
    """
    if not sandbox:
        async with ThorClient.from_env() as client:
            yield client
        return
    from thorclient.sandbox import ThorSandbox

    async with (
        ThorSandbox() as server,
        ThorClient(api_key=server.api_key, base_url=server.base_url, proxy=False) as client,
    ):
        yield client
