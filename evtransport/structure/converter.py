"""Structuring rules of a package: JSON bytes to objects of attrs classes and dataclasses.

msgspec decodes bytes into the wire struct of a class: C code checks each scalar and skips unknown
keys. cattrs hooks build objects from it. If this fast path fails, the detailed path names the bad
fields.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import cached_property, partial
from inspect import iscoroutinefunction, signature
from typing import Any, Generic, TypeAlias, TypeVar, get_args, get_origin

import attrs
import msgspec
from cattrs import Converter

from evtransport.errors import SchemaError
from evtransport.structure.codegen import generate_hooks
from evtransport.structure.decoding import decode, problem_of
from evtransport.structure.explain import Explainer
from evtransport.structure.schema import SchemaWriter
from evtransport.structure.types import (
    ISO_TIMES,
    LENIENT_TIMES,
    SECRETS,
    TIMES,
    Hook,
    JsonValue,
    ScalarCodec,
    fields_of,
    has_fields,
    is_list,
    is_optional,
    is_required,
    is_scalar,
    keep,
    open_enum,
    uses_default,
    without_none,
)
from evtransport.structure.unstructuring import Unstructurer

__all__ = ["Into", "Structurer", "Structures"]

T = TypeVar("T")

Into: TypeAlias = type[T] | Callable[[bytes], T]
"""An attrs class, a dataclass, or a function that returns an object for JSON bytes."""


class Structures:
    """Structuring rules of one package, usable from all threads.

    Args:
        package: Name of the package. Its classes declare what the vendor documents. Problems of
            other classes name the field, because the caller declared it.
        rename: Returns the JSON name of an attribute.
        codecs: Codecs of the package's own scalar types.
        plain: Classes whose constructor only sets the attributes, and whose fields have no defaults
            other than None and an empty list. Their objects are built without the constructor:
            decoding a full session report takes 12 % less time.
    """

    def __init__(
        self,
        *,
        package: str = "",
        rename: Callable[[str], str] = str,
        codecs: Mapping[Any, ScalarCodec] | None = None,
        plain: Collection[type] = (),
    ) -> None:
        self.package = package
        self.rename = rename
        self._codecs = {**TIMES, **SECRETS, **(codecs or {})}
        self._plain = plain
        self._readers: dict[Any, tuple[msgspec.json.Decoder[Any], Hook]] = {}
        self._converter = Converter(detailed_validation=False)
        self._converter.register_structure_hook_factory(lambda _: True, self._make_hook)
        for scalar in (str, int, float, bool):
            # cattrs prefers its own scalar hooks to factories. They convert "5" to 5.
            self._converter.register_structure_hook(scalar, self._make_hook(scalar))

    def of(self, into: Into[T]) -> Structurer[T]:
        """Return a function that decodes JSON bytes into an object.

        Args:
            into: An attrs class, a dataclass, or a function from bytes. Annotations of a class may
                be such classes, lists, scalars, `Secret`, aware datetimes, open enums
                (`SomeEnum | str`), `JsonValue`, and any of them `| None`. A generic class needs its
                arguments, such as `Some[int]`. A function gets the JSON text as received.

        Raises:
            ValueError: `into` is neither, or an annotation is none of these or can't be resolved.
        """
        if not has_fields(into):
            return Structurer(into, partial(_call, validate_function(into)))
        try:
            self._reader(into)
        except Exception as error:  # an annotation in quotes is any expression
            raise ValueError(f"{into.__name__} can't be structured from JSON: {error}") from None
        return Structurer(into, partial(self._structure_or_explain, into))

    def structure(self, annotation: Any, text: bytes | msgspec.Raw, path: str) -> Any:
        """Return the value of a JSON text on the fast path.

        Raises:
            DecodeError: The text is not JSON in UTF-8.
            SchemaError: The value has the wrong type, or a class does not accept it. The error
                names the first problem.
        """
        decoder, hook = self._reader(annotation)
        wire = decode(text, decoder, path)
        try:
            return hook(wire, annotation)
        except Exception as error:  # the caller's class may raise any error
            problem = problem_of(path, error)
        raise SchemaError((problem,))

    def _structure_or_explain(self, cls: Any, body: bytes | msgspec.Raw, path: str) -> Any:
        """Return an object of a class, or raise an error that names all bad fields."""
        try:
            return self.structure(cls, body, path)
        except SchemaError as error:
            (first,) = error.problems
        if b'""' in bytes(body):  # Only such a text may fit the lenient rules.
            with suppress(SchemaError):
                return self.lenient.structure(cls, body, path)
        explainer = Explainer(self.lenient.structure, self.rename, self.package)
        raise explainer.explain(cls, body, path, first)

    def to_dict(self, obj: object, *, wire: bool = False) -> dict[str, JsonValue]:
        """Return an object as a dict of JSON values.

        Args:
            obj: Object of an attrs class or a dataclass.
            wire: Use the names and time formats of the API.

        Raises:
            ValueError: `obj` is not such an object, or a value has no JSON form.
        """
        return self._forms[wire].to_dict(obj)

    def to_json(self, obj: object, *, wire: bool = False) -> bytes:
        """Return an object as JSON text. Arguments and errors are those of `to_dict`."""
        return self._forms[wire].to_json(obj)

    def json_schema(self, cls: type, *, wire: bool = False) -> dict[str, JsonValue]:
        """Return the JSON Schema of the values that `to_dict` and `to_json` return for a class.

        Raises:
            ValueError: `cls` is not a class with fields, or has a field without a JSON form.
        """
        if not has_fields(cls):
            raise ValueError(f"cls must be an attrs class or a dataclass, got {cls!r}")
        self.of(cls)
        form = self._forms[wire]
        return SchemaWriter(form.rename, form.codecs).schema_of(cls)

    @cached_property
    def _forms(self) -> dict[bool, Unstructurer]:
        """JSON forms with Python's names (False) and the API's (True)."""
        return {
            False: Unstructurer(str, {**self._codecs, **ISO_TIMES}),
            True: Unstructurer(self.rename, self._codecs),
        }

    @cached_property
    def lenient(self) -> Structures:
        """The same rules, with an empty string in an optional time as null."""
        codecs = {**self._codecs, **LENIENT_TIMES}
        return Structures(
            package=self.package, rename=self.rename, codecs=codecs, plain=self._plain
        )

    def _reader(self, annotation: Any) -> tuple[msgspec.json.Decoder[Any], Hook]:
        if annotation not in self._readers:
            decoder = msgspec.json.Decoder(self._wire(annotation))
            self._readers[annotation] = decoder, self._converter.get_structure_hook(annotation)
        return self._readers[annotation]

    def _wire(self, annotation: Any, parents: tuple[type, ...] = ()) -> Any:
        """Return the type that msgspec decodes for an annotation."""
        if annotation in self._codecs:
            return self._codecs[annotation].wire
        if has_fields(annotation):
            return self._wire_struct(annotation, parents)
        if is_list(annotation):
            return list[self._wire(get_args(annotation)[0], parents)] | None  # type: ignore[misc]
        if is_optional(annotation):
            return self._wire(without_none(annotation), parents) | None
        if open_enum(annotation):
            return str
        if not is_scalar(annotation):
            raise TypeError(f"{annotation!r} is not supported")
        return annotation

    def _wire_struct(self, cls: type, parents: tuple[type, ...]) -> type[msgspec.Struct]:
        if cls in parents:
            raise TypeError(f"{cls.__name__} contains itself")
        members: list[tuple[str, Any, Any]] = []
        fields = fields_of(cls)
        # It raises TypeError for an InitVar without a default, and for a user-defined __init__.
        signature(get_origin(cls) or cls).bind(**{field.alias: None for field in fields})
        for field in fields:
            wire = self._wire(field.type, (*parents, cls))
            wire = wire | None if uses_default(field) else wire
            default = msgspec.NODEFAULT if is_required(field) else None
            json_field = msgspec.field(name=self.rename(field.name), default=default)
            members.append((field.name, wire, json_field))
        return msgspec.defstruct(cls.__name__, members, kw_only=True, gc=False)

    def _make_hook(self, annotation: Any) -> Hook:
        """Return the hook that builds a value of an annotation from a decoded one."""
        if annotation in self._codecs:
            return self._codecs[annotation].build
        if has_fields(annotation):
            return self._generate_hooks(annotation)[0]
        if is_list(annotation):
            return self._make_list_hook(get_args(annotation)[0])
        if is_optional(annotation):
            hook = self._converter.get_structure_hook(without_none(annotation))
            if hook is not keep:
                return lambda value, _: None if value is None else hook(value, None)
        if enum := open_enum(annotation):
            known: dict[str, str] = {str(member): member for member in enum}
            return lambda value, _: known.get(value, value)
        return keep

    def _make_list_hook(self, item: Any) -> Hook:
        if has_fields(item):
            return self._generate_hooks(item)[1]
        hook = self._converter.get_structure_hook(item)
        if hook is keep:
            return lambda wires, _: [] if wires is None else wires
        return lambda wires, _: [hook(wire, None) for wire in wires or ()]

    def _generate_hooks(self, cls: Any) -> tuple[Hook, Hook]:
        hook_of = self._converter.get_structure_hook
        return generate_hooks(cls, fields_of(cls), hook_of, plain=cls in self._plain)


@attrs.frozen(eq=False)
class Structurer(Generic[T]):
    """Function that decodes JSON bytes into one object.

    Attributes:
        into: Class of the object, or the function that the caller passed.
    """

    into: Into[T]
    _structure: Callable[[bytes | msgspec.Raw, str], T]

    def __call__(self, body: bytes | msgspec.Raw, path: str = "$") -> T:
        """Structure one object. An empty string in an optional time is null.

        Args:
            body: JSON text of the object.
            path: Path of the object in the response body, for the messages.

        Raises:
            DecodeError: The text is not JSON in UTF-8. A caller's function may accept it anyway.
            SchemaError: The object does not fit the class, or the function raised an error. The
                error names at most 100 bad fields, and only the first if `body` exceeds 1 MiB.
        """
        return self._structure(body, path)


def validate_function(into: object) -> Callable[[bytes], Any]:
    """Return `into` if it is a function that may get JSON bytes.

    Raises:
        ValueError: It is a class, an async function, or not callable.
    """
    if not isinstance(into, type):
        # An alias such as `list[int]` is callable: it would return the bytes as numbers.
        is_alias = get_origin(into) is not None
        is_async = iscoroutinefunction(into) or iscoroutinefunction(type(into).__call__)
        if not callable(into) or is_alias or is_async:
            raise ValueError(
                "into must be an attrs class, a dataclass or a function that returns an object for"
                f" bytes, got {into!r}"
            )
        return into
    problem = f"into={into.__name__} is neither an attrs class nor a dataclass"
    if hasattr(into, "model_validate_json"):
        raise ValueError(f"{problem}; pass {into.__name__}.model_validate_json")
    if issubclass(into, msgspec.Struct):
        raise ValueError(f"{problem}; pass msgspec.json.Decoder({into.__name__}).decode")
    raise ValueError(f"{problem}; pass one, or a function that returns an object for bytes")


def _call(function: Callable[[bytes], T], body: bytes | msgspec.Raw, path: str) -> T:
    """Return the result of the caller's function for the text as received.

    Raises:
        SchemaError: The function raised an error.
    """
    try:
        return function(bytes(body))
    except Exception as error:
        problem = problem_of(path, error)
    raise SchemaError((problem,))  # without the cause, which may quote a credential
