"""From bytes to attrs objects: msgspec decodes, cattrs builds, a failure is explained.

msgspec decodes bytes into the wire form of a class, a `msgspec.Struct` derived from it. C code
checks every scalar and skips the fields that the class lacks. If that fails, the text is split into
its fields and items. Each is decoded separately to find the bad ones, within a bound of work.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
import msgspec
from cattrs import Converter

from evtransport.errors import DecodeError, SchemaError
from evtransport.surrogates import without_lone_surrogates

__all__ = ["EpochMillis", "JsonValue", "Structurer", "Structures", "decode"]

T = TypeVar("T")

if TYPE_CHECKING:
    JsonValue: TypeAlias = (
        "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
    )
else:
    JsonValue = Any
"""Whatever JSON value arrives, for what a vendor does not describe."""

EpochMillis = Annotated[datetime, "epoch milliseconds"]
"""An aware UTC datetime that travels as an integer of milliseconds since 1970."""

_OptionalEpochMillis: TypeAlias = EpochMillis | None

_TIMES = (datetime, EpochMillis)
_AWARE = Annotated[datetime, msgspec.Meta(tz=True)]
_BOM = b"\xef\xbb\xbf"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PATH = re.compile(r" - at `(.*)`$")
_MISSING = re.compile(r": object missing required field (.*)$")
_NULL = msgspec.Raw(b"null")
_TEXT_DECODER = msgspec.json.Decoder(msgspec.Raw)
_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])

Hook = Callable[[Any, Any], Any]


def decode(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], path: str = "$") -> T:
    """Decode JSON as UTF-8, whatever the answer's headers call it.

    Args:
        body: The JSON text; a byte order mark is passed over.
        decoder: What it must be.
        path: Where the text stood in a larger one, for the messages.

    Raises:
        DecodeError: The text is not JSON in UTF-8, is cut off, or is nested beyond reason.
        SchemaError: It is JSON of another type, and the error names the first problem. Or it is a
            `Raw`, a part of a larger text, and a string that `decoder` reads has a lone surrogate.
    """
    if not isinstance(body, msgspec.Raw):
        body = body.removeprefix(_BOM)
    try:
        if isinstance(body, bytes) and not body.isascii():
            # msgspec passes over the keys and values that nobody asked for, however damaged.
            # A Raw was a part of bytes that have been checked.
            body.decode()
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        problem: str | None = _problem(path, str(error))
        reason = ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = None
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    if problem is not None:
        raise SchemaError((problem,))
    if isinstance(body, msgspec.Raw):
        return _decode_ignoring_surrogates(bytes(body), decoder, path, reason)
    reason = reason if body else "it is empty"
    raise DecodeError(f"the body is not JSON in UTF-8: {reason}")


def _decode_ignoring_surrogates(
    text: bytes, decoder: msgspec.json.Decoder[T], path: str, reason: str
) -> T:
    """Decode a part of a text whose lone surrogates are in strings that the decoder skips.

    Raises:
        SchemaError: The decoder reads a lone surrogate, or the text has another error.
    """
    # If two replacements give the same value, the decoder has read none of them.
    first, second = (without_lone_surrogates(text, instead) for instead in (b"fffd", b"fffe"))
    if first == text:
        raise SchemaError((f"{path}: {reason}",))
    value = decode(first, decoder, path)
    if value != decode(second, decoder, path):
        raise SchemaError((f"{path}: half of a surrogate pair in a string",))
    return value


def _problem(path: str, message: str) -> str:
    """Put msgspec's "Expected `int`, got `str` - at `$.a`" as `SchemaError.problems` has it."""
    found = _PATH.search(message)
    inner = found.group(1).removeprefix("$") if found else ""
    text = _PATH.sub("", message).replace("`", "")
    return f"{path}{inner}: {text[0].lower()}{text[1:]}"


def _as_is(value: Any, _: Any) -> Any:
    return value


def _in_utc(value: datetime, _: Any) -> datetime:
    try:
        return value if value.tzinfo is UTC else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time before the year 1 or after 9999 in UTC") from None


