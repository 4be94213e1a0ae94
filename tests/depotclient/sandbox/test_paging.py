"""Paging of the sandbox: limits and pages that it honours, changes or refuses."""

from __future__ import annotations

from typing import Any

import pytest

from depotclient.sandbox.paging import Paging
from depotclient.sandbox.requests import RefusedError

DEFAULT: dict[str, Any] = {
    "min_limit": 10,
    "max_limit": 50,
    "low_limits": "clamp",
    "high_limits": "clamp",
    "odd_limits": "honoured",
    "ignore_page": False,
    "past_the_end": "empty",
    "page_zero": 400,
}


def paging(**settings: Any) -> Paging:
    return Paging(**DEFAULT | settings)


@pytest.mark.parametrize(
    ("settings", "limit", "expected"),
    [
        ({}, 10, 10),
        ({}, 9, 10),
        ({}, 50, 50),
        ({}, 51, 50),
        ({}, 33, 33),
        ({"max_limit": None}, 5000, 5000),
        ({"low_limits": 422}, 9, "422 limit must be >= 10"),
        ({"low_limits": 422}, 10, 10),
        ({"high_limits": 413}, 51, "413 limit must be <= 50"),
        ({"high_limits": 413}, 50, 50),
        ({"odd_limits": "clamp"}, 39, 30),
        ({"odd_limits": "clamp"}, 40, 40),
        ({"odd_limits": "clamp", "min_limit": 1}, 7, 10),
        ({"odd_limits": 400}, 39, "400 limit must be a multiple of 10"),
        ({"odd_limits": 400}, 40, 40),
    ],
)
def test_a_limit_is_honoured_changed_or_refused(
    settings: dict[str, Any], limit: int, expected: int | str
) -> None:
    try:
        found: int | str = paging(**settings).page_size(limit)
    except RefusedError as error:
        found = f"{error.response.status} {error}"
    assert found == expected


@pytest.mark.parametrize(
    ("settings", "page", "expected"),
    [
        ({}, 1, slice(0, 10)),
        ({}, 3, slice(20, 30)),
        ({}, 4, slice(0, 0)),
        ({"past_the_end": "first_page"}, 4, slice(0, 10)),
        ({"past_the_end": "null"}, 4, None),
        ({"past_the_end": 404}, 4, "404 page 4 does not exist"),
        ({"past_the_end": 404}, 3, slice(20, 30)),
        ({}, 0, "400 page must be >= 1"),
        ({"page_zero": "first_page"}, 0, slice(0, 10)),
        ({"ignore_page": True, "past_the_end": 404}, 4, slice(0, 10)),
        ({"ignore_page": True}, 0, "400 page must be >= 1"),
    ],
)
def test_a_page_is_a_slice_or_what_the_settings_say(
    settings: dict[str, Any], page: int, expected: slice | str | None
) -> None:
    try:
        found: slice | str | None = paging(**settings).rows(page, 10, count=25)
    except RefusedError as error:
        found = f"{error.response.status} {error}"
    assert found == expected


def test_the_first_page_of_no_reports_is_not_past_the_end() -> None:
    assert paging(past_the_end=404).rows(1, 10, count=0) == slice(0, 10)
