"""Parts of the time that decoding of a full report takes: `python -m benchmarks.decoding`."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any

import msgspec

from benchmarks.candidates.base import Work, decode_each
from benchmarks.candidates.loops import STRUCT
from benchmarks.report import format_table
from benchmarks.workloads import WALK, format_number
from depotclient.models import MeterValue, SessionReport, structurer_of
from depotclient.sandbox import ReportShape
from depotclient.sandbox.simulation import render, simulate_sessions

REPORTS, ROUNDS = 40, 15
OURS = "ours"


def parts_of(texts: Sequence[bytes]) -> dict[str, Work]:
    """Return the work that is timed, by name. It handles each report once."""
    decode: Callable[[bytes], object] = msgspec.json.Decoder(STRUCT.report).decode
    reports = [decode(text) for text in texts]
    return {
        OURS: decode_each(structurer_of(SessionReport), texts),
        "msgspec-struct": decode_each(decode, texts),
        "objects of the meter values": decode_each(allocate_values, reports),
        "with their attributes": decode_each(build_values, reports),
        "with a check of their times": decode_each(build_checked_values, reports),
        "convert(from_attributes=True) of a struct": decode_each(convert, reports),
    }


def allocate_values(report: Any) -> list[object]:
    """Return an object for each meter value, without attributes."""
    new = object.__new__
    return [new(MeterValue) for _ in report.session_meter_values]


def build_values(report: Any) -> list[MeterValue]:
    """Return the meter values."""
    new, values = object.__new__, []
    for wire in report.session_meter_values:
        value = new(MeterValue)
        value.key, value.value = wire.key, wire.value
        value.event_timestamp = wire.event_timestamp
        values.append(value)
    return values


def build_checked_values(report: Any) -> list[MeterValue]:
    """Return the meter values, after a check that their times are in UTC."""
    new, values = object.__new__, []
    for wire in report.session_meter_values:
        value = new(MeterValue)
        value.key, value.value = wire.key, wire.value
        moment = wire.event_timestamp
        value.event_timestamp = moment if moment is None or moment.tzinfo is UTC else None
        values.append(value)
    return values


def convert(report: Any) -> SessionReport:
    """Return a report built by msgspec, whose lists must not be null."""
    return msgspec.convert(report, SessionReport, from_attributes=True)


def measure(parts: Mapping[str, Work]) -> dict[str, float]:
    """Return the median CPU seconds of a report, by name. The parts take turns."""
    rounds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(ROUNDS):
        for name, work in parts.items():
            gc.collect()
            started = time.process_time()
            work()
            rounds[name].append((time.process_time() - started) / REPORTS)
    return {name: statistics.median(times) for name, times in rounds.items()}


def main() -> None:
    """Measure and print."""
    plans = simulate_sessions(0, *WALK, REPORTS)
    seconds = measure(parts_of([render(plan, ReportShape()) for plan in plans]))
    rows = [["", "CPU time per report", "share of ours"]]
    for name, each in seconds.items():
        rows.append([name, f"{format_number(each * 1e3)} ms", f"{each / seconds[OURS]:.0%}"])
    print(format_table(rows))


if __name__ == "__main__":
    main()
