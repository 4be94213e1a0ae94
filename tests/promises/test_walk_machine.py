"""Walks under everything at once: rows that move, faults, revoked tokens, cancels and resumes.

Each report is delivered once, none is lost, and no task is left, whatever the order of events.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from depotclient import ApiError, DepotClient, PaginationError, RetryPolicy, SessionReport, Walk
from depotclient.sandbox import RETRYABLE, DepotSandbox, Fault
from tests.promises.candidates import CHARGER, CONNECTOR

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2026, 2, 1, tzinfo=UTC)
FAULTS = (*RETRYABLE, *map(Fault.status, (401, 403, 302, 204)))


class WalkMachine(RuleBasedStateMachine):
    """One window of one connector, read by a job that is interrupted and resumed."""

    verify = False
    limits = st.none() | st.integers(1, 15)
    max_limits = st.integers(1, 20)
    """Largest limits that the server serves."""
    rows_move = False
    """Rows are inserted and deleted anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.faults: deque[Fault] = deque()
        self.delivered: list[int] = []
        self.ever: set[int] = set()
        self.last = START
        self.walk: Walk[SessionReport] | None = None
        self.cursor: str | None = None
        self.has_ended = False

    def _next_faults(self) -> Iterator[Fault | None]:
        while True:
            yield self.faults.popleft() if self.faults else None

    @initialize(count=st.integers(0, 45), read_ahead=st.integers(0, 4), data=st.data())
    def start(self, count: int, read_ahead: int, data: st.DataObject) -> None:
        max_limit = data.draw(self.max_limits, "max_limit")
        self.limit, self.read_ahead = data.draw(self.limits, "limit"), read_ahead
        self.runner.run(self._open_client(max_limit))
        for _ in range(count):
            self.append()
        self.staying = set(self.ever)

    async def _open_client(self, max_limit: int) -> None:
        self.sandbox = DepotSandbox(
            chargers={CHARGER: [CONNECTOR]},
            sessions=0,
            max_limit=max_limit,
            faults=self._next_faults(),
        )
        await self.sandbox.start()
        self.client = DepotClient(
            client_id=self.sandbox.client_id,
            client_secret=self.sandbox.client_secret,
            base_url=self.sandbox.base_url,
            token_url=self.sandbox.token_url,
            retry=RetryPolicy(attempts=2),
        )

    def _open_walk(self) -> Walk[SessionReport]:
        self.walk = (
            self.walk
            or self.client.session_reports(
                CHARGER,
                CONNECTOR,
                from_=START,
                to=END,
                limit=self.limit,
                read_ahead=self.read_ahead,
                verify=self.verify,
                resume=self.cursor,
            ).walk()
        )
        return self.walk

    async def _read(self, count: int) -> None:
        walk = self._open_walk()
        for _ in range(0 if self.has_ended else count):
            try:
                self.delivered.append((await anext(walk)).session_id)
            except StopAsyncIteration:
                self.has_ended = True
                return

    # The server.

    def _insert(self, at: datetime) -> None:
        session_id = len(self.ever) + 1
        report = {"sessionId": session_id, "sessionTimeStart": at.isoformat()}
        self.sandbox.add(CHARGER, CONNECTOR, json.dumps(report).encode())
        self.ever.add(session_id)

    @rule()
    def append(self) -> None:
        self.last += timedelta(minutes=1)
        self._insert(self.last)

    @precondition(lambda self: self.rows_move)
    @rule(share=st.floats(0, 1))
    def insert(self, share: float) -> None:
        self._insert(START + share * (self.last - START))

    @precondition(lambda self: self.rows_move and self.sandbox.session_ids(CHARGER, CONNECTOR))
    @rule(share=st.floats(0, 0.999))
    def delete(self, share: float) -> None:
        ids = self.sandbox.session_ids(CHARGER, CONNECTOR)
        deleted = ids[int(share * len(ids))]
        self.sandbox.remove(CHARGER, CONNECTOR, deleted)
        self.staying.discard(deleted)

    @rule()
    def revoke_token(self) -> None:
        self.sandbox.revoke_tokens()

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3))
    def next_faults(self, faults: list[Fault]) -> None:
        self.faults.extend(faults)

    # The job. No precondition depends on timing, so that a failing run can be replayed.

    @rule(count=st.integers(1, 12))
    def read(self, count: int) -> None:
        try:
            self.runner.run(self._read(count))
        except PaginationError:
            assert self.rows_move, "the rows have not moved"
        except ApiError as error:
            keeps_position = error.cursor == self._open_walk().cursor
            assert keeps_position

    @rule(count=st.integers(1, 12), turns=st.integers(0, 60))
    def read_and_cancel(self, count: int, turns: int) -> None:
        async def cancel() -> None:
            job = asyncio.create_task(self._read(count))
            for _ in range(turns):
                await asyncio.sleep(0)
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

        self.runner.run(cancel())

    @rule()
    def resume(self) -> None:
        walk = self._open_walk()
        self.cursor, self.walk = str(walk.cursor), None
        self.runner.run(walk.aclose())

    @invariant()
    def each_report_is_delivered_once(self) -> None:
        assert len(set(self.delivered)) == len(self.delivered)
        assert set(self.delivered) <= self.ever
        assert self.rows_move or self.delivered == sorted(self.delivered)
        assert not self.has_ended or self.staying <= set(self.delivered)

    @precondition(lambda self: self.walk is None)
    @invariant()
    def nothing_is_open_when_idle(self) -> None:
        async def open_tasks() -> set[str]:
            for _ in range(3):
                await asyncio.sleep(0)
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            # The sandbox has a task for each connection.
            names = {getattr(task.get_coro(), "__qualname__", "") for task in tasks}
            return {name for name in names if not name.startswith("RequestHandler.")}

        assert self.runner.run(open_tasks()) == set()

    async def _finish(self) -> None:
        self.faults.clear()
        errors = 0
        while not self.has_ended:
            try:
                await self._read(1000)
            except ApiError:
                # The page was prefetched while rows still moved.
                errors += 1
                assert errors <= 1 + self.read_ahead

    async def _close(self) -> None:
        if self.walk is not None:
            await self.walk.aclose()
        await self.client.aclose()
        await self.sandbox.aclose()
        for _ in range(3):
            await asyncio.sleep(0)  # The sockets close.

    def teardown(self) -> None:
        with self.runner:
            if hasattr(self, "client"):
                try:
                    self.runner.run(self._finish())
                    self.each_report_is_delivered_once()
                finally:
                    self.runner.run(self._close())


class VerifyingWalkMachine(WalkMachine):
    """The same with `verify=True`. Rows are inserted and deleted anywhere."""

    verify = True
    rows_move = True


class OverlappingWalkMachine(WalkMachine):
    """A plain walk. Rows move, and the server serves the limits requested."""

    limits = st.none() | st.integers(10, 25)
    max_limits = st.just(2000)
    rows_move = True


@pytest.mark.parametrize("machine", [WalkMachine, OverlappingWalkMachine, VerifyingWalkMachine])
def test_each_report_is_delivered_once_and_none_is_lost(
    machine: type[WalkMachine], full: bool
) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=300 if full else 10,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
