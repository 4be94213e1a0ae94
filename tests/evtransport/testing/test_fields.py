"""JSON fields of test data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

from evtransport.secrets import Secret
from evtransport.testing.fields import encode_fields


@attrs.frozen
class Sample:
    event_time: datetime
    value: float | None = None


TIME = datetime(2026, 1, 2, 3, 4, 5, 6789, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (None, None),
        (1.5, 1.5),
        ("x", "x"),
        (TIME, "2026-01-02T03:04:05.006Z"),
        (TIME.astimezone(timezone(timedelta(hours=2))), "2026-01-02T03:04:05.006Z"),
        (Secret("hush"), "hush"),
        (Sample(TIME), {"EVENT_TIME": "2026-01-02T03:04:05.006Z", "VALUE": None}),
        ((Sample(TIME, 1), {"as": [TIME]}), [
            {"EVENT_TIME": "2026-01-02T03:04:05.006Z", "VALUE": 1},
            {"as": ["2026-01-02T03:04:05.006Z"]},
        ]),
    ],
)  # fmt: skip
def test_models_times_and_secrets_become_json_with_renamed_attributes(
    value: object, encoded: object
) -> None:
    assert encode_fields({"one": value}, {"one", "two"}, str.upper) == {"ONE": encoded}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"energy": 1}, "'energy' is not a field; expected energy_end$"),
        ({"x": 1}, "'x' is not a field; expected energy_end, start"),
        ({"start": TIME.replace(tzinfo=None)}, "start must be an aware datetime"),
        ({"start": [object()]}, "start must be a JSON value or a model, got object"),
    ],
)
def test_an_invalid_field_is_rejected_by_name(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_fields(fields, {"start", "energy_end"})
