"""Structuring rules of a package: the classes and functions that it accepts, and threads."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import InitVar, dataclass
from typing import Annotated, Any, NoReturn

import attrs
import msgspec
import pydantic
import pytest

from evtransport import SchemaError
from evtransport.structure import Structures
from tests.support.structures import STRUCTURES, Everything, Sample, camel


class Custom:
    """A class that JSON has no value for."""


@attrs.frozen
class HasCustom:
    values: list[Custom | None]


@attrs.frozen
class HasUnresolved:
    value: Nowhere  # type: ignore[name-defined]  # noqa: F821


@dataclass
class HasNoSuchName:
    value: asyncio.Nothing  # type: ignore[name-defined]


@attrs.frozen
class HasAmbiguous:
    value: list[Sample] | list[int]


@attrs.frozen
class HasRecursion:
    children: list[HasRecursion]


@dataclass
class HasInitVar:
    value: int
    unit: InitVar[str]


@attrs.frozen(init=False)
class HasOtherConstructor:
    value: int

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "value", int(text))


@pytest.mark.parametrize(
    "cls",
    [
        *(HasInitVar, HasOtherConstructor, HasCustom, HasUnresolved, HasAmbiguous, HasRecursion),
        HasNoSuchName,
        attrs.make_class("HasNoAnnotation", ["value"]),
    ],
    ids=lambda cls: cls.__name__,
)
def test_a_class_without_a_json_form_is_rejected_before_any_body(cls: type) -> None:
    with pytest.raises(ValueError, match=f"^{cls.__name__} can't be structured from JSON: "):
        STRUCTURES.of(cls)


class PydanticModel(pydantic.BaseModel):
    number: int


class Struct(msgspec.Struct):
    number: int


async def read_later(_: bytes) -> None:
    """Read nothing."""


class Later:
    """An object that is called as an async function."""

    async def __call__(self, _: bytes) -> None:
        """Read nothing."""


@pytest.mark.parametrize(
    ("into", "message"),
    [
        (PydanticModel, "nor a dataclass; pass PydanticModel.model_validate_json"),
        (Struct, "nor a dataclass; pass msgspec.json.Decoder(Struct).decode"),
        (bytes, "into=bytes is neither an attrs class nor a dataclass; pass one, or a function"),
        (Sample(1), "into must be an attrs class, a dataclass or a function that returns"),
        (read_later, "into must be an attrs class, a dataclass or a function that returns"),
        (Later(), "into must be an attrs class, a dataclass or a function that returns"),
        (list[Sample], "into must be an attrs class, a dataclass or a function that returns"),
        (Annotated[Sample, ""], "into must be an attrs class, a dataclass or a function that"),
    ],
)
def test_an_object_that_is_neither_a_class_with_fields_nor_a_function_is_rejected(
    into: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        STRUCTURES.of(into)


@pytest.mark.parametrize("body", [b'{"a": "\\ud800"} ', msgspec.Raw(b'{"a": "\xff"}')])
def test_a_function_gets_the_bytes_as_received(body: bytes | msgspec.Raw) -> None:
    structurer = STRUCTURES.of(lambda text: [text])

    assert structurer(body) == [bytes(body)]


class Mute:
    """A message that can't be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def fail(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (PydanticModel.model_validate_json, ": 1 validation error for PydanticModel number Input"),
        (msgspec.json.Decoder(Struct).decode, ".number: expected int, got str"),
        (lambda text: msgspec.json.decode(text)["x"], ": KeyError: x"),
        (lambda _: fail(ValueError()), ": ValueError"),
        (lambda _: fail(msgspec.ValidationError("")), ": ValidationError"),
        (lambda _: fail(ValueError(Mute())), ": ValueError"),
        (lambda _: fail(FileNotFoundError(2, "No such file")), ": FileNotFoundError: [Errno 2] No"),
        (lambda _: b"\xff".decode(), ": 'utf-8' codec can't decode byte 0xff"),
        (lambda _: fail(StopIteration("x" * 1000)), f": StopIteration: {'x' * 285}"),
    ],
    ids=[
        *("pydantic", "msgspec", "KeyError", "no message", "empty message", "no text"),
        *("several arguments", "UnicodeDecodeError", "long message"),
    ],
)
def test_an_error_of_a_function_is_a_schema_error_with_the_path(
    function: Callable[[bytes], object], line: str
) -> None:
    with pytest.raises(SchemaError) as caught:
        STRUCTURES.of(function)(b'{"number": "x"}', "$.items[3]")

    (problem,) = caught.value.problems
    assert problem.startswith(f"$.items[3]{line}")
    assert len(problem) <= len("$.items[3]: ") + 300
    assert caught.value.__context__ is None


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt()])
def test_a_cancellation_in_a_function_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        STRUCTURES.of(lambda _: fail(error))(b"{}")

    assert caught.value is error


def test_threads_may_use_a_class_at_the_same_time() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            for _ in range(5):
                structures = Structures(rename=camel)
                futures = [threads.submit(structures.of, Everything) for _ in range(8)]
                found = [future.result()(b'{"anInt": 5}') for future in futures]
                assert found == [Everything(5)] * 8
    finally:
        sys.setswitchinterval(interval)
