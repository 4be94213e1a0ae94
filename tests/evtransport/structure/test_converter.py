"""Structuring rules of a package: the classes that it accepts, and threads."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from evtransport import Secret
from evtransport.structure import ScalarCodec, Structures
from tests.support.structures import STRUCTURES, Everything, Sample, camel


class Custom:
    """A class that JSON has no value for."""


@attrs.frozen
class HasCustom:
    values: list[Custom | None]


@attrs.frozen
class HasUnresolved:
    value: Nowhere  # type: ignore[name-defined]  # noqa: F821


@attrs.frozen
class HasAmbiguous:
    value: list[Sample] | list[int]


@attrs.frozen
class HasRecursion:
    children: list[HasRecursion]


@pytest.mark.parametrize(
    "cls",
    [
        *(HasCustom, HasUnresolved, HasAmbiguous, HasRecursion),
        attrs.make_class("HasNoAnnotation", ["value"]),
    ],
    ids=lambda cls: cls.__name__,
)
def test_a_class_without_a_json_form_is_rejected_before_any_body(cls: type) -> None:
    with pytest.raises(ValueError, match=f"^{cls.__name__} can't be structured from JSON: "):
        STRUCTURES.of(cls)


def test_threads_may_use_a_class_at_the_same_time() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            for _ in range(5):
                structures = Structures(rename=camel, codecs={Secret: ScalarCodec(str)})
                futures = [threads.submit(structures.of, Everything) for _ in range(8)]
                found = [future.result()(b'{"anInt": 5}') for future in futures]
                assert found == [Everything(5)] * 8
    finally:
        sys.setswitchinterval(interval)
