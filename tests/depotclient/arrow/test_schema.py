"""The schema of Arrow tables has the fields of the objects."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from depotclient import SessionReport
from depotclient.arrow import SESSION_REPORTS, schema_of
from tests.support.arrow_tables import Part

OPTIONAL_TEXT: Any = str | None


def test_the_schema_has_the_names_and_types_of_the_objects() -> None:
    time, double, text = pa.timestamp("ms", tz="UTC"), pa.float64(), pa.string()

    def struct(**fields: pa.DataType) -> pa.DataType:
        return pa.struct([*fields.items(), ("event_timestamp", time)])

    limits = ("max_power", "max_current", "max_voltage", "min_current", "min_voltage")
    error_codes = pa.list_(struct(error_code=text, error_counter=pa.int64()))
    voltages = {"present_voltage": double, "requested_voltage": double}
    expected: dict[str, pa.DataType] = {
        "session_id": pa.int64(),
        "vehicle_id": text,
        "session_time_start": time,
        "session_time_end": time,
        **{
            f"energy_{counter}_{end}": double
            for counter in ("soc", "charge", "primary", "requested")
            for end in ("start", "end")
        },
        "ocpp_status": pa.list_(struct(value=text)),
        "detail_status": pa.list_(struct(key=text, value=text)),
        "device_status": pa.list_(struct(status=text, device_id=text, error_codes=error_codes)),
        "charge_parameters": pa.list_(struct(param_type=text, **dict.fromkeys(limits, double))),
        "session_meter_values": pa.list_(struct(key=text, value=double)),
        "battery_alignment_results": struct(in_range=pa.bool_(), **voltages),
        "dc_breaker_open_conditions": struct(current=double, voltage=double),
    }
    assert pa.schema(expected) == SESSION_REPORTS
    assert schema_of(SessionReport) == SESSION_REPORTS


def test_a_class_has_one_column_for_each_argument_of_its_constructor_in_order() -> None:
    names = ["ocpp_status", "session_time_start"]
    assert schema_of(Part) == pa.schema([SESSION_REPORTS.field(name) for name in names])


@pytest.mark.parametrize(
    ("name", "kind", "options", "problem"),
    [
        ("vehicle_id", OPTIONAL_TEXT, {"converter": str}, "a converter or a validator"),
        ("vehicle_id", OPTIONAL_TEXT, {"validator": print}, "a converter or a validator"),
        ("vehicle_id", OPTIONAL_TEXT, {"default": "none"}, "a default, which Arrow does not know"),
        ("vehicle_id", str, {}, "no Arrow type: <class 'str'>"),
        ("session_id", dict[str, int], {}, "no Arrow type"),
        ("session_id", int | str, {}, "no Arrow type"),
        ("session_id", int | float | None, {}, "no Arrow type"),
        ("session_id", list[int], {}, "no Arrow type"),
    ],
)
def test_a_field_that_arrow_handles_differently_is_rejected(
    name: str, kind: Any, options: dict[str, Any], problem: str
) -> None:
    cls = attrs.make_class("Odd", {name: attrs.field(type=kind, **options)})
    with pytest.raises(ValueError, match=rf"^Odd\.{name} has {problem}"):
        schema_of(cls)


def test_the_error_about_a_nested_field_names_its_class() -> None:
    inner = attrs.make_class("Inner", {"value": attrs.field(type=bytes)})
    outer = attrs.make_class("Outer", {"ocpp_status": attrs.field(type=list[inner])})  # type: ignore[valid-type]
    with pytest.raises(ValueError, match=r"Inner\.value has no Arrow type"):
        schema_of(outer)


def test_a_function_has_no_arrow_schema() -> None:
    with pytest.raises(ValueError, match="Arrow needs a class with fields"):
        schema_of(bytes.decode)
