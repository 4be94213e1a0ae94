"""Models of the Thor API: documented fields, values and units, and undocumented ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import attrs
import pytest
from jsonschema import Draft202012Validator

from thorclient import (
    Analytics,
    Chargebox,
    ChargeboxType,
    Connector,
    ConnectorFormat,
    ConnectorType,
    Coordinates,
    MessageFormat,
    OcppVersion,
    PowerType,
    RollingCounts,
    SchemaError,
    Secret,
    VehicleType,
    json_schema,
    to_dict,
)
from thorclient.models import STRUCTURES, structure_analytics, structure_chargebox

ANALYTICS = """{
  "active_since": "2020-09-03T13:41:35.029Z",
  "charges": {"last_7": 1, "last_30": 2, "last_60": 3},
  "disconnections": {"last_7": 4, "last_30": 5, "last_60": 6},
  "energy": {"last_7": 7000, "last_30": 8000, "last_60": 9000},
  "users": {"last_7": 10, "last_30": 11, "last_60": 12}
}"""

CHARGEBOX = """{
  "active": true,
  "alias": "Car park",
  "connected": true,
  "public": false,
  "reservable": false,
  "connectors": [
    {"power": 22000, "type": "type_2", "format": "SOCKET", "max_amperage": 32,
     "power_type": "AC_3_PHASE", "terminal_id": "0123", "token": "n4y4x-t0k3n"},
    {"power": 50000.5, "power_type": "DC"}
  ],
  "coordinates": {"latitude": 45.07, "longitude": 7},
  "id": "IT-123",
  "last_heartbeat": 1600000000123,
  "timezone": "Europe/Rome",
  "type": {"vehicle": "car", "msg": "json", "version": "1.6"},
  "occupied_connectors": [1],
  "reserved_connectors": [{"connector": 2}, "3", null]
}"""


def chargebox(**members: object) -> Chargebox:
    return structure_chargebox(json.dumps({"id": "IT-123", **members}).encode())


def analytics(**members: object) -> Analytics:
    return structure_analytics(json.dumps(json.loads(ANALYTICS) | members).encode())


def test_analytics_have_every_documented_field() -> None:
    assert analytics() == Analytics(
        active_since=datetime(2020, 9, 3, 13, 41, 35, 29_000, tzinfo=UTC),
        charges=RollingCounts(1, 2, 3),
        disconnections=RollingCounts(4, 5, 6),
        energy=RollingCounts(7000, 8000, 9000),
        users=RollingCounts(10, 11, 12),
    )


def test_a_chargebox_has_every_documented_field() -> None:
    assert structure_chargebox(CHARGEBOX.encode()) == Chargebox(
        id="IT-123",
        alias="Car park",
        active=True,
        connected=True,
        public=False,
        reservable=False,
        timezone="Europe/Rome",
        last_heartbeat=datetime(2020, 9, 13, 12, 26, 40, 123_000, tzinfo=UTC),
        coordinates=Coordinates(latitude=45.07, longitude=7.0),
        type=ChargeboxType(vehicle="car", msg="json", version="1.6"),
        connectors=[
            Connector(22000, "type_2", "SOCKET", 32, "AC_3_PHASE", "0123", Secret("n4y4x-t0k3n")),
            Connector(power=50000.5, power_type="DC"),
        ],
        occupied_connectors=[1],
        reserved_connectors=[{"connector": 2}, "3", None],
    )


@pytest.mark.parametrize("wire", [False, True])
@pytest.mark.parametrize("obj", [analytics(), structure_chargebox(CHARGEBOX.encode())])
def test_an_object_is_written_as_its_schema_describes(
    obj: Analytics | Chargebox, wire: bool
) -> None:
    Draft202012Validator(json_schema(type(obj), wire=wire)).validate(to_dict(obj, wire=wire))


def test_a_chargebox_is_written_with_the_vendors_times_and_without_its_token() -> None:
    box = to_dict(structure_chargebox(CHARGEBOX.encode()), wire=True)

    expected = json.loads(CHARGEBOX.replace("n4y4x-t0k3n", "**********"))
    expected["connectors"][1] = dict.fromkeys(expected["connectors"][0]) | expected["connectors"][1]
    assert box == expected


@pytest.mark.parametrize("active_since", ["", None])
def test_a_chargebox_that_was_never_online_has_analytics(active_since: object) -> None:
    assert analytics(active_since=active_since).active_since is None
    assert chargebox(last_heartbeat=active_since).last_heartbeat is None


@pytest.mark.parametrize(
    ("group", "value", "problem"),
    [
        ("charges", None, "expected int, got null"),
        ("disconnections", "5", "expected int, got str"),
        ("users", 1.5, "expected int, got float"),
        ("energy", True, "expected int | float, got bool"),
    ],
)
def test_a_count_that_is_not_a_number_of_its_type_is_rejected_by_name(
    group: str, value: object, problem: str
) -> None:
    with pytest.raises(SchemaError) as caught:
        analytics(**{group: {"last_7": 1, "last_30": value}})

    assert caught.value.problems == (
        f"$.{group}.last_30: {problem}",
        f"$.{group}.last_60: required field missing",
    )


@pytest.mark.parametrize("energy", [10234.567, 12.0, 0, 2**63 - 1, -1.5])
def test_an_energy_value_may_have_decimals(energy: float) -> None:
    found = analytics(energy={"last_7": energy, "last_30": 0, "last_60": 0}).energy.last_7

    assert (found, type(found)) == (energy, type(energy))


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400])
@pytest.mark.parametrize("group", ["energy", "users"])
def test_an_integer_beyond_64_bits_is_rejected(group: str, value: int) -> None:
    with pytest.raises(SchemaError, match=rf"^\$\.{group}\.last_7: expected int [<>]= "):
        analytics(**{group: {"last_7": value, "last_30": 0, "last_60": 0}})


def test_a_chargebox_requires_its_id_only() -> None:
    names = [field.name for field in attrs.fields(Chargebox) if field.name != "id"]
    inner = [field.name for field in attrs.fields(Connector)]

    assert chargebox() == chargebox(**dict.fromkeys(names)) == Chargebox(id="IT-123")
    assert chargebox(connectors=[dict.fromkeys(inner), {}]).connectors == [Connector()] * 2
    with pytest.raises(SchemaError, match=r"^\$\.id: required field missing"):
        structure_chargebox(b"{}")


PLUGS = "ccs chademo commando type_1 type_2 type_3a type_3c schuko"


@pytest.mark.parametrize(
    ("cls", "name", "enum", "values"),
    [
        (Connector, "type", ConnectorType, PLUGS),
        (Connector, "format", ConnectorFormat, "CABLE SOCKET"),
        (Connector, "power_type", PowerType, "AC_1_PHASE AC_3_PHASE DC"),
        (ChargeboxType, "vehicle", VehicleType, "car bicycle"),
        (ChargeboxType, "version", OcppVersion, "1.5 1.6"),
        (ChargeboxType, "msg", MessageFormat, "json soap"),
    ],
)
def test_an_enum_has_the_documented_values_and_an_unknown_value_stays_a_str(
    cls: type[Any], name: str, enum: type[StrEnum], values: str
) -> None:
    def structured(value: object) -> object:
        return getattr(STRUCTURES.of(cls)(json.dumps({name: value}).encode()), name)

    assert [structured(value) for value in values.split()] == list(enum)
    assert {type(structured(value)) for value in values.split()} == {enum}
    assert type(structured("type_9000")) is str
    with pytest.raises(SchemaError, match=rf"\.{name}: expected str, got int"):
        structured(5)
