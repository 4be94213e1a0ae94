"""Retry decisions: which errors, after which wait, and how many."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport import (
    ApiError,
    AuthError,
    ConnectionFailed,
    DeadlineExceeded,
    DecodeError,
    RateLimitedError,
    RedirectError,
    ResponseTooLarge,
    RetryPolicy,
    RetryQuota,
    SchemaError,
    ServerError,
    StatusError,
    Timeout,
)
from evtransport.retry import RetrySchedule, is_retryable, is_throttled


def longest(low: float, high: float) -> float:
    return high


def shortest(low: float, high: float) -> float:
    return low


def schedule(
    *,
    quota: RetryQuota | None = None,
    time_left: float = 60.0,
    uniform: Callable[[float, float], float] = longest,
    **policy: Any,
) -> RetrySchedule:
    return RetrySchedule(RetryPolicy(**policy), quota or RetryQuota(), lambda: time_left, uniform)


def failed(attempts: int = 1) -> ConnectionFailed:
    error = ConnectionFailed("no")
    error.attempts = attempts
    return error


def rate_limited(seconds: float | None) -> RateLimitedError:
    error = RateLimitedError("no", status=429, retry_after=seconds)
    error.attempts = 1
    return error


def notes(error: Exception) -> list[str]:
    return getattr(error, "__notes__", [])


# Options.


@pytest.mark.parametrize("value", [-0.001, math.inf, math.nan, True, "1", None, 10**400])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((RetryPolicy, name) for name in ("base_delay", "max_delay", "max_retry_after")),
        *((Timeout, name) for name in ("total", "connect", "read")),
    ],
)
def test_a_time_that_is_not_a_number_of_seconds_is_rejected(
    kind: Callable[..., object], name: str, value: object
) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a number of seconds >= 0, got "):
        kind(**{name: value})


def test_zeros_are_accepted_where_they_have_a_meaning() -> None:
    with pytest.raises(ValueError, match="attempts must be an int >= 1, got 0"):
        RetryPolicy(attempts=0)
    for name in ("total", "connect", "read"):
        with pytest.raises(ValueError, match=f"{name} must be greater than 0 seconds"):
            Timeout(**{name: 0.0})
    assert RetryPolicy(base_delay=0, max_delay=0, max_retry_after=0).backoff_bound(1) == 0


def test_the_defaults_are_as_documented() -> None:
    assert attrs.astuple(RetryPolicy()) == (3, 0.5, 20.0, 120.0)
    assert attrs.astuple(Timeout()) == (60.0, 10.0, 30.0)


# Waits.


@given(st.floats(0, 1e300), st.floats(0, 1e6), st.integers(1, 2_000) | st.just(10**400))
def test_no_wait_exceeds_the_maximum(base: float, maximum: float, retry: int) -> None:
    policy = RetryPolicy(base_delay=base, max_delay=maximum)

    assert 0 <= policy.backoff_bound(retry) <= policy.backoff_bound(retry + 1) <= maximum


def test_each_wait_is_random_below_a_bound_that_doubles_until_the_maximum() -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return high / 2

    plan = schedule(max_delay=3, uniform=uniform)

    assert [plan.next_wait(failed()) for _ in range(5)] == [0.25, 0.5, 1.0, 1.5, 1.5]
    assert drawn == [(0, 0.5), (0, 1), (0, 2), (0, 3), (0, 3)]


@pytest.mark.parametrize(
    ("uniform", "retry_after", "wait"),
    [(longest, 3, 4), (shortest, 3, 3), (shortest, None, 0), (shortest, 120, 120)],
)
def test_retry_after_is_the_minimum_wait(
    uniform: Callable[[float, float], float], retry_after: float | None, wait: float
) -> None:
    plan = schedule(base_delay=4, uniform=uniform, time_left=math.inf)
    found = plan.next_wait(rate_limited(retry_after))

    assert found == wait


# Decisions.


@pytest.mark.parametrize(
    ("error", "retryable", "throttled"),
    [
        *((ServerError("no", status=status), True, False) for status in (500, 502, 503, 504)),
        *((ServerError("no", status=status), False, False) for status in (501, 505)),
        (ServerError("no", status=503, retry_after=1), True, True),
        (StatusError("no", status=408), True, True),
        (RateLimitedError("no", status=429), True, True),
        (StatusError("no", status=413, retry_after=1), False, False),
        *((StatusError("no", status=status), False, False) for status in (201, 400, 425)),
        (AuthError("no", status=401), False, False),
        (RedirectError("no", status=307, retry_after=1), False, False),
        (ConnectionFailed("no"), True, False),
        (DecodeError("no"), True, False),
        *((kind("no"), False, False) for kind in (DeadlineExceeded, ResponseTooLarge, ApiError)),
        (SchemaError(("no",)), False, False),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'status', '')}",
)
def test_the_type_and_status_of_an_error_decide_about_a_retry(
    error: ApiError, retryable: bool, throttled: bool
) -> None:
    plan = schedule()

    assert is_retryable(error) is retryable
    assert is_throttled(error) is throttled
    assert (plan.next_wait(error) is not None) is retryable
    assert plan.retries == int(retryable)
    assert notes(error) == []


def test_a_request_and_the_attempts_restrict_the_retries() -> None:
    plan = schedule(attempts=3)

    assert plan.next_wait(failed(attempts=2)) == 0.5
    assert plan.next_wait(failed(attempts=3)) is None
    plan.is_retryable = is_throttled
    assert plan.next_wait(failed()) is None
    assert plan.next_wait(rate_limited(7)) == 7
    assert plan.retries == 2


@pytest.mark.parametrize(
    ("error", "time_left", "tokens", "note"),
    [
        (rate_limited(121), math.inf, 500, "Retry-After is 121 s, max_retry_after is 120 s"),
        (failed(), 0.5, 500, "a wait of 0.5 s would pass the deadline"),
        (failed(), -1.0, 500, "a wait of 0.5 s would pass the deadline"),
        (failed(), 0.51, 13, "the client's retry quota is exhausted"),
    ],
)
def test_a_rejected_retry_is_noted_and_costs_no_tokens(
    error: ApiError, time_left: float, tokens: int, note: str
) -> None:
    quota = RetryQuota(tokens=tokens)
    plan = schedule(quota=quota, time_left=time_left)

    assert plan.next_wait(error) is None
    assert notes(error)[-1] == f"not retried: {note}"
    assert (plan.retries, quota.tokens) == (0, tokens)


def test_an_error_of_another_call_costs_no_tokens() -> None:
    error = failed()
    error.shared = True
    plan = schedule(quota=RetryQuota(tokens=0))

    assert plan.next_wait(error) == 0.5
    assert (plan.retries, plan.acquired) == (1, 0)


@given(st.lists(st.none() | st.integers(0, 10)))
def test_successful_calls_refill_the_quota_up_to_its_capacity(events: list[int | None]) -> None:
    quota, tokens = RetryQuota(), 500
    for retries in events:
        if retries is None:
            assert quota.acquire() is (tokens >= 14)
            tokens -= 14 if tokens >= 14 else 0
        else:
            quota.release(retries)
            tokens = min(500, tokens + max(1, retries * 14))

        assert quota.tokens == tokens
