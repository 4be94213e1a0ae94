"""Retries without waits."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

import pytest


@contextmanager
def no_retry_delays() -> Generator[None]:
    """Skip the waits before retries during the block, but not the retries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evtransport.transport.sleep", skip)
        yield


async def skip(seconds: float) -> None:
    """Let the event loop run once instead of waiting."""
    await asyncio.sleep(0)
