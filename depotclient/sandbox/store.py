"""Store of the sandbox: the reports of one connector, their order and their churn."""

from __future__ import annotations

import itertools
import random
import threading
import time
import zlib
from bisect import insort
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import attrs
import msgspec

from depotclient.profile import Order, TimeFilter
from depotclient.sandbox.simulation import SessionPlan
from evtransport.surrogates import replace_lone_surrogates
from evtransport.testing.faults import validate_number
from evtransport.validation import validate_int

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["AwareTime", "Churn", "ConnectorStore", "Order", "Pace", "StoredReport"]
__all__ += ["TimeFilter", "TimeRange", "epoch_us"]

AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_us(moment: datetime) -> int:
    """Return an aware datetime in microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


@attrs.frozen(kw_only=True)
class Churn:
    """Average number of sessions that appear and disappear after each page of a connector.

    A rate of 0.25 means about one session every fourth page. The sandbox's seed determines which.
    The energy counters of an inserted session do not continue those of its neighbours.

    Args:
        inserts: Rate of sessions that have just ended, newer than all others.
        late_inserts: Rate of sessions uploaded late, which started between the others.
        deletes: Rate of sessions that disappear.
        pages: Number of pages of a connector after which its churn stops. None means never.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> from depotclient.sandbox import Churn, DepotSandbox
        >>> sandbox = DepotSandbox(churn=Churn(inserts=0.25, deletes=0.1, pages=100))
    """

    inserts: float = 0.0
    late_inserts: float = 0.0
    deletes: float = 0.0
    pages: int | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("inserts", "late_inserts", "deletes"):
            validate_number(name, getattr(self, name))
        if self.pages is not None:
            validate_int("pages", self.pages, minimum=0)


@attrs.frozen
class Pace:
    """Pace of a live sandbox: on every connector, sessions end at a fixed interval.

    Attributes:
        opened: Time from which the interval counts, in milliseconds since 1970.
        interval: Interval in milliseconds.
        clock: Returns monotonic seconds.
        clock_start: Reading of the clock at `opened`.
    """

    opened: int
    interval: int
    clock: Callable[[], float]
    clock_start: float

    @classmethod
    def starting_now(cls, interval: float, clock: Callable[[], float]) -> Pace:
        """Return a pace that counts from now. The interval is in seconds, at least 0.001."""
        return cls(int(time.time() * 1000), round(interval * 1000), clock, clock())

    def ends(self) -> range:
        """Return the ends of all live sessions of a connector up to now, in ms since 1970."""
        now = self.opened + round((self.clock() - self.clock_start) * 1000)
        return range(self.opened + self.interval, now + 1, self.interval)


class _ReportHeader(msgspec.Struct, rename="camel"):
    """Fields of a report that the sandbox reads. The times decide which ranges contain it."""

    session_id: int
    session_time_start: AwareTime | None = None
    session_time_end: AwareTime | None = None


@attrs.frozen
class StoredReport:
    """A report in a store: a plan to render, or JSON as it was inserted.

    Attributes:
        start: Start of the session, in microseconds since 1970.
        end: End of the session, in microseconds since 1970.
        has_times: False if every time range contains the report.
    """

    session_id: int
    start: int
    end: int
    content: SessionPlan | bytes
    has_times: bool = True

    @classmethod
    def from_plan(cls, plan: SessionPlan) -> StoredReport:
        """Return the report of a simulated session."""
        return cls(plan.session_id, plan.start * 1000, plan.end * 1000, plan)

    @classmethod
    def from_json(cls, report: bytes, default_time: int) -> StoredReport:
        """Return the report in a JSON text. `default_time` sorts a report without times.

        Raises:
            ValueError: The text has no session id or a bad time.
        """
        if not isinstance(report, bytes):
            raise ValueError(f"the report must be JSON in bytes, not {type(report).__name__}")
        try:
            header = msgspec.json.decode(replace_lone_surrogates(report), type=_ReportHeader)
        except msgspec.MsgspecError as error:
            raise ValueError(f"the report cannot be served: {error}") from None
        times = (header.session_time_start, header.session_time_end)
        known = [epoch_us(time) for time in times if time is not None]
        if not known:
            return cls(header.session_id, default_time, default_time, report, has_times=False)
        return cls(header.session_id, known[0], known[-1], report)


@attrs.frozen
class TimeRange:
    """Range of a query, `from` to `to`, in microseconds since 1970. None leaves a side open."""

    start: int | None
    end: int | None
    time_filter: TimeFilter
    includes_start: bool = True
    includes_end: bool = True

    def contains(self, report: StoredReport) -> bool:
        """Return True if the server selects the report."""
        if not report.has_times:
            return True
        late = report.start if self.time_filter == "start" else report.end
        early = report.end if self.time_filter == "end" else report.start
        return (self.start is None or late >= self.start + (not self.includes_start)) and (
            self.end is None or early <= self.end - (not self.includes_end)
        )


@attrs.define
class ConnectorStore:
    """Reports of one connector. Any thread may read and change them.

    Args:
        reports: Reports, ascending by start. A change replaces the tuple.
        order: Order of serving.
        seed: Seed of the shuffled order.
        template: Session that churn copies.
        draw: Random numbers of churn.
        upcoming: Endless plans of the sessions that end while the sandbox is live.
    """

    reports: tuple[StoredReport, ...]
    order: Order
    seed: int
    template: SessionPlan
    draw: random.Random
    upcoming: Iterator[SessionPlan]
    _pages: int = attrs.field(init=False, default=0)
    _ended: int = attrs.field(init=False, default=0)
    _lock: threading.RLock = attrs.field(init=False, factory=threading.RLock, repr=False)
    # Cache of the last selection: a new selection for every page takes quadratic time.
    _selected: tuple[TimeRange, tuple[StoredReport, ...], list[StoredReport]] | None = attrs.field(
        init=False, default=None
    )

    def select(self, time_range: TimeRange) -> list[StoredReport]:
        """Return the reports in a time range, in the order in which they are served."""
        reports, last = self.reports, self._selected
        if (
            self.order != "changing"
            and last is not None
            and last[0] == time_range
            and last[1] is reports
        ):
            return last[2]
        selected = [report for report in reports if time_range.contains(report)]
        if self.order == "descending":
            selected.reverse()
        elif self.order != "ascending":
            request = self._pages if self.order == "changing" else 0
            # Unlike a shuffle, a hash keeps the order of the others when a report is inserted.
            selected.sort(
                key=lambda r: zlib.crc32(f"{self.seed + request}/{r.session_id}".encode())
            )
        self._selected = time_range, reports, selected
        return selected

    def add(self, reports: Sequence[StoredReport]) -> None:
        """Add reports. Raise ValueError, and add none, if an id above 0 is already stored."""
        with self._lock:
            used = self._session_ids()
            for report in reports:
                # Chargers that were offline send the id -1 for many sessions.
                if report.session_id > 0 and report.session_id in used:
                    raise ValueError(f"session {report.session_id} already exists")
                used.add(report.session_id)
            self.reports = _insert(self.reports, reports)

    def remove(self, session_id: int) -> None:
        """Remove a report. Raise ValueError if there is none."""
        with self._lock:
            self.reports = self._all_except(self._find(session_id))

    def correct(self, session_id: int, change: Callable[[StoredReport], bytes]) -> None:
        """Replace the report of a session.

        Args:
            session_id: Id of the session.
            change: Returns the JSON of the new report, with the same id.

        Raises:
            ValueError: There is no such session, or the new report has a bad time.
        """
        with self._lock:
            old = self._find(session_id)
            new = StoredReport.from_json(change(old), old.start)
            self.reports = _insert(self._all_except(old), [new])

    def add_ended(self, ends: Sequence[int], new_ids: Iterator[int]) -> None:
        """Add the live sessions that have ended since the last call.

        Args:
            ends: Ends of all live sessions up to now, in milliseconds since 1970.
            new_ids: Ids for the sessions. Ids in use are skipped.
        """
        with self._lock:
            ended = ends[self._ended :]
            if not ended:
                return
            self._ended += len(ended)
            unused = itertools.filterfalse(self._session_ids().__contains__, new_ids)
            self.reports = _insert(self.reports, map(_end_session, ended, self.upcoming, unused))

    def apply_churn(self, churn: Churn, new_ids: Iterator[int]) -> tuple[list[int], list[int]]:
        """Insert and delete sessions after a page. Return the inserted and the deleted ids."""
        inserted, deleted = list[int](), list[int]()
        self._pages += 1
        if churn.pages is not None and self._pages > churn.pages:
            return inserted, deleted
        with self._lock:
            for late, rate in ((False, churn.inserts), (True, churn.late_inserts)):
                for _ in range(self._draw_count(rate)):
                    used = self._session_ids()
                    session_id = next(number for number in new_ids if number not in used)
                    plan = self.template.starting_at(self._draw_start(late=late))
                    self.add([StoredReport.from_plan(attrs.evolve(plan, session_id=session_id))])
                    inserted.append(session_id)
            for _ in range(min(self._draw_count(churn.deletes), len(self.reports))):
                deleted.append(self.draw.choice(self.reports).session_id)
                self.remove(deleted[-1])
        return inserted, deleted

    def _find(self, session_id: int) -> StoredReport:
        for report in self.reports:
            if report.session_id == session_id:
                return report
        raise ValueError(f"session {session_id} does not exist")

    def _all_except(self, excluded: StoredReport) -> tuple[StoredReport, ...]:
        return tuple(report for report in self.reports if report is not excluded)

    def _session_ids(self) -> set[int]:
        return {report.session_id for report in self.reports}

    def _draw_count(self, rate: float) -> int:
        return int(rate + self.draw.random())

    def _draw_start(self, *, late: bool) -> int:
        """Return the start of an inserted session, in milliseconds since 1970."""
        now = int(time.time() * 1000) - (self.template.end - self.template.start)
        if not self.reports:
            return now
        first, last = self.reports[0].start // 1000, -(-self.reports[-1].start // 1000)
        return self.draw.randint(first, last) if late else max(now, last)


def _insert(
    reports: Iterable[StoredReport], new: Iterable[StoredReport]
) -> tuple[StoredReport, ...]:
    merged = list(reports)
    for report in new:
        insort(merged, report, key=lambda r: (r.start, not r.has_times, r.session_id))
    return tuple(merged)


def _end_session(end: int, plan: SessionPlan, session_id: int) -> StoredReport:
    plan = plan.starting_at(end - (plan.end - plan.start))
    return StoredReport.from_plan(attrs.evolve(plan, session_id=session_id))
