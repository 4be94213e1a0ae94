"""Copy new reports into SQLite every night: `python nightly.py DATABASE CHARGER/CONNECTOR...`.

After an error, Ctrl-C or a crash, run it again: it first completes the windows that it left.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing, closing
from datetime import UTC, datetime, timedelta

from depotclient import ApiError, DepotClient, Page, SessionReport

START = datetime(2026, 1, 1, tzinfo=UTC)  # of the first night
OVERLAP = timedelta(days=3)  # longer than any session with its late upload and corrections
MARGIN = timedelta(days=1)  # longer than any session

SCHEMA = """
CREATE TABLE IF NOT EXISTS reports (
    charger TEXT, connector TEXT, key TEXT, report TEXT,
    PRIMARY KEY (charger, connector, key)
);
-- The last window of each connector. cursor is NULL after its end, and '' before its first page.
CREATE TABLE IF NOT EXISTS windows (
    charger TEXT, connector TEXT, since TEXT, until TEXT, cursor TEXT,
    PRIMARY KEY (charger, connector)
);
"""
WINDOW = "SELECT since, until, cursor FROM windows WHERE (charger, connector) = (?, ?)"

Connector = tuple[str, str]
Window = tuple[str, str]
Plan = Mapping[Window, Mapping[Connector, str]]


def unfinished(db: sqlite3.Connection, connectors: Sequence[Connector]) -> Plan:
    """Return the windows that an earlier run left, with the cursors of their connectors."""
    plan = defaultdict[Window, dict[Connector, str]](dict)
    for connector in connectors:
        row = db.execute(WINDOW, connector).fetchone()
        if row and row[2] is not None:
            plan[row[0], row[1]][connector] = row[2]
    return plan


def tonight(db: sqlite3.Connection, connectors: Sequence[Connector], now: datetime) -> Plan:
    """Return new windows, from the end of the last one less the overlap, until now."""
    plan = defaultdict[Window, dict[Connector, str]](dict)
    for connector in connectors:
        row = db.execute(WINDOW, connector).fetchone()
        if row is None or row[2] is None:
            since = datetime.fromisoformat(row[1]) - OVERLAP if row else START
            plan[since.isoformat(), now.isoformat()][connector] = ""
    return plan


def store(db: sqlite3.Connection, connector: Connector, page: Page[SessionReport]) -> None:
    """Insert or replace the reports of a page, and store its cursor in the same transaction."""
    rows = [
        # As text: keys are unsigned, and the integers of SQLite are signed.
        (*connector, f"{key:016x}", report.decode())
        for key, report in zip(page.keys, page.raw_reports, strict=True)
    ]
    with db:
        db.executemany("INSERT OR REPLACE INTO reports VALUES (?, ?, ?, ?)", rows)
        save_cursors(db, {connector: str(page.cursor)})


def save_cursors(db: sqlite3.Connection, cursors: Mapping[Connector, str | None]) -> None:
    """Store the cursors of windows that are in the table."""
    sql = "UPDATE windows SET cursor = ? WHERE (charger, connector) = (?, ?)"
    db.executemany(sql, [(cursor, *connector) for connector, cursor in cursors.items()])


async def copy(depot: DepotClient, db: sqlite3.Connection, plan: Plan) -> int:
    """Copy windows. Return the number of connectors that failed, which keep their cursors."""
    failures = 0
    for window, cursors in plan.items():
        with db:
            rows = [(*connector, *window, cursor) for connector, cursor in cursors.items()]
            db.executemany("INSERT OR REPLACE INTO windows VALUES (?, ?, ?, ?, ?)", rows)
        reports = depot.session_reports_many(
            cursors,
            from_=datetime.fromisoformat(window[0]),
            to=datetime.fromisoformat(window[1]),
            margin=MARGIN,
            resume={connector: cursor for connector, cursor in cursors.items() if cursor},
        )
        complete: dict[Connector, None] = dict.fromkeys(cursors)
        async with aclosing(reports.pages()) as pages:
            async for connector, page in pages:
                if isinstance(page, ApiError):
                    print(f"{'/'.join(connector)}: {page!r}", file=sys.stderr)
                    del complete[connector]
                    failures += 1
                else:
                    store(db, connector, page)
        with db:  # The end of a window is the end of its cursors.
            save_cursors(db, complete)
    return failures


async def main(path: str, connectors: Sequence[Connector]) -> int:
    """Complete the windows of earlier runs, then copy tonight's. Return the exit status."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA)
        async with DepotClient.from_env() as depot:
            failures = await copy(depot, db, unfinished(db, connectors))
            failures += await copy(depot, db, tonight(db, connectors, datetime.now(UTC)))
    return 1 if failures else 0


if __name__ == "__main__":
    names = [name.rpartition("/") for name in sys.argv[2:]]
    sys.exit(asyncio.run(main(sys.argv[1], [(charger, name) for charger, _, name in names])))
