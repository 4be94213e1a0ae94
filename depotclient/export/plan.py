"""Readings of an export: which windows of a connector to read, and from which time on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import attrs
from attrs import Attribute

from depotclient.copying.options import require_bool
from depotclient.export.manifest import Manifest
from depotclient.partitions.calendar import Window, next_start, window_start
from depotclient.query import validate_duration
from depotclient.reading import changed_from, is_final
from depotclient.reports import fitting_limit
from depotclient.sessions import Session, Span

__all__ = ["CalendarWindow", "Options", "Reading", "first_limit", "plan_readings", "span_of"]


@attrs.frozen(order=True)
class CalendarWindow:
    """Calendar window of one file.

    Attributes:
        name: Month such as `2026-10`, or day such as `2026-10-31`, in UTC.
        start: Start of the window (inclusive).
        end: End of the window (exclusive).
    """

    name: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, name: str, kind: Window) -> CalendarWindow:
        """Return the window with this name."""
        start = window_start(name)
        return cls(name, start, next_start(start, kind))

    def contains_start(self, session: Session) -> bool:
        """Return True if a session starts in the window. The others are strays in it."""
        return session.start is not None and self.start <= session.start < self.end


def _is_duration(_: object, attribute: Attribute[Any], value: object) -> None:
    validate_duration(attribute.name, value)


def _is_bool(_: object, attribute: Attribute[Any], value: object) -> None:
    require_bool(attribute.name, value)


@attrs.frozen
class Options:
    """Options of an export that decide what must be read.

    Attributes:
        margin: Time read on both sides of a window.
        lag: Time in which reports can still change, after the margin.
        verify: Whether a reading is walked until a pass finds nothing new.
        refresh: Whether windows are read whole even if their files are final.
        accept_deletions: Whether sessions that the server no longer has are deleted.

    Raises:
        ValueError: A duration is not a timedelta from 0 to 366 days, or a flag is not a bool.
    """

    margin: timedelta = attrs.field(validator=_is_duration)
    lag: timedelta = attrs.field(default=timedelta(), validator=_is_duration)
    verify: bool = attrs.field(default=False, validator=_is_bool)
    refresh: bool = attrs.field(default=False, validator=_is_bool)
    accept_deletions: bool = attrs.field(default=False, validator=_is_bool)


@attrs.frozen
class Reading:
    """One query of a connector, for one or more consecutive windows.

    Attributes:
        windows: Windows whose files are up to date after the reading, ordered by time.
        from_: Start of the query.
        to: End of the query.
    """

    windows: tuple[CalendarWindow, ...]
    from_: datetime
    to: datetime

    @property
    def name(self) -> str:
        """Return the windows as text, such as `window 2026-10`. At least one window is required."""
        first, last = self.windows[0].name, self.windows[-1].name
        return f"window {first}" if first == last else f"windows {first} to {last}"

    def covers(self, window: CalendarWindow, margin: timedelta) -> bool:
        """Return True if a window is read whole, with its margins."""
        return window in self.windows and self.from_ <= window.start - margin

    def overlaps(self, window: CalendarWindow) -> bool:
        """Return True if the query and a window share some time."""
        return window.start < self.to and self.from_ < window.end


def plan_readings(
    windows: Sequence[CalendarWindow],
    manifests: Mapping[str, Manifest],
    now: datetime,
    options: Options,
) -> list[Reading]:
    """Return the readings of one connector, ordered by time.

    A window without a usable file is read whole, and so is one that has closed since its last
    reading, or an open one with `verify`. Another open window with a file is read from its last
    reading on, less margin and lag. Such a reading joins a neighbour whose query overlaps with
    its own, so that nothing is read twice. Two whole windows are two readings, so that a stop
    loses at most one of them.

    Args:
        windows: Consecutive windows of the export.
        manifests: Manifests of the files of the connector.
        now: Time of the export.
        options: Options of the export.
    """
    readings = list[Reading]()
    previous: CalendarWindow | None = None
    previous_is_whole = False
    for window in windows:
        from_ = _first_time(window, manifests.get(window.name), now, options)
        if from_ is None:
            continue
        # If the clock was set back, keep the query non-empty.
        to = max(min(window.end + options.margin, now), from_ + timedelta(milliseconds=1))
        is_whole = from_ == window.start - options.margin
        last = readings[-1] if previous is not None and previous.end == window.start else None
        if last is not None and from_ <= last.to and not (is_whole and previous_is_whole):
            joined = (*last.windows, window)
            readings[-1] = Reading(joined, min(from_, last.from_), max(to, last.to))
        else:
            readings.append(Reading((window,), from_, to))
        previous, previous_is_whole = window, is_whole
    return readings


def first_limit(reading: Reading, manifests: Mapping[str, Manifest]) -> int:
    """Return the `limit` of the first page request for windows that may have files."""
    known = [manifests[window.name] for window in reading.windows if window.name in manifests]
    # Pages that overlap, and those of several readings, make the total size too large.
    return fitting_limit(
        sum(manifest.reports for manifest in known), sum(manifest.bytes_read for manifest in known)
    )


def _first_time(
    window: CalendarWindow, manifest: Manifest | None, now: datetime, options: Options
) -> datetime | None:
    """Return the start of the query for a window, or None if its file is final."""
    first = window.start - options.margin
    lag = options.margin + options.lag
    if (
        manifest is None
        or options.refresh
        or (options.verify and not manifest.verify)
        or (options.accept_deletions and manifest.vanished)
        or datetime.fromisoformat(manifest.from_) > first
        # With a wrong clock, the window may have been read before its end.
        or manifest.read_at > now
    ):
        return first
    if is_final(window.end, manifest.read_at, lag):
        return None
    if options.verify or is_final(window.end, now, lag):
        return first
    return changed_from(first, manifest.read_at, lag)


def span_of(
    windows: Sequence[CalendarWindow], held: Iterable[CalendarWindow], margin: timedelta
) -> Span:
    """Return the span of a copy: the windows of the export, and adjacent ones with a file.

    Args:
        windows: Consecutive windows of the export.
        held: Windows with a file.
        margin: Time read on both sides of the span.
    """
    start, end = windows[0].start, windows[-1].end
    ordered = sorted(held, key=attrgetter("start"))
    for window in reversed(ordered):
        start = window.start if window.end == start else start
    for window in ordered:
        end = window.end if window.start == end else end
    return Span(start, end, margin)
