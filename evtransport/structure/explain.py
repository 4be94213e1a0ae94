"""Search for the bad fields of JSON that does not fit a class."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, get_args

import attrs
import msgspec

from evtransport.errors import SchemaError
from evtransport.structure.decoding import decode
from evtransport.structure.types import (
    fields_of,
    has_fields,
    is_list,
    is_required,
    uses_default,
    without_none,
)

__all__ = ["MAX_WORK", "Explainer"]

MAX_EXPLAINED_BYTES: Final = 2**20
"""Maximum size in bytes of a text with more than one named problem."""

MAX_WORK: Final = 10_000
"""Work that one explanation may do. Checking one value costs one unit."""

PROBLEM_WORK: Final = 40
"""Units of work for reporting one problem."""

MISSING: Final = "required field missing"

_MISSING = re.compile(r": object missing required field (.*)$")
_LINE = re.compile(r"((?:\.\w+|\[\d+\])+): (.*)")
_STEP = re.compile(r"\.(\w+)|\[\d+\]")
_EXPECTED = re.compile(r"expected ([^,]*), got ")
_NULL = msgspec.Raw(b"null")
_ANY_DECODER = msgspec.json.Decoder(msgspec.Raw)
_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


@attrs.define(eq=False)
class Explainer:
    """One search for bad fields, with a bounded amount of work.

    The text is split into its fields and items. Each is structured separately.

    Attributes:
        structure: Structures a text at a path as an annotation, or raises `SchemaError`.
        rename: Returns the JSON name of an attribute.
        package: Package of the classes that declare what the vendor documents. A problem of another
            class names its field, because the caller declared it.
        problems: One line for every bad field.
        work: Remaining work.
    """

    structure: Callable[[Any, bytes | msgspec.Raw, str], object]
    rename: Callable[[str], str]
    package: str = ""
    problems: list[str] = attrs.field(factory=list)
    work: int = MAX_WORK

    def explain(self, cls: Any, text: bytes | msgspec.Raw, path: str, first: str) -> SchemaError:
        """Return the error for a text that can't be structured.

        Args:
            cls: The class.
            text: The JSON text.
            path: Path of the text in the response body.
            first: The problem at which decoding stopped.

        Raises:
            DecodeError: After the first problem, the text is not JSON.
        """
        first = _MISSING.sub(rf".\1: {MISSING}", first)
        if memoryview(text).nbytes > MAX_EXPLAINED_BYTES:
            return SchemaError((self._name_field(cls, first, path),), complete=False)
        with suppress(SchemaError):  # A text with lone surrogates can't be split.
            decode(text, _ANY_DECODER, path)
            self._check_members(cls, text, path)
        complete = self.work > 0
        if not self.problems or not (complete or first in self.problems):
            self.problems.insert(0, first)
        lines = [self._name_field(cls, line, path) for line in self.problems]
        return SchemaError(lines, complete=complete)

    def check(self, annotation: Any, text: bytes | msgspec.Raw, path: str) -> None:
        """Add the problems of one value."""
        self.work -= 1
        found, kind = len(self.problems), without_none(annotation)
        try:
            if is_list(kind) and text != _NULL:
                return self._check_items(kind, text, path)
            self.structure(annotation, text, path)
        except SchemaError as error:
            if has_fields(kind):
                self._check_members(kind, text, path)
            if len(self.problems) == found:
                self._add(error.problems[0])

    def _check_items(self, annotation: Any, text: bytes | msgspec.Raw, path: str) -> None:
        (item,) = get_args(annotation)
        parts = decode(text, _LIST_DECODER, path)
        for index, part in enumerate(parts):
            if self.work <= 0:
                break
            self.check(item, part, f"{path}[{index}]")

    def _check_members(self, cls: Any, text: bytes | msgspec.Raw, path: str) -> None:
        try:
            members = decode(text, _OBJECT_DECODER, path)
        except SchemaError:
            return  # The text is not an object: the caller reports that.
        for field in fields_of(cls):
            name = self.rename(field.name)
            member = members.get(name)
            if member is None and is_required(field):
                self._add(f"{path}.{name}: {MISSING}")
            elif member is not None and not (member == _NULL and uses_default(field)):
                self.check(field.type, member, f"{path}.{name}")

    def _name_field(self, cls: Any, line: str, path: str) -> str:
        """Return a problem with the field that the caller declared, if it is not the package's."""
        found = _LINE.fullmatch(line, len(path))
        label = self._field_at(cls, found[1]) if found else None
        if found is None or label is None:
            return line
        message = _EXPECTED.sub(r"\1, got ", found[2])
        if found[2] == MISSING:
            message = f"{label} has no default, and the field is missing"
        elif message != found[2]:
            message = f"{label} is declared {message}"
        else:
            message = f"{label}: {message}"
        return f"{path}{found[1]}: {message}"

    def _field_at(self, cls: Any, path: str) -> str | None:
        """Return the name of the caller's field at a path below a class, such as `Some.field[3]`.

        Returns:
            None if the package itself declares the field.
        """
        owner, annotation, label = cls, cls, ""
        for step in _STEP.finditer(path):
            annotation = without_none(annotation)
            if has_fields(annotation):
                owner = annotation
                fields = {self.rename(field.name): field for field in fields_of(owner)}
                field = fields[step[1]]
                annotation, label = field.type, f"{owner.__name__}.{field.name}"
            else:  # a list, or the inside of a JsonValue
                annotation, label = next(iter(get_args(annotation)), Any), label + step[0]
        is_own = owner.__module__.partition(".")[0] == self.package
        return None if is_own else label

    def _add(self, line: str) -> None:
        self.problems.append(line)
        self.work -= PROBLEM_WORK
