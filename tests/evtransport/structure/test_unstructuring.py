"""Objects as dicts and as JSON text: names, times, secrets, and values without a JSON form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from evtransport import JsonValue, Secret
from tests.support.structures import STRUCTURES, Colour, Everything, Sample, structure

AT = datetime(2026, 1, 1, 1, 30, 0, 87_000, tzinfo=UTC)
FULL = Everything(
    an_int=2**70,
    a_float=1.5,
    a_bool=False,
    a_str="é",
    a_number=5,
    a_colour="mauve",
    a_time=AT,
    some_millis=AT,
    anything={"a": [1, None]},
    one_sample=Sample(1.5, AT),
    all_samples=[Sample(2.5)],
    all_colours=[Colour.BLUE, "mauve"],
    a_matrix=[[1], []],
    with_gaps=[1, None],
    times_with_gaps=[None, AT],
)


@dataclass
class Outer:
    the_sample: Sample
    _private: int = 1


@attrs.frozen
class HasAnything:
    value: JsonValue = None


def nested(depth: int) -> JsonValue:
    value: JsonValue = None
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("obj", [Everything(1), FULL], ids=["empty", "full"])
def test_json_with_the_names_of_the_api_is_structured_as_an_equal_object(
    obj: Everything,
) -> None:
    text = STRUCTURES.to_json(obj, wire=True)

    assert structure(text) == obj
    assert json.loads(text) == STRUCTURES.to_dict(obj, wire=True)


@pytest.mark.parametrize(
    ("wire", "names", "values"),
    [
        (
            False,
            ["an_int", "a_float", "a_bool"],
            {"some_millis": "2026-01-01T01:30:00.087000Z", "a_colour": "mauve"},
        ),
        (
            True,
            ["anInt", "aFloat", "aBool"],
            {"someMillis": 1_767_231_000_087, "aTime": "2026-01-01T01:30:00.087000Z"},
        ),
    ],
)
def test_names_and_times_are_those_of_python_or_of_the_wire(
    wire: bool, names: list[str], values: dict[str, object]
) -> None:
    found = STRUCTURES.to_dict(FULL, wire=wire)

    assert list(found)[:3] == names
    assert {name: found[name] for name in values} == values
    assert json.loads(STRUCTURES.to_json(FULL, wire=wire)) == found


def test_a_secret_is_masked() -> None:
    obj = Everything(1, a_secret=Secret("s3cr3t"))

    assert STRUCTURES.to_dict(obj)["a_secret"] == "**********"
    assert b"s3cr3t" not in STRUCTURES.to_json(obj, wire=True)


def test_a_dataclass_with_an_attrs_object_is_unstructured() -> None:
    assert STRUCTURES.to_dict(Outer(Sample(1.5)), wire=True) == {
        "theSample": {"meterValue": 1.5, "takenAt": None},
        "Private": 1,
    }


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (5, "obj must be an object of an attrs class or dataclass, got int"),
        (Sample, "obj must be an object of an attrs class or dataclass, got type"),
        (HasAnything(object()), "object has no JSON form"),  # type: ignore[arg-type]
        (HasAnything(nested(900)), "the HasAnything has no JSON form: a value is nested too"),
        (Outer(5), "the Outer has no JSON form: a value has a different type from its field"),  # type: ignore[arg-type]
    ],
)
def test_an_object_without_a_json_form_is_rejected(obj: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        STRUCTURES.to_dict(obj)
    with pytest.raises(ValueError, match=f"^{message}"):
        STRUCTURES.to_json(obj)
