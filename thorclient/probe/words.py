"""Results of a probe in words, for a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from evtransport.measurements import SHARED_WORDS, Line, Wording
from thorclient.probe.findings import Measurement

__all__ = ["describe_measurement"]

_WORDING: Final = Wording(
    titles={
        "chargebox_not_found": "Unknown chargebox",
        "analytics_not_found": "Its analytics",
        "error_shape": "Name of an error",
        "case_sensitive": "Letters of ids",
        "echo": "Id in a response",
        "missing_fields": "Missing fields",
        "null_fields": "Null fields",
        "unknown_fields": "Unknown fields",
        "unknown_values": "Unknown enum values",
        "occupied_type": "Occupied connectors",
        "filters_active": "Parameter onlyactive",
        "compression": "Compression",
        "latency": "Latency",
    },
    words={
        **SHARED_WORDS,
        "case_sensitive": {True: "upper and lower case differ", False: "case does not matter"},
        "filters_active": {True: "honoured", False: "ignored"},
    },
    formats={
        "chargebox_not_found": lambda status: f"status {status}",
        "analytics_not_found": lambda status: f"status {status}",
        "error_shape": lambda shape: {
            "text": "the body is the name, as plain text",
            "string": "the body is the name, as a JSON string",
            "none": "the body has no documented name",
        }.get(shape, f"in the JSON key {shape}"),
        "occupied_type": lambda kind: f"JSON elements of the type {kind}",
        "latency": lambda seconds: f"{seconds * 1000:,.1f} ms",
    },
)


def describe_measurement(measurement: Measurement) -> Iterator[Line]:
    """Yield the lines of a measurement: all values of a profile, measured or unknown."""
    yield Line("API key", "measured", "accepted")  # Else the probe raises an error.
    yield from _WORDING.describe(measurement.profile, measurement.reasons)