def _from_text_or_empty(value: str | None, _: Any) -> datetime | None:
    return _in_utc(msgspec.convert(value, _AWARE), _) if value else None


def _from_epoch_millis_or_empty(value: int | str | None, _: Any) -> datetime | None:
    return None if value in ("", None) else _from_epoch_millis(msgspec.convert(value, int), _)


def _from_epoch_millis(value: int, _: Any) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        raise ValueError("milliseconds since 1970 beyond the year 9999") from None


class _Unfinished(threading.local):
    """The classes whose wire forms are being made, by each thread for itself."""

    def __init__(self) -> None:
        self.classes = set[type]()


@attrs.frozen(eq=False)
class ScalarCodec:
    """How a type that is no record and no list travels.

    Attributes:
        wire: The type that msgspec checks.
        build: From the checked value to the one that the user gets.
    """

    wire: Any
    build: Hook = _as_is


class Structures:
    """Structuring rules of one package, with one cattrs converter for all threads.

    Args:
        rename: From the name of an attribute to its name on the wire.
        leaves: Types of the package's own that are neither records nor lists.
    """

    def __init__(
        self, *, rename: Callable[[str], str] = str, leaves: Mapping[Any, ScalarCodec] | None = None
    ) -> None:
        self._rename = rename
        self._leaves = {
            datetime: ScalarCodec(_AWARE, _in_utc),
            EpochMillis: ScalarCodec(int, _from_epoch_millis),
            **(leaves or {}),
        }
        self._fields: dict[type, list[_Field]] = {}
        self._wires: dict[type, type[msgspec.Struct]] = {}
        self._builders: dict[type, _Builders] = {}
        self._decoders: dict[Any, tuple[msgspec.json.Decoder[Any], Hook]] = {}
        self._splitters: dict[type, msgspec.json.Decoder[Any]] = {}
        self._unfinished = _Unfinished()
        self._converter = self._new_converter()

    @cached_property
    def lenient(self) -> Structures:
        """The same rules, except that an empty string in an optional time is null."""
        times = {
            datetime | None: ScalarCodec(str | None, _from_text_or_empty),
            _OptionalEpochMillis: ScalarCodec(int | str | None, _from_epoch_millis_or_empty),
        }
        return Structures(rename=self._rename, leaves={**self._leaves, **times})

    def of(self, cls: type[T]) -> Structurer[T]:
        """Return a function that decodes JSON bytes into one attrs class.

        Args:
            cls: Its annotations may hold attrs classes, lists, scalars, aware datetimes, open
                enums (`SomeEnum | str`), `JsonValue`, and any of them `| None`. A generic class
                needs its arguments, such as `Some[int]`.

        Raises:
            ValueError: An annotation is none of these, or can't be resolved.
        """
        try:
            decoder = msgspec.json.Decoder(self._wire_record(cls))
        except (TypeError, NameError, SyntaxError) as error:
            raise ValueError(f"{cls.__name__} can't be structured from JSON: {error}") from None
        return Structurer(cls, decoder, self._converter.get_structure_hook(cls), self)

    def _fields_of(self, cls: type[Any]) -> list[_Field]:
        if cls not in self._fields:
            self._fields[cls] = _fields(cls)
        return self._fields[cls]

    # The wire form of a type.

    def _wire(self, annotation: Any) -> Any:
        if annotation in self._leaves:
            return self._leaves[annotation].wire
        if attrs.has(annotation):
            return self._wire_record(annotation)
        if _is_list(annotation):
            return list[self._wire(get_args(annotation)[0])] | None  # type: ignore[misc]
        if _is_optional(annotation):
            return self._wire(_optional_of(annotation)) | None
        if _open_enum(annotation):
            return str
        if not _is_scalar(annotation):
            raise TypeError(f"{annotation!r} is no type that is supported")
        return annotation

    def _wire_record(self, cls: type[Any]) -> type[msgspec.Struct]:
        if cls not in self._wires:
            if cls in self._unfinished.classes:
                raise TypeError(f"{cls.__name__} holds itself")
            self._unfinished.classes.add(cls)
            try:
                fields = [self._wire_field(field) for field in self._fields_of(cls)]
            finally:
                self._unfinished.classes.remove(cls)
            # Another thread may have made one as well; they are alike, and either will do.
            self._wires[cls] = msgspec.defstruct(cls.__name__, fields, kw_only=True, gc=False)
        return self._wires[cls]

    def _wire_field(self, field: _Field) -> tuple[str, Any, Any]:
        wire, name = self._wire(field.type), self._rename(field.name)
        if field.required:
            return field.name, wire, msgspec.field(name=name)
        return field.name, wire | None, msgspec.field(name=name, default=None)

    # From wire forms.

    def _new_converter(self) -> Converter:
        # cattrs calls the last factory first. Its own hooks for scalars take precedence over all
        # factories and turn "5" into 5, so replace them.
        converter = Converter(detailed_validation=False)
        for scalar in (str, int, float, bool):
            converter.register_structure_hook(scalar, self._leaf_from_wire(scalar, converter))
        converter.register_structure_hook_factory(lambda _: True, self._leaf_from_wire)
        converter.register_structure_hook_factory(_is_optional, _optional)
        converter.register_structure_hook_factory(_is_list, self._list_from_wire)
        converter.register_structure_hook_factory(attrs.has, self._record_from_wire)
        converter.register_structure_hook_factory(self._leaves.__contains__, self._leaf_from_wire)
        return converter

    def _record_from_wire(self, cls: type[Any], converter: Converter) -> Hook:
        return self._builders_of(cls, converter).one

    def _list_from_wire(self, annotation: Any, converter: Converter) -> Hook:
        item = get_args(annotation)[0]
        if attrs.has(item):
            return self._builders_of(item, converter).many
        hook = converter.get_structure_hook(item)
        if hook is _as_is:
            return lambda wires, _: [] if wires is None else wires
        return lambda wires, _: [hook(wire, item) for wire in wires or ()]

    def _builders_of(self, cls: type[Any], converter: Converter) -> _Builders:
        if cls not in self._builders:
            fields = self._fields_of(cls)
            self._builders[cls] = _written_builders(
                get_origin(cls) or cls, fields, converter, self._leaves
            )
        return self._builders[cls]

    def _leaf_from_wire(self, annotation: Any, _: Converter) -> Hook:
        if annotation in self._leaves:
            return self._leaves[annotation].build
        if enum := _open_enum(annotation):
            known: dict[str, str] = {str(member): member for member in enum}
            return lambda value, _: known.get(value, value)
        return _as_is

    # Explanations.

    def decoded(self, annotation: Any, text: bytes | msgspec.Raw, path: str) -> Any:
        """Return the value of a JSON text.

        Raises:
            SchemaError: It has another type.
            Exception: A class of the caller refuses the value.
        """
        if annotation not in self._decoders:
            decoder = msgspec.json.Decoder(self._wire(annotation))
            self._decoders[annotation] = decoder, self._converter.get_structure_hook(annotation)
        decoder, hook = self._decoders[annotation]
        return hook(decode(text, decoder, path), annotation)

    def members(
        self, cls: type[Any], text: bytes | msgspec.Raw, path: str
    ) -> Iterator[tuple[_Field, str, msgspec.Raw | None]]:
        """Yield the fields of a class, their names on the wire, and their JSON texts.

        Raises:
            SchemaError: The text is no object.
        """
        fields = [(field, self._rename(field.name)) for field in self._fields_of(cls)]
        if cls not in self._splitters:
            # Raw values are not decoded here: C code only skips over them.
            wires = [
                (field.name, msgspec.Raw, msgspec.field(name=name, default=None))
                for field, name in fields
            ]
            self._splitters[cls] = msgspec.json.Decoder(msgspec.defstruct("Texts", wires))
        texts = decode(text, self._splitters[cls], path)
        return ((field, name, getattr(texts, field.name)) for field, name in fields)

    def items(
        self, text: bytes | msgspec.Raw, path: str, *, is_long: bool
    ) -> Sequence[msgspec.Raw]:
        """Return the JSON texts of the items of a list, at most 1,000 of a long one.

        Raises:
            SchemaError: The text is no list.
        """
        if not is_long:
            return decode(text, _LIST_DECODER, path)
        found = msgspec.structs.astuple(decode(text, self._long_list_decoder, path))
        return [text for text in found if text is not None]

    @cached_property
    def _long_list_decoder(self) -> msgspec.json.Decoder[Any]:
        """Decoder of the first 1,000 items of a list. C code skips the others, without memory."""
        items = [(f"item_{index}", msgspec.Raw, None) for index in range(MAX_ITEMS)]
        return msgspec.json.Decoder(msgspec.defstruct("Items", items, array_like=True))


