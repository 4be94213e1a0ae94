"""Sample classes and structuring rules for the tests of `evtransport.structure`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum

import attrs
import msgspec
import pytest

from evtransport import JsonValue, SchemaError, Secret
from evtransport.structure import EpochMillis, Structures


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Sample:
    meter_value: float
    taken_at: datetime | None = None


@attrs.frozen
class Everything:
    an_int: int
    a_float: float | None = None
    a_bool: bool | None = None
    a_str: str | None = None
    a_number: int | float | None = None
    a_colour: Colour | str | None = None
    a_time: datetime | None = None
    some_millis: EpochMillis | None = None
    a_secret: Secret | None = None
    anything: JsonValue = None
    one_sample: Sample | None = None
    all_samples: list[Sample] = attrs.field(factory=list)
    all_colours: list[Colour | str] = attrs.field(factory=list)
    a_matrix: list[list[int]] = attrs.field(factory=list)
    with_gaps: list[int | None] = attrs.field(factory=list)
    times_with_gaps: list[datetime | None] = attrs.field(factory=list)
    maybe_a_list: list[str] | None = None
    a_default: int = 17
    a_default_time: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    a_default_millis: EpochMillis = datetime(2020, 1, 1, tzinfo=UTC)
    a_default_colour: Colour | str = Colour.RED


def camel(name: str) -> str:
    """Return the JSON name of an attribute: `anInt` for `an_int`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


STRUCTURES = Structures(package="tests", rename=camel)
structure = STRUCTURES.of(Everything)


def everything(**members: object) -> Everything:
    """Structure an object with these JSON members."""
    return structure(json.dumps({"anInt": 1, **members}).encode())


def problems(cls: type[object], body: bytes | msgspec.Raw, path: str = "$") -> tuple[str, ...]:
    """Return the problems of a body that does not fit a class."""
    with pytest.raises(SchemaError) as caught:
        STRUCTURES.of(cls)(body, path)
    return caught.value.problems


def problem(**members: object) -> str:
    """Return the only problem of an object with these JSON members."""
    (line,) = problems(Everything, json.dumps({"anInt": 1, **members}).encode())
    return line
