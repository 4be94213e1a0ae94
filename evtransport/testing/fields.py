"""JSON fields of test data, made from the names and values of Python."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches

import attrs

from evtransport.secrets import Secret

__all__ = ["encode_fields"]


def encode_fields(
    fields: Mapping[str, object], known: Collection[str], rename: Callable[[str], str] = str
) -> dict[str, object]:
    """Return fields as a JSON object.

    Args:
        fields: Values by attribute name: JSON values, attrs objects, aware datetimes and secrets.
        known: Attribute names that are allowed.
        rename: Returns the JSON name of an attribute.

    Raises:
        ValueError: A name is unknown, a datetime is naive, or a value has no JSON form.
    """
    for name in fields:
        if name not in known:
            close = get_close_matches(name, known, n=1) or sorted(known)
            raise ValueError(f"{name!r} is not a field; expected {', '.join(close)}")
    return {rename(name): _encode(name, value, rename) for name, value in fields.items()}


def _encode(name: str, value: object, rename: Callable[[str], str]) -> object:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime(tzinfo=None):
            raise ValueError(f"{name} must be an aware datetime, such as one in UTC")
        case datetime():
            text = value.astimezone(UTC).isoformat(timespec="milliseconds")
            return text.replace("+00:00", "Z")
        case Secret():
            return value.reveal()
        case list() | tuple():
            return [_encode(name, item, rename) for item in value]
        case Mapping():
            return {key: _encode(name, item, rename) for key, item in value.items()}
    cls = type(value)
    if not attrs.has(cls):
        raise ValueError(f"{name} must be a JSON value or a model, got {cls.__name__}")
    return {
        rename(field.name): _encode(field.name, getattr(value, field.name), rename)
        for field in attrs.fields(cls)
    }
