"""Durations, as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from evtransport.durations import parse_duration, parse_interval


@pytest.mark.parametrize(
    ("text", "hours"),
    [("1", 24), ("1.5d", 36), ("36h", 36), ("0", 0), ("90m", 1.5), ("1800 s", 0.5)],
)
def test_a_duration_without_a_unit_is_in_days(text: str, hours: float) -> None:
    assert parse_duration("--margin", text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "d", "-1", "nan", "1w", "1e3", "9" * 400])
def test_other_durations_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="--margin must be a duration such as 1d, 36h"):
        parse_duration("--margin", text)


def test_an_interval_has_a_unit() -> None:
    assert parse_interval("--every", "90s") == timedelta(seconds=90)
    for text in ("90", "0s", ""):
        with pytest.raises(ValueError, match="--every must be a time greater than 0, such as 30s"):
            parse_interval("--every", text)
    with pytest.raises(ValueError, match="--every must be a duration such as"):
        parse_interval("--every", "5 minutes")
