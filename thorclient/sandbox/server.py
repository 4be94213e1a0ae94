"""Local server that behaves like the documented Thor integration API."""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

import attrs
import msgspec

import thorclient.profile
from evtransport.errors import ResponseError
from evtransport.secrets import Secret, validate_secret
from evtransport.testing.faults import SandboxResponse
from evtransport.testing.profiles import accept_profile
from evtransport.testing.sandbox import Sandbox
from evtransport.validation import validate_id, validate_int
from thorclient.models import structure_chargebox
from thorclient.profile import Compression, Echo, ElementType, ErrorShape, Profile
from thorclient.sandbox.make import make_analytics
from thorclient.sandbox.profiles import (
    change_elements,
    change_id,
    profile_of,
    settings_of,
    shares_below,
)
from thorclient.sandbox.simulation import MODELS, simulate_analytics, simulate_chargebox
from thorclient.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from aiohttp import web

__all__ = ["ThorSandbox"]

_STATUS = {
    "APIKeyNotFound": 403,
    "RestAPINotEnabled": 403,
    "InvalidSourceIPAddr": 403,
    "InternalServerError": 500,
}


class _Header(msgspec.Struct):
    id: str


@accept_profile(settings_of)
@attrs.define(kw_only=True, eq=False, repr=False)
class ThorSandbox(Sandbox):
    """Server on loopback with analytics and chargeboxes.

    It serves `/analytics/{id}`, `/chargeboxes` with its filters, and `/chargeboxes/{id}`. Settings
    cover behavior that the vendor does not document.

    The arguments of `Sandbox` are accepted too.

    Args:
        chargeboxes: Number of chargeboxes (named `TB-0001` and so on), or their ids.
        enabled: False makes every response a 403 RestAPINotEnabled.
        allowed_address: Only address that may send requests. Others receive 403
            InvalidSourceIPAddr.
        broken: Ids of chargeboxes that always respond with 500 InternalServerError.
        profile: Profile of an account, or the path of its file. The sandbox behaves as that account
            does, except for other arguments that are given.
        analytics_not_found: Status of `/analytics/{id}` for an unknown chargebox.
        chargebox_not_found: Status of `/chargeboxes/{id}` for an unknown chargebox.
        error_shape: Place of an error's name in the body: the path of a JSON key, such as "message"
            or "error.message", a JSON "string", plain "text", or "none".
        case_sensitive: False also finds a chargebox by its id in other letters.
        echo: Id in `/chargeboxes/{id}`: "same", "upper", "lower" or "absent".
        missing_fields: Share of the objects that lack a field, by its path, such as
            `{"chargebox.timezone": 0.5, "analytics.active_since": 0.1}`. Chargeboxes of `add` stay
            as they are.
        null_fields: Share of the objects in which a field is null, by its path.
        unknown_fields: Share of the chargeboxes or analytics with a field that the vendor does not
            document, by its path.
        unknown_values: Share of unknown values of the enums, by the paths of
            `thorclient.profile.KNOWN_VALUES`.
        occupied_type: JSON type of the elements of `occupied_connectors` and
            `reserved_connectors`, such as "integer", "string" or "object".
        filters_active: False ignores the parameter `onlyactive`.
        compression: Encoding of the responses, if the client accepts it: "identity", "gzip" or
            "deflate".
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
    # The whole name, because the documentation can't tell the two classes `Profile` apart.
    _profile: thorclient.profile.Profile | str | PathLike[str] | None = attrs.field(
        default=None, alias="profile"
    )
    analytics_not_found: int = 404
    chargebox_not_found: int = 404
    error_shape: ErrorShape = "message"
    case_sensitive: bool = True
    echo: Echo = "same"
    _missing_fields: Mapping[str, float] = attrs.field(factory=dict, alias="missing_fields")
    _null_fields: Mapping[str, float] = attrs.field(factory=dict, alias="null_fields")
    _unknown_fields: Mapping[str, float] = attrs.field(factory=dict, alias="unknown_fields")
    _unknown_values: Mapping[str, float] = attrs.field(factory=dict, alias="unknown_values")
    _occupied_type: ElementType = attrs.field(default="integer", alias="occupied_type")
    filters_active: bool = True
    compression: Compression = "identity"
    api_key: str = attrs.field(factory=secrets.token_urlsafe)
    _analytics: dict[str, bytes] = attrs.field(init=False, factory=dict[str, bytes])
    _boxes: dict[str, bytes] = attrs.field(init=False, factory=dict[str, bytes])

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        validate_secret("api_key", Secret(self.api_key))
        self._simulate(profile_of(self))
        unknown = {self.broken} if isinstance(self.broken, str) else {*self.broken} - {*self._boxes}
        if unknown:
            raise ValueError(f"broken must list ids of chargeboxes, got {unknown!r}")

    def _simulate(self, profile: Profile) -> None:
        """Add the simulated chargeboxes."""
        box_shares = shares_below(profile, "chargebox")
        analytics_shares = shares_below(profile, "analytics")
        for number, chargebox_id in enumerate(_list_ids(self._chargeboxes)):
            rng = random.Random(f"{self._seed}/{chargebox_id}")  # noqa: S311
            models = [rng.choice(MODELS) for _ in range(rng.randint(1, 3))]
            box: dict[str, Any] = simulate_chargebox(chargebox_id, models, rng)
            change_elements(box, self._occupied_type)
            box_shares.apply(number, box)
            self._boxes[chargebox_id] = msgspec.json.encode(box)
            analytics: dict[str, Any] = simulate_analytics(models[0], rng)
            analytics_shares.apply(number, analytics)
            self._analytics[chargebox_id] = msgspec.json.encode(analytics)

    @property
    def profile(self) -> Profile:
        """Return the behavior of the sandbox, as a complete probe measures it."""
        return profile_of(self)

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
        response = self._find(request, path.removeprefix(self._prefix).split("/"))
        accepted = request.headers.get("Accept-Encoding", "")
        if self.compression == "identity" or self.compression not in accepted:
            return response
        return attrs.evolve(response, encoding=self.compression)

    def _find(self, request: web.BaseRequest, segments: Sequence[str]) -> SandboxResponse:
        """Return the data of a chargebox, or one of the vendor's errors."""
        match segments:
            case ["", "chargeboxes"]:
                segment, served, not_found = None, self._boxes, 404
            case ["", "analytics", segment]:
                served, not_found = self._analytics, self.analytics_not_found
            case ["", "chargeboxes", segment]:
                served, not_found = self._boxes, self.chargebox_not_found
            case _:
                return SandboxResponse.json({"message": "no such resource"}, 404)
        if request.method != "GET":
            return SandboxResponse.json({"message": "only GET is allowed"}, 405)
        error = self._refusal(request)
        if error is not None:
            return self._error(error)
        if segment is None:
            return self._list_chargeboxes(request.query)
        chargebox_id = self._find_id(unquote(segment))
        if chargebox_id is None:
            return self._error("ChargeboxNotFound", not_found)
        if chargebox_id in self.broken:
            return self._error("InternalServerError")
        text = served[chargebox_id]
        return SandboxResponse(change_id(text, self.echo) if served is self._boxes else text)

    def _find_id(self, requested: str) -> str | None:
        """Return the id of the requested chargebox, or None if it does not exist."""
        if requested in self._boxes or self.case_sensitive:
            return requested if requested in self._boxes else None
        folded = requested.casefold()
        return next((each for each in self._boxes if each.casefold() == folded), None)

    def _list_chargeboxes(self, query: Mapping[str, str]) -> SandboxResponse:
        try:
            selection = Selection.parse(query)
        except ValueError as error:
            return SandboxResponse.json({"message": str(error)}, 400)
        if not self.filters_active:
            selection = attrs.evolve(selection, only_active=False)
        selected = [text for text in [*self._boxes.values()] if _matches(selection, text)]
        return SandboxResponse(b"[%s]" % b",".join(selected))

    def _refusal(self, request: web.BaseRequest) -> str | None:
        """Return the name of the error that refuses every request of a client, or None."""
        if request.headers.get("X-Api-Key") != self.api_key:
            return "APIKeyNotFound"
        if not self.enabled:
            return "RestAPINotEnabled"
        if self.allowed_address not in {None, request.remote}:
            return "InvalidSourceIPAddr"
        return None

    def _error(self, name: str, status: int | None = None) -> SandboxResponse:
        """Return an error with its documented status, or with another one."""
        status = _STATUS[name] if status is None else status
        match self.error_shape:
            case "text":
                return SandboxResponse(name.encode(), status, "text/plain")
            case "string":
                return SandboxResponse.json(name, status)
            case "none":
                return SandboxResponse.json({"status": status}, status)
            case path:
                *parents, key = path.split(".")
                fields: object = {key: name}
                for parent in parents:
                    fields = {parent: fields}
                return SandboxResponse.json(fields, status)


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
