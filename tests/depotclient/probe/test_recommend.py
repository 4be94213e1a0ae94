"""Recommended settings and their reasons."""

from __future__ import annotations

from datetime import timedelta

import pytest

from depotclient.probe import recommend
from depotclient.profile import Profile

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def test_an_unknown_account_gets_no_advice() -> None:
    recommendation = recommend(Profile())
    values = [getattr(recommendation, name).value for name in recommendation.__annotations__]
    assert values == [None] * 5


@pytest.mark.parametrize(
    ("profile", "limit", "reason"),
    [
        (Profile(report_bytes=2_000), None, "the largest limit is unknown"),
        (Profile(max_limit=500), None, "the size of the reports is unknown"),
        (Profile(report_bytes=2_000, max_limit=500), 500, "the largest limit that the server"),
        (Profile(report_bytes=100, max_limit=5_000), 2000, "the largest limit that the server"),
        (Profile(report_bytes=200_000, max_limit=500), 40, "pages of about 8 MiB"),
        (Profile(report_bytes=2_000_000, max_limit=500), 4, "pages of about 8 MiB"),
        (
            Profile(report_bytes=2_000_000, min_limit=10, max_limit=500),
            10,
            "the smallest limit that the server honours",
        ),
    ],
)
def test_a_page_has_8_mib_within_the_limits(
    profile: Profile, limit: int | None, reason: str
) -> None:
    advice = recommend(profile).limit
    assert (advice.value, advice.reason[: len(reason)]) == (limit, reason)


@pytest.mark.parametrize(
    ("latency", "speed", "read_ahead"),
    [(0.05, 1e6, 1), (0.05, 1e8, 3), (1.0, 1e8, 4), (0.05, None, None), (None, 1e6, None)],
)
def test_a_long_latency_is_hidden_by_up_to_four_requests(
    latency: float | None, speed: float | None, read_ahead: int | None
) -> None:
    profile = Profile(latency=latency, bytes_per_second=speed, report_bytes=200_000)
    assert recommend(profile).read_ahead.value == read_ahead


@pytest.mark.parametrize(
    ("profile", "verify"),
    [
        (Profile(order="changing"), True),
        (Profile(odd_limits="honoured", min_limit=1, max_limit=100), False),
        (Profile(odd_limits="honoured", min_limit=20, max_limit=20), True),
        (Profile(odd_limits="clamp", min_limit=10), True),
        (Profile(odd_limits=400, min_limit=10), True),
        (Profile(odd_limits="honoured"), None),
    ],
)
def test_pages_that_cannot_overlap_are_verified(profile: Profile, verify: bool | None) -> None:
    assert recommend(profile).verify.value is verify


@pytest.mark.parametrize(
    ("profile", "margin"),
    [
        (Profile(time_filter="start", includes_from=True), timedelta()),
        (Profile(time_filter="start"), HOUR),
        (Profile(time_filter="end", longest_session=5), 10 * HOUR),
        (Profile(longest_session=5), 10 * HOUR),
        (Profile(longest_session=366 * 24), 366 * DAY),
        (Profile(time_filter="overlap"), None),
    ],
)
def test_the_margin_covers_the_longest_session_unless_the_start_decides(
    profile: Profile, margin: timedelta | None
) -> None:
    assert recommend(profile).margin.value == margin


@pytest.mark.parametrize(("hours", "lag"), [(5, 3 * DAY), (48, 4 * DAY)])
def test_the_lag_is_three_days_or_twice_the_longest_session(hours: int, lag: timedelta) -> None:
    assert recommend(Profile(longest_session=hours)).lag.value == lag
