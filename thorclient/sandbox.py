"""An embedded server that behaves as the Thor integration API is described to behave."""

from __future__ import annotations

import hmac
import random
import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal, get_args
from urllib.parse import unquote

import attrs
import msgspec

from evtransport.testing.faults import RETRYABLE, Fault, SandboxResponse
from evtransport.testing.sandbox import RecordedRequest, Sandbox, running_in_thread
from evtransport.validation import validate_int

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

__all__ = ["RETRYABLE", "Fault", "RecordedRequest", "ThorSandbox", "running_in_thread"]

ErrorShape = Literal["message", "Message", "error", "error.message", "string", "text"]

_STATUS = {
    "APIKeyNotFound": 403,
    "RestAPINotEnabled": 403,
    "InvalidSourceIPAddr": 403,
    "ChargeboxNotFound": 404,
    "InternalServerError": 500,
}

# The moment at which all chargeboxes are described: the same seed gives the same answers.
_NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
_WINDOWS = (7, 30, 60)  # days

# Power in W, type, format, A, power type, and the Wh of a usual charge.
_CONNECTORS = (
    (7_400, "type_2", "SOCKET", 32, "AC_1_PHASE", (4_000, 20_000)),
    (22_000, "type_2", "CABLE", 32, "AC_3_PHASE", (5_000, 40_000)),
    (50_000, "chademo", "CABLE", 125, "DC", (8_000, 30_000)),
    (150_000, "ccs", "CABLE", 350, "DC", (15_000, 60_000)),
    (3_700, "schuko", "SOCKET", 16, "AC_1_PHASE", (300, 8_000)),
    (7_400, "type_1", "CABLE", 32, "AC_1_PHASE", (4_000, 20_000)),
    (11_000, "type_3c", "SOCKET", 16, "AC_3_PHASE", (4_000, 25_000)),
    (3_700, "type_3a", "SOCKET", 16, "AC_1_PHASE", (1_000, 8_000)),
    (22_000, "commando", "SOCKET", 32, "AC_3_PHASE", (5_000, 40_000)),
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


@attrs.define(kw_only=True, eq=False, repr=False)
class ThorSandbox(Sandbox):
    """A server on loopback that answers `GET /analytics/{id}` and `GET /chargeboxes/{id}`.

    Besides these arguments it takes those of `Sandbox`.

    Args:
        chargeboxes: How many, named `TB-0001` and so on, or their ids.
        enabled: False answers 403 RestAPINotEnabled.
        allowed_address: The only address that may ask; others get 403 InvalidSourceIPAddr.
        broken: Ids of the chargeboxes that are always answered with 500 InternalServerError.
        error_shape: How an error's name is carried: under a JSON key ("message", "Message",
            "error", or "message" within "error"), as a JSON string, or as plain text.

    Attributes:
        api_key: The key that is accepted.

    Raises:
        ValueError: An argument is out of range, or a broken chargebox does not exist.
    """

    _prefix: ClassVar[str] = "/latest/integration"

    _chargeboxes: int | Sequence[str] = attrs.field(default=20, alias="chargeboxes")
    enabled: bool = True
    allowed_address: str | None = None
    broken: Collection[str] = ()
    error_shape: ErrorShape = "message"
    api_key: str = attrs.field(init=False, factory=secrets.token_urlsafe)
    _analytics: dict[str, bytes] = attrs.field(init=False, factory=dict[str, bytes])
    _boxes: dict[str, bytes] = attrs.field(init=False, factory=dict[str, bytes])

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.error_shape not in get_args(ErrorShape):
            raise ValueError(f"unknown error_shape {self.error_shape!r}")
        for chargebox_id in _ids(self._chargeboxes):
            draw = random.Random(f"{self._seed}/{chargebox_id}")  # noqa: S311
            connectors = [draw.choice(_CONNECTORS) for _ in range(draw.randint(1, 3))]
            box = _chargebox(chargebox_id, connectors, draw)
            self._boxes[chargebox_id] = msgspec.json.encode(box)
            analytics = _analytics(connectors[0][-1], draw)
            self._analytics[chargebox_id] = msgspec.json.encode(analytics)
        unknown = {self.broken} if isinstance(self.broken, str) else {*self.broken} - {*self._boxes}
        if unknown:
            raise ValueError(f"broken must list ids of chargeboxes, not {unknown!r}")

    @property
    def chargebox_ids(self) -> tuple[str, ...]:
        """The ids of all chargeboxes."""
        return tuple(self._boxes)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that a client needs; RuntimeError unless running."""
        return {"THOR_API_KEY": self.api_key, "THOR_BASE_URL": self.base_url}

    def analytics(self, chargebox_id: str) -> bytes:
        """The JSON of the analytics of a chargebox; KeyError if unknown."""
        return self._analytics[chargebox_id]

    def chargebox(self, chargebox_id: str) -> bytes:
        """The JSON of a chargebox, tokens of its terminals included; KeyError if unknown."""
        return self._boxes[chargebox_id]

    async def _respond(self, request: web.BaseRequest, path: str) -> SandboxResponse:
        """Return the response. A refused request gets one of the vendor's error names."""
        match path.removeprefix(self._prefix).split("/"):
            case ["", "analytics", segment]:
                served = self._analytics
            case ["", "chargeboxes", segment]:
                served = self._boxes
            case _:
                return SandboxResponse.json({"message": "no such resource"}, 404)
        if request.method != "GET":
            return SandboxResponse.json({"message": "only GET is allowed"}, 405)
        chargebox_id = unquote(segment)
        name = self._refusal(request, chargebox_id)
        if name is not None:
            return _error(name, self.error_shape)
        return SandboxResponse(served[chargebox_id])

    def _refusal(self, request: web.BaseRequest, chargebox_id: str) -> str | None:
        given = request.headers.get("X-Api-Key", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self.api_key.encode()):
            return "APIKeyNotFound"
        if not self.enabled:
            return "RestAPINotEnabled"
        if self.allowed_address not in {None, request.remote}:
            return "InvalidSourceIPAddr"
        if chargebox_id not in self._boxes:
            return "ChargeboxNotFound"
        return "InternalServerError" if chargebox_id in self.broken else None


def _ids(chargeboxes: int | Sequence[str]) -> Sequence[str]:
    if isinstance(chargeboxes, str):
        raise ValueError("chargeboxes must be a number or a list of ids")
    if not isinstance(chargeboxes, Sequence):
        validate_int("chargeboxes", chargeboxes, minimum=0)
        return [f"TB-{n:04}" for n in range(1, chargeboxes + 1)]
    if "" in chargeboxes or len(set(chargeboxes)) < len(chargeboxes):
        raise ValueError("ids of chargeboxes must be distinct and not empty")
    return chargeboxes


def _error(name: str, shape: ErrorShape) -> SandboxResponse:
    status = _STATUS[name]
    match shape:
        case "text":
            return SandboxResponse(name.encode(), status, "text/plain")
        case "string":
            return SandboxResponse.json(name, status)
        case "error.message":
            return SandboxResponse.json({"error": {"message": name}}, status)
        case _:
            return SandboxResponse.json({shape: name}, status)


def _chargebox(
    chargebox_id: str,
    connectors: Sequence[tuple[int, str, str, int, str, tuple[int, int]]],
    draw: random.Random,
) -> dict[str, object]:
    city, latitude, longitude, timezone = draw.choice(_PLACES)
    connected, active = draw.random() < 0.9, draw.random() < 0.95
    silence = timedelta(seconds=draw.uniform(1, 300))
    if not connected:
        silence *= 1000
    state = [draw.choice(("free", "free", "occupied", "reserved")) for _ in connectors]
    usable = connected and active
    return {
        "id": chargebox_id,
        "alias": f"{city} {chargebox_id}",
        "active": active,
        "connected": connected,
        "public": draw.random() < 0.7,
        "reservable": "reserved" in state or draw.random() < 0.5,
        "timezone": timezone,
        "last_heartbeat": int((_NOW - silence).timestamp() * 1000),
        "coordinates": {
            "latitude": round(latitude + draw.uniform(-0.05, 0.05), 6),
            "longitude": round(longitude + draw.uniform(-0.05, 0.05), 6),
        },
        "type": {
            "vehicle": "bicycle" if connectors[0][1] == "schuko" else "car",
            "msg": "json" if draw.random() < 0.8 else "soap",
            "version": "1.6" if draw.random() < 0.8 else "1.5",
        },
        "connectors": [
            {
                "power": power,
                "type": kind,
                "format": form,
                "max_amperage": amperes,
                "power_type": power_type,
                "terminal_id": f"{draw.randrange(10**15):015}",
                "token": f"{draw.getrandbits(128):032x}",
            }
            for power, kind, form, amperes, power_type, _ in connectors
        ],
        "occupied_connectors": [n for n, it in enumerate(state, 1) if usable and it == "occupied"],
        "reserved_connectors": [n for n, it in enumerate(state, 1) if usable and it == "reserved"],
    }


def _analytics(usual_charge: tuple[int, int], draw: random.Random) -> dict[str, object]:
    """Counts over charges that are made up one by one, so that all of them agree."""
    age = draw.uniform(10, 1500)  # days since the chargebox is online
    metered = draw.random() < 0.8
    customers = draw.randint(1, 40)
    charges = [
        _Charge(
            age=draw.uniform(0, min(age, _WINDOWS[-1])),
            user=draw.randrange(customers),
            energy=draw.randint(*usual_charge) if metered else 0,
        )
        for _ in range(draw.randint(0, 300))
    ]
    lost = [draw.uniform(0, min(age, _WINDOWS[-1])) for _ in range(draw.randint(0, 20))]
    since = (_NOW - timedelta(days=age)).isoformat(timespec="milliseconds")
    lately = {days: [charge for charge in charges if charge.age <= days] for days in _WINDOWS}
    return {
        "active_since": since.replace("+00:00", "Z"),
        "charges": _rolling(len(lately[days]) for days in _WINDOWS),
        "disconnections": _rolling(sum(day <= days for day in lost) for days in _WINDOWS),
        "energy": _rolling(sum(charge.energy for charge in lately[days]) for days in _WINDOWS),
        "users": _rolling(len({charge.user for charge in lately[days]}) for days in _WINDOWS),
    }


def _rolling(counts: Iterable[int]) -> dict[str, int]:
    return {f"last_{days}": count for days, count in zip(_WINDOWS, counts, strict=True)}
