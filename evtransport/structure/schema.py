"""JSON Schema of classes, for OpenAPI."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args, get_origin

import attrs
import msgspec

from evtransport.structure.types import (
    JsonValue,
    ScalarCodec,
    fields_of,
    has_fields,
    is_list,
    is_optional,
    open_enum,
    without_none,
)

__all__ = ["SchemaWriter"]

_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.+(?:\n {5,}.+)*)", re.MULTILINE)


@attrs.frozen(eq=False)
class SchemaWriter:
    """Writer of JSON Schemas for the JSON that an `Unstructurer` with the same attributes returns.

    Nested classes are written in place, not as `$ref`: inside an OpenAPI document, `#/$defs/Some`
    would point to the definitions of that document.

    Attributes:
        rename: Returns the JSON name of an attribute.
        codecs: Codecs of scalar types.
    """

    rename: Callable[[str], str]
    codecs: Mapping[Any, ScalarCodec]

    def schema_of(self, annotation: Any) -> dict[str, JsonValue]:
        """Return the schema of a type that can be structured."""
        if annotation in self.codecs:
            return msgspec.json.schema(self.codecs[annotation].wire)
        if has_fields(annotation):
            return self._object(annotation)
        if is_list(annotation):
            return {"type": "array", "items": self.schema_of(get_args(annotation)[0])}
        if is_optional(annotation):
            return {"anyOf": [self.schema_of(without_none(annotation)), {"type": "null"}]}
        if enum := open_enum(annotation):
            return {"type": "string", "examples": [str(member) for member in enum]}
        return msgspec.json.schema(annotation)

    def _object(self, cls: Any) -> dict[str, JsonValue]:
        summary, descriptions = _read_docstring(get_origin(cls) or cls)
        properties: dict[str, JsonValue] = {}
        for field in fields_of(cls):
            text = descriptions.get(field.name)
            described: dict[str, JsonValue] = {"description": text} if text else {}
            properties[self.rename(field.name)] = {**self.schema_of(field.type), **described}
        return {
            "title": cls.__name__,
            **({"description": summary} if summary else {}),
            "type": "object",
            "properties": properties,
            "required": list(properties),
        }


def _read_docstring(cls: type) -> tuple[str, dict[str, str]]:
    """Return the first paragraph of a class's docstring, and the descriptions of its attributes."""
    text = inspect.getdoc(cls) or ""
    if text.startswith(f"{cls.__name__}("):  # A dataclass without a docstring gets its signature.
        return "", {}
    summary, _, rest = text.partition("\n\n")
    descriptions = {name: " ".join(lines.split()) for name, lines in _ATTRIBUTE.findall(rest)}
    return " ".join(summary.split()), descriptions
