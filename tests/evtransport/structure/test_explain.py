"""Names of bad fields: complete for small texts, bounded for large ones."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evtransport import SchemaError
from evtransport.structure.explain import MAX_WORK, Explainer
from tests.support.structures import (
    STRUCTURES,
    Everything,
    Sample,
    camel,
    problems,
    structure,
)


def test_every_bad_field_is_named_with_its_path() -> None:
    body = {
        "anInt": "x",
        "aFloat": [],
        "allSamples": [
            {"meterValue": 1},
            {"meterValue": "x", "takenAt": "2020-01-01T00:00:00"},
            {"meterValue": None},
        ],
        "oneSample": {"meterValue": True},
        # These are not problems.
        "aDefault": None,
        "aMatrix": [None],
        "maybeAList": None,
    }

    assert sorted(problems(Everything, json.dumps(body).encode(), "$.items[3]")) == [
        "$.items[3].aFloat: expected float, got array",
        "$.items[3].allSamples[1].meterValue: expected float, got str",
        "$.items[3].allSamples[1].takenAt: expected datetime with a timezone component",
        "$.items[3].allSamples[2].meterValue: expected float, got null",
        "$.items[3].anInt: expected int, got str",
        "$.items[3].oneSample.meterValue: expected float, got bool",
    ]


def test_a_body_of_another_type_has_one_problem() -> None:
    assert problems(Everything, b"[]") == ("$: expected object, got array",)
    assert problems(Everything, b"{}") == ("$.anInt: required field missing",)


TEXTS = ["red", "mauve", "", "2021-03-23T16:54:56.087+05:30", "2021-03-23T16:54:56"]
TEXTS += ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"]
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.just(2**70) | st.sampled_from(TEXTS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["meterValue", "takenAt", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
BODIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"anInt": st.integers() | JSON_VALUES},
    optional={
        **{camel(field.name): JSON_VALUES for field in attrs.fields(Everything)[1:]},
        "other": JSON_VALUES,
    },
)


@settings(max_examples=50)
@given(BODIES)
@example({"anInt": 1, "aTime": "0001-01-01T00:00:00+05:00"})
@example({"anInt": 1, "aFloat": 2**70, "aNumber": 2**70})
@example({"anInt": 1, "aStr": 5, "aTime": ""})
@example({"anInt": 1, "oneSample": {"meterValue": 1, "takenAt": ""}, "someMillis": ""})
def test_the_explanation_has_the_problems_of_the_error(body: dict[str, object]) -> None:
    text = json.dumps(body).encode()
    explainer = Explainer(STRUCTURES.lenient.structure, camel)
    explainer.check(Everything, text, "$")
    try:
        structure(text)
        lines: list[str] = []
    except SchemaError as error:
        lines = list(error.problems)

    assert lines == explainer.problems


# Bounds.


@attrs.frozen
class Log:
    samples: list[Sample]
    lists: list[list[Sample]]


def log(item: bytes, size: int, *, last: bytes | None = None, name: bytes = b"samples") -> bytes:
    """Return a log of about `size` bytes that repeats one item."""
    items = [item] * (size // (len(item) + 1))
    return b'{"%s": [%s]}' % (name, b",".join([*items, item if last is None else last]))


BAD_ITEMS = [b"1", b"[1]", b"{}", b'{"meterValue":"x"}', b'{"meterValue":1,"takenAt":5}']
GOOD_ITEM = b'{"meterValue":731.25,"takenAt":"2026-01-01T00:00:00.000Z"}'


@pytest.mark.parametrize("name", [b"samples", b"lists"])
@pytest.mark.parametrize("item", BAD_ITEMS)
def test_the_first_100_problems_are_named(item: bytes, name: bytes) -> None:
    lines = problems(Log, log(item, 50_000, name=name))

    assert [line[: line.index("]") + 1] for line in lines[:-1]] == [
        f"$.{name.decode()}[{index}]" for index in range(100)
    ]
    assert lines[-1] == "and more"


@pytest.mark.parametrize(
    ("body", "index", "others"),
    [
        (log(GOOD_ITEM, 500_000, last=b"1"), 500_000 // 59, []),
        (log(b'{"meterValue":1}', 200_000, last=b"1"), 200_000 // 17, ["and perhaps more"]),
        (log(b"1", 2**20), 0, ["and perhaps more"]),
    ],
    ids=["after 8,000 values", "after more values", "over 1 MiB"],
)
def test_the_first_problem_is_always_named(body: bytes, index: int, others: list[str]) -> None:
    assert problems(Log, body) == (f"$.samples[{index}]: expected object, got int", *others)


HOSTILE = {
    "good items": log(b'{"meterValue":1}', 200_000, last=b"1"),
    "good lists": log(b"[]", 200_000, last=b"1", name=b"lists"),
    "one list": b'{"samples": 5, "lists": [[%s 1]]}' % (b"1," * 500_000),
    "keys": b'{"samples": 5, %s "x": 1}' % b"".join(b'"%d":1,' % n for n in range(100_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_explanation_of_any_body_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checks, check = 0, Explainer.check

    def count(self: Explainer, *arguments: Any) -> None:
        nonlocal checks
        checks += 1
        check(self, *arguments)

    monkeypatch.setattr(Explainer, "check", count)
    explainer = Explainer(STRUCTURES.lenient.structure, camel)
    tracemalloc.start()
    try:
        explainer.explain(Log, HOSTILE[name], "$", "$: first")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert checks <= MAX_WORK + 2
    assert peak < 64 * 2**20
