"""A reading reads several connectors at a time, and keeps one batch of each in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support.waiting import until

pytest.importorskip("pyarrow")

from depotclient import NotFoundError
from depotclient.partitions import Connector, plan
from depotclient.partitions.batches import PartitionReader
from depotclient.sandbox import DepotSandbox, Fault
from tests.support.fleet import BEGIN, END, connectors_of, fleet, settings_of

SESSIONS = 24


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """Allow blocking calls: Arrow imports pandas in the reader's own loop."""


@pytest.fixture
def sandbox() -> Iterator[DepotSandbox]:
    with fleet(chargers=2, sessions=SESSIONS) as sandbox:
        yield sandbox


def reading_of(sandbox: DepotSandbox, *connectors: Connector, concurrency: int) -> PartitionReader:
    partitions = plan(connectors or connectors_of(sandbox), BEGIN, END)
    return PartitionReader(partitions, settings_of(sandbox), concurrency=concurrency)


def is_reading() -> bool:
    return any(thread.name == "session-reports" for thread in threading.enumerate())


def read_connectors(sandbox: DepotSandbox) -> set[tuple[str, str]]:
    return {(r.query["chargerId"], r.query["connectorId"]) for r in sandbox.requests}


def test_connectors_are_read_side_by_side_with_one_client(sandbox: DepotSandbox) -> None:
    sandbox.latency = 0.05
    batches = list(reading_of(sandbox, concurrency=3).batches())
    assert sum(batch.num_rows for batch in batches) == 4 * SESSIONS
    assert sandbox.peak_in_flight == 3
    assert len(sandbox.token_requests) == 1


def test_a_connector_waits_until_its_batch_is_used(sandbox: DepotSandbox) -> None:
    batches = reading_of(sandbox, concurrency=2).batches()
    next(batches)
    until(lambda: len(sandbox.requests) == 2, seconds=10)
    # This gives an unexpected request of the first reading time to arrive.
    list(reading_of(sandbox, ("CP-001", 1), concurrency=1).batches())
    assert read_connectors(sandbox) == {("CP-001", "1"), ("CP-001", "2")}
    pages = [request.query["page"] for request in sandbox.requests]
    assert pages[:2] == ["1", "1"]
    assert sum(batch.num_rows for batch in batches) == 4 * SESSIONS - 10


def test_an_error_of_one_connector_is_raised_after_the_batches_that_wait() -> None:
    faults = [None, None, Fault.status(404)]
    with fleet(chargers=1, sessions=SESSIONS, faults=faults) as sandbox:
        batches = reading_of(sandbox, concurrency=2).batches()
        next(batches)
        until(lambda: len(sandbox.requests) == 2, seconds=10)
        next(batches)  # The first connector requests its second page.
        until(lambda: not is_reading(), seconds=10)
        with pytest.raises(NotFoundError) as failed:
            next(batches)
    assert [note.startswith("partition CP-001/") for note in failed.value.__notes__] == [True]


def test_an_early_end_cancels_the_requests_of_all_connectors(sandbox: DepotSandbox) -> None:
    batches = reading_of(sandbox, concurrency=3).batches()
    next(batches)
    until(lambda: len(sandbox.requests) == 3, seconds=10)
    sandbox.latency = 60.0
    next(batches)
    next(batches)
    until(lambda: sandbox.in_flight == 2, seconds=10)
    batches.close()
    until(lambda: sandbox.in_flight == 0 and not is_reading(), seconds=10)
