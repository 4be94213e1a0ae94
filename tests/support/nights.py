"""A depot that changes from night to night, and what a complete copy of it must hold."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from depotclient.models import MeterValue
from depotclient.partitions import Connector
from depotclient.sandbox import DepotSandbox, make_report
from depotclient.sandbox.make import ReportFields, change_report
from depotclient.sandbox.store import StoredReport, TimeRange, epoch_us

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""Start of the span of the copies."""
FIRST_NIGHT = datetime(2026, 1, 30, 2, tzinfo=UTC)
MARGIN = timedelta(days=1)
DAY = timedelta(days=1)
CONNECTORS: tuple[Connector, ...] = (("CP-001", "1"), ("CP-001", "2"), ("CP-002", "1"))
CHANGING = CONNECTORS[:2]
"""Connectors with the sessions in `SCRIPT`. Both have the same ids."""
OFFLINE = -1
"""Session id that a charger sends while it is offline."""


def at(text: str) -> datetime:
    """Return a time such as `01-30 14:00`, of 2026 in UTC."""
    return datetime.fromisoformat(text if len(text) > 11 else f"2026-{text}").replace(tzinfo=UTC)


@attrs.frozen
class Change:
    """Change of the depot before a night. The first change of a session adds it.

    Attributes:
        night: Number of the night, from 0.
        session: Name of the session in the script.
        fields: Changed fields, or None if the session vanishes. The next change brings it back.
    """

    night: int
    session: str
    fields: ReportFields | None


def times(start: str | None, end: str | None) -> ReportFields:
    """Return the fields for a start and an end."""
    return {
        "session_time_start": None if start is None else at(start),
        "session_time_end": None if end is None else at(end),
    }


def samples(count: int) -> ReportFields:
    """Return fields with this state of charge and number of meter values."""
    values = [MeterValue("present_power", float(number)) for number in range(count)]
    return {"session_meter_values": values, "energy_soc_end": float(count)}


# No change is older than a day at the reading before it, so a lag of 0 and a margin of a day find
# all of them. The nights 1 and 2 are on both sides of the end of January.
SCRIPT = (
    # Uploaded a night late.
    Change(1, "late", times("01-29 10:00", "01-29 11:00")),
    # Corrected starts: in a month, over its end, and back.
    Change(0, "corrected", times("01-29 14:00", "01-29 15:00")),
    Change(1, "corrected", {"session_time_start": at("01-29 13:30")}),
    Change(2, "to February", times("01-31 23:40", "02-01 00:30")),
    Change(3, "to February", {"session_time_start": at("02-01 00:10")}),
    Change(2, "to January", times("02-01 00:20", "02-01 01:30")),
    Change(3, "to January", {"session_time_start": at("01-31 23:50")}),
    # Vanished sessions. One of them comes back.
    Change(1, "vanished", times("01-30 10:00", "01-30 11:00")),
    Change(2, "vanished", None),
    Change(2, "vanished at the end", times("01-31 23:00", "02-01 01:00")),
    Change(3, "vanished at the end", None),
    Change(2, "back", times("01-31 09:00", "01-31 10:00")),
    Change(3, "back", None),
    Change(4, "back", {}),
    # Without a start, for one night, for ever, with other bytes, or until they vanish.
    Change(1, "start later", times(None, "01-30 12:00")),
    Change(2, "start later", {"session_time_start": at("01-30 11:00")}),
    Change(1, "no start", times(None, "01-30 15:00")),
    Change(2, "no start", samples(2)),
    Change(2, "no start, vanished", times(None, "01-31 12:00")),
    Change(3, "no start, vanished", None),
    Change(1, "times later", times(None, None)),
    Change(2, "times later", times("01-30 16:00", "01-30 17:00")),
    Change(1, "no times", times(None, None)),
    # Other bytes, and fewer meter values.
    Change(0, "changed", {**times("01-29 20:00", "01-29 21:00"), **samples(9)}),
    Change(1, "changed", samples(3)),
    # Chargers that were offline repeat the id.
    Change(0, "offline 1", times("01-29 05:00", "01-29 06:00")),
    Change(1, "offline 2", times("01-30 05:00", "01-30 06:00")),
    Change(1, "offline 3", times("01-30 06:00", "01-30 07:00")),
    Change(1, "offline 4", times(None, "01-30 08:00")),
    Change(4, "offline 5", times("02-02 05:00", "02-02 06:00")),
    # Clocks that were not set.
    Change(1, "1970, set later", times("1970-01-01 00:00:10", "01-30 18:00")),
    Change(2, "1970, set later", {"session_time_start": at("01-30 17:00")}),
    Change(1, "1970", times("1970-01-01 00:00:20", "01-30 18:30")),
    Change(1, "2036", times("2036-02-07 06:28:16", "01-30 19:00")),
    Change(2, "ended in 1970", times("01-31 19:00", "1970-01-01 00:00:30")),
    # Parked for weeks, and an ordinary session of the month before.
    Change(1, "parked", times("2025-12-05 08:00", "01-30 20:00")),
    Change(0, "December", times("2025-12-31 20:00", "01-01 03:00")),
)


@attrs.frozen
class Row:
    """Values of one session in a copy."""

    charger_id: str
    connector_id: str
    session_id: int | None
    start: datetime | None
    end: datetime | None
    soc_end: float | None
    meter_values: int


