"""Signatures of attrs classes with the real defaults of their fields."""

from __future__ import annotations

import re
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


def show_defaults(
    _app: Sphinx,
    _what: str,
    _name: str,
    obj: object,
    _options: object,
    signature: str | None,
    return_annotation: str | None,
) -> tuple[str | None, str | None]:
    """Replace the names that attrs generates for defaults."""
    if signature is None or not isinstance(obj, type) or not attrs.has(obj):
        return signature, return_annotation
    defaults = {field.name: field.default for field in attrs.fields(obj)}
    signature = re.sub(
        r"attr_dict\['(\w+)'\]\.default",
        lambda found: describe_default(defaults[found[1]]),
        signature.replace("NOTHING", "..."),
    )
    return signature, return_annotation


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the event handler."""
    app.connect("autodoc-process-signature", show_defaults)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
