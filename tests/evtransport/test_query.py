"""Query parameters: values to text."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any

import pytest

from evtransport.query import encode_query


class Color(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[("a b&c=d", "a b&c=d"), ("", ""), (Color.RED, "red"), (Number.ONE, "1"), (-5, "-5")],
        *[
            (True, "true"),
            (False, "false"),
            (44.5, "44.5"),
            (1e-7, "0.0000001"),
            (1e22, "1" + 22 * "0"),
        ],
    ],
)
def test_a_value_becomes_text(value: Any, text: str) -> None:
    assert encode_query({"other": None, "name": value}) == (("name", text),)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ([("a", "b")], "query must map names to values, got list"),
        ({"": "b"}, "a name in query must not be empty"),
        ({"a": float("nan")}, r"query\['a'\] must be a str, int, bool or finite float, got nan"),
        ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, r"query\['a'\] must be .*; format times as"),
        ({"a": ["b"]}, r"query\['a'\] must be a str, int, bool"),
        ({"a": "\ud800"}, r"query\['a'\] must be valid Unicode"),
    ],
)
def test_a_query_that_cannot_be_sent_is_rejected(query: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        encode_query(query)