@attrs.frozen
class Contents:
    """Rows of a copy.

    Attributes:
        present: Number of rows of each session that the depot still has.
        vanished: Number of rows of each session that the depot no longer has.
    """

    present: Counter[Row] = attrs.field(factory=Counter[Row])
    vanished: Counter[Row] = attrs.field(factory=Counter[Row])

    def differences(self, truth: Contents) -> list[str]:
        """Return a line for each row that a copy lacks, and for each that it must not hold."""
        rows = {
            "missing": truth.present - self.present,
            "additional": self.present - truth.present,
            "missing as vanished": truth.vanished - self.vanished,
            "additional as vanished": self.vanished - truth.vanished,
        }
        return [f"{name}: {row}" for name, part in rows.items() for row in part.elements()]


def row_of(connector: Connector, report: Mapping[str, Any]) -> Row:
    """Return the row of a report, as decoded from JSON."""

    def time(name: str) -> datetime | None:
        return None if report.get(name) is None else datetime.fromisoformat(report[name])

    charger_id, connector_id = connector
    return Row(
        charger_id=charger_id,
        connector_id=str(connector_id),
        session_id=report.get("sessionId"),
        start=time("sessionTimeStart"),
        end=time("sessionTimeEnd"),
        soc_end=report.get("energySocEnd"),
        meter_values=len(report.get("sessionMeterValues") or ()),
    )


@attrs.define
class _Session:
    connector: Connector
    session_id: int
    report: bytes
    removed: bool = False
    was_served: bool = False


@attrs.define
class NightlyDepot:
    """A depot whose sessions are added, corrected and removed before each night.

    Call `night` with 0, 1, 2 ... and finish the copy after each call.

    Args:
        per_day: Sessions that end on each connector between two nights.
        script: Changes of the connectors `CHANGING`, in the order of their nights.
        options: Settings of the sandbox, such as `time_filter` and `order`.
    """

    per_day: int = 3
    script: Sequence[Change] = SCRIPT
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    sandbox: DepotSandbox = attrs.field(init=False)
    now: datetime = attrs.field(init=False, default=FIRST_NIGHT)
    _sessions: dict[object, _Session] = attrs.field(init=False, factory=dict[object, _Session])
    _ids: Iterator[int] = attrs.field(init=False, factory=lambda: itertools.count(1001))
    _script_ids: dict[str, int] = attrs.field(init=False, factory=dict[str, int])

    def __attrs_post_init__(self) -> None:
        self.sandbox = DepotSandbox(chargers={}, **self.options)

    def night(self, number: int) -> datetime:
        """Apply the changes before a night. Return the time of the night."""
        for session in self._sessions.values():
            session.was_served |= self._is_served(session)
        self.now = FIRST_NIGHT + number * DAY
        for connector, index in itertools.product(CONNECTORS, range(self.per_day)):
            start = self.now - DAY + (index + 0.5) * DAY / self.per_day
            fields: ReportFields = {
                "session_time_start": start,
                "session_time_end": start + DAY / (4 * self.per_day),
            }
            self._add((connector, number, index), connector, next(self._ids), fields)
        for connector, change in itertools.product(CHANGING, self.script):
            if change.night == number:
                self._apply(connector, change)
        return self.now

    def truth(self) -> Contents:
        """Return what a copy of the span must hold after the last night."""
        contents = Contents()
        for session in self._sessions.values():
            row = row_of(session.connector, json.loads(session.report))
            if not _belongs(row):
                continue
            if not session.removed:
                contents.present[row] += self._is_served(session)
            elif session.was_served:
                contents.vanished[row] += 1
        return Contents(+contents.present, contents.vanished)

    @property
    def bytes(self) -> int:
        """Return the size of all reports that the depot has."""
        return sum(len(s.report) for s in self._sessions.values() if not s.removed)

    def _apply(self, connector: Connector, change: Change) -> None:
        session = self._sessions.get((connector, change.session))
        if session is None:
            session_id = self._script_ids.setdefault(change.session, next(self._ids))
            if change.session.startswith("offline"):
                session_id = OFFLINE
            self._add((connector, change.session), connector, session_id, change.fields or {})
            return
        if change.fields is None:
            self.sandbox.remove(*connector, session.session_id)
            session.removed = True
            return
        if session.removed:
            self.sandbox.add(*connector, session.report)
            session.removed = False
        self.sandbox.correct(*connector, session.session_id, **change.fields)
        session.report = change_report(session.report, change.fields)

    def _add(
        self, name: object, connector: Connector, session_id: int, fields: ReportFields
    ) -> None:
        report = make_report(session_id, **fields)
        self._sessions[name] = _Session(connector, session_id, report)
        self.sandbox.add(*connector, report)

    def _is_served(self, session: _Session) -> bool:
        """Return True if the server has a session and returns it for a query of the whole span."""
        query = TimeRange(epoch_us(BEGIN - MARGIN), epoch_us(self.now), self.sandbox.time_filter)
        return not session.removed and query.contains(StoredReport.from_json(session.report, 0))


def _belongs(row: Row) -> bool:
    """Return False for an ordinary session that started before the span."""
    return row.start is None or not BEGIN - MARGIN <= row.start < BEGIN