@attrs.frozen(eq=False)
class Structurer(Generic[T]):
    """From the bytes of one JSON object to one attrs object."""

    cls: type[T]
    _decoder: msgspec.json.Decoder[Any]
    _hook: Hook
    _structures: Structures

    def __call__(self, body: bytes | msgspec.Raw, path: str = "$") -> T:
        """Structure one object. An empty string in an optional time is null.

        Args:
            body: The JSON text of the object.
            path: Where it stood in the answer, for the messages.

        Raises:
            DecodeError: It is not JSON in UTF-8.
            SchemaError: It does not fit the class. The error names at most 100 bad fields, and only
                the first one of a text over 1 MiB.
        """
        try:
            return self._structured(body, path)
        except SchemaError as error:
            (first,) = error.problems
        if b'""' in bytes(body):
            with suppress(Exception):  # explained below
                return cast(T, self._structures.lenient.decoded(self.cls, body, path))
        raise _explained(self._structures, self.cls, body, path, first)

    def _structured(self, body: bytes | msgspec.Raw, path: str) -> T:
        """Structure one object; raise a `SchemaError` with the first problem."""
        try:
            return cast(T, self._hook(decode(body, self._decoder, path), self.cls))
        except (DecodeError, SchemaError):
            raise
        except Exception as error:  # the caller's class may raise any error
            problem = _problem(path, _reason(error))
        raise SchemaError((problem,))


