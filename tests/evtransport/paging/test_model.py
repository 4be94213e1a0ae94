"""Random walks over a server whose rows move between any two answers."""

from __future__ import annotations

import random
from math import ceil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evtransport.paging.measure import COMPARED, by_aligned_pages, tally
from tests.evtransport.paging.model import NOT_PROMISED, PROMISED, Group, Walked


def check(group: Group, walked: Walked) -> None:
    assert walked.ended, "the walk does not end"
    assert walked.lost == 0, "rows are lost"
    assert walked.doubled == 0, "rows come twice"
    assert walked.invented == 0, "rows come that were never there"
    assert all(isinstance(error, group.errors) for error in walked.errors)
    assert walked.errors_at_rest <= 1, "an error repeats"


@pytest.mark.parametrize("group", PROMISED.values(), ids=PROMISED)
def test_no_row_is_lost_and_none_comes_twice(group: Group, full: bool) -> None:
    for seed in range(20_000 if full else 150):
        check(group, group.case(random.Random(seed)).walk())


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(sorted(PROMISED)), draw=st.randoms(use_true_random=False))
def test_no_schedule_of_events_breaks_a_promise(name: str, draw: random.Random) -> None:
    check(PROMISED[name], PROMISED[name].case(draw).walk())


@pytest.mark.parametrize("group", NOT_PROMISED.values(), ids=NOT_PROMISED)
def test_a_walk_without_a_promise_ends_and_repeats_no_error(group: Group, full: bool) -> None:
    for seed in range(20_000 if full else 50):
        walked = group.case(random.Random(seed)).walk()

        assert walked.ended
        assert walked.invented == 0
        assert walked.errors_at_rest <= 1
        assert all(isinstance(error, group.errors) for error in walked.errors)


@pytest.mark.parametrize("name", ["still", "any sizes", "limits refused, inserts"])
def test_a_walk_over_rows_at_rest_makes_at_most_twice_the_requests_of_aligned_pages(
    name: str, full: bool
) -> None:
    for seed in range(20_000 if full else 200):
        case = PROMISED[name].case(random.Random(seed))
        walked = case.walk()
        if walked.resumed == 0 and walked.moves == 0:
            served = min(case.limit or 10, case.sizes.most)
            assert walked.server.requests <= 2 * ceil(case.rows / served) + 16


@pytest.mark.parametrize("group", PROMISED.values(), ids=PROMISED)
def test_each_event_costs_a_bounded_number_of_requests(group: Group) -> None:
    for seed in range(100):
        case = group.case(random.Random(seed))
        walked = case.walk()
        served = min(case.limit or 10, case.sizes.most, case.sizes.refused)
        if case.later_sizes:
            served = min(served, case.later_sizes.most, case.later_sizes.refused)
        passes = 20 if case.verify else 1
        pages = ceil(len(walked.server.ever) / served)
        bound = passes * (2 * pages + 16) + 10 * (walked.moves + walked.resumed)
        assert walked.server.requests <= bound


def test_aligned_pages_lose_rows_under_deletes_where_the_library_loses_none() -> None:
    group, seeds = COMPARED["deletes"], range(200)

    assert tally(group, seeds, lambda case: by_aligned_pages(case, read_ahead=1)).lost > 0
    assert tally(group, seeds).lost == 0
