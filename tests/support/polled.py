"""A depot that changes while it is polled for 30 simulated days, and what a poller must see.

Each session has a name, which is its `vehicle_id`. So a test recognizes a session whatever the
client uses to identify it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeAlias

import attrs

from depotclient.sandbox import DepotSandbox, ReportShape, TimeFilter, make_report
from depotclient.sandbox.make import ReportFields, change_report
from depotclient.sandbox.store import StoredReport, TimeRange, epoch_us
from tests.support.nights import OFFLINE

Connector: TypeAlias = tuple[str, str]
Name: TypeAlias = tuple[Connector, str]
"""Connector and name of a session."""

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SINCE = BEGIN - 2 * DAY
DURATION = 30 * DAY
CONNECTORS: tuple[Connector, ...] = (("CP-001", "1"), ("CP-001", "2"), ("CP-002", "1"))
SHAPE = ReportShape(meter_values=0, charge_parameters=0, detail_states=0, device_states=0)


def seconds() -> float:
    """Return the simulated seconds since `BEGIN`."""
    return asyncio.get_running_loop().time()


def true_time() -> datetime:
    """Return the simulated time. The clock of a client may be wrong."""
    return BEGIN + timedelta(seconds=seconds())


@attrs.frozen
class Version:
    """Report of a session from some time on.

    Attributes:
        time: Time at which the server has the report, after `BEGIN`.
        fields: Changed fields, or None if the session vanishes. Later fields bring it back.
    """

    time: timedelta
    fields: ReportFields | None


Versions: TypeAlias = tuple[Version, ...]


def times(start: datetime | None, end: datetime | None) -> ReportFields:
    """Return the fields for a start and an end."""
    return {"session_time_start": start, "session_time_end": end}


def _kinds(end: timedelta, draw: random.Random) -> dict[str, Versions]:
    """Return the versions of a session of each kind that ends at a time after `BEGIN`.

    Each version stays for a day, so that the daily reconcile sees it even after an outage.
    """
    stop, start = BEGIN + end, BEGIN + end - 2 * HOUR
    usual, soon, late = times(start, stop), end + 1.5 * DAY, end + draw.uniform(4, 9) * DAY
    moved: ReportFields = {"session_time_start": start + timedelta(minutes=20)}
    far = times(start + 5.5 * DAY, stop + 5.5 * DAY)
    changed: ReportFields = {"energy_soc_end": 77.5}
    return {
        "late": (Version(end + 2.4 * DAY, usual),),
        "later than lag": (Version(late, usual),),
        "corrected": (Version(end, usual), Version(soon, changed)),
        "corrected later than lag": (Version(end, usual), Version(late, changed)),
        "moved": (Version(end, usual), Version(soon, moved)),
        "moved later than lag": (Version(end, usual), Version(late, moved)),
        "moved by days": (Version(end, usual), Version(end + 6 * DAY, far)),
        "vanished": (Version(end, usual), Version(soon, None)),
        "back": (Version(end, usual), Version(soon, None), Version(late, {})),
        "offline": (Version(end, usual),),
        "offline at the same time": (Version(end, times(start - HOUR, stop)),),
        "offline without start": (Version(end, times(None, stop)),),
        "offline without times": (Version(end, times(None, None)),),
        "no start": (Version(end, times(None, stop)),),
        "no start, corrected": (Version(end, times(None, stop)), Version(soon, changed)),
        "start later": (Version(end, times(None, stop)), Version(soon, moved)),
        "no times": (Version(end, times(None, None)),),
        "times later": (Version(end, times(None, None)), Version(soon, usual)),
        "started in 1970": (Version(end, times(datetime(1970, 1, 1, tzinfo=UTC), stop)),),
        "started in 2036": (Version(end, times(datetime(2036, 2, 7, tzinfo=UTC), stop)),),
        "ended in 1970": (Version(end, times(start, datetime(1970, 1, 1, tzinfo=UTC))),),
        "parked": (Version(end, times(stop - 9 * DAY, stop)),),
        "before since": (Version(end, times(SINCE - HOUR, stop)),),
    }


@attrs.define
class _Session:
    connector: Connector
    session_id: int
    report: bytes = b""


@attrs.define(eq=False)
class PolledDepot:
    """A depot with four sessions a day on each connector, and every few days one of each kind.

    Use it in a simulated loop. Call `advance` before each request.

    Args:
        time_filter: Time that the server filters by.
        seed: Seed of the times of the sessions.
        days: Duration. Nothing changes in the last day and a half.
        special: Days between two sessions of the same kind. 0 means no special session.
        fault_rate: Share of requests that fail.
        options: Further settings of the sandbox.

    Attributes:
        versions: Versions of each session.
    """

    time_filter: TimeFilter = "start"
    seed: int = 0
    days: float = DURATION / DAY
    special: float = 12.0
    fault_rate: float = 0.0
    options: Mapping[str, Any] = attrs.field(factory=lambda: {"order": "shuffled"})
    sandbox: DepotSandbox = attrs.field(init=False)
    versions: dict[Name, Versions] = attrs.field(init=False)
    _events: Iterator[tuple[timedelta, Name, ReportFields | None]] = attrs.field(init=False)
    _next: tuple[timedelta, Name, ReportFields | None] | None = attrs.field(init=False)
    _sessions: dict[Name, _Session] = attrs.field(init=False, factory=dict[Name, _Session])

    def __attrs_post_init__(self) -> None:
        self.sandbox = DepotSandbox(
            chargers={}, time_filter=self.time_filter, fault_rate=self.fault_rate,
            seed=self.seed, token_lifetime=43_200, clock=seconds, **self.options,
        )  # fmt: skip
        self.versions = dict(self._plan())
        events = sorted(
            (
                (version.time, name, version.fields)
                for name, versions in self.versions.items()
                for version in versions
            ),
            key=lambda event: event[:2],
        )
        self._events = iter(events)
        self._next = next(self._events, None)

    def _plan(self) -> Iterator[tuple[Name, Versions]]:
        draw = random.Random(self.seed)
        for connector in CONNECTORS:
            for number in range(-6, round(self.days * 4) - 6):
                end = (number + draw.random()) * DAY / 4
                start = BEGIN + end - timedelta(minutes=draw.uniform(5, 200))
                fields = times(start, BEGIN + end)
                uploaded = end + timedelta(minutes=draw.uniform(0, 90))
                yield (connector, f"ordinary {number}"), (Version(uploaded, fields),)
            for kind, number in self._specials(draw):
                end = (1 + (number + draw.random() * 0.8) * self.special) * DAY
                versions = _kinds(end, draw)[kind]
                if versions[-1].time < (self.days - 1.5) * DAY:
                    yield (connector, f"{kind} {number}"), versions

    def _specials(self, draw: random.Random) -> Iterator[tuple[str, int]]:
        kinds = _kinds(DAY, random.Random(0)) if self.special else {}
        for kind in kinds:
            for number in range(int(self.days / (self.special or 1))):
                yield kind, number

    def advance(self) -> None:
        """Apply all changes up to now."""
        elapsed = true_time() - BEGIN
        while self._next is not None and self._next[0] <= elapsed:
            self._apply(*self._next[1:])
            self._next = next(self._events, None)

    def _apply(self, name: Name, fields: ReportFields | None) -> None:
        (connector, text), session = name, self._sessions.get(name)
        if session is None:
            # The connectors have the same ids.
            number = 1001 + sum(other == connector for other, _ in self._sessions)
            session_id = OFFLINE if text.startswith("offline") else number
            first: ReportFields = {**(fields or {}), "vehicle_id": text}
            report = make_report(session_id, shape=SHAPE, **first)
            session = self._sessions[name] = _Session(connector, session_id, report)
        elif fields is None:
            self.sandbox.remove(*connector, session.session_id)
            return
        else:
            if session.session_id in self.sandbox.session_ids(*connector):
                self.sandbox.remove(*connector, session.session_id)
            session.report = change_report(session.report, fields)
        self.sandbox.add(*connector, session.report)

    def expected(self, *, changes: bool) -> tuple[Counter[Name], Counter[Name]]:
        """Return how often a poller must see each session as new, and as changed."""
        new, changed = Counter[Name](), Counter[Name]()
        for name, versions in self.versions.items():
            reports = [*filter(None, self._visible(versions))]
            if reports:
                new[name] = 1
                distinct = sum(before != after for before, after in pairwise(reports))
                changed[name] = distinct if changes else 0
        return new, +changed

    def _visible(self, versions: Versions) -> Iterator[bytes | None]:
        """Return the report of each version that a poller must see."""
        report = make_report(1, shape=SHAPE)
        for version in versions:
            if version.fields is None:
                continue
            report = change_report(report, version.fields)
            stored = StoredReport.from_json(report, 0)
            end = epoch_us(BEGIN + version.time)
            asked = TimeRange(epoch_us(SINCE), end, self.time_filter)
            yield report if asked.contains(stored) and _is_expected(stored) else None


def _is_expected(report: StoredReport) -> bool:
    """Return True if the time that decides on a session is not before `SINCE`.

    It is the start, or the end if the start is missing or more than a day too early.
    """
    usable = [time for time in (report.start, report.end) if time >= epoch_us(SINCE - DAY)]
    return not report.has_times or usable[:1] >= [epoch_us(SINCE)]
