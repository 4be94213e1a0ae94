"""Types that can be structured: scalar codecs, fields of classes, and annotations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    TypeAlias,
    TypeGuard,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
import msgspec

from evtransport.secrets import Secret

__all__ = ["ISO_TIMES", "LENIENT_TIMES", "TIMES", "EpochMillis", "Hook", "JsonValue"]
__all__ += ["SECRETS", "ScalarCodec"]
__all__ += ["Field", "fields_of", "has_fields", "is_list", "is_optional", "is_required"]
__all__ += ["is_scalar", "keep", "open_enum", "to_utc", "uses_default", "without_none"]

if TYPE_CHECKING:
    JsonValue: TypeAlias = (
        "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
    )
else:
    JsonValue = Any
"""Any JSON value, for fields that the vendor does not describe."""

EpochMillis = Annotated[datetime, "epoch milliseconds"]
"""An aware UTC datetime that is an integer in JSON: milliseconds since 1970."""

Hook = Callable[[Any, Any], Any]
"""A cattrs structure hook. Its second argument, a type, is not used here."""


def keep(value: Any, _: object) -> Any:
    """Return the decoded value unchanged."""
    return value


@attrs.frozen(eq=False)
class ScalarCodec:
    """JSON form of a type that is neither a class with fields nor a list.

    Attributes:
        wire: Type that msgspec decodes and checks.
        build: Hook that builds the user's value from the decoded one.
        dump: Returns the JSON value of the user's value. None if msgspec encodes that itself.
    """

    wire: Any
    build: Hook = keep
    dump: Callable[[Any], Any] | None = None


def to_utc(value: datetime | None, _: object) -> datetime | None:
    """Return an aware datetime in UTC."""
    try:
        return value if value is None or value.tzinfo is UTC else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time before the year 1 or after 9999 in UTC") from None


def _from_epoch_millis(value: int | None, _: object) -> datetime | None:
    try:
        return None if value is None else _EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        raise ValueError("milliseconds since 1970 beyond the year 9999") from None


def _to_epoch_millis(value: datetime) -> int:
    return (value - _EPOCH) // timedelta(milliseconds=1)


def _empty_as_null(codec: ScalarCodec) -> ScalarCodec:
    decoder = msgspec.json.Decoder(codec.wire)

    def build(text: msgspec.Raw | None, annotation: object) -> Any:
        if text is None or bytes(text) == b'""':
            return None
        return codec.build(decoder.decode(text), annotation)

    return ScalarCodec(msgspec.Raw, build)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AWARE = Annotated[datetime, msgspec.Meta(tz=True)]
_MILLIS = Annotated[int, msgspec.Meta(title="Milliseconds since 1970 in UTC")]
_OptionalEpochMillis: TypeAlias = EpochMillis | None

TIMES: Mapping[Any, ScalarCodec] = {
    datetime: ScalarCodec(_AWARE, to_utc),
    datetime | None: ScalarCodec(_AWARE | None, to_utc),
    EpochMillis: ScalarCodec(_MILLIS, _from_epoch_millis, _to_epoch_millis),
    _OptionalEpochMillis: ScalarCodec(_MILLIS | None, _from_epoch_millis),
}
"""Codecs of times. A time in a JSON string must have an offset from UTC."""

SECRETS: Mapping[Any, ScalarCodec] = {Secret: ScalarCodec(str, lambda value, _: Secret(value))}
"""Codec of a `Secret`, a string in JSON."""

ISO_TIMES: Mapping[Any, ScalarCodec] = {
    EpochMillis: TIMES[datetime],
    _OptionalEpochMillis: TIMES[datetime | None],
}
"""Codecs that write every time as ISO 8601."""

LENIENT_TIMES: Mapping[Any, ScalarCodec] = {
    optional: _empty_as_null(TIMES[optional])
    for optional in (datetime | None, _OptionalEpochMillis)
}
"""Codecs of optional times that read an empty string as null."""


@attrs.frozen(eq=False)
class Field:
    """Argument of the constructor of an attrs class or a dataclass.

    Attributes:
        name: Name of the attribute.
        alias: Name of the argument.
        type: Resolved annotation.
        default: Default value, an `attrs.Factory`, or `attrs.NOTHING`.
        kw_only: True if the argument is keyword-only.
        runs_code: True if the user's converter or validator receives the value.
    """

    name: str
    alias: str
    type: Any
    default: Any
    kw_only: bool
    runs_code: bool


def has_fields(annotation: object) -> TypeGuard[type[Any]]:
    """Return True for an attrs class, a dataclass, and one of them with type arguments."""
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and (attrs.has(origin) or dataclasses.is_dataclass(origin))


def fields_of(cls: Any) -> tuple[Field, ...]:
    """Return the fields that the constructor of a class accepts, with resolved types."""
    return _resolve_fields(cls)


@lru_cache(maxsize=256)  # Resolving the types of a session report takes more than 0.3 ms.
def _resolve_fields(cls: Any) -> tuple[Field, ...]:
    origin: Any = get_origin(cls) or cls
    hints = get_type_hints(origin, include_extras=True)
    arguments: dict[Any, Any] = dict(
        zip(getattr(origin, "__parameters__", ()), get_args(cls), strict=False)
    )
    types = {name: arguments.get(hint, hint) for name, hint in hints.items()}
    if attrs.has(origin):
        found = [_attrs_field(field) for field in attrs.fields(origin) if field.init]
    else:
        found = [_dataclass_field(field) for field in dataclasses.fields(origin) if field.init]
    return tuple(attrs.evolve(field, type=types.get(field.name)) for field in found)


def _attrs_field(field: attrs.Attribute[Any]) -> Field:
    return Field(
        name=field.name,
        alias=field.alias or field.name,
        type=field.type,
        default=field.default,
        kw_only=field.kw_only,
        runs_code=field.converter is not None or field.validator is not None,
    )


def _dataclass_field(field: dataclasses.Field[Any]) -> Field:
    default: Any = attrs.NOTHING if field.default is dataclasses.MISSING else field.default
    if field.default_factory is not dataclasses.MISSING:
        default = attrs.Factory(field.default_factory)
    return Field(
        name=field.name,
        alias=field.name,
        type=field.type,
        default=default,
        kw_only=field.kw_only is True,
        runs_code=False,
    )


def is_required(field: Field) -> bool:
    """Return True if the JSON must have a value for the field."""
    return field.default is attrs.NOTHING and not _is_nullable(field.type)


def uses_default(field: Field) -> bool:
    """Return True if a default replaces null, because the type does not accept null."""
    return field.default is not attrs.NOTHING and not _is_nullable(field.type)


def is_list(annotation: Any) -> bool:
    """Return True for `list[X]`."""
    return get_origin(annotation) is list


def is_optional(annotation: Any) -> bool:
    """Return True for `X | None`."""
    return _is_union(annotation) and NoneType in get_args(annotation)


def without_none(annotation: Any) -> Any:
    """Return `X` for `X | None`. Return other annotations unchanged."""
    if not is_optional(annotation):
        return annotation
    return Union[tuple(arg for arg in get_args(annotation) if arg is not NoneType)]  # noqa: UP007


def is_scalar(annotation: Any) -> bool:
    """Return True for a scalar of JSON, a union of scalars, and `JsonValue`."""
    if _is_union(annotation):
        return all(is_scalar(arg) for arg in get_args(annotation))
    return annotation in (str, int, float, bool, Any)


def open_enum(annotation: Any) -> type[StrEnum] | None:
    """Return the enum of `SomeEnum | str`, an enum to which the vendor may add values."""
    args = get_args(annotation)
    enums = [arg for arg in args if isinstance(arg, type) and issubclass(arg, StrEnum)]
    return enums[0] if enums and str in args else None


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _is_nullable(annotation: Any) -> bool:
    return is_optional(annotation) or is_list(annotation)  # For a list, null is an empty list.
