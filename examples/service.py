"""Poll the analytics of a fleet until Ctrl-C: `python service.py [ID...]`."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Sequence
from contextlib import aclosing, suppress
from datetime import timedelta

from thorclient import ApiError, ThorClient


async def main(ids: Sequence[str], every: timedelta = timedelta(minutes=5)) -> None:
    """Print the analytics of each chargebox every 5 minutes. Without ids, poll all active ones."""
    async with (
        ThorClient.from_env() as thor,
        aclosing(thor.poll(ids or None, every=every)) as results,
    ):
        async for chargebox_id, result in results:
            name = chargebox_id or "list of chargeboxes"
            if isinstance(result, ApiError):
                print(f"{name}: {result!r}", file=sys.stderr, flush=True)
            else:
                print(f"{name}: {result.charges.last_7} charges in 7 days", flush=True)


if __name__ == "__main__":
    # The garbage collector leaves out what the imports have made, so its passes are shorter.
    gc.collect()
    gc.freeze()
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1:]))
