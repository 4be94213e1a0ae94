"""Query parameters of a request: Python values to their text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from evtransport.validation import require_unicode, validate_id

__all__ = ["QueryValue", "encode_query"]

QueryValue: TypeAlias = str | int | float | bool | None
"""Value of a query parameter. None leaves the parameter out."""


def encode_query(query: Mapping[str, QueryValue]) -> tuple[tuple[str, str], ...]:
    """Return the names and texts of query parameters, not yet percent-encoded.

    A bool becomes `true` or `false`. A float has no exponent. The formats of times differ between
    endpoints, so a time must be a string.

    Args:
        query: Names and values. A parameter whose value is None is left out.

    Raises:
        ValueError: `query` is not a mapping, or a name or value can't be sent.

    Example:
        >>> encode_query({"chargebox": "CB-1", "active": True, "power": 7.4, "from": None})
        (('chargebox', 'CB-1'), ('active', 'true'), ('power', '7.4'))
    """
    if not isinstance(query, Mapping):
        raise ValueError(f"query must map names to values, got {type(query).__name__}")
    return tuple(
        (validate_id("a name in query", name), _encode_value(f"query[{name!r}]", value))
        for name, value in query.items()
        if value is not None
    )


def _encode_value(name: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return require_unicode(name, value)
        case int():
            return f"{int(value)}"  # the text of an enum member is its name
        case float() if math.isfinite(value):
            return f"{Decimal(float.__repr__(value)):f}"
    raise ValueError(
        f"{name} must be a str, int, bool or finite float, got {value!r}; format times as the"
        " endpoint documents them"
    )
