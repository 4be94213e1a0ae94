"""Poll the analytics of a fleet until Ctrl-C: `python service.py [ID...]`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing, suppress

from aiolimiter import AsyncLimiter

from thorclient import ApiError, ThorClient


async def poll(thor: ThorClient, ids: Sequence[str]) -> None:
    """Request the analytics of every chargebox once. A failure does not stop the others."""
    async with aclosing(thor.get_analytics_many(ids, concurrency=16)) as results:
        async for chargebox_id, result in results:
            if isinstance(result, ApiError):
                print(f"{chargebox_id}: {result!r}", file=sys.stderr, flush=True)
            else:
                print(f"{chargebox_id}: {result.charges.last_7} charges in 7 days", flush=True)


async def main(ids: Sequence[str], pause: float = 300.0) -> None:
    """Poll forever, with at most 10 requests a second after the first 10, including retries.

    Without ids, poll all chargeboxes that are active now.
    """
    async with ThorClient.from_env() as client:
        thor = client.with_options(limiter=AsyncLimiter(10, time_period=1.0))
        ids = ids or [box.id for box in await thor.get_chargeboxes()]
        while True:
            await poll(thor, ids)
            await asyncio.sleep(pause)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1:]))