MAX_EXPLAINED_BYTES = 2**20
"""Maximum size in bytes of a text with more than one named problem."""

LONG_LIST_COMMAS = 50_000
"""Number of commas that makes a list long. Only its first `MAX_ITEMS` items are checked."""

MAX_ITEMS = 1_000

MAX_WORK = 10_000
"""Work that one explanation may do. Checking one value is one unit."""

PROBLEM_WORK = 40
"""Work to report one problem."""

SMALL_BYTES = 1024
"""Maximum size in bytes of an object or list that is decoded whole before it is split."""


class _WorkExhausted(Exception):
    """The explanation has used up its work."""


class _Explanation:
    """Search for the bad fields of a text, with a bounded amount of work.

    Attributes:
        problems: One line for every bad field.
        complete: The whole text has been checked.
    """

    def __init__(self, structures: Structures) -> None:
        self.problems: list[str] = []
        self.complete = True
        self._structures = structures
        self._work = MAX_WORK

    def value(self, annotation: Any, text: bytes | msgspec.Raw, path: str) -> Any:
        """Return the value of a text. If it has problems, add them and return None."""
        self._spend(1)
        size = memoryview(text).nbytes
        if _is_optional(annotation):
            annotation = _optional_of(annotation)
            nulls = (b"null", b'""') if annotation in _TIMES else (b"null",)
            if size <= len(b"null") and bytes(text) in nulls:
                return None
        has_parts = attrs.has(annotation) or _is_list(annotation)
        if size <= SMALL_BYTES or not has_parts:
            try:
                return self._structures.decoded(annotation, text, path)
            except Exception as error:
                if not has_parts:
                    return self._add(path, error)
        try:
            return self._parts(annotation, text, path)
        except (DecodeError, _WorkExhausted):
            raise
        except Exception as error:
            return self._add(path, error)

    def _parts(self, annotation: Any, text: bytes | msgspec.Raw, path: str) -> Any:
        if not _is_list(annotation):
            return self._record(annotation, text, path)
        (item,) = get_args(annotation)
        is_long = bytes(text).count(b",") >= LONG_LIST_COMMAS
        texts = self._structures.items(text, path, is_long=is_long)
        self.complete = self.complete and not is_long
        return [self.value(item, text, f"{path}[{index}]") for index, text in enumerate(texts)]

    def _record(self, cls: type[Any], text: bytes | msgspec.Raw, path: str) -> Any:
        before = len(self.problems)
        arguments: dict[str, Any] = {}
        for field, name, member in self._structures.members(cls, text, path):
            if member is None and field.required:
                self._add(f"{path}.{name}", KeyError("required field missing"))
            elif not (field.filled and (member is None or bytes(member) == b"null")):
                value = self.value(field.type, member or _NULL, f"{path}.{name}")
                arguments[field.alias] = value
        return None if len(self.problems) > before else cls(**arguments)

    def _add(self, path: str, error: Exception) -> None:
        line = error.problems[0] if isinstance(error, SchemaError) else None
        self.problems.append(line or _problem(path, _reason(error)))
        self._spend(PROBLEM_WORK)

    def _spend(self, work: int) -> None:
        self._work -= work
        if self._work < 0:
            raise _WorkExhausted


