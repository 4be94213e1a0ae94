"""Analytics and chargeboxes for tests, as the JSON that the Thor API sends."""

from __future__ import annotations

import random
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict

import msgspec

from evtransport.testing.fields import encode_fields
from thorclient.models import ChargeboxType, Connector, Coordinates, RollingCounts
from thorclient.sandbox.simulation import MODELS, simulate_analytics, simulate_chargebox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from evtransport.structure import JsonValue

__all__ = ["AnalyticsFields", "ChargeboxFields", "make_analytics", "make_chargebox"]

_CCS = next(model for model in MODELS if model.type == "ccs")
# With this seed, the chargebox is active, connected and public, and its connector is free.
_SEED = 4


class AnalyticsFields(TypedDict, total=False):
    """Fields of `Analytics`. None is sent as null. Times must be timezone-aware.

    Example:
        >>> fields: AnalyticsFields = {"users": RollingCounts(last_7=1, last_30=2, last_60=3)}
        >>> analytics = make_analytics(**fields)
    """

    charges: RollingCounts[int]
    disconnections: RollingCounts[int]
    energy: RollingCounts[int | float]
    users: RollingCounts[int]
    active_since: datetime | None


class ChargeboxFields(TypedDict, total=False):
    """Fields of a `Chargebox`. None is sent as null. Times must be timezone-aware.

    Example:
        >>> fields: ChargeboxFields = {"alias": "Depot 1", "active": True}
        >>> box = make_chargebox(**fields)
    """

    id: str
    alias: str | None
    active: bool | None
    connected: bool | None
    public: bool | None
    reservable: bool | None
    timezone: str | None
    last_heartbeat: datetime | None
    coordinates: Coordinates | None
    type: ChargeboxType | None
    connectors: Sequence[Connector]
    occupied_connectors: Sequence[JsonValue]
    reserved_connectors: Sequence[JsonValue]


def make_analytics(**fields: Unpack[AnalyticsFields]) -> bytes:
    """Return analytics as JSON, as the API sends them (Thor: "Get analytics").

    Args:
        fields: Fields by their names in `Analytics`, with energies in Wh. Others are simulated.

    Raises:
        ValueError: A field is unknown, a time is naive, or a value has no JSON form.

    Example:
        >>> from thorclient.sandbox import make_analytics
        >>> text = make_analytics(users=RollingCounts(1, 2, 3), active_since=None)
        >>> b'"users":{"last_7":1,"last_30":2,"last_60":3}' in text
        True
    """
    changes = encode_fields(fields, AnalyticsFields.__annotations__)
    simulated = simulate_analytics(_CCS, random.Random(_SEED))  # noqa: S311
    return msgspec.json.encode(simulated | changes)


def make_chargebox(**fields: Unpack[ChargeboxFields]) -> bytes:
    """Return a chargebox as JSON, as the API sends it (Thor: "Get chargebox").

    Without arguments, it is TB-0001: active, connected and public, with one free CCS connector.

    Args:
        fields: Fields by their names in `Chargebox`. Others are simulated.

    Raises:
        ValueError: A field is unknown, a time is naive, or a value has no JSON form.

    Example:
        >>> from thorclient.sandbox import make_chargebox
        >>> text = make_chargebox(id="TB-9", connected=False)
        >>> text.startswith(b'{"id":"TB-9",')
        True
    """
    changes = encode_fields(fields, ChargeboxFields.__annotations__)
    heartbeat = fields.get("last_heartbeat")
    if isinstance(heartbeat, datetime):
        changes["last_heartbeat"] = int(heartbeat.timestamp() * 1000)
    chargebox_id = fields.get("id", "TB-0001")
    simulated = simulate_chargebox(chargebox_id, [_CCS], random.Random(_SEED))  # noqa: S311
    return msgspec.json.encode(simulated | changes)
