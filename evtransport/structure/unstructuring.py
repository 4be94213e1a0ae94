"""Unstructuring: objects to values and bytes of JSON, the opposite of structuring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import eq
from typing import Any, TypeVar, cast, get_origin

import attrs
import msgspec
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from evtransport.secrets import Secret
from evtransport.structure.types import JsonValue, ScalarCodec, fields_of, has_fields

__all__ = ["Unstructurer"]

T = TypeVar("T")


@attrs.frozen(eq=False)
class Unstructurer:
    """Converter of objects to one JSON form.

    Attributes:
        rename: Returns the JSON name of an attribute.
        codecs: Codecs of scalar types. Their `dump` returns the JSON value.
    """

    rename: Callable[[str], str]
    codecs: Mapping[Any, ScalarCodec]
    _converter: Converter = attrs.field(factory=Converter, init=False)

    def __attrs_post_init__(self) -> None:
        self._converter.register_unstructure_hook_factory(has_fields, self._make_hook)
        for annotation, codec in self.codecs.items():
            if codec.dump is not None:
                is_annotation = partial(eq, annotation)
                self._converter.register_unstructure_hook_func(is_annotation, codec.dump)

    def to_dict(self, obj: object) -> dict[str, JsonValue]:
        """Return an object as a dict of JSON values.

        Raises:
            ValueError: The object's class has no fields, or a value has no JSON form.
        """
        write = partial(msgspec.to_builtins, enc_hook=_encode)
        return cast("dict[str, JsonValue]", self._write(obj, write))

    def to_json(self, obj: object) -> bytes:
        """Return the JSON text of an object.

        Raises:
            ValueError: The object's class has no fields, or a value has no JSON form.
        """
        return self._write(obj, partial(msgspec.json.encode, enc_hook=_encode))

    def _write(self, obj: object, write: Callable[[object], T]) -> T:
        if not has_fields(type(obj)):
            kind = type(obj).__name__  # The object itself may hold a secret.
            raise ValueError(f"obj must be an object of an attrs class or dataclass, got {kind}")
        try:
            return write(self._converter.unstructure(obj))
        except RecursionError:
            problem = "a value is nested too deeply"
        except (AttributeError, TypeError) as error:
            problem = f"a value has a different type from its field: {error}"
        raise ValueError(f"the {type(obj).__name__} has no JSON form: {problem}")

    def _make_hook(self, cls: Any) -> Callable[[Any], Any]:
        names: Any = {
            field.name: override(rename=self.rename(field.name))
            for field in fields_of(get_origin(cls) or cls)
        }
        return make_dict_unstructure_fn(cls, self._converter, **names)


def _encode(value: object) -> str:
    """Return the JSON form of a value that msgspec does not know."""
    if isinstance(value, Secret):
        return str(value)  # masked
    raise ValueError(f"{type(value).__name__} has no JSON form")