def _explained(
    structures: Structures, cls: type[Any], text: bytes | msgspec.Raw, path: str, first: str
) -> SchemaError:
    """Return the error for a text that can't be structured.

    Args:
        structures: Rules of the package.
        cls: The class.
        text: The JSON text.
        path: Path of the text in the answer.
        first: The problem that ended the decoding.

    Raises:
        DecodeError: After the first problem, the text is not JSON.
    """
    first = _MISSING.sub(r".\1: required field missing", first)
    if memoryview(text).nbytes > MAX_EXPLAINED_BYTES:
        return SchemaError((first,), complete=False)
    try:
        decode(text, _TEXT_DECODER, path)
    except SchemaError:  # A text with lone surrogates can't be split.
        return SchemaError((first,))
    explanation = _Explanation(structures)
    try:
        explanation.value(cls, text, path)
    except _WorkExhausted:
        explanation.complete = False
    problems, place = explanation.problems, first.partition(": ")[0]
    is_named = any(problem.partition(": ")[0] == place for problem in problems)
    if not problems or not (explanation.complete or is_named):
        problems = [first, *problems]
    return SchemaError(problems, complete=explanation.complete)


def _reason(error: Exception) -> str:
    """Return the message of an error, at most 300 characters of it."""
    # attrs' own validators put a message and then the attribute and its value into args.
    return str(error.args[0] if error.args and error.args[0] else type(error).__name__)[:300]


@attrs.frozen(eq=False)
class _Field:
    """A field of an attrs class, and what stands for it when the JSON lacks it or says null."""

    name: str
    alias: str
    type: Any
    kw_only: bool
    has_default: bool

    @property
    def nullable(self) -> bool:
        """Null is a value of it (of a list: the empty one)."""
        return _is_optional(self.type) or _is_list(self.type)

    @property
    def filled(self) -> bool:
        """Null is none of its values, and attrs has a default instead."""
        return self.has_default and not self.nullable

    @property
    def required(self) -> bool:
        return not (self.has_default or self.nullable)


def _fields(cls: type[Any]) -> list[_Field]:
    """The fields of an attrs class that its constructor takes, with their resolved types."""
    origin = get_origin(cls) or cls
    hints = get_type_hints(origin, include_extras=True)
    parameters: dict[Any, Any] = dict(
        zip(getattr(origin, "__parameters__", ()), get_args(cls), strict=False)
    )
    return [
        _Field(
            name=field.name,
            alias=field.alias,
            type=parameters.get(hints.get(field.name), hints.get(field.name)),
            kw_only=field.kw_only,
            has_default=field.default is not attrs.NOTHING,
        )
        for field in attrs.fields(origin)
        if field.init
    ]


@attrs.frozen(eq=False)
class _Builders:
    """From the wire form of a record, and from a list of them or None, to attrs objects."""

    one: Hook
    many: Hook


_BUILDERS = """
def one(wire, _):
    {record}
    return record

def many(wires, _):
    records = []
    for wire in wires or ():
        {record}
        records.append(record)
    return records
"""


