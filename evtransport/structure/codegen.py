"""Generated code that builds objects from decoded structs.

A session report consists of thousands of small records. The code is generated, as the methods of
attrs are, because one more function call per record makes decoding 11 % slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any, get_origin

from evtransport.structure.types import Field, Hook, keep, to_utc, uses_default

__all__ = ["generate_hooks"]

_SOURCE = """
def build(wire, _):
    {record}
    return record

def build_list(wires, _):
    records = []
    for wire in wires or ():
        {record}
        records.append(record)
    return records
"""


def generate_hooks(
    cls: Any, fields: Sequence[Field], hook_of: Callable[[Any], Hook], *, plain: bool
) -> tuple[Hook, Hook]:
    """Return the hooks of a class and of a list of its objects.

    Args:
        cls: The attrs class or dataclass.
        fields: Its fields.
        hook_of: Returns the hook of an annotation.
        plain: Set the attributes without the constructor.
    """
    origin = get_origin(cls) or cls
    names: dict[str, Any] = {"cls": origin, "new": object.__new__, "utc": UTC}
    values: list[str] = []
    for index, field in enumerate(fields):
        names[f"hook_{index}"] = hook = hook_of(field.type)
        values.append(_value(f"wire.{field.name}", f"hook_{index}", hook))
    if plain:
        pairs = zip(fields, values, strict=True)
        steps = [f"record.{field.name} = {value}" for field, value in pairs]
        record = "; ".join(["record = new(cls)", *steps])
    else:
        if any(field.kw_only or uses_default(field) for field in fields):
            values = list(map(_keyword_argument, fields, values))
        record = f"record = cls({', '.join(values)})"
    code = compile(_SOURCE.format(record=record), f"<structuring of {origin.__qualname__}>", "exec")
    exec(code, names)  # noqa: S102
    return names["build"], names["build_list"]


def _value(wire: str, hook_name: str, hook: Hook) -> str:
    """Return the expression of a field's value."""
    if hook is keep:
        return wire
    if hook is to_utc:  # Most times are in UTC already. This condition is faster than a call.
        condition = f"(value := {wire}) is None or value.tzinfo is utc"
        return f"value if {condition} else {hook_name}(value, None)"
    return f"{hook_name}({wire}, None)"


def _keyword_argument(field: Field, value: str) -> str:
    if uses_default(field):
        return f"**({{{field.alias!r}: {value}}} if wire.{field.name} is not None else {{}})"
    return f"{field.alias}={value}"
