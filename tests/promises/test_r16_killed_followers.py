"""R16: sessions and state in one transaction: each session is stored once, whatever is killed."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest

pytest.importorskip("psycopg")

import psycopg

from depotclient.sandbox import DepotSandbox, ReportShape, make_report
from evtransport.testing.sandbox import running_in_thread
from tests.promises.follow_child import CONNECTORS, Follower
from tests.support.figures import Record, nonzero, tally
from tests.support.kills import KILLED, Moment, start_child
from tests.support.postgres import PostgresServer
from tests.support.waiting import until

Stored: TypeAlias = Counter[tuple[str, str, int]]
"""Number of rows for each charger id, connector id and session id."""

SELECT = "SELECT charger_id, connector_id, report FROM sessions"
MAX_EVENT, MAX_DELAY, MAX_LIFE = 300, 0.3, 1.0
"""Last audit event to kill at, and longest times until the kill in seconds."""


def read_sqlite(file: str) -> Stored:
    """Return what a database holds. A run that was killed early may have created no table."""
    with closing(sqlite3.connect(file)) as database:
        try:
            rows = database.execute(SELECT).fetchall()
        except sqlite3.OperationalError:
            return Counter()
    return Counter((row[0], row[1], json.loads(row[2])["sessionId"]) for row in rows)


def read_postgresql(address: str) -> Stored:
    """Return what a database holds. A run that was killed early may have created no table."""
    with psycopg.connect(address) as database:
        try:
            rows = database.execute(SELECT).fetchall()
        except psycopg.errors.UndefinedTable:
            return Counter()
    return Counter((row[0], row[1], row[2]["sessionId"]) for row in rows)


READERS: dict[str, Callable[[str], Stored]] = {"sqlite": read_sqlite, "postgresql": read_postgresql}


@attrs.define
class Depot:
    """A depot that gets new sessions between two runs."""

    sandbox: DepotSandbox = attrs.field(
        factory=lambda: DepotSandbox(
            chargers={"CP-001": ["1", "2"], "CP-002": ["1"]},
            sessions=40, shape=ReportShape.small(), fault_rate=0.05,
        )
    )  # fmt: skip
    _ids: count[int] = attrs.field(init=False, factory=lambda: count(1001))

    def add(self, sessions: int) -> None:
        """Add sessions that have just ended."""
        for number in range(sessions):
            for connector in CONNECTORS:
                end = datetime.now(UTC) - timedelta(seconds=number)
                report = make_report(
                    next(self._ids), session_time_start=end - timedelta(hours=1),
                    session_time_end=end,
                )  # fmt: skip
                self.sandbox.add(*connector, report)

    def contents(self) -> Stored:
        """Return what the database must hold."""
        return Counter(
            (*connector, session_id)
            for connector in CONNECTORS
            for session_id in self.sandbox.session_ids(*connector)
        )


@pytest.mark.parametrize("name", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_killed_followers_store_every_session_once(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, record: Record, full: bool
) -> None:
    database, read = str(tmp_path / "sessions.sqlite"), READERS[name]
    if name == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database = server.new_database()
    figures = tally("kills", "kills between sessions", "sessions", "lost", "duplicated")
    draw, depot, log = random.Random(name), Depot(), tmp_path / "log"
    with running_in_thread(depot.sandbox):
        follower = Follower(f"follow_{name}.py", database, depot.sandbox.environment)
        while figures["kills"] < (50 if full else 2):
            moment = Moment(draw.randrange(MAX_EVENT), draw.random() * MAX_DELAY)
            before = read(database)
            run_and_kill(follower, log, moment, draw.random() * MAX_LIFE)
            stored, expected = read(database), depot.contents()
            figures["kills"] += 1
            figures["kills between sessions"] += before < stored < expected
            assert stored <= expected
            depot.add(5)
        finish(follower, log, depot, read)
    stored, expected = read(database), depot.contents()
    figures["sessions"] = expected.total()
    figures["lost"] = (expected - stored).total()
    figures["duplicated"] = (stored - expected).total()
    record(f"R16 follow, {name}", figures)
    assert nonzero(figures) >= {"kills", "sessions"}
    assert not nonzero(figures) & {"lost", "duplicated"}


def run_and_kill(follower: Follower, log: Path, moment: Moment, life: float) -> None:
    """Run a follower until the moment, or for this many seconds."""
    process = start_child(follower, log, moment, [Follower.__module__])
    process.join(life)
    process.kill()
    process.join()
    assert process.exitcode in KILLED, log.read_text()


def finish(follower: Follower, log: Path, depot: Depot, read: Callable[[str], Stored]) -> None:
    """Run a follower until it has stored all sessions, and for two more rounds."""
    process = start_child(follower, log, None, [Follower.__module__])

    def has_stored(expected: Stored) -> bool:
        assert process.is_alive(), log.read_text()
        return read(follower.database) >= expected

    until(lambda: has_stored(depot.contents()), seconds=60)
    requests = depot.sandbox.requests
    end = len(requests) + 4 * len(CONNECTORS)
    until(lambda: len(requests) >= end, seconds=60)
    process.kill()
    process.join()
