"""Chargeboxes and analytics that tests make."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

from thorclient import Analytics, Chargebox, Connector, RollingCounts, Secret
from thorclient.models import structure_analytics, structure_chargebox
from thorclient.sandbox import AnalyticsFields, ChargeboxFields, make_analytics, make_chargebox

TIME = datetime(2026, 3, 1, 8, 0, 0, 123_000, tzinfo=UTC)


def test_the_default_is_a_chargebox_in_service_with_a_free_connector() -> None:
    box = structure_chargebox(make_chargebox())
    assert None not in attrs.astuple(box, recurse=False)
    assert (box.id, box.active, box.connected, box.public) == ("TB-0001", True, True, True)
    assert [each.type for each in box.connectors] == ["ccs"]
    assert box.occupied_connectors == box.reserved_connectors == []
    analytics = structure_analytics(make_analytics())
    assert None not in attrs.astuple(analytics, recurse=False)
    assert 0 < analytics.energy.last_7 < analytics.energy.last_60


def test_the_given_fields_arrive_unchanged() -> None:
    connectors = [Connector(power=50_000, token=Secret("hush"))]
    box = make_chargebox(
        id="TB-9",
        alias=None,
        last_heartbeat=TIME,
        connectors=connectors,
        occupied_connectors=[1, {"x": 2}],
    )
    default = structure_chargebox(make_chargebox())
    assert structure_chargebox(box) == attrs.evolve(
        default,
        id="TB-9",
        alias=None,
        last_heartbeat=TIME,
        connectors=connectors,
        occupied_connectors=[1, {"x": 2}],
    )
    counts: AnalyticsFields = {"users": RollingCounts(1, 2, 3), "active_since": TIME}
    expected = attrs.evolve(structure_analytics(make_analytics()), **counts)
    assert structure_analytics(make_analytics(**counts)) == expected


def test_every_field_can_be_given() -> None:
    for fields, cls in ((AnalyticsFields, Analytics), (ChargeboxFields, Chargebox)):
        assert {*fields.__annotations__} == {field.name for field in attrs.fields(cls)}


def test_an_unknown_field_is_rejected() -> None:
    with pytest.raises(ValueError, match="'conected' is not a field; expected connected"):
        make_chargebox(conected=True)  # type: ignore[call-arg]
