"""The schedule of items that are asked for again and again. The tests of `poll` cover the rest."""

from __future__ import annotations

import pytest

from evtransport.schedule import Schedule, backoff


def test_items_that_are_late_do_not_pile_up() -> None:
    schedule, taken = Schedule(["a", "b", "c"], every=60, start=0), []
    for now in (1000.0, 1005.0, 1011.0, 1021.0):
        taken.append(key := schedule.take(now))
        if key is not None:
            schedule.put_back(key, now, failed=False)
    assert taken == ["a", None, "b", "c"]
    # Its next time was 1040, which is too soon after 1011.
    assert [schedule.take(now) for now in (1060, 1080, 1099, 1100)] == ["c", "a", None, "b"]


@pytest.mark.parametrize(
    ("every", "failures", "wait"),
    [(60, 0, 60), (60, 1, 120), (60, 3, 480), (60, 6, 3600), (60, 10**6, 3600), (7200, 1, 7200)],
)
def test_the_wait_doubles_with_each_failure_up_to_an_hour(
    every: float, failures: int, wait: float
) -> None:
    assert backoff(every, failures) == wait


def test_a_failing_item_backs_off_until_it_succeeds() -> None:
    schedule = Schedule(["a"], every=60, start=0)
    now, waits = 0.0, []
    for failed in (True, True, False, True):
        assert schedule.take(now) == "a"
        due = schedule.put_back("a", now + 1, failed=failed)
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [121, 241, 58, 121]  # A success returns to the times of the item.
    assert schedule.take(now) == "a"
    assert schedule.put_back("a", now, failed=True, wait=5000) == now + 5000


def test_replaced_items_keep_their_times() -> None:
    schedule = Schedule(["a", "b"], every=60, start=0)
    assert schedule.take(0) == "a"
    schedule.replace(["c", "b", "a", "d"], 10)
    assert schedule.put_back("a", 11, failed=False) == 60
    assert [schedule.take(now) for now in (10, 30, 55, 62.5)] == ["c", "b", "d", "a"]
    assert schedule.put_back("b", 70, failed=False) == 90
    schedule.replace([], 70)
    assert (schedule.next_due, schedule.take(1000)) == (None, None)
    assert schedule.put_back("a", 80, failed=True) is None
