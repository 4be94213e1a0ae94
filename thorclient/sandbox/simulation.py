"""Simulated chargeboxes and analytics: plausible, and made from random numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

__all__ = ["MODELS", "ConnectorModel", "simulate_analytics", "simulate_chargebox"]

# All data is as of this time, so that the same seed gives the same data.
_NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
_WINDOWS = (7, 30, 60)  # days


@attrs.frozen
class ConnectorModel:
    """Kind of connector, with the energy of a typical charge."""

    power: int  # W
    type: str
    format: str
    max_amperage: int  # A
    power_type: str
    usual_charge: tuple[int, int]  # Wh


MODELS = (
    ConnectorModel(7_400, "type_2", "SOCKET", 32, "AC_1_PHASE", (4_000, 20_000)),
    ConnectorModel(22_000, "type_2", "CABLE", 32, "AC_3_PHASE", (5_000, 40_000)),
    ConnectorModel(50_000, "chademo", "CABLE", 125, "DC", (8_000, 30_000)),
    ConnectorModel(150_000, "ccs", "CABLE", 350, "DC", (15_000, 60_000)),
    ConnectorModel(3_700, "schuko", "SOCKET", 16, "AC_1_PHASE", (300, 8_000)),
    ConnectorModel(7_400, "type_1", "CABLE", 32, "AC_1_PHASE", (4_000, 20_000)),
    ConnectorModel(11_000, "type_3c", "SOCKET", 16, "AC_3_PHASE", (4_000, 25_000)),
    ConnectorModel(3_700, "type_3a", "SOCKET", 16, "AC_1_PHASE", (1_000, 8_000)),
    ConnectorModel(22_000, "commando", "SOCKET", 32, "AC_3_PHASE", (5_000, 40_000)),
)
_PLACES = (
    ("Bologna", 44.4949, 11.3426, "Europe/Rome"),
    ("Lisboa", 38.7223, -9.1393, "Europe/Lisbon"),
    ("München", 48.1351, 11.5820, "Europe/Berlin"),
    ("Oslo", 59.9139, 10.7522, "Europe/Oslo"),
)


@attrs.frozen
class _Charge:
    age: float  # days before now
    user: int
    energy: int  # Wh


def simulate_chargebox(
    chargebox_id: str, models: Sequence[ConnectorModel], rng: random.Random
) -> dict[str, object]:
    """Return a chargebox with one connector of each model."""
    city, latitude, longitude, timezone = rng.choice(_PLACES)
    connected, active = rng.random() < 0.9, rng.random() < 0.95
    silence = timedelta(seconds=rng.uniform(1, 300)) * (1 if connected else 1000)
    states = [rng.choice(("free", "free", "occupied", "reserved")) for _ in models]
    in_use = states if connected and active else []
    return {
        "id": chargebox_id,
        "alias": f"{city} {chargebox_id}",
        "active": active,
        "connected": connected,
        "public": rng.random() < 0.7,
        "reservable": "reserved" in states or rng.random() < 0.5,
        "timezone": timezone,
        "last_heartbeat": int((_NOW - silence).timestamp() * 1000),
        "coordinates": {
            "latitude": round(latitude + rng.uniform(-0.05, 0.05), 6),
            "longitude": round(longitude + rng.uniform(-0.05, 0.05), 6),
        },
        "type": {
            "vehicle": "bicycle" if models[0].type == "schuko" else "car",
            "msg": "json" if rng.random() < 0.8 else "soap",
            "version": "1.6" if rng.random() < 0.8 else "1.5",
        },
        "connectors": [_simulate_connector(model, rng) for model in models],
        "occupied_connectors": [n for n, state in enumerate(in_use, 1) if state == "occupied"],
        "reserved_connectors": [n for n, state in enumerate(in_use, 1) if state == "reserved"],
    }


def _simulate_connector(model: ConnectorModel, rng: random.Random) -> dict[str, object]:
    described = attrs.asdict(model, filter=lambda field, _: field.name != "usual_charge")
    terminal_id, token = f"{rng.randrange(10**15):015}", f"{rng.getrandbits(128):032x}"
    return {**described, "terminal_id": terminal_id, "token": token}


def simulate_analytics(model: ConnectorModel, rng: random.Random) -> dict[str, object]:
    """Return counts of charges that are simulated one by one, so that the counts agree."""
    age = rng.uniform(10, 1500)  # days since the chargebox went online
    metered = rng.random() < 0.8
    customers = rng.randint(1, 40)
    charges = [
        _Charge(
            age=rng.uniform(0, min(age, _WINDOWS[-1])),
            user=rng.randrange(customers),
            energy=rng.randint(*model.usual_charge) if metered else 0,
        )
        for _ in range(rng.randint(0, 300))
    ]
    disconnections = [rng.uniform(0, min(age, _WINDOWS[-1])) for _ in range(rng.randint(0, 20))]
    since = (_NOW - timedelta(days=age)).isoformat(timespec="milliseconds")
    recent = {days: [charge for charge in charges if charge.age <= days] for days in _WINDOWS}
    return {
        "active_since": since.replace("+00:00", "Z"),
        "charges": _rolling_counts(len(recent[days]) for days in _WINDOWS),
        "disconnections": _rolling_counts(
            sum(at <= days for at in disconnections) for days in _WINDOWS
        ),
        "energy": _rolling_counts(
            sum(charge.energy for charge in recent[days]) for days in _WINDOWS
        ),
        "users": _rolling_counts(
            len({charge.user for charge in recent[days]}) for days in _WINDOWS
        ),
    }


def _rolling_counts(counts: Iterable[int]) -> dict[str, int]:
    return {f"last_{days}": count for days, count in zip(_WINDOWS, counts, strict=True)}
