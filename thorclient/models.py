"""Analytics and chargeboxes, as the Thor integration API documents them.

The vendor does not document which fields may be missing or null, nor that an enum is complete.
Fields that a chargebox may lack are therefore optional, and an unknown enum value stays a `str`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Generic, TypeAlias

import attrs
import msgspec

from evtransport.secrets import Secret
from evtransport.structure import EpochMillis, JsonValue, ScalarCodec, Structures

__all__ = [
    "Analytics",
    "Chargebox",
    "ChargeboxType",
    "Connector",
    "ConnectorFormat",
    "ConnectorType",
    "Coordinates",
    "MessageFormat",
    "OcppVersion",
    "PowerType",
    "RollingCounts",
    "VehicleType",
    "json_schema",
    "to_dict",
    "to_json",
]


class ConnectorType(StrEnum):
    """Plug type of a connector.

    Example:
        >>> ConnectorType("chademo") is ConnectorType.CHADEMO
        True
    """

    CCS = "ccs"
    CHADEMO = "chademo"
    COMMANDO = "commando"
    TYPE_1 = "type_1"
    TYPE_2 = "type_2"
    TYPE_3A = "type_3a"
    TYPE_3C = "type_3c"
    SCHUKO = "schuko"


class ConnectorFormat(StrEnum):
    """Form of a connector: a cable that is fixed to the chargebox, or a socket.

    Example:
        >>> ConnectorFormat("SOCKET") is ConnectorFormat.SOCKET
        True
    """

    CABLE = "CABLE"
    SOCKET = "SOCKET"


class PowerType(StrEnum):
    """Power source of a connector.

    Example:
        >>> PowerType("AC_1_PHASE") is PowerType.AC_1_PHASE
        True
    """

    AC_1_PHASE = "AC_1_PHASE"
    AC_3_PHASE = "AC_3_PHASE"
    DC = "DC"


class VehicleType(StrEnum):
    """Kind of vehicle that a chargebox charges.

    Example:
        >>> VehicleType("bicycle") is VehicleType.BICYCLE
        True
    """

    CAR = "car"
    BICYCLE = "bicycle"


class OcppVersion(StrEnum):
    """OCPP version of a chargebox.

    Example:
        >>> OcppVersion("1.6") is OcppVersion.V1_6
        True
    """

    V1_5 = "1.5"
    V1_6 = "1.6"


class MessageFormat(StrEnum):
    """Message format that a chargebox uses for OCPP.

    Example:
        >>> MessageFormat("json") is MessageFormat.JSON
        True
    """

    JSON = "json"
    SOAP = "soap"


if TYPE_CHECKING:
    from typing_extensions import TypeVar

    N_co = TypeVar("N_co", bound=float, covariant=True, default=int)
else:
    from typing import TypeVar

    N_co = TypeVar("N_co")


@attrs.frozen
class RollingCounts(Generic[N_co]):
    """Totals of the last 7, 30 and 60 days. Without a type argument they are integers.

    Example:
        >>> RollingCounts(last_7=6, last_30=32, last_60=63).last_30
        32
    """

    last_7: N_co
    last_30: N_co
    last_60: N_co


@attrs.frozen
class Analytics:
    """Statistics of a chargebox (Thor: "Get analytics").

    Attributes:
        charges: Number of charges.
        disconnections: Number of lost connections.
        energy: Delivered energy in Wh. The vendor documents integers. Chargeboxes that send no
            meter data have 0, so 0 does not prove that nothing was delivered.
        users: Number of distinct users who charged.
        active_since: Time at which the chargebox went online first, in UTC.

    Example:
        >>> async with ThorClient.from_env() as thor:
        ...     analytics = await thor.get_analytics("TB-0001")
        >>> analytics.charges.last_7 <= analytics.charges.last_30
        True
    """

    charges: RollingCounts[int]
    disconnections: RollingCounts[int]
    energy: RollingCounts[int | float]
    users: RollingCounts[int]
    active_since: datetime | None = None


@attrs.frozen
class Coordinates:
    """Position of a chargebox, in degrees.

    Example:
        >>> Coordinates(latitude=48.13, longitude=11.61).latitude
        48.13
    """

    latitude: float | None = None
    longitude: float | None = None


@attrs.frozen
class ChargeboxType:
    """Vehicles and protocol of a chargebox.

    Example:
        >>> async with ThorClient.from_env() as thor:
        ...     box = await thor.get_chargebox("TB-0001")
        >>> isinstance(box.type, ChargeboxType)
        True
    """

    vehicle: VehicleType | str | None = None
    msg: MessageFormat | str | None = None
    version: OcppVersion | str | None = None


@attrs.frozen
class Connector:
    """Connector of a chargebox. Connector N is probably `connectors[N - 1]`.

    Attributes:
        power: Power, probably in W or kW. The vendor documents "power in Wh", which is not a unit
            of power.
        type: Plug type.
        format: Cable or socket.
        max_amperage: Maximum current in A.
        power_type: AC with one or three phases, or DC.
        terminal_id: Id of the Nayax payment terminal at the connector.
        token: Token of Nayax's API. Only `reveal()` shows it.

    Example:
        >>> async with ThorClient.from_env() as thor:
        ...     box = await thor.get_chargebox("TB-0001")
        >>> isinstance(box.connectors[0], Connector)
        True
    """

    power: int | float | None = None
    type: ConnectorType | str | None = None
    format: ConnectorFormat | str | None = None
    max_amperage: int | float | None = None
    power_type: PowerType | str | None = None
    terminal_id: str | None = None
    token: Secret | None = None


@attrs.frozen
class Chargebox:
    """Chargebox with its connectors (Thor: "Get chargebox").

    Attributes:
        id: Unique chargebox identifier.
        alias: Name of the chargebox.
        active: Active in the administration dashboard.
        connected: Connected to Thor now.
        public: Public in the dashboard.
        reservable: Open to reservations.
        timezone: Time zone. The vendor derives it from the coordinates.
        last_heartbeat: Time of the last heartbeat message, in UTC.
        coordinates: Position.
        type: Vehicles and protocol.
        connectors: Connectors, in order.
        occupied_connectors: Connectors with a running transaction. The elements may be any
            JSON values: the vendor does not document them. Numbers from 1 are likely.
        reserved_connectors: Reserved connectors, with the same elements.

    Example:
        >>> async with ThorClient.from_env() as thor:
        ...     box = await thor.get_chargebox("TB-0001")
        >>> box.alias, len(box.connectors) > 0
        ('München TB-0001', True)
    """

    id: str
    alias: str | None = None
    active: bool | None = None
    connected: bool | None = None
    public: bool | None = None
    reservable: bool | None = None
    timezone: str | None = None
    last_heartbeat: EpochMillis | None = None
    coordinates: Coordinates | None = None
    type: ChargeboxType | None = None
    connectors: list[Connector] = attrs.field(factory=list)
    occupied_connectors: list[JsonValue] = attrs.field(factory=list)
    reserved_connectors: list[JsonValue] = attrs.field(factory=list)


# Many JSON encoders and databases accept no larger integers.
Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
STRUCTURES = Structures(
    package="thorclient",
    codecs={
        int: ScalarCodec(Int64),
        int | float: ScalarCodec(Int64 | float),
    },
)
structure_analytics = STRUCTURES.of(Analytics)
structure_chargebox = STRUCTURES.of(Chargebox)


def to_dict(obj: object, *, wire: bool = False) -> dict[str, JsonValue]:
    """Return an object of this package as a dict of JSON values.

    Args:
        obj: Object of an attrs class or a dataclass.
        wire: False uses the names of Python, and ISO 8601 for all times. True uses the names and
            the time formats of the API.

    Returns:
        All fields, with None for a missing value. A `Secret` is masked. Unknown values of an enum
        are kept.

    Raises:
        ValueError: `obj` is not such an object, or a value has no JSON form.

    Example:
        >>> to_dict(Coordinates(45.07, 7.69))
        {'latitude': 45.07, 'longitude': 7.69}
    """
    return STRUCTURES.to_dict(obj, wire=wire)


def to_json(obj: object, *, wire: bool = False) -> bytes:
    """Return an object of this package as JSON text in UTF-8.

    Args:
        obj: As in `to_dict`.
        wire: As in `to_dict`.

    Raises:
        ValueError: `obj` is not such an object, or a value has no JSON form.

    Example:
        >>> to_json(Connector(type="ccs", token=Secret("t0k3n")))
        b'{"power":null,"type":"ccs",...,"token":"**********"}'
    """
    return STRUCTURES.to_json(obj, wire=wire)


def json_schema(cls: type, *, wire: bool = False) -> dict[str, JsonValue]:
    """Return the JSON Schema of the values that `to_dict` and `to_json` return for a class.

    The schema has no references, so it may be part of an OpenAPI 3.1 document.

    Args:
        cls: An attrs class or a dataclass, such as `Analytics`.
        wire: As in `to_dict`.

    Raises:
        ValueError: `cls` is not such a class, or has a field without a JSON form.

    Example:
        >>> json_schema(Chargebox)["properties"]["id"]
        {'type': 'string', 'description': 'Unique chargebox identifier.'}
    """
    return STRUCTURES.json_schema(cls, wire=wire)
