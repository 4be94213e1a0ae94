"""Store new sessions in PostgreSQL, each exactly once: `python follow_postgresql.py CP-001/1...`.

DEPOT_DATABASE_URL is the address of the database. A transaction stores each session together with
the state of `follow`. So a run that is killed at any moment loses no session and stores none twice.
Run it again to continue. It needs psycopg 3.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta

from psycopg import AsyncConnection

from depotclient import DepotClient

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (charger_id text, connector_id text, report jsonb);
CREATE TABLE IF NOT EXISTS follow_state (id int PRIMARY KEY CHECK (id = 1), state bytea)
"""
SAVE = """
INSERT INTO follow_state VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET state = excluded.state
"""


class PostgresState:
    """State of `follow`, in the database of the sessions."""

    def __init__(self, database: AsyncConnection) -> None:
        self.database = database

    async def load(self) -> bytes | None:
        """Return the saved state."""
        row = await (await self.database.execute("SELECT state FROM follow_state")).fetchone()
        return None if row is None else bytes(row[0])

    async def save(self, state: bytes) -> None:
        """Save the state, in the transaction of the session if one is open."""
        await self.database.execute(SAVE, (state,))


async def main(address: str, connectors: list[tuple[str, str]], every: timedelta) -> None:
    """Store the sessions from 2026 on, until the program is stopped."""
    async with await AsyncConnection.connect(address, autocommit=True) as database:
        await database.execute(SCHEMA)
        state, since = PostgresState(database), datetime(2026, 1, 1, tzinfo=UTC)
        async with DepotClient.from_env() as depot:
            follow = depot.follow(connectors, since=since, every=every, state=state)
            # The run ends before the database is closed, because its end may save the state.
            async with follow.run() as items:
                async for item in items:
                    if item.error is not None:
                        print(item.connector, item.error, file=sys.stderr)
                        continue
                    row = (*item.connector, item.raw.decode())
                    async with database.transaction():
                        await database.execute("INSERT INTO sessions VALUES (%s, %s, %s)", row)
                        await item.done()


if __name__ == "__main__":
    names = (name.rpartition("/") for name in sys.argv[1:])
    connectors = [(charger, connector) for charger, _, connector in names]
    asyncio.run(main(os.environ["DEPOT_DATABASE_URL"], connectors, timedelta(minutes=1)))
