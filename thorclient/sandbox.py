"""Local server that behaves like the documented Thor integration API."""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal, get_args
from urllib.parse import unquote

import attrs
import msgspec

from evtransport.secrets import Secret, validate_secret
from evtransport.testing.faults import RETRYABLE, Fault, SandboxResponse
from evtransport.testing.sandbox import RecordedRequest, Sandbox, running_in_thread
from evtransport.validation import validate_int
from thorclient.models import structure_chargebox
from thorclient.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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

# All data describes this moment, so that the same seed gives the same data.
_NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
_WINDOWS = (7, 30, 60)  # days


@attrs.frozen
class _ConnectorModel:
    power: int  # W
    type: str
    format: str
    max_amperage: int  # A
    power_type: str
    usual_charge: tuple[int, int]  # Wh


_MODELS = (
    _ConnectorModel(7_400, "type_2", "SOCKET", 32, "AC_1_PHASE", (4_000, 20_000)),
    _ConnectorModel(22_000, "type_2", "CABLE", 32, "AC_3_PHASE", (5_000, 40_000)),
    _ConnectorModel(50_000, "chademo", "CABLE", 125, "DC", (8_000, 30_000)),
    _ConnectorModel(150_000, "ccs", "CABLE", 350, "DC", (15_000, 60_000)),
    _ConnectorModel(3_700, "schuko", "SOCKET", 16, "AC_1_PHASE", (300, 8_000)),
    _ConnectorModel(7_400, "type_1", "CABLE", 32, "AC_1_PHASE", (4_000, 20_000)),
    _ConnectorModel(11_000, "type_3c", "SOCKET", 16, "AC_3_PHASE", (4_000, 25_000)),
    _ConnectorModel(3_700, "type_3a", "SOCKET", 16, "AC_1_PHASE", (1_000, 8_000)),
    _ConnectorModel(22_000, "commando", "SOCKET", 32, "AC_3_PHASE", (5_000, 40_000)),
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
    """Server on loopback with analytics and chargeboxes.

    It serves `/analytics/{id}`, `/chargeboxes` with its filters, and `/chargeboxes/{id}`.

    The arguments of `Sandbox` are accepted too.

    Args:
        chargeboxes: Number of chargeboxes (named `TB-0001` and so on), or their ids.
        enabled: False makes every response a 403 RestAPINotEnabled.
        allowed_address: Only address that may send requests. Others receive 403
            InvalidSourceIPAddr.
        broken: Ids of chargeboxes that always respond with 500 InternalServerError.
        error_shape: Form of an error's name in the body: under a JSON key ("message", "Message",
            "error", or "message" within "error"), as a JSON string, or as plain text.
        api_key: Key that the sandbox accepts. The default is random.

    Raises:
        ValueError: An argument is out of range, or a broken chargebox does not exist.
    """

    _prefix: ClassVar[str] = "/latest/integration"

    _chargeboxes: int | Sequence[str] = attrs.field(default=20, alias="chargeboxes")
    enabled: bool = True
    allowed_address: str | None = None
    broken: Collection[str] = ()
    error_shape: ErrorShape = "message"
    api_key: str = attrs.field(factory=secrets.token_urlsafe)
    _analytics: dict[str, bytes] = attrs.field(init=False, factory=dict[str, bytes])
    _boxes: dict[str, bytes] = attrs.field(init=False, factory=dict[str, bytes])

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.error_shape not in get_args(ErrorShape):
            shapes = ", ".join(get_args(ErrorShape))
            raise ValueError(f"error_shape must be one of {shapes}, got {self.error_shape!r}")
        validate_secret("api_key", Secret(self.api_key))
        for chargebox_id in _list_ids(self._chargeboxes):
            rng = random.Random(f"{self._seed}/{chargebox_id}")  # noqa: S311
            models = [rng.choice(_MODELS) for _ in range(rng.randint(1, 3))]
            box = _simulate_chargebox(chargebox_id, models, rng)
            self._boxes[chargebox_id] = msgspec.json.encode(box)
            analytics = _simulate_analytics(models[0], rng)
            self._analytics[chargebox_id] = msgspec.json.encode(analytics)
        unknown = {self.broken} if isinstance(self.broken, str) else {*self.broken} - {*self._boxes}
        if unknown:
            raise ValueError(f"broken must list ids of chargeboxes, got {unknown!r}")

    @property
    def chargebox_ids(self) -> tuple[str, ...]:
        """Return the ids of all chargeboxes."""
        return tuple(self._boxes)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables for a client.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        return {"THOR_API_KEY": self.api_key, "THOR_BASE_URL": self.base_url}

    def analytics(self, chargebox_id: str) -> bytes:
        """Return the analytics of a chargebox as JSON, or raise KeyError."""
        return self._analytics[chargebox_id]

    def chargebox(self, chargebox_id: str) -> bytes:
        """Return a chargebox as JSON, with its tokens, or raise KeyError."""
        return self._boxes[chargebox_id]

    async def _respond(self, request: web.BaseRequest, path: str) -> SandboxResponse:
        """Return the data of a chargebox, or one of the vendor's errors."""
        match path.removeprefix(self._prefix).split("/"):
            case ["", "chargeboxes"]:
                segment, served = None, self._boxes
            case ["", "analytics", segment]:
                served = self._analytics
            case ["", "chargeboxes", segment]:
                served = self._boxes
            case _:
                return SandboxResponse.json({"message": "no such resource"}, 404)
        if request.method != "GET":
            return SandboxResponse.json({"message": "only GET is allowed"}, 405)
        chargebox_id = None if segment is None else unquote(segment)
        error = self._error_name(request, chargebox_id)
        if error is not None:
            return _error_response(error, self.error_shape)
        if chargebox_id is None:
            return self._list_chargeboxes(request.query)
        return SandboxResponse(served[chargebox_id])

    def _list_chargeboxes(self, query: Mapping[str, str]) -> SandboxResponse:
        try:
            selection = Selection.parse(query)
        except ValueError as error:
            return SandboxResponse.json({"message": str(error)}, 400)
        texts = self._boxes.values()
        selected = [text for text in texts if selection.matches(structure_chargebox(text))]
        return SandboxResponse(b"[%s]" % b",".join(selected))

    def _error_name(self, request: web.BaseRequest, chargebox_id: str | None) -> str | None:
        if request.headers.get("X-Api-Key") != self.api_key:
            return "APIKeyNotFound"
        if not self.enabled:
            return "RestAPINotEnabled"
        if self.allowed_address not in {None, request.remote}:
            return "InvalidSourceIPAddr"
        if chargebox_id is None:
            return None
        if chargebox_id not in self._boxes:
            return "ChargeboxNotFound"
        return "InternalServerError" if chargebox_id in self.broken else None


def _list_ids(chargeboxes: int | Sequence[str]) -> Sequence[str]:
    if isinstance(chargeboxes, str) or not isinstance(chargeboxes, Sequence):
        count = validate_int("chargeboxes", chargeboxes, minimum=0)
        return [f"TB-{number:04}" for number in range(1, count + 1)]
    if "" in chargeboxes or len(set(chargeboxes)) < len(chargeboxes):
        raise ValueError("chargeboxes must be distinct ids that are not empty")
    return chargeboxes


def _error_response(name: str, shape: ErrorShape) -> SandboxResponse:
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


def _simulate_chargebox(
    chargebox_id: str, models: Sequence[_ConnectorModel], rng: random.Random
) -> dict[str, object]:
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


def _simulate_connector(model: _ConnectorModel, rng: random.Random) -> dict[str, object]:
    described = attrs.asdict(model, filter=lambda field, _: field.name != "usual_charge")
    terminal_id, token = f"{rng.randrange(10**15):015}", f"{rng.getrandbits(128):032x}"
    return {**described, "terminal_id": terminal_id, "token": token}


def _simulate_analytics(model: _ConnectorModel, rng: random.Random) -> dict[str, object]:
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
