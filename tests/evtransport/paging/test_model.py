"""Random walks over a server whose rows move between any two responses."""

from __future__ import annotations

import random
from math import ceil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evtransport.paging.groups import NOT_PROMISED, PROMISED
from tests.evtransport.paging.measure import RULES, count_lost
from tests.evtransport.paging.model import Group, Walk


def check(group: Group, walk: Walk, *, is_promised: bool) -> None:
    assert walk.has_ended, "the walk does not end"
    assert set(walk.delivered) <= walk.server.ever, "rows are delivered that never existed"
    assert all(isinstance(error, group.errors) for error in walk.errors)
    assert walk.errors_at_rest <= 1, "an error repeats"
    if is_promised:
        assert walk.lost == 0, "rows are lost"
        assert len(walk.delivered) == len(set(walk.delivered)), "rows are delivered twice"


def check_requests(walk: Walk, *, rows: int, served: int, passes: int) -> None:
    """Check that each pass, move and resume costs a bounded number of requests."""
    pages = ceil(len(walk.server.ever) / served)
    assert walk.server.requests <= passes * (2 * pages + 16) + 10 * (walk.moves + walk.resumes)
    if walk.moves == walk.resumes == 0:
        assert walk.server.requests <= passes * (2 * ceil(rows / served) + 16)


@pytest.mark.parametrize("name", PROMISED)
def test_no_row_is_lost_or_delivered_twice(name: str, full: bool) -> None:
    group = PROMISED[name]
    for seed in range(20_000 if full else 100):
        walk = group.walk(random.Random(seed))
        sizes, rows = [walk.server.sizes, walk.server.later_sizes], len(walk.server.rows)
        served = min(min(size.maximum, size.refused) for size in sizes if size)
        check(group, walk.run(), is_promised=True)
        check_requests(
            walk,
            rows=rows,
            served=min(walk.limit or 10, served),
            passes=20 if group.verify else 1,
        )


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(sorted(PROMISED)), draw=st.randoms(use_true_random=False))
def test_no_schedule_of_events_breaks_a_promise(name: str, draw: random.Random) -> None:
    check(PROMISED[name], PROMISED[name].walk(draw).run(), is_promised=True)


@pytest.mark.parametrize("name", NOT_PROMISED)
def test_a_walk_without_a_promise_ends_and_repeats_no_error(name: str, full: bool) -> None:
    for seed in range(20_000 if full else 50):
        walk = NOT_PROMISED[name].walk(random.Random(seed))
        check(NOT_PROMISED[name], walk.run(), is_promised=False)


def test_the_model_notices_rows_that_aligned_pages_lose() -> None:
    assert {name: count_lost(rule, "deletes", 100)[0] > 0 for name, rule in RULES.items()} == {
        "pages 1, 2, 3, one after another": True,
        "pages 1, 2, 3, four in flight": True,
        "pages that join": False,
    }
