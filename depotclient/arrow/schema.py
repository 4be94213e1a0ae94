"""Arrow schema of session reports, and of classes with some of their fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any, Final, get_args, get_origin

import attrs
import pyarrow as pa

from depotclient.models import SessionReport
from evtransport.structure import Into
from evtransport.structure.types import Field, fields_of, has_fields

__all__ = ["FLEET_REPORTS", "SESSION_REPORTS", "TIME", "read_times", "schema_of"]

TIME: Final = pa.timestamp("ms", tz="UTC")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_SCALARS: Final[dict[object, pa.DataType]] = {
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bool: pa.bool_(),
    datetime: TIME,
}


def schema_of(cls: Into[Any]) -> pa.Schema:
    """Return the Arrow schema of session reports, or of a class with some of their fields.

    Args:
        cls: `SessionReport`, or a class for `into=`. Arrow runs no converter and no validator of
            its fields. It knows no default except null and the empty list.

    Returns:
        One column for each argument of the constructor, with the same name. The types are `int64`,
        `float64`, `string`, `bool`, `timestamp[ms, UTC]`, and lists of structs for events. A
        missing list is an empty list. Any other missing value is null.

    Raises:
        ValueError: `cls` is a function, or a field has an unsupported type, a converter, a
            validator or another default.

    Example:
        >>> schema_of(SessionReport).names[:2]
        ['session_id', 'vehicle_id']
    """
    if not has_fields(cls):
        raise ValueError(f"Arrow needs a class with fields, got into={cls!r}")
    return pa.schema(_fields_of(cls))


def _fields_of(cls: type[Any]) -> list[pa.Field[Any]]:
    return [
        pa.field(field.name, _type_of(field, f"{cls.__name__}.{field.name}"))
        for field in fields_of(cls)
    ]


def _type_of(field: Field, name: str) -> pa.DataType:
    annotation = field.type
    if field.runs_code:
        raise ValueError(f"{name} has a converter or a validator, which Arrow does not run")
    args = get_args(annotation)
    kind: pa.DataType | None
    if get_origin(annotation) is list and has_fields(args[0]):
        kind = pa.list_(pa.struct(_fields_of(args[0])))
        has_arrow_default = isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]
    else:
        kind = _scalar_of(annotation) if field.name == "session_id" else _optional_of(annotation)
        has_arrow_default = field.default is None
    if kind is None:
        raise ValueError(f"{name} has no Arrow type: {annotation!r}")
    if field.default is not attrs.NOTHING and not has_arrow_default:
        raise ValueError(f"{name} has a default, which Arrow does not know")
    return kind


def _optional_of(annotation: Any) -> pa.DataType | None:
    inner = [arg for arg in get_args(annotation) if arg is not NoneType]
    return _scalar_of(*inner) if len(inner) == 1 and NoneType in get_args(annotation) else None


def _scalar_of(annotation: Any) -> pa.DataType | None:
    if has_fields(annotation):
        return pa.struct(_fields_of(annotation))
    return _SCALARS.get(annotation)


def read_times(column: pa.ChunkedArray[Any] | pa.Array[Any]) -> list[datetime | None]:
    """Return the times of a column in UTC, without the digits after their milliseconds."""
    # Arrow itself converts times to datetimes with pandas, if it is installed.
    numbers = column.cast(TIME, safe=False).cast(pa.int64()).to_pylist()
    return [None if n is None else _EPOCH + timedelta(milliseconds=n) for n in numbers]


SESSION_REPORTS: Final = schema_of(SessionReport)
"""Schema of whole session reports."""

FLEET_REPORTS: Final = pa.schema(
    [pa.field("charger_id", pa.string()), pa.field("connector_id", pa.string()), *SESSION_REPORTS]
)
"""Schema of whole session reports of several connectors. The ids of the connector come first."""
