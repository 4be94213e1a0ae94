"""Profile of an account: how its API behaves where the vendor documents nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

from evtransport.profiles import (
    Compression,
    Echo,
    ProfileFormat,
    fields_by_prefix,
    is_unknown_path,
    mapping_field,
    number,
    one_of,
    refuse_impossible_shares,
    shares,
    true_or_false,
)
from evtransport.structure.types import fields_of, has_fields, is_list, open_enum, without_none
from thorclient.models import Analytics, Chargebox

__all__ = ["KNOWN_PATHS", "KNOWN_VALUES", "Compression", "Echo", "ElementType", "ErrorShape"]
__all__ += ["Profile", "is_unknown_field", "may_be_absent"]

ElementType: TypeAlias = Literal[
    "integer", "number", "string", "boolean", "object", "array", "null"
]
ErrorShape: TypeAlias = Literal[
    "message",
    "Message",
    "error",
    "error.message",
    "string",
    "text",
    "name",
    "code",
    "error.name",
    "error.code",
    "none",
]

_FORMAT: Final = ProfileFormat("thorclient.profile", 1, "thorclient probe ID --profile FILE")


def _known_paths(cls: Any, prefix: str) -> Iterator[tuple[str, frozenset[str] | None]]:
    """Yield the path of each field, with the values of its enum if it has one."""
    for field in fields_of(cls):
        path, annotation = f"{prefix}.{field.name}", without_none(field.type)
        enum: type[StrEnum] | None = open_enum(annotation)
        yield path, None if enum is None else frozenset(map(str, enum))
        if is_list(annotation) and has_fields(get_args(annotation)[0]):
            yield from _known_paths(get_args(annotation)[0], f"{path}[]")
        elif has_fields(annotation):
            yield from _known_paths(annotation, path)


_VALUES: Final = dict(
    [*_known_paths(Analytics, "analytics"), *_known_paths(Chargebox, "chargebox")]
)
KNOWN_PATHS: Final = frozenset(_VALUES)
"""Paths of all documented fields, such as `chargebox.connectors[].type`."""
KNOWN_VALUES: Final[Mapping[str, frozenset[str]]] = {
    path: values for path, values in _VALUES.items() if values is not None
}
"""Documented values of the enums, by path."""
FIELDS: Final = fields_by_prefix(KNOWN_PATHS)
"""Names of the documented fields of each object, by the start of their paths."""


def is_unknown_field(path: str) -> bool:
    """Return True if a path may be in `Profile.unknown_fields`: it looks like a name, not an id."""
    return is_unknown_path(path, FIELDS)


def may_be_absent(path: str) -> bool:
    """Return True if a path may be in `Profile.missing_fields` and `null_fields`."""
    # Without ids, the chargeboxes of a list can't be told apart.
    return path in KNOWN_PATHS and path != "chargebox.id"


@attrs.frozen(kw_only=True)
class Profile:
    """Behavior of one account's API, as `thorclient.probe` measures it.

    None means unknown. A profile holds no id, secret or value, so that it can be passed on.
    `ThorSandbox(profile=...)` behaves as a profile says. The names are those of its arguments.

    Paths start with `analytics` or `chargebox`, such as `chargebox.connectors[].type`.

    Args:
        analytics_not_found: Status of "Get analytics" for an unknown chargebox. The vendor
            documents 404.
        chargebox_not_found: Status of "Get chargebox" for an unknown chargebox.
        error_shape: Place of an error's name in the body: the path of a JSON key, such as
            "error.message", a JSON "string", plain "text", or "none".
        case_sensitive: True if an id in other letters (`tb-1` for `TB-1`) is unknown.
        echo: Id in "Get chargebox": as requested, in other letters, or absent.
        missing_fields: Share of the objects that lack a field, by path. Fields that are never
            missing are left out.
        null_fields: Share of the objects in which a field is null, by path.
        unknown_fields: Share of the chargeboxes or analytics with a field that the vendor does not
            document, by path.
        unknown_values: Share of the values of an enum that the vendor does not document, by path.
        occupied_type: JSON type of the elements of `occupied_connectors` and
            `reserved_connectors`.
        filters_active: True if `onlyactive=true` leaves out chargeboxes that are not active.
        compression: Encoding of the responses.
        latency: Median of the seconds until a response is complete.

    Raises:
        ValueError: A value is out of range.

    Example:
        >>> from thorclient.profile import Profile
        >>> profile = Profile(error_shape="error.message", case_sensitive=False)
        >>> Profile.parse(profile.to_json()) == profile
        True
    """

    analytics_not_found: int | None = attrs.field(
        default=None, validator=number(400, maximum=599, whole=True)
    )
    chargebox_not_found: int | None = attrs.field(
        default=None, validator=number(400, maximum=599, whole=True)
    )
    error_shape: ErrorShape | None = attrs.field(default=None, validator=one_of(ErrorShape))
    case_sensitive: bool | None = attrs.field(default=None, validator=true_or_false)
    echo: Echo | None = attrs.field(default=None, validator=one_of(Echo))
    missing_fields: Mapping[str, float] | None = mapping_field(
        shares(may_be_absent, "chargebox.timezone")
    )
    null_fields: Mapping[str, float] | None = mapping_field(
        shares(may_be_absent, "chargebox.timezone")
    )
    unknown_fields: Mapping[str, float] | None = mapping_field(
        shares(is_unknown_field, "chargebox.tariff")
    )
    unknown_values: Mapping[str, float] | None = mapping_field(
        shares(KNOWN_VALUES.__contains__, "chargebox.connectors[].type")
    )
    occupied_type: ElementType | None = attrs.field(default=None, validator=one_of(ElementType))
    filters_active: bool | None = attrs.field(default=None, validator=true_or_false)
    compression: Compression | None = attrs.field(default=None, validator=one_of(Compression))
    latency: float | None = attrs.field(default=None, validator=number(0))

    def __attrs_post_init__(self) -> None:
        refuse_impossible_shares(self.missing_fields, self.null_fields)

    @classmethod
    def parse(cls, text: bytes) -> Profile:
        """Return the profile in a JSON text.

        Args:
            text: The result of `to_json`. A field that is null or absent is unknown.

        Raises:
            ValueError: The text is not a profile, has another version, or has a bad value.
        """
        return cls(**_FORMAT.decode(text, cls))

    def to_json(self) -> bytes:
        """Return the profile as JSON, with a kind, a version, and null for what is unknown."""
        return _FORMAT.encode(self)
