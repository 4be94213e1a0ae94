"""Analytics and chargeboxes, as the Thor integration API documents them.

The vendor documents neither which fields may be missing or null nor that an enum is closed. So
what a charge point need not have is optional, and an unknown value of an enum stays a `str`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Generic, TypeAlias

import attrs
import msgspec

from evtransport.auth import Secret
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
]


class ConnectorType(StrEnum):
    """The plugs that the vendor lists."""

    CCS = "ccs"
    CHADEMO = "chademo"
    COMMANDO = "commando"
    TYPE_1 = "type_1"
    TYPE_2 = "type_2"
    TYPE_3A = "type_3a"
    TYPE_3C = "type_3c"
    SCHUKO = "schuko"


class ConnectorFormat(StrEnum):
    """Whether the cable is fixed to the chargebox."""

    CABLE = "CABLE"
    SOCKET = "SOCKET"


class PowerType(StrEnum):
    """The power source of a connector."""

    AC_1_PHASE = "AC_1_PHASE"
    AC_3_PHASE = "AC_3_PHASE"
    DC = "DC"


class VehicleType(StrEnum):
    """What a chargebox can charge."""

    CAR = "car"
    BICYCLE = "bicycle"


class OcppVersion(StrEnum):
    """The OCPP version that a chargebox implements."""

    V1_5 = "1.5"
    V1_6 = "1.6"


class MessageFormat(StrEnum):
    """The OCPP flavour that a chargebox sends its data in."""

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
    """One quantity over the last 7, 30 and 60 days up to now.

    `RollingCounts` without an argument holds integers.
    """

    last_7: N_co
    last_30: N_co
    last_60: N_co


@attrs.frozen
class Analytics:
    """What "Get analytics" answers.

    Attributes:
        charges: How many charges.
        disconnections: How often the chargebox lost its connection.
        energy: Wh delivered. The vendor documents integers. It is 0 as well if the chargebox sends
            no progress_line data, so 0 does not mean that nothing was delivered.
        users: How many distinct users charged.
        active_since: Since when the chargebox is online, in UTC.
    """

    charges: RollingCounts[int]
    disconnections: RollingCounts[int]
    energy: RollingCounts[int | float]
    users: RollingCounts[int]
    active_since: datetime | None = None


@attrs.frozen
class Coordinates:
    """Where a chargebox stands, in degrees."""

    latitude: float | None = None
    longitude: float | None = None


@attrs.frozen
class ChargeboxType:
    """What a chargebox serves and speaks."""

    vehicle: VehicleType | str | None = None
    msg: MessageFormat | str | None = None
    version: OcppVersion | str | None = None


@attrs.frozen
class Connector:
    """One connector. Connector N of a chargebox is taken to be `connectors[N - 1]`.

    Attributes:
        power: As it came. The vendor documents "power in Wh", surely a slip for a power; whether
            W or kW it does not tell.
        type: The plug.
        format: Cable or socket.
        max_amperage: A.
        power_type: AC with one or three phases, or DC.
        terminal_id: The Nayax payment terminal at the connector.
        token: The token for Nayax's API, a secret that shows itself only by `reveal()`.
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
    """What "Get chargebox" answers.

    Attributes:
        id: The unique chargebox identifier.
        alias: The chargebox's name.
        active: Set as active in the administration dashboard.
        connected: Connected with Thor at this moment.
        public: Set as public in the dashboard.
        reservable: Can be reserved.
        timezone: As the vendor derives it from the coordinates.
        last_heartbeat: When the last heartbeat message came, in UTC.
        coordinates: Where it stands.
        type: What it serves and speaks.
        connectors: Its connectors, in order.
        occupied_connectors: Those with a transaction running. What an element is, the vendor does
            not tell (numbers from 1 on are likely), so whatever JSON came is kept.
        reserved_connectors: Those that are reserved, likewise.
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


# JSON encoders and databases take no larger integers.
Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
STRUCTURES = Structures(
    codecs={
        Secret: ScalarCodec(str, lambda value, _: Secret(value)),
        int: ScalarCodec(Int64),
        int | float: ScalarCodec(Int64 | float),
    }
)
structure_analytics = STRUCTURES.of(Analytics)
structure_chargebox = STRUCTURES.of(Chargebox)