def _written_builders(
    cls: type[Any], fields: list[_Field], converter: Converter, leaves: Mapping[Any, ScalarCodec]
) -> _Builders:
    """What builds records, written out and compiled as attrs' own methods are.

    A report is little else than thousands of small records. Names that the compiler knows, instead
    of calls for each record and field, save a third of the time that a report's objects take.
    """
    known: dict[str, Any] = {"cls": cls, "new": object.__new__, "utc": UTC}
    values = [
        (field, _written_value(field, place, converter, known, leaves))
        for place, field in enumerate(fields)
    ]
    if _is_only_filled_in(cls) and not any(field.filled for field in fields):
        steps = ["record = new(cls)", *(f"record.{field.name} = {it}" for field, it in values)]
    elif any(field.kw_only or field.filled for field in fields):
        steps = [f"record = cls({', '.join(_written_argument(*value) for value in values)})"]
    else:
        steps = [f"record = cls({', '.join(value for _, value in values)})"]
    source = _BUILDERS.format(record="; ".join(steps))
    exec(compile(source, f"<structuring of {cls.__qualname__}>", "exec"), known)  # noqa: S102
    return _Builders(known["one"], known["many"])


def _written_argument(field: _Field, value: str) -> str:
    if field.filled:  # its default is left to the class where there is no value
        return f"**({{{field.alias!r}: {value}}} if wire.{field.name} is not None else {{}})"
    return f"{field.alias}={value}"


def _written_value(
    field: _Field,
    place: int,
    converter: Converter,
    known: dict[str, Any],
    leaves: Mapping[Any, ScalarCodec],
) -> str:
    """The expression for a field's value, and what it names that the loop has to know."""
    optional = _is_optional(field.type) and field.type not in leaves
    inner = _optional_of(field.type) if optional else field.type
    hook = converter.get_structure_hook(inner)
    if hook is _as_is:
        return f"wire.{field.name}"
    known |= {f"hook_{place}": hook, f"type_{place}": inner}
    # Nearly all times are in UTC already, and to ask that here costs less than a call.
    asis = ["{} is None"] * optional + ["{}.tzinfo is utc"] * (hook is _in_utc)
    if not asis:
        return f"hook_{place}(wire.{field.name}, type_{place})"
    condition = " or ".join(asis).format(f"(it := wire.{field.name})", "it")
    return f"it if {condition} else hook_{place}(it, type_{place})"


def _is_only_filled_in(cls: Any) -> bool:
    """Whether the `__init__` of a class is attrs' own and does nothing but set the attributes.

    To set them without it saves a sixth of the time that a record takes.
    """
    written = getattr(getattr(cls.__init__, "__code__", None), "co_filename", "")
    return (
        written.startswith("<attrs generated")
        and type(cls).__call__ is type.__call__
        and cls.__new__ is object.__new__
        and cls.__setattr__ is object.__setattr__  # neither frozen nor with hooks
        and cls.__hash__ in (None, object.__hash__)  # nor is a hash kept in it
        and not hasattr(cls, "__attrs_pre_init__")
        and not hasattr(cls, "__attrs_post_init__")
        and all(
            field.init and field.validator is None and field.converter is None
            for field in attrs.fields(cls)
        )
    )


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list


def _is_optional(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)


def _optional_of(annotation: Any) -> Any:
    return Union[tuple(arg for arg in get_args(annotation) if arg is not NoneType)]  # noqa: UP007


def _optional(annotation: Any, converter: Converter) -> Hook:
    inner = _optional_of(annotation)
    hook = converter.get_structure_hook(inner)
    if hook is _as_is:
        return _as_is
    return lambda value, _: None if value is None else hook(value, inner)


def _is_scalar(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, UnionType):
        return all(_is_scalar(arg) for arg in get_args(annotation))
    return annotation in (str, int, float, bool, Any)


def _open_enum(annotation: Any) -> type[StrEnum] | None:
    """The enum of an annotation `SomeEnum | str`, the form of an enum that may grow."""
    if get_origin(annotation) not in (Union, UnionType) or str not in get_args(annotation):
        return None
    enums = (arg for arg in get_args(annotation) if isinstance(arg, type))
    return next((arg for arg in enums if issubclass(arg, StrEnum)), None)
