"""Signatures with the values of defaults, in place of the names of fields and constants."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

FACTORY: type = type(attrs.Factory(list))  # a function for type checkers


def describe_default(value: object) -> str:
    """Return the text of a default. It is `...` for a factory, `Timeout()` for its defaults."""
    if callable(value) or isinstance(value, FACTORY):
        return "..."
    cls: type = type(value)
    if attrs.has(cls) and all(getattr(value, f.name) == f.default for f in attrs.fields(cls)):
        return f"{cls.__name__}()"
    return repr(value).removeprefix("datetime.")


def describe_fields(cls: type, signature: str) -> str:
    """Return the signature of an attrs class with the defaults of its fields."""
    defaults = {field.name: describe_default(field.default) for field in attrs.fields(cls)}
    signature = signature.replace("NOTHING", "...")
    return re.sub(r"attr_dict\['(\w+)'\]\.default", lambda name: defaults[name[1]], signature)


def describe_constants(module: str, signature: str) -> str:
    """Return a signature with the values of a module's constants: numbers, texts and durations."""

    def describe(found: re.Match[str]) -> str:
        value = getattr(sys.modules[module], found[0])
        return describe_default(value) if isinstance(value, int | str | timedelta) else found[0]

    return re.sub(r"(?<==)[A-Z][A-Z_]+\b(?!\()", describe, signature)


def show_defaults(
    _app: Sphinx,
    _what: str,
    _name: str,
    obj: object,
    _options: object,
    signature: str | None,
    return_annotation: str | None,
) -> tuple[str | None, str | None]:
    """Replace the names of defaults in a signature."""
    if signature and isinstance(obj, type) and attrs.has(obj):
        signature = describe_fields(obj, signature)
    elif signature:
        signature = describe_constants(obj.__module__, signature)
    return signature, return_annotation


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the event handler."""
    app.connect("autodoc-process-signature", show_defaults)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
