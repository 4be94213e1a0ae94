"""Store new sessions in SQLite, each exactly once: `python follow_sqlite.py FILE CP-001/1...`.

A transaction stores each session together with the state of `follow`. So a run that is killed at
any moment loses no session and stores none twice. Run it again to continue.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

from depotclient import DepotClient

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (charger_id TEXT, connector_id TEXT, report BLOB);
CREATE TABLE IF NOT EXISTS follow_state (id INTEGER PRIMARY KEY CHECK (id = 1), state BLOB);
"""


class SqliteState:
    """State of `follow`, in the database of the sessions."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    async def load(self) -> bytes | None:
        """Return the saved state."""
        row = self.database.execute("SELECT state FROM follow_state").fetchone()
        return None if row is None else bytes(row[0])

    async def save(self, state: bytes) -> None:
        """Save the state, in the transaction of the session if one is open."""
        self.database.execute("INSERT OR REPLACE INTO follow_state VALUES (1, ?)", (state,))


async def main(file: str, connectors: list[tuple[str, str]], every: timedelta) -> None:
    """Store the sessions from 2026 on, until the program is stopped."""
    # Without an isolation level, each statement outside of BEGIN and COMMIT commits at once.
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.executescript(SCHEMA)
        state, since = SqliteState(database), datetime(2026, 1, 1, tzinfo=UTC)
        async with DepotClient.from_env() as depot:
            follow = depot.follow(connectors, since=since, every=every, state=state)
            # The run ends before the database is closed, because its end may save the state.
            async with follow.run() as items:
                async for item in items:
                    if item.error is not None:
                        print(item.connector, item.error, file=sys.stderr)
                        continue
                    row = (*item.connector, item.raw)
                    with database:  # commits, or rolls back after an error
                        database.execute("BEGIN IMMEDIATE")
                        database.execute("INSERT INTO sessions VALUES (?, ?, ?)", row)
                        await item.done()


if __name__ == "__main__":
    names = (name.rpartition("/") for name in sys.argv[2:])
    connectors = [(charger, connector) for charger, _, connector in names]
    asyncio.run(main(sys.argv[1], connectors, timedelta(minutes=1)))
