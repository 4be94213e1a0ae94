"""R14: a copy that is killed at any moment and run again holds every session once."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path

import attrs
import pytest

pytest.importorskip("pyarrow")

from depotclient.sandbox import TimeFilter
from evtransport.testing.sandbox import running_in_thread
from tests.promises.copy_child import Task
from tests.support.clients import account_of
from tests.support.copies import Files
from tests.support.figures import Record, nonzero, tally
from tests.support.kills import Moment
from tests.support.nights import NightlyDepot
from tests.support.postgres import PostgresServer
from tests.support.tables import TARGETS, make_target

TIME_FILTERS: tuple[TimeFilter, ...] = ("start", "end", "overlap")
MAX_DELAY = 0.05
"""Longest time between an audit event and the kill, in seconds."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_copy_that_is_killed_repeatedly_holds_every_session_once(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, record: Record, full: bool
) -> None:
    def new_database() -> str:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.new_database()

    killer = Killer(random.Random(name), kills_per_night=3 if full else 1)
    figures = tally("kills", "nights", "lost", "duplicated")
    depots = count()
    while figures["kills"] < (50 if full else 2):
        number = next(depots)
        folder = tmp_path / str(number)
        folder.mkdir()
        target = make_target(name, folder, new_database)
        if isinstance(target, Files):
            target = attrs.evolve(target, window="day" if number % 2 else "month")
        options = {"time_filter": TIME_FILTERS[number % 3], "order": "shuffled", "max_limit": 6}
        depot = NightlyDepot(per_day=9, options=options)
        with running_in_thread(depot.sandbox):
            for night in range(5 if full else 2):
                depot.night(night)
                task = Task(target, account_of(depot.sandbox), depot.now, tmp_path / "log")
                figures["kills"] += killer.run(task)
                found, truth = target.read(), target.truth(depot)
                figures["lost"] += (truth.present - found.present).total()
                figures["duplicated"] += (found.present - truth.present).total()
                assert not found.differences(truth), (night, options)
                figures["nights"] += 1
    record(f"R14 {name}", figures)
    assert nonzero(figures) == {"kills", "nights"}


@attrs.define
class Killer:
    """Kills copies at random moments: at an audit event, or soon after it.

    Args:
        draw: Random numbers.
        kills_per_night: Most kills of a copy, before it runs to its end.
        events: Number of audit events of the last copy that ended.
    """

    draw: random.Random
    kills_per_night: int
    events: int = 200

    def run(self, task: Task) -> int:
        """Run a task until it has ended. Return how often it was killed."""
        for kills in range(self.kills_per_night):
            event = self.draw.randrange(self.events)
            delay = self.draw.choice((0.0, self.draw.random() * MAX_DELAY))
            if (events := task.run(Moment(event, delay))) is not None:
                self.events = events
                return kills
        self.events = task.run() or self.events
        return self.kills_per_night
