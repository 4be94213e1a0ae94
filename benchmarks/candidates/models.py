"""Translation of this library's models into those of other libraries, field by field."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from types import MappingProxyType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

Field = tuple[str, Any, bool]
"""Name, type, and True if the field is required."""

SAME: Mapping[type, Any] = MappingProxyType({})


def translate(
    cls: type, make: Callable[[str, list[Field]], type], types: Mapping[type, Any] = SAME
) -> type:
    """Translate an attrs class and the classes of its fields.

    Args:
        cls: attrs class.
        make: Makes a class from its name and fields.
        types: Replacements of scalar types.
    """

    def translated(hint: Any) -> Any:
        if attrs.has(hint):
            return translate(hint, make, types)
        if get_origin(hint) is list:
            return list[translated(get_args(hint)[0])]  # type: ignore[misc]
        if get_origin(hint) in {Union, UnionType}:
            return reduce(operator.or_, map(translated, get_args(hint)))
        return types.get(hint, hint)

    hints = get_type_hints(cls)
    fields = [
        (field.name, translated(hints[field.name]), field.default is attrs.NOTHING)
        for field in attrs.fields(cls)
    ]
    return make(cls.__name__, fields)


def default_of(hint: Any) -> Any:
    """Return the default of an optional field: None, or an empty list."""
    return [] if get_origin(hint) is list else None
