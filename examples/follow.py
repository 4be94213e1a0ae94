"""Print new sessions until Ctrl-C: `python follow.py STATE CHARGER/CONNECTOR...`.

Run it again: it continues where it stopped.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from depotclient import DepotClient, FileState


async def main(state: str, connectors: Sequence[tuple[str, str]]) -> None:
    """Print the sessions that start from yesterday on, as they appear."""
    since = datetime.now(UTC) - timedelta(days=1)
    async with DepotClient.from_env() as depot:
        follow = depot.follow(connectors, since=since, state=FileState(state))
        async with follow.run() as items:
            async for item in items:
                if item.error is None:
                    print(*item.connector, item.report.session_id, flush=True)
                else:
                    print(f"{item.error}, next at {item.next_attempt}", file=sys.stderr)


if __name__ == "__main__":
    names = (name.rpartition("/") for name in sys.argv[2:])
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1], [(charger, connector) for charger, _, connector in names]))
