"""Latency and speed from the times of responses."""

from __future__ import annotations

import pytest

from depotclient.probe.speed import Timing, find_latency, find_page_seconds, find_speed

SMALL = [Timing(0, 60, seconds) for seconds in (0.010, 0.012, 0.500)]
LARGE = [Timing(10, 2_000_000, 0.112), Timing(10, 1_000_000, 0.062)]


def test_the_latency_is_the_median_of_small_responses() -> None:
    assert find_latency([*SMALL, *LARGE]).value == 0.012
    assert find_latency(LARGE).reason == "no small response"


def test_the_speed_is_that_of_large_pages_after_the_latency() -> None:
    assert find_speed([*SMALL, *LARGE], 0.012).value == 20_000_000


@pytest.mark.parametrize(
    ("timings", "latency", "reason"),
    [
        (LARGE, None, "the latency is unknown"),
        (SMALL, 0.012, "no page of 64 KiB or more"),
        (LARGE, 0.2, "the pages arrive too fast to measure"),
    ],
)
def test_the_speed_is_unknown_without_a_slow_page(
    timings: list[Timing], latency: float | None, reason: str
) -> None:
    assert find_speed(timings, latency).reason == reason


def test_the_time_of_a_page_is_the_median_for_its_number_of_reports() -> None:
    assert find_page_seconds([*SMALL, *LARGE, Timing(1, 2000, 0.02)]).value == {1: 0.02, 10: 0.087}
    assert find_page_seconds(SMALL).reason == "no session in the window"
