"""Local server that behaves like the documented Thor integration API."""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, get_args
from urllib.parse import unquote

import attrs
import msgspec

from evtransport.errors import ResponseError
from evtransport.secrets import Secret, validate_secret
from evtransport.testing.faults import SandboxResponse
from evtransport.testing.sandbox import Sandbox
from evtransport.validation import validate_id, validate_int
from thorclient.models import structure_chargebox
from thorclient.sandbox.make import make_analytics
from thorclient.sandbox.simulation import MODELS, simulate_analytics, simulate_chargebox
from thorclient.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

__all__ = ["ThorSandbox"]

ErrorShape = Literal["message", "Message", "error", "error.message", "string", "text"]

_STATUS = {
    "APIKeyNotFound": 403,
    "RestAPINotEnabled": 403,
    "InvalidSourceIPAddr": 403,
    "ChargeboxNotFound": 404,
    "InternalServerError": 500,
}


class _Header(msgspec.Struct):
    id: str


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

    Example:
        >>> from thorclient.sandbox import ThorSandbox
        >>> async with ThorSandbox(chargeboxes=["TB-1"]) as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         print((await thor.get_chargebox("TB-1")).id)
        TB-1
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
            models = [rng.choice(MODELS) for _ in range(rng.randint(1, 3))]
            box = simulate_chargebox(chargebox_id, models, rng)
            self._boxes[chargebox_id] = msgspec.json.encode(box)
            analytics = simulate_analytics(models[0], rng)
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

    def add(self, chargebox: bytes, analytics: bytes | None = None) -> None:
        """Add a chargebox, or replace the one with the same id.

        Args:
            chargebox: JSON with at least `id`, such as that of `make_chargebox`.
            analytics: JSON of its analytics. The default keeps those of the same id. A new
                chargebox gets those of `make_analytics()`.

        Raises:
            ValueError: The chargebox is not JSON or has no id.

        Example:
            >>> from thorclient.sandbox import ThorSandbox, make_analytics, make_chargebox
            >>> sandbox = ThorSandbox(chargeboxes=0)
            >>> energy = RollingCounts(1_000, 2_000, 3_000)
            >>> sandbox.add(make_chargebox(id="TB-9"), make_analytics(energy=energy))
            >>> sandbox.chargebox_ids
            ('TB-9',)
        """
        texts = {"chargebox": chargebox, "analytics": b"" if analytics is None else analytics}
        for name, text in texts.items():
            if not isinstance(text, bytes):
                raise ValueError(f"{name} must be JSON in bytes, not {type(text).__name__}")
        try:
            chargebox_id = validate_id("id", msgspec.json.decode(chargebox, type=_Header).id)
        except msgspec.MsgspecError as error:
            raise ValueError(f"the chargebox cannot be served: {error}") from None
        if analytics is None:
            analytics = self._analytics.get(chargebox_id, make_analytics())
        self._analytics[chargebox_id] = analytics
        self._boxes[chargebox_id] = chargebox

    def remove(self, chargebox_id: str) -> None:
        """Remove a chargebox and its analytics. Raise ValueError if there is none.

        Example:
            >>> from thorclient.sandbox import ThorSandbox
            >>> sandbox = ThorSandbox(chargeboxes=2)
            >>> sandbox.remove("TB-0001")
            >>> sandbox.chargebox_ids
            ('TB-0002',)
        """
        if self._boxes.pop(chargebox_id, None) is None:
            raise ValueError(f"chargebox {chargebox_id!r} does not exist")
        del self._analytics[chargebox_id]

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
        selected = [text for text in [*self._boxes.values()] if _matches(selection, text)]
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


def _matches(selection: Selection, chargebox: bytes) -> bool:
    try:
        return selection.matches(structure_chargebox(chargebox))
    except ResponseError:  # The list has invalid chargeboxes too.
        return True


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
