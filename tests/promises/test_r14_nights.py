"""R14: copies of several nights hold what the depot has, with its corrections and deletions."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

import pytest
from _pytest.mark import ParameterSet

pytest.importorskip("pyarrow")

from depotclient.export import export_session_reports
from depotclient.sandbox import TimeFilter
from tests.support.clients import client_of
from tests.support.copies import CopyTarget, follow
from tests.support.nights import BEGIN, CONNECTORS, NightlyDepot
from tests.support.postgres import PostgresServer
from tests.support.tables import TARGETS, make_target


def case(name: str, time_filter: TimeFilter) -> ParameterSet:
    """Return a target with a filter of the server. With "end", it ignores the starts."""
    is_quick = name in {"ndjson", "sqlite"} or time_filter == "end"
    return pytest.param(name, time_filter, marks=() if is_quick else pytest.mark.slow)


CASES = [*itertools.starmap(case, itertools.product(TARGETS, get_args(TimeFilter)))]


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path) -> CopyTarget:
    """Return an empty target of the kind that the test names."""

    def new_database() -> str:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.new_database()

    return make_target(request.param, tmp_path, new_database)


@pytest.mark.parametrize(("target", "time_filter"), CASES, indirect=["target"])
async def test_after_each_of_five_nights_a_copy_holds_the_truth(
    target: CopyTarget, time_filter: TimeFilter
) -> None:
    options = {"time_filter": time_filter, "order": "shuffled", "max_limit": 7}
    await follow(NightlyDepot(options=options), target)


async def test_an_export_on_61_nights_reads_three_times_the_data_at_most(tmp_path: Path) -> None:
    depot, bytes_read = NightlyDepot(per_day=4, script=()), 0
    async with depot.sandbox, client_of(depot.sandbox) as client:
        for number in range(61):
            depot.night(number)
            client.now = lambda: depot.now
            export = await export_session_reports(client, CONNECTORS[:1], tmp_path, from_=BEGIN)
            assert not export.failed
            bytes_read += export.connectors[0].bytes_read
    data = sum(map(len, depot.sandbox.reports(*CONNECTORS[0])))
    # A day, a margin of one day, and the reading of a month that has closed.
    assert 2 * data < bytes_read <= 3 * data
