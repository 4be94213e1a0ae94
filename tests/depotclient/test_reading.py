"""A reading shows which sessions of a copy have moved, and which have vanished."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from depotclient.reading import Absent, Coverage, changed_from, find_absent, is_final
from depotclient.sessions import Session, Span


def day(number: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)


SPAN = Span(day(0), day(60), timedelta(days=1))
COVERAGE = Coverage(day(10), day(20), SPAN)
A, B, C = (Session(-1, day(number), day(number), key=number) for number in (12, 14, 16))


@pytest.mark.parametrize(("read_at", "from_"), [(2, 1), (4, 1), (9, 6)])
def test_a_reading_begins_a_lag_before_the_last_one(read_at: int, from_: int) -> None:
    assert changed_from(day(1), day(read_at), timedelta(days=3)) == day(from_)


@pytest.mark.parametrize(("read_at", "expected"), [(7, False), (8, True), (9, True)])
def test_a_reading_is_final_from_the_lag_after_the_end_on(read_at: int, expected: bool) -> None:
    assert is_final(day(5), day(read_at), timedelta(days=3)) == expected


def test_a_session_that_comes_again_is_not_absent() -> None:
    assert find_absent([A, B], [A, B], COVERAGE) == Absent()


def test_a_session_outside_of_the_query_is_not_absent() -> None:
    before = Session(1, day(9), day(12), key=1)
    running = Session(2, day(19), day(21), key=2)

    assert find_absent([before, running], [], COVERAGE) == Absent()


def test_a_corrected_start_moves_the_session() -> None:
    assert find_absent([A], [B], COVERAGE) == Absent(moved=(A,))


def test_a_start_outside_of_the_query_moves_the_session_too() -> None:
    corrected = Session(-1, day(5), day(12), key=5)

    assert find_absent([A], [corrected], COVERAGE) == Absent(moved=(A,))


def test_a_report_that_gets_its_missing_start_moves() -> None:
    unset = Session(7, None, None, key=1)

    assert find_absent([unset], [Session(7, day(12), None, key=2)], COVERAGE).moved == (unset,)


def test_an_earlier_reading_may_have_brought_the_corrected_start() -> None:
    old, corrected = (Session(7, day(number), None, key=number) for number in (12, 14))

    assert find_absent([old, corrected], [corrected], COVERAGE) == Absent(moved=(old,))


def test_an_offline_session_that_was_there_before_takes_the_place_of_no_other() -> None:
    assert find_absent([A, B], [B], COVERAGE) == Absent(vanished=(A,))


def test_each_new_start_takes_the_place_of_one_session() -> None:
    absent = find_absent([A, B], [C], COVERAGE)

    assert absent == Absent(moved=(A,), vanished=(B,))


def test_both_present_are_two_sessions() -> None:
    assert find_absent([A], [A, B], COVERAGE) == Absent()


def test_a_session_without_any_time_vanishes_only_from_the_query_that_returned_it() -> None:
    timeless = Session(7, None, None, key=3)
    assert find_absent([timeless], [], COVERAGE) == Absent()

    same_query = attrs.evolve(COVERAGE, expected={timeless.identity})
    assert find_absent([timeless], [], same_query) == Absent(vanished=(timeless,))


def test_an_offline_session_without_any_time_takes_no_other_start() -> None:
    assert find_absent([Session(-1, None, None, key=3)], [A], COVERAGE) == Absent()
