"""Walks over many connectors that are killed and resumed, on a server with faults."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from typing import TypeAlias

import attrs
import pytest

from depotclient import ApiError, Cursor, RetryPolicy
from depotclient.sandbox import DepotSandbox, Fault, ReportShape
from tests.support.clients import client_of
from tests.support.waiting import loop_until

Ids: TypeAlias = tuple[str, str]

FAULTS = (
    *(Fault.status(500), Fault.status(503), Fault.status(429, retry_after=0)),
    *(Fault.disconnect(), Fault.truncate(), Fault.html()),
)


@attrs.define
class Job:
    """Job that stores a JSON text of cursors with the reports, and is killed at any time."""

    sandbox: DepotSandbox
    found: list[tuple[Ids, int]] = attrs.field(factory=list)
    cursors: dict[Ids, Cursor] = attrs.field(factory=dict)

    @property
    def connectors(self) -> list[Ids]:
        chargers = self.sandbox.chargers
        return [(charger, connector) for charger in chargers for connector in chargers[charger]]

    @property
    def state(self) -> str:
        return json.dumps([[*ids, str(cursor)] for ids, cursor in self.cursors.items()])

    @property
    def has_finished(self) -> bool:
        finished = [cursor.finished for cursor in self.cursors.values()]
        return all(finished) and bool(finished)

    async def run(self) -> None:
        resume = {(charger, connector): text for charger, connector, text in json.loads(self.state)}
        async with (
            client_of(self.sandbox, retry=RetryPolicy(base_delay=0)) as depot,
            depot.session_reports_many(self.connectors, limit=2, resume=resume).walk() as walk,
        ):
            async for ids, report in walk:
                if not isinstance(report, ApiError):
                    self.found.append((ids, report.session_id))
                self.cursors = walk.cursors
            self.cursors = walk.cursors

    async def run_until_killed(self, reports: int) -> None:
        goal, task = len(self.found) + reports, asyncio.create_task(self.run())
        await loop_until(lambda: task.done() or len(self.found) >= goal, seconds=300)
        task.cancel()
        await asyncio.wait([task])
        await loop_until(lambda: self.sandbox.in_flight == 0)


@pytest.mark.parametrize("chargers", [20, pytest.param(500, marks=pytest.mark.slow)])
async def test_a_killed_job_resumes_and_has_each_report_once_despite_faults(chargers: int) -> None:
    draw = random.Random(5)
    faults = (draw.choice(FAULTS) if draw.random() < 0.1 else None for _ in itertools.count())
    small = ReportShape.small()
    async with DepotSandbox(chargers=chargers, sessions=3, shape=small, faults=faults) as sandbox:
        job, kills = Job(sandbox), 0
        while not job.has_finished:
            await job.run_until_killed(reports=2 * chargers)
            kills += 1

        assert kills > 2
        assert sorted(job.found) == sorted(
            (ids, session_id) for ids in job.connectors for session_id in sandbox.session_ids(*ids)
        )
        requests = len(sandbox.requests)
        await job.run()
        assert len(sandbox.requests) == requests
