"""Thor's answers: every documented field, value and error, and what is not documented."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from enum import StrEnum

import attrs
import pytest

import thorclient
from evtransport.http import Response, decipher
from thorclient import (
    Analytics,
    APIKeyNotFound,
    AuthError,
    Chargebox,
    ChargeboxNotFound,
    ChargeboxType,
    Connector,
    ConnectorFormat,
    ConnectorType,
    Coordinates,
    InternalServerError,
    InvalidSourceIPAddr,
    MessageFormat,
    NotFoundError,
    OcppVersion,
    PowerType,
    RestAPINotEnabled,
    RollingCounts,
    SchemaError,
    Secret,
    ServerError,
    StatusError,
    VehicleType,
)
from thorclient.errors import ERROR_NAMES
from thorclient.models import structure_analytics, structure_chargebox

TOKEN = "n4y4x-t0k3n"

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
    {"power": 50000.5, "type": "ccs", "format": "CABLE", "max_amperage": 125,
     "power_type": "DC"}
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


def test_analytics_hold_every_documented_field_typed() -> None:
    assert structure_analytics(ANALYTICS.encode()) == Analytics(
        active_since=datetime(2020, 9, 3, 13, 41, 35, 29_000, tzinfo=UTC),
        charges=RollingCounts(1, 2, 3),
        disconnections=RollingCounts(4, 5, 6),
        energy=RollingCounts(7000, 8000, 9000),
        users=RollingCounts(10, 11, 12),
    )


@pytest.mark.parametrize("since", [{}, {"active_since": None}], ids=["missing", "null"])
def test_a_chargebox_that_was_never_online_has_analytics(since: dict[str, None]) -> None:
    body = json.loads(ANALYTICS)
    del body["active_since"]

    assert structure_analytics(json.dumps({**body, **since}).encode()).active_since is None


@pytest.mark.parametrize("group", ["charges", "disconnections", "energy", "users"])
@pytest.mark.parametrize("days", ["last_7", "last_30", "last_60"])
def test_a_count_that_is_missing_or_no_integer_is_refused_by_name(group: str, days: str) -> None:
    kind, more = ("int | float", []) if group == "energy" else ("int", [1.5, 12.0])
    for value in (None, "5", True, *more):
        body = json.loads(ANALYTICS)
        body[group][days] = value
        with pytest.raises(SchemaError) as caught:
            structure_analytics(json.dumps(body).encode())
        (problem,) = caught.value.problems
        assert problem.startswith(f"$.{group}.{days}: expected {kind}, got ")


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400])
def test_an_integer_beyond_64_bits_is_refused(value: int) -> None:
    body = json.loads(ANALYTICS)
    body["energy"]["last_7"] = value

    with pytest.raises(
        SchemaError, match=r"^\$\.energy\.last_7: expected int [<>]= -?92233720368547758"
    ):
        structure_analytics(json.dumps(body).encode())


@pytest.mark.parametrize("energy", [10234.567, 12.0, 0, 2**63 - 1, -1.5])
def test_an_energy_may_have_decimals(energy: float) -> None:
    body = json.loads(ANALYTICS)
    body["energy"]["last_7"] = energy

    found = structure_analytics(json.dumps(body).encode()).energy.last_7

    assert (found, type(found)) == (energy, type(energy))


@pytest.mark.parametrize("active_since", ["", "2026-01-01T00:00:00Z"])
def test_an_empty_time_is_none(active_since: str) -> None:
    body = json.loads(ANALYTICS) | {"active_since": active_since}

    since = structure_analytics(json.dumps(body).encode()).active_since

    assert since == (datetime(2026, 1, 1, tzinfo=UTC) if active_since else None)
    assert chargebox(last_heartbeat="").last_heartbeat is None


def test_a_chargebox_holds_every_documented_field_typed() -> None:
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
        type=ChargeboxType(VehicleType.CAR, MessageFormat.JSON, OcppVersion.V1_6),
        connectors=[
            Connector(
                power=22000,
                type=ConnectorType.TYPE_2,
                format=ConnectorFormat.SOCKET,
                max_amperage=32,
                power_type=PowerType.AC_3_PHASE,
                terminal_id="0123",
                token=Secret(TOKEN),
            ),
            Connector(
                power=50000.5,
                type=ConnectorType.CCS,
                format=ConnectorFormat.CABLE,
                max_amperage=125,
                power_type=PowerType.DC,
            ),
        ],
        occupied_connectors=[1],
        reserved_connectors=[{"connector": 2}, "3", None],
    )


def test_the_fields_are_those_on_the_wire_and_no_others() -> None:
    body = json.loads(CHARGEBOX)

    for cls, wire in (
        (Chargebox, body),
        (ChargeboxType, body["type"]),
        (Coordinates, body["coordinates"]),
        (Connector, body["connectors"][0]),
        (Analytics, json.loads(ANALYTICS)),
    ):
        assert {field.name for field in attrs.fields(cls)} == set(wire)


def test_a_chargebox_needs_nothing_but_its_id() -> None:
    minimal = chargebox()

    assert minimal == Chargebox(id="IT-123")
    assert (minimal.connectors, minimal.occupied_connectors, minimal.coordinates) == ([], [], None)
    with pytest.raises(SchemaError, match=r"^\$.*required field"):
        structure_chargebox(b"{}")


def test_null_is_as_good_as_missing() -> None:
    names = [field.name for field in attrs.fields(Chargebox) if field.name != "id"]
    inner = [field.name for field in attrs.fields(Connector)]

    assert chargebox(**dict.fromkeys(names)) == Chargebox(id="IT-123")
    assert chargebox(connectors=[dict.fromkeys(inner), {}]).connectors == [Connector()] * 2


ENUMS: dict[type[StrEnum], str] = {
    ConnectorType: "ccs chademo commando type_1 type_2 type_3a type_3c schuko",
    ConnectorFormat: "CABLE SOCKET",
    PowerType: "AC_1_PHASE AC_3_PHASE DC",
    VehicleType: "car bicycle",
    OcppVersion: "1.5 1.6",
    MessageFormat: "json soap",
}


@pytest.mark.parametrize(
    ("enum", "values"), ENUMS.items(), ids=lambda v: getattr(v, "__name__", "")
)
def test_an_enum_has_the_documented_values(enum: type[StrEnum], values: str) -> None:
    assert [str(member) for member in enum] == values.split()


PLACES = [
    ("connectors", "type", ConnectorType),
    ("connectors", "format", ConnectorFormat),
    ("connectors", "power_type", PowerType),
    ("type", "vehicle", VehicleType),
    ("type", "version", OcppVersion),
    ("type", "msg", MessageFormat),
]


def at(place: str, name: str, value: object) -> object:
    inner = {name: value}
    found = chargebox(**{place: [inner] if place == "connectors" else inner})
    holder = found.connectors[0] if place == "connectors" else found.type
    return getattr(holder, name)


@pytest.mark.parametrize(("place", "name", "enum"), PLACES)
def test_a_documented_value_is_a_member_and_an_unknown_one_stays_text(
    place: str, name: str, enum: type[StrEnum]
) -> None:
    for member in enum:
        assert at(place, name, str(member)) is member

    unknown = at(place, name, "type_9000")
    assert unknown == "type_9000"
    assert type(unknown) is str
    with pytest.raises(SchemaError, match=rf"\.{name}: expected str, got int"):
        at(place, name, 5)


def test_a_terminals_token_shows_only_by_reveal() -> None:
    found = structure_chargebox(CHARGEBOX.encode())
    token = found.connectors[0].token

    assert token is not None
    assert token.reveal() == TOKEN
    for text in (repr(found), str(found), str(attrs.asdict(found)), str(attrs.astuple(found))):
        assert TOKEN not in text
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        pickle.dumps(found)


def test_a_chargebox_with_a_bad_token_is_refused_without_quoting_it() -> None:
    with pytest.raises(SchemaError) as caught:
        chargebox(connectors=[{"token": [TOKEN]}])

    assert str(caught.value) == "$.connectors[0].token: expected str, got array"


@pytest.mark.parametrize(
    ("status", "kind", "parent"),
    [
        (403, APIKeyNotFound, AuthError),
        (403, RestAPINotEnabled, AuthError),
        (403, InvalidSourceIPAddr, AuthError),
        (404, ChargeboxNotFound, NotFoundError),
        (500, InternalServerError, ServerError),
    ],
)
def test_each_documented_error_is_a_class_of_its_own_under_its_statuss_class(
    status: int, kind: type[StatusError], parent: type[StatusError]
) -> None:
    with pytest.raises(parent) as caught:
        decipher(
            Response(status, {}, f'{{"message": "{kind.__name__}"}}'.encode()), ERROR_NAMES, now=0
        )

    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, kind.__name__)


def test_there_is_no_documented_error_more() -> None:
    assert len(ERROR_NAMES) == 5
    assert set(ERROR_NAMES) <= set(thorclient.__all__)
