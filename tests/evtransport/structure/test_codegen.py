"""Objects that generated code builds, compared with objects that constructors build."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

import attrs
import pytest

from evtransport.structure import JsonValue, Structures
from tests.support.structures import STRUCTURES, problems

T = TypeVar("T")


@attrs.define
class Ordinary:
    number: int
    at: datetime | None = None


@attrs.frozen
class Frozen(Ordinary):
    pass


@attrs.define
class Defaulted(Ordinary):
    number: int = 17


@attrs.define
class Computed(Ordinary):
    memory: list[int] = attrs.field(factory=lambda: [1], init=False)

    def __attrs_post_init__(self) -> None:
        self.number *= 2


@attrs.define(kw_only=True)
class KeywordOnly(Ordinary):
    number: int = attrs.field(converter=abs)
    _hidden: int = attrs.field(default=3, alias="shown")


@dataclass
class Data:
    number: int
    at: datetime | None = None
    computed: int = field(init=False, default=9)


@dataclass(frozen=True, slots=True)
class FrozenData:
    number: int = 17
    at: datetime | None = None


@dataclass(kw_only=True)
class KeywordOnlyData(Data):
    items: list[Ordinary] = field(default_factory=list)
    inner: Data | None = None
    fallback: str = field(default_factory=lambda: "x")


CLASSES = [Ordinary, Frozen, Defaulted, Computed, KeywordOnly, Data, FrozenData, KeywordOnlyData]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("members", [{}, {"at": "2026-01-01T01:00:00+01:00"}])
def test_an_object_equals_one_that_the_constructor_builds(
    cls: Callable[..., object], members: dict[str, str]
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC) if members else None

    built = STRUCTURES.of(cls)(json.dumps({"number": -5, **members}).encode())

    assert built == cls(number=-5, at=at)
    assert type(built) is cls


def test_attrs_classes_and_dataclasses_may_contain_each_other() -> None:
    body = b'{"number": 1, "items": [{"number": 2}], "inner": {"number": 3}, "fallback": null}'

    found = STRUCTURES.of(KeywordOnlyData)(body)

    assert found == KeywordOnlyData(number=1, items=[Ordinary(2)], inner=Data(3))
    assert problems(KeywordOnlyData, b'{"items": [{"number": 2.5}], "inner": {"at": 1}}') == (
        "$.number: required field missing",
        "$.items[0].number: expected int, got float",
        "$.inner.number: required field missing",
        "$.inner.at: expected datetime, got int",
    )


def test_the_constructor_of_a_plain_class_is_not_called() -> None:
    plain = Structures(plain={Computed, Ordinary}).of(Computed)

    assert plain(b'{"number": 5}').number == 5


def test_aliased_and_private_fields_are_read_by_their_json_names() -> None:
    @attrs.frozen(kw_only=True)
    class Odd:
        _hidden_value: int
        anything: JsonValue
        renamed_value: int = attrs.field(alias="other")
        computed: int = attrs.field(init=False, default=9)
        last_value: str = "x"

    body = b'{"HiddenValue": 1, "anything": null, "renamedValue": 2, "computed": 5}'
    assert STRUCTURES.of(Odd)(body) == Odd(hidden_value=1, anything=None, other=2)
    assert problems(Odd, b'{"HiddenValue": "x", "renamedValue": 2}') == (
        "$.HiddenValue: expected int, got str",
        "$.anything: required field missing",
    )


def refuse(_: object, field: attrs.Attribute[str], value: str) -> None:
    raise ValueError(*([value, field] if value else []))


@attrs.frozen
class Refusing:
    text: str = attrs.field(validator=refuse)


@attrs.frozen
class SeveralRefusing:
    several: list[Refusing]


@pytest.mark.parametrize(
    ("text", "reason"), [("too odd", "too odd"), ("", "ValueError"), ("x" * 1000, "x" * 300)]
)
def test_an_error_of_a_class_is_a_problem_with_a_short_reason(text: str, reason: str) -> None:
    body = json.dumps({"text": text}).encode()

    assert problems(Refusing, body) == (f"$: {reason}",)
    assert problems(SeveralRefusing, b'{"several": [%s]}' % body) == (f"$.several[0]: {reason}",)


@attrs.define
class Box(Generic[T]):
    value: T
    name: str | None = None


@attrs.define
class Boxes:
    whole: Box[int]
    broken: Box[int | float] | None = None
    several: list[Box[str]] = attrs.field(factory=list)


def test_a_generic_class_has_the_types_of_its_arguments() -> None:
    body = b'{"whole": {"value": 1}, "broken": {"value": 1.5}, "several": [{"value": "x"}]}'

    assert STRUCTURES.of(Boxes)(body) == Boxes(Box(1), Box(1.5), [Box("x")])
    assert STRUCTURES.of(Box[int])(b'{"value": 1}') == Box(1)
    assert problems(Boxes, b'{"whole": {"value": 1.5}, "broken": {"value": "x", "name": 5}}') == (
        "$.whole.value: expected int, got float",
        "$.broken.value: expected int | float, got str",
        "$.broken.name: expected str, got int",
    )
