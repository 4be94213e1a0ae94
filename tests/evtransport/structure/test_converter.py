"""Structuring rules of a package: keys, parts of texts, and threads."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import msgspec

from evtransport import Secret
from evtransport.structure import ScalarCodec, Structures
from tests.support.structures import Everything, camel, everything, problems, structure


def test_unknown_keys_are_ignored() -> None:
    assert everything(an_int="x", ANINT="x", other=[{"deep": None}]) == Everything(an_int=1)


def test_the_last_of_two_equal_keys_counts_and_both_are_checked() -> None:
    assert structure(b'{"anInt": 1, "anInt": 2}').an_int == 2
    lines = problems(Everything, b'{"anInt": "x", "anInt": 2}')
    assert lines == ("$.anInt: expected int, got str",)


def test_a_part_of_a_larger_text_is_structured_under_its_path() -> None:
    text = json.dumps([{"anInt": 1, "aStr": "é"}, {"anInt": "x"}]).encode()
    first, second = msgspec.json.decode(text, type=list[msgspec.Raw])

    assert structure(first, "$.items[0]").a_str == "é"
    lines = problems(Everything, second, "$.items[1]")
    assert lines == ("$.items[1].anInt: expected int, got str",)


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
