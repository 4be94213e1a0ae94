"""Read the analytics of a fleet within 2 s: `python fleet_deadline.py [ID...]`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing, suppress

from thorclient import Analytics, ApiError, ThorClient


async def read_fleet(
    thor: ThorClient, ids: Sequence[str], seconds: float
) -> dict[str, Analytics | ApiError]:
    """Return what arrives in time. Calls that are still running are cancelled."""
    found: dict[str, Analytics | ApiError] = {}
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(seconds),
            aclosing(thor.get_analytics_many(ids, concurrency=50)) as results,
        ):
            async for chargebox_id, result in results:
                # A comprehension would lose the results when the time is up.
                found[chargebox_id] = result  # noqa: PERF403
    return found


async def main(ids: Sequence[str], seconds: float = 2.0) -> None:
    """Print how many analytics arrived. Without ids, read the first 50 active chargeboxes."""
    async with ThorClient.from_env() as thor:
        ids = ids or [box.id for box in await thor.get_chargeboxes()][:50]
        found = await read_fleet(thor, ids, seconds)
    failed = sum(isinstance(result, ApiError) for result in found.values())
    print(f"{len(found) - failed} of {len(ids)} arrived within {seconds:g} s, {failed} failed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
