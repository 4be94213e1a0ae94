"""Counts of missing, null and unknown fields and of unknown enum values."""

from __future__ import annotations

import pytest

from thorclient.probe.fields import FieldCounts


def test_shares_are_those_of_the_objects_that_may_have_a_field() -> None:
    counts = FieldCounts()
    counts.add(
        "chargebox",
        {
            "id": "a",
            "alias": None,
            "coordinates": {"latitude": 1.0, "height": 5},
            "connectors": [{"type": "ccs"}, {"type": "new", "evse": 1}, "odd", {"type": None}],
            "tariff": None,
        },
    )
    counts.add("chargebox", {"coordinates": [], "connectors": {}, "evse": 2})
    counts.add("analytics", {"charges": {"last_7": 1}})
    missing, null, unknown, unknown_values = counts.shares().values()
    assert "chargebox.id" not in missing
    assert missing["chargebox.alias"] == 0.5
    assert missing["chargebox.coordinates.longitude"] == 1
    assert "chargebox.connectors[].type" not in missing
    assert missing["analytics.charges.last_30"] == 1
    assert null == {
        "chargebox.alias": 0.5,
        "chargebox.connectors[].type": 1 / 3,
    }
    assert unknown == {
        "chargebox.coordinates.height": 0.5,
        "chargebox.connectors[].evse": 0.5,
        "chargebox.evse": 0.5,
    }
    assert unknown_values == {"chargebox.connectors[].type": 0.5}
    assert counts.documents == {"chargebox": 2, "analytics": 1}


@pytest.mark.parametrize("name", ["TB-0001", "depot"])
def test_no_unknown_field_is_named_if_one_may_be_an_id(name: str) -> None:
    counts = FieldCounts()
    counts.add("chargebox", {"id": "Depot", "evse": 2, name: 1})
    assert (counts.has_ids, counts.shares()["unknown_fields"]) == (True, {})


def test_an_error_with_status_200_does_not_count() -> None:
    counts = FieldCounts()
    counts.add("analytics", {"error": "internal"})
    assert (counts.documents["analytics"], counts.shares()["unknown_fields"]) == (0, {})
