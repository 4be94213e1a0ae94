"""Fields of a session report that the commands show, as texts."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

__all__ = ["ReportSummary"]


@attrs.frozen
class ReportSummary:
    """Fields of a session report that a person reads. The other fields are not parsed."""

    session_id: int
    vehicle_id: str | None = None
    session_time_start: datetime | None = None
    session_time_end: datetime | None = None
    energy_soc_start: float | None = None
    energy_soc_end: float | None = None
    energy_charge_start: float | None = None
    energy_charge_end: float | None = None

    @property
    def start(self) -> str | None:
        """Return the start, such as `2026-01-31 18:00` in UTC."""
        return _format_time(self.session_time_start)

    @property
    def end(self) -> str | None:
        """Return the end, such as `2026-01-31 19:30` in UTC."""
        return _format_time(self.session_time_end)

    @property
    def duration(self) -> str | None:
        """Return hours and minutes between start and end, such as `1:30`."""
        start, end = self.session_time_start, self.session_time_end
        if start is None or end is None:
            return None
        minutes = (end - start) // timedelta(minutes=1)
        sign = "-" if minutes < 0 else ""
        return f"{sign}{abs(minutes) // 60}:{abs(minutes) % 60:02}"

    @property
    def energy(self) -> str | None:
        """Return the charged energy in kWh, such as `45.3`."""
        start, end = self.energy_charge_start, self.energy_charge_end
        return None if start is None or end is None else f"{(end - start) / 1000:.1f}"

    @property
    def soc(self) -> str:
        """Return the states of charge in percent, such as `20 -> 80`."""
        return f"{_format_soc(self.energy_soc_start)} -> {_format_soc(self.energy_soc_end)}"


def _format_time(time: datetime | None) -> str | None:
    return None if time is None else f"{time:%Y-%m-%d %H:%M}"


def _format_soc(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"
