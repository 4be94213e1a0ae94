"""A reading, compared with what is known: new, changed, moved, or still open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from depotclient.follow.comparison import Comparison, Settled, Verdict
from depotclient.follow.plan import Reading
from depotclient.follow.state import ConnectorState, Known
from depotclient.sessions import Session

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return SINCE + number * timedelta(days=1)


READING = Reading(day(10), day(20), 10, is_reconcile=False)
RECONCILE = attrs.evolve(READING, is_reconcile=True)
DIGEST, OTHER = b"12345678", b"87654321"
KNOWN = Session(7, day(12), day(12.1), key=1)
MOVED = Session(7, day(13), day(13.1), key=2)
OLD = Session(7, day(5), day(5.1), key=3)
TIMELESS = Session(7, None, None, key=4)


def comparison_of(
    *sessions: Session, reading: Reading = READING, is_delivered: bool = True
) -> Comparison:
    state = ConnectorState.starting_at(SINCE)
    for session in sessions:
        state.apply({session.identity: Known(session, DIGEST, is_delivered)})
    return Comparison(state, reading)


@pytest.mark.parametrize(
    ("known", "session", "digest", "verdict"),
    [
        ([KNOWN], KNOWN, DIGEST, Verdict.OLD),
        ([KNOWN], KNOWN, OTHER, Verdict.CHANGED),
        ([KNOWN], MOVED, DIGEST, Verdict.OPEN),
        ([KNOWN], TIMELESS, DIGEST, Verdict.OPEN),
        ([], KNOWN, DIGEST, Verdict.NEW),
        ([], Session(7, day(-0.5), None, key=5), DIGEST, Verdict.OLD),
        ([attrs.evolve(KNOWN, session_id=-1)], attrs.evolve(MOVED, session_id=-1), DIGEST, "new"),
        ([attrs.evolve(TIMELESS, session_id=None)], Session(None, None, None, 9), DIGEST, "new"),
    ],
)
def test_a_report_is_old_new_changed_or_open(
    known: list[Session], session: Session, digest: bytes, verdict: Verdict | str
) -> None:
    assert comparison_of(*known).judge(session, digest) == Verdict(verdict)


def test_a_report_of_which_only_the_error_was_delivered_is_new_when_it_changes() -> None:
    comparison = comparison_of(KNOWN, is_delivered=False)

    assert comparison.judge(KNOWN, DIGEST) is Verdict.OLD
    assert comparison.judge(KNOWN, OTHER) is Verdict.NEW


def test_an_id_that_the_same_reading_returned_before_is_open() -> None:
    comparison = comparison_of()
    comparison.judge(KNOWN, DIGEST)

    assert comparison.judge(MOVED, DIGEST) is Verdict.OPEN


@pytest.mark.parametrize(
    ("known", "returned", "reading", "settled"),
    [
        pytest.param(KNOWN, [MOVED], READING, Settled(Verdict.CHANGED, KNOWN.identity), id="moved"),
        pytest.param(KNOWN, [KNOWN, MOVED], READING, Settled(Verdict.NEW), id="both are there"),
        pytest.param(OLD, [MOVED], READING, Settled(Verdict.OPEN), id="the old start was not read"),
        pytest.param(OLD, [MOVED], RECONCILE, Settled(Verdict.NEW), id="nor by the reconcile"),
        pytest.param(
            TIMELESS,
            [MOVED],
            READING,
            Settled(Verdict.CHANGED, TIMELESS.identity),
            id="got a start",
        ),
    ],
)
def test_the_end_of_the_reading_settles_an_open_report(
    known: Session, returned: list[Session], reading: Reading, settled: Settled
) -> None:
    comparison = comparison_of(known, reading=reading)
    for session in returned:
        comparison.judge(session, DIGEST)

    assert comparison.settle([MOVED]) == [settled]


def test_a_moved_session_of_which_only_the_error_was_delivered_is_new() -> None:
    comparison = comparison_of(KNOWN, is_delivered=False)
    comparison.judge(MOVED, DIGEST)

    assert comparison.settle([MOVED]) == [Settled(Verdict.NEW, KNOWN.identity)]
