"""A walk under everything at once: rows that move, faults, dead tokens, breaks, cancels, resumes.

Whatever the order of events, what was delivered and what remains make the truth, each report comes
once, and nothing is open when the walk is not being waited for.
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

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2026, 2, 1, tzinfo=UTC)
FAULTS = (*RETRYABLE, Fault.status(401), Fault.status(403), Fault.status(302), Fault.status(204))


class WalkMachine(RuleBasedStateMachine):
    """One window of one connector, read by one job that is interrupted and goes on."""

    verify = False
    limits = st.none() | st.integers(1, 15)
    served = st.integers(1, 20)
    """Largest limit that the server serves."""
    rows_move = False
    """Rows come late, and go."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.faults: deque[Fault] = deque()
        self.delivered: list[int] = []
        self.staying: set[int] = set()
        self.ever: set[int] = set()
        self.walk: Walk[SessionReport] | None = None
        self.cursor: str | None = None
        self.next_id = 1
        self.over = False

    def _next_faults(self) -> Iterator[Fault | None]:
        while True:
            yield self.faults.popleft() if self.faults else None

    @initialize(count=st.integers(0, 45), read_ahead=st.integers(0, 4), data=st.data())
    def begin(self, count: int, read_ahead: int, data: st.DataObject) -> None:
        served = data.draw(self.served, "served")
        self.limit, self.read_ahead = data.draw(self.limits, "limit"), read_ahead

        async def start() -> None:
            chargers = {CHARGER: [CONNECTOR]}
            self.sandbox = DepotSandbox(
                chargers=chargers, sessions=0, max_limit=served, faults=self._next_faults()
            )
            await self.sandbox.start()
            self.client = DepotClient(
                client_id=self.sandbox.client_id,
                client_secret=self.sandbox.client_secret,
                base_url=self.sandbox.base_url,
                token_url=self.sandbox.token_url,
                retry=RetryPolicy(attempts=2),
            )

        self.runner.run(start())
        for place in range(count):
            self._insert(BEGIN + timedelta(minutes=place))
        self.last = BEGIN + timedelta(minutes=count)
        self.staying = set(self.ever)

    def _insert(self, at: datetime) -> None:
        report = {"sessionId": self.next_id, "sessionTimeStart": at.isoformat()}
        self.sandbox.insert(CHARGER, CONNECTOR, json.dumps(report).encode())
        self.ever.add(self.next_id)
        self.next_id += 1

    def _open(self) -> Walk[SessionReport]:
        if self.walk is None:
            self.walk = self.client.session_reports(
                CHARGER,
                CONNECTOR,
                from_=BEGIN,
                to=END,
                limit=self.limit,
                read_ahead=self.read_ahead,
                verify=self.verify,
                resume=self.cursor,
            ).walk()
        return self.walk

    async def _take(self, count: int) -> None:
        """Take so many reports, or go on to the end of the window, or to an error.

        What depends on timing is decided here and in no precondition, so that a failing run can
        be replayed.
        """
        walk = self._open()
        for _ in range(0 if self.over else count):
            try:
                self.delivered.append((await anext(walk)).session_id)
            except StopAsyncIteration:
                self.over = True
                return

    # What the world does.

    @rule()
    def insert(self) -> None:
        self.last += timedelta(minutes=1)
        self._insert(self.last)

    @precondition(lambda self: self.rows_move)
    @rule(share=st.floats(0, 1))
    def late_insert(self, share: float) -> None:
        self._insert(BEGIN + share * (self.last - BEGIN))

    @precondition(lambda self: self.rows_move and self.sandbox.session_ids(CHARGER, CONNECTOR))
    @rule(share=st.floats(0, 0.999))
    def delete(self, share: float) -> None:
        ids = self.sandbox.session_ids(CHARGER, CONNECTOR)
        gone = ids[int(share * len(ids))]
        self.sandbox.delete(CHARGER, CONNECTOR, gone)
        self.staying.discard(gone)

    @rule()
    def revoke_token(self) -> None:
        self.sandbox.revoke_tokens()

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3))
    def next_faults(self, faults: list[Fault]) -> None:
        self.faults.extend(faults)

    # What the job does.

    @rule(count=st.integers(1, 12))
    def next_items(self, count: int) -> None:
        try:
            self.runner.run(self._take(count))
        except PaginationError:
            assert self.rows_move, "the rows have not moved"
        except ApiError as error:
            stands = error.cursor == self._open().cursor
            assert stands

    @rule(count=st.integers(1, 12), turns=st.integers(0, 60))
    def cancelled_items(self, count: int, turns: int) -> None:
        async def cancel() -> None:
            job = asyncio.create_task(self._take(count))
            for _ in range(turns):
                await asyncio.sleep(0)
            job.cancel()
            await asyncio.wait([job])
            if not job.cancelled():
                job.exception()  # an error that came first

        self.runner.run(cancel())

    @rule()
    def break_and_resume(self) -> None:
        walk = self._open()
        self.cursor = str(walk.cursor)
        self.runner.run(walk.aclose())
        self.walk = None

    # What must hold.

    @invariant()
    def each_report_comes_once(self) -> None:
        assert len(set(self.delivered)) == len(self.delivered)
        assert set(self.delivered) <= self.ever
        if not self.rows_move:
            assert self.delivered == sorted(self.delivered)

    @precondition(lambda self: self.over)
    @invariant()
    def nothing_that_stayed_is_missing_at_the_end(self) -> None:
        assert self.staying <= set(self.delivered)

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

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            self.runner.close()
            return

        async def finish() -> None:
            self.faults.clear()
            errors = 0
            while not self.over:
                try:
                    await self._take(1000)
                except ApiError:
                    # Of a page that was fetched ahead while the world still moved.
                    errors += 1
                    assert errors <= 1 + self.read_ahead

        async def close() -> None:
            if self.walk is not None:
                await self.walk.aclose()
            await self.client.aclose()
            await self.sandbox.aclose()
            for _ in range(3):
                await asyncio.sleep(0)  # for the sockets to close

        try:
            self.runner.run(finish())
            self.each_report_comes_once()
            self.nothing_that_stayed_is_missing_at_the_end()
        finally:
            self.runner.run(close())
            self.runner.close()


class VerifyingWalkMachine(WalkMachine):
    """The same with `verify=True`, where rows also come late, and go."""

    verify = True
    rows_move = True


class OverlappingWalkMachine(WalkMachine):
    """A plain walk where rows also come late, and go. The server serves the limits asked for."""

    limits = st.none() | st.integers(10, 25)
    served = st.just(2000)
    rows_move = True


@pytest.mark.parametrize("machine", [WalkMachine, OverlappingWalkMachine, VerifyingWalkMachine])
def test_what_was_delivered_and_what_remains_make_the_truth(
    machine: type[WalkMachine], full: bool
) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=300 if full else 60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
