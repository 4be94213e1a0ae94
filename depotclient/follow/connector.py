"""One connector of a run: its state, and the reading in progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

import attrs
import msgspec

from depotclient.follow.comparison import Comparison, Verdict
from depotclient.follow.plan import FollowOptions, Reading, plan_reading
from depotclient.follow.state import Changes, ConnectorState, Known
from depotclient.keys import compute_digest
from depotclient.pages import Page
from depotclient.reports import PageReader, SessionReports, first_cursor
from depotclient.sessions import Session, storable_id
from evtransport.errors import ApiError

__all__ = ["Delivery", "Follower", "OpenReading", "ReportsOf"]

T = TypeVar("T")

ReportsOf: TypeAlias = Callable[[tuple[str, str], datetime, datetime], SessionReports[T]]
"""Function that describes the reports of a connector from a time to another."""


@attrs.frozen(eq=False)
class Delivery(Generic[T]):
    """Report to deliver, or the error of an invalid report.

    Attributes:
        outcome: The report or its error.
        is_new: False if the session was delivered before.
        raw: JSON text of the report.
        session: Session of the report.
        changes: Sessions to remember and to forget once the caller has the report.
    """

    outcome: T | ApiError
    is_new: bool
    raw: bytes = attrs.field(repr=False)
    session: Session
    changes: Changes


@attrs.define(eq=False)
class OpenReading(Generic[T]):
    """Reading of a connector that has begun and has not ended.

    Attributes:
        state: State of the connector, which changes with the reading.
        plan: Query of the reading.
        reader: Pages of the reading.
        with_changes: Whether to deliver reports that have changed.
    """

    state: ConnectorState
    plan: Reading
    reader: PageReader[T]
    with_changes: bool
    _comparison: Comparison = attrs.field(init=False)
    _open: list[Delivery[T]] = attrs.field(init=False, factory=list[Any])
    _is_settled: bool = attrs.field(init=False, default=True)
    _reports: int = attrs.field(init=False, default=0)
    _size: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._comparison = Comparison(self.state, self.plan)

    def compare(self, page: Page[T]) -> Iterator[Delivery[T] | None]:
        """Yield for each report of a page what to deliver, or None."""
        for index, (session_id, key) in enumerate(zip(page.ids, page.keys, strict=True)):
            raw = page.raw_at(index)
            self._reports += 1
            self._size += len(raw)
            session = Session.read(msgspec.Raw(raw), storable_id(session_id), key)
            digest = compute_digest(raw)
            verdict = self._comparison.judge(session, digest)
            if verdict is Verdict.OLD:
                yield None
            elif verdict is Verdict.CHANGED and not self.with_changes:
                self.state.apply({session.identity: Known(session, digest)})
                yield None
            else:
                delivery = _deliver(page, index, raw, Known(session, digest), verdict)
                if verdict is Verdict.OPEN:
                    self._open.append(delivery)
                    yield None
                else:
                    yield delivery

    def settle(self) -> Iterator[Delivery[T]]:
        """Yield the open reports to deliver, at the end of the reading."""
        settled = self._comparison.settle([delivery.session for delivery in self._open])
        for delivery, (verdict, replaced) in zip(self._open, settled, strict=True):
            changes = dict(delivery.changes)
            if replaced is not None:
                changes[replaced] = None
            if verdict is Verdict.OPEN:
                self._is_settled = False
            elif verdict is Verdict.CHANGED and not self.with_changes:
                self.state.apply(changes)
            else:
                is_new = verdict is Verdict.NEW
                yield attrs.evolve(delivery, is_new=is_new, changes=changes)

    def complete(self, options: FollowOptions) -> None:
        """Update the state at the end of the reading."""
        state, plan = self.state, self.plan
        state.read_at = plan.to
        if self._reports:
            state.report_bytes = self._size // self._reports
        if plan.is_reconcile:
            state.reconciled_at = plan.to
            state.forget_before(plan.to, options.reconcile)
        if not self._is_settled:
            state.reconciled_at = None


@attrs.define(eq=False)
class Follower(Generic[T]):
    """Follower of one connector: its state, the time when it is due, and its reading.

    Attributes:
        ids: Charger id and connector id.
        phase: Position of the connector among all, from 0 to 1.
        part: Encoded state at the end of the last reading.
        due: Time of the next reading, in seconds of the event loop's clock.
        failures: Number of failures since the last complete reading.
        reading: Reading in progress, or None.
        has_permit: Whether the connector counts among those that are read at the same time.
    """

    ids: tuple[str, str]
    phase: float
    part: bytes = attrs.field(repr=False)
    due: float = 0.0
    failures: int = 0
    reading: OpenReading[T] | None = None
    has_permit: bool = False

    def begin(self, now: datetime, options: FollowOptions, reports_of: ReportsOf[T]) -> None:
        """Begin the next reading, if there is time to read."""
        state = ConnectorState.decode(self.part)
        plan = plan_reading(state, now, options, self.phase)
        if plan is None:
            return
        reports = reports_of(self.ids, plan.from_, plan.to)
        cursor = attrs.evolve(first_cursor(reports), limit=plan.limit)
        self.reading = OpenReading(state, plan, PageReader(reports, cursor), options.changes)

    def finish(self, options: FollowOptions) -> None:
        """End the reading after its last report was delivered."""
        self.failures = 0
        if self.reading is not None:
            self.reading.complete(options)
            self.part, self.reading = self.reading.state.encode(self.ids), None

    def abandon(self) -> None:
        """Abandon the reading after an error. The next reading begins anew.

        Continued later, it would see a session before and after a correction, which look like two.
        """
        self.part, self.reading = self.encode(), None

    def encode(self) -> bytes:
        """Return the current state of the connector, encoded."""
        return self.part if self.reading is None else self.reading.state.encode(self.ids)


def _deliver(page: Page[T], index: int, raw: bytes, known: Known, verdict: Verdict) -> Delivery[T]:
    """Return a report of a page to deliver, or its error."""
    outcome: T | ApiError
    try:
        outcome = page.reports[index]
    except ApiError as error:
        # The frames below hold the page.
        outcome = error.with_traceback(None)
        known = attrs.evolve(known, is_delivered=verdict is Verdict.CHANGED)
    session = known.session
    return Delivery(outcome, verdict is Verdict.NEW, raw, session, {session.identity: known})
