"""Search for the bad fields of JSON that a class can't be structured from."""

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

_MISSING = re.compile(r": object missing required field (.*)$")
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
        problems: One line for every bad field.
        work: Remaining work.
    """

    structure: Callable[[Any, bytes | msgspec.Raw, str], object]
    rename: Callable[[str], str]
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
        first = _MISSING.sub(r".\1: required field missing", first)
        if memoryview(text).nbytes > MAX_EXPLAINED_BYTES:
            return SchemaError((first,), complete=False)
        with suppress(SchemaError):  # A text with lone surrogates can't be split.
            decode(text, _ANY_DECODER, path)
            self._check_members(cls, text, path)
        complete = self.work > 0
        if not self.problems or not (complete or first in self.problems):
            self.problems.insert(0, first)
        return SchemaError(self.problems, complete=complete)

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
            return  # The text is not an object, and the caller reports that.
        for field in fields_of(cls):
            name = self.rename(field.name)
            member = members.get(name)
            if member is None and is_required(field):
                self._add(f"{path}.{name}: required field missing")
            elif member is not None and not (member == _NULL and uses_default(field)):
                self.check(field.type, member, f"{path}.{name}")

    def _add(self, line: str) -> None:
        self.problems.append(line)
        self.work -= PROBLEM_WORK
