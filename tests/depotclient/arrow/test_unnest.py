"""The events of sessions become long tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from depotclient.arrow import FLEET_REPORTS, SESSION_REPORTS, events

TIME = datetime(2026, 1, 1, 12, tzinfo=UTC)
METER_VALUES = {
    7: [("present_current", 250.0), ("present_voltage", 600.0)],
    8: None,
    9: [],
    10: [("present_current", 0.0), (None, None), ("present_voltage", 1.5)],
}


def sessions(schema: pa.Schema = SESSION_REPORTS) -> pa.Table:
    rows = [
        {
            "session_id": session_id,
            "session_time_start": TIME,
            "session_meter_values": values
            and [{"key": key, "value": value, "event_timestamp": TIME} for key, value in values],
        }
        for session_id, values in METER_VALUES.items()
    ]
    return pa.Table.from_pylist(rows, schema)


def with_large_lists(table: pa.Table) -> pa.Table:
    """Return a table as polars writes it."""
    name = "session_meter_values"
    place = table.schema.get_field_index(name)
    kind: Any = table.schema.field(name).type
    return table.set_column(place, name, table[name].cast(pa.large_list(kind.value_type)))


EXPECTED = [
    (session_id, position, *event)
    for session_id, values in METER_VALUES.items()
    for position, event in enumerate(values or [])
]


@pytest.mark.parametrize(
    "layout",
    [
        lambda table: table,
        lambda table: table.to_batches()[0],
        lambda table: pa.concat_tables([table, table]).slice(4),
        lambda table: pa.concat_tables([table.slice(row, 1) for row in range(4)]),
        with_large_lists,
    ],
    ids=["table", "batch", "slice", "chunks", "large lists"],
)
def test_each_event_is_a_row_with_its_session_and_position(
    layout: Callable[[pa.Table], pa.Table | pa.RecordBatch],
) -> None:
    table = events(layout(sessions()), "session_meter_values")

    names = ["session_id", "session_time_start", "position", "key", "value", "event_timestamp"]
    assert table.column_names == names
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (session_id, TIME, position, key, value, TIME)
        for session_id, position, key, value in EXPECTED
    ]


def test_errors_have_the_columns_of_their_device_state() -> None:
    errors = [{"error_code": code, "error_counter": 1, "event_timestamp": TIME} for code in "abc"]
    devices = [
        {"device_id": "Breaker", "status": "OPEN", "error_codes": errors[:2]},
        {"device_id": "Fan", "status": "ON"},
        {"device_id": "Fan", "status": "FAULT", "error_codes": errors[2:]},
    ]
    table = pa.Table.from_pylist([{"session_id": 7, "device_status": devices}], SESSION_REPORTS)

    states = events(table, "device_status")
    long = events(table, "device_status.error_codes")

    assert states.column_names[2:] == ["position", "status", "device_id", "event_timestamp"]
    assert states["device_id"].to_pylist() == ["Breaker", "Fan", "Fan"]
    assert long.drop_columns(["session_id", "session_time_start"]).to_pylist() == [
        {
            "device_status_position": place,
            "status": status,
            "device_id": device,
            "device_status_event_timestamp": None,
            "position": position,
            "error_code": code,
            "error_counter": 1,
            "event_timestamp": TIME,
        }
        for place, device, status, position, code in [
            (0, "Breaker", "OPEN", 0, "a"),
            (0, "Breaker", "OPEN", 1, "b"),
            (2, "Fan", "FAULT", 0, "c"),
        ]
    ]


def test_a_row_names_the_connector_and_the_key_of_its_session() -> None:
    keys = pa.array([1, 2, 3, 4], pa.uint64())
    table = sessions(FLEET_REPORTS).append_column("session_key", keys)

    long = events(table, "session_meter_values")

    assert long.column_names[:3] == ["charger_id", "connector_id", "session_key"]
    assert long["session_key"].to_pylist() == [1, 1, 4, 4, 4]


def test_no_sessions_have_no_events() -> None:
    table = events(SESSION_REPORTS.empty_table(), "device_status.error_codes")

    assert (table.num_rows, table.column_names[-2:]) == (0, ["error_counter", "event_timestamp"])


@pytest.mark.parametrize(
    ("rows", "column", "message"),
    [
        (sessions(), "meter", r"column 'meter' is not a list .* ocpp_status, .*session_meter"),
        (sessions(), "session_id", r"column 'session_id' is not a list of events"),
        (sessions(), "battery_alignment_results", r"'battery_alignment_results' is not a list"),
        (sessions(), "device_status.status", r"is not a list .*device_status\.error_codes, "),
        (sessions().select(["session_id"]), "ocpp_status", r"these are: none"),
        (sessions().to_pylist(), "ocpp_status", r"rows must be a pyarrow Table or .*, got list"),
    ],
)
def test_a_column_that_is_not_a_list_of_events_is_rejected(
    rows: Any, column: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        events(rows, column)
