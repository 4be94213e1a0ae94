"""JSON Schema of classes: it describes exactly the content of unstructured objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from evtransport.structure import EpochMillis
from tests.evtransport.structure.test_unstructuring import FULL
from tests.support.structures import STRUCTURES, Colour, Everything


@dataclass
class Described:
    """A class with documented fields.

    Attributes:
        at: Time of the
            sample.
        colour: Colour of it.
    """

    at: datetime | None
    colour: Colour | str
    heartbeat: EpochMillis
    undescribed: int = 5


@dataclass
class Undescribed:
    number: int


@pytest.mark.parametrize("wire", [False, True])
@pytest.mark.parametrize("obj", [Everything(1), FULL], ids=["empty", "full"])
def test_an_unstructured_object_is_valid(obj: Everything, wire: bool) -> None:
    schema = STRUCTURES.json_schema(Everything, wire=wire)
    Draft202012Validator.check_schema(schema)
    validator, values = Draft202012Validator(schema), STRUCTURES.to_dict(obj, wire=wire)

    validator.validate(values)

    assert list(values) == schema["required"]
    for name in values:
        with pytest.raises(ValidationError):
            validator.validate({key: value for key, value in values.items() if key != name})
        if name != "anything":
            with pytest.raises(ValidationError):
                validator.validate({**values, name: {"x": 1}})


def test_a_schema_has_the_text_of_the_docstring_and_the_known_values_of_an_enum() -> None:
    assert STRUCTURES.json_schema(Described) == {
        "title": "Described",
        "description": "A class with documented fields.",
        "type": "object",
        "properties": {
            "at": {
                "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
                "description": "Time of the sample.",
            },
            "colour": {
                "type": "string",
                "examples": ["red", "blue"],
                "description": "Colour of it.",
            },
            "heartbeat": {"type": "string", "format": "date-time"},
            "undescribed": {"type": "integer"},
        },
        "required": ["at", "colour", "heartbeat", "undescribed"],
    }
    assert STRUCTURES.json_schema(Undescribed).keys() == {
        *("title", "type", "properties", "required")
    }


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (int, "cls must be an attrs class or a dataclass, got <class 'int'>"),
        (Undescribed(1), "cls must be an attrs class or a dataclass, got Undescribed"),
        (type("Odd", (Undescribed,), {"__annotations__": {"number": set}}), "Odd can't be"),
    ],
)
def test_a_class_without_a_json_form_is_rejected(cls: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        STRUCTURES.json_schema(cls)
