"""Whether a failure is worth another attempt, after which wait, and at whose cost."""

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
    NotFoundError,
    PaginationError,
    RateLimitedError,
    RedirectError,
    ResponseError,
    ResponseTooLarge,
    RetryPolicy,
    RetryQuota,
    SchemaError,
    ServerError,
    StatusError,
    Timeout,
    TransportError,
)
from evtransport.retry import RetrySchedule, asks_to_wait, is_retryable
from evtransport.validation import validate_int


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


def asks_for(seconds: float | None) -> RateLimitedError:
    error = RateLimitedError("no", status=429, retry_after=seconds)
    error.attempts = 1
    return error


def notes(error: Exception) -> list[str]:
    return getattr(error, "__notes__", [])


# Options.

NO_SECONDS = [-1, -0.001, math.inf, math.nan, True, "1", None, 10**400]


@pytest.mark.parametrize("value", [0, -1, 1.0, 3.5, True, "3", None])
def test_attempts_that_are_no_count_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="attempts must be an int of at least 1: "):
        RetryPolicy(attempts=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", NO_SECONDS, ids=lambda value: str(value)[:8])
@pytest.mark.parametrize("name", ["base_delay", "max_delay", "max_retry_after"])
def test_a_delay_that_is_no_number_of_seconds_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number of seconds from 0 on: "):
        RetryPolicy(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", NO_SECONDS, ids=lambda value: str(value)[:8])
@pytest.mark.parametrize("name", ["total", "connect", "read"])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number of seconds from 0 on: "):
        Timeout(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["total", "connect", "read"])
@pytest.mark.parametrize("value", [0, 0.0])
def test_a_timeout_of_no_time_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be more than 0 seconds"):
        Timeout(**{name: value})


def test_delays_of_zero_are_a_policy() -> None:
    policy = RetryPolicy(attempts=1, base_delay=0, max_delay=0, max_retry_after=0)

    assert policy.backoff_bound(1) == 0


def test_the_defaults_are_as_documented() -> None:
    assert attrs.astuple(RetryPolicy()) == (3, 0.5, 20.0, 120.0)
    assert attrs.astuple(Timeout()) == (60.0, 10.0, 30.0)


@pytest.mark.parametrize("options", [RetryPolicy(), Timeout()])
def test_options_can_not_be_changed_once_made(options: RetryPolicy | Timeout) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        options.total = 5  # type: ignore[misc, union-attr]


@pytest.mark.parametrize("value", [0, 6, 1.0, True, "3", None])
def test_a_count_outside_its_bounds_is_refused_with_them(value: object) -> None:
    with pytest.raises(ValueError, match=r"^limit must be an int from 1 to 5: "):
        validate_int("limit", value, minimum=1, maximum=5)


@pytest.mark.parametrize("value", [1, 3, 5])
def test_a_count_within_its_bounds_is_taken(value: int) -> None:
    assert validate_int("limit", value, minimum=1, maximum=5) == value


# How long.


def test_the_range_of_waits_doubles_until_the_longest() -> None:
    policy = RetryPolicy(base_delay=0.5, max_delay=20)

    assert [policy.backoff_bound(n) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 20, 20]


@pytest.mark.parametrize("retry", [65, 1_100, 10**9, 10**400])
def test_the_range_of_waits_stays_finite_for_retries_without_end(retry: int) -> None:
    assert RetryPolicy().backoff_bound(retry) == 20.0
    assert RetryPolicy(base_delay=1e300).backoff_bound(retry) == 20.0
    assert RetryPolicy(base_delay=0).backoff_bound(retry) == 0.0


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(1, 10_000))
def test_no_wait_is_longer_than_the_longest(base: float, most: float, retry: int) -> None:
    policy = RetryPolicy(base_delay=base, max_delay=most)

    assert 0 <= policy.backoff_bound(retry) <= policy.backoff_bound(retry + 1) <= most


# Whether at all.


@pytest.mark.parametrize(
    ("error", "worth_it"),
    [
        *((ServerError("no", status=status), True) for status in (500, 502, 503, 504)),
        *((ServerError("no", status=status), False) for status in (501, 505, 599)),
        (StatusError("no", status=408), True),
        (RateLimitedError("no", status=429), True),
        *((StatusError("no", status=status), False) for status in (201, 204, 400, 409, 425)),
        (AuthError("no", status=401), False),
        (AuthError("no", status=403), False),
        (NotFoundError("no", status=404), False),
        (RedirectError("no", status=307, retry_after=1), False),
        (ConnectionFailed("no"), True),
        (DecodeError("no"), True),
        (DeadlineExceeded("no"), False),
        (TransportError("no"), False),
        (SchemaError(("no",)), False),
        (ResponseTooLarge("no"), False),
        (ResponseError("no"), False),
        (PaginationError("no"), False),
        (ApiError("no"), False),
        (ValueError("no"), False),
        (OSError("no"), False),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'status', '')}",
)
def test_only_what_may_pass_is_worth_another_attempt(error: Exception, worth_it: bool) -> None:
    decide = schedule()

    assert is_retryable(error) is worth_it
    assert (decide(error) is not False) is worth_it
    assert decide.retries == int(worth_it)
    assert notes(error) == []


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (StatusError("no", status=408), True),
        (RateLimitedError("no", status=429), True),
        (ServerError("no", status=503, retry_after=1), True),
        (ServerError("no", status=503), False),
        (StatusError("no", status=413, retry_after=1), False),
        (ConnectionFailed("no"), False),
        (ValueError("no"), False),
    ],
    ids=repr,
)
def test_a_server_asks_to_wait_by_its_status_or_by_retry_after(
    error: Exception, waits: bool
) -> None:
    assert asks_to_wait(error) is waits


def test_a_request_may_say_which_failures_are_worth_another_attempt() -> None:
    decide = schedule()
    decide.is_retryable = asks_to_wait

    assert decide(ServerError("no", status=503)) is False
    assert decide(RateLimitedError("no", status=429, retry_after=7)) == 7


def test_the_last_attempt_is_the_last() -> None:
    decide = schedule(attempts=3)

    assert decide(failed(attempts=2)) == 0.5
    assert decide(failed(attempts=3)) is False
    assert decide(failed(attempts=4)) is False
    assert decide.retries == 1


def test_a_failure_of_another_call_costs_no_quota_since_nothing_was_sent() -> None:
    quota = RetryQuota(left=0)
    error = failed()
    error.borrowed = True
    waiting = schedule(quota=quota, attempts=3)
    assert waiting(error) == 0.5
    assert (waiting.retries, waiting.paid) == (1, 0)
    assert waiting(failed(2)) is False


def test_one_attempt_means_no_retries_and_costs_no_quota() -> None:
    quota = RetryQuota()

    assert schedule(attempts=1, quota=quota)(failed()) is False
    assert quota.left == RetryQuota.CAPACITY


def test_each_wait_is_drawn_from_nothing_to_a_range_that_doubles() -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return high / 2

    decide = schedule(attempts=9, uniform=uniform)

    assert [decide(failed()) for _ in range(4)] == [0.25, 0.5, 1.0, 2.0]
    assert drawn == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 4.0)]


def test_what_the_server_asks_for_is_the_least_wait() -> None:
    assert schedule(base_delay=4, uniform=longest)(asks_for(3)) == 4
    assert schedule(base_delay=4, uniform=shortest)(asks_for(3)) == 3
    assert schedule(base_delay=4, uniform=shortest)(asks_for(None)) == 0


def test_a_wait_of_zero_is_a_wait_and_no_refusal() -> None:
    wait = schedule(uniform=shortest)(failed())

    assert wait == 0
    assert wait is not False


def test_a_server_that_asks_for_too_long_a_wait_gets_none() -> None:
    quota = RetryQuota()
    error = asks_for(121)

    assert schedule(quota=quota, time_left=math.inf)(error) is False
    assert notes(error) == ["not retried: the server asks for 121 s, more than max_retry_after=120"]
    assert quota.left == RetryQuota.CAPACITY
    assert schedule(time_left=math.inf)(asks_for(120)) == 120
    assert schedule(time_left=math.inf)(asks_for(math.inf)) is False


@pytest.mark.parametrize("time_left", [0.5, 0.1, 0.0, -1.0])
def test_no_wait_begins_that_would_cross_the_deadline(time_left: float) -> None:
    quota = RetryQuota()
    error = failed()

    assert schedule(quota=quota, time_left=time_left)(error) is False
    assert notes(error) == ["not retried: a wait of 0.5 s would cross the call's deadline"]
    assert quota.left == RetryQuota.CAPACITY


def test_a_wait_that_ends_before_the_deadline_begins() -> None:
    assert schedule(time_left=0.51)(failed()) == 0.5


def test_an_empty_quota_lets_the_error_out_and_says_so() -> None:
    error = failed()
    decide = schedule(quota=RetryQuota(left=13))

    assert decide(error) is False
    assert notes(error) == ["not retried: too many of this client's calls have failed lately"]
    assert decide.retries == 0


# At whose cost.


def test_a_full_outage_pays_for_exactly_35_retries_however_many_calls_fail() -> None:
    quota = RetryQuota()

    retries = 0
    for _ in range(1_000):
        decide = schedule(quota=quota, attempts=3)
        attempt = 1
        while decide(failed(attempt)) is not False:
            attempt += 1
        retries += attempt - 1

    assert retries == 35
    assert quota.left == 500 - 35 * 14


def test_a_call_that_succeeds_gives_back_what_its_retries_took() -> None:
    quota = RetryQuota()
    assert all(quota.acquire() for _ in range(2))

    quota.release(2)

    assert quota.left == RetryQuota.CAPACITY


def test_a_call_that_needed_no_retry_gives_back_one() -> None:
    quota = RetryQuota(left=13)
    assert not quota.acquire()

    quota.release(0)

    assert quota.left == 14
    assert quota.acquire()
    assert quota.left == 0


@given(st.lists(st.none() | st.integers(0, 10)))
def test_the_quota_stays_between_nothing_and_its_capacity(events: list[int | None]) -> None:
    quota = RetryQuota()
    for retries in events:
        if retries is None:
            before = quota.left
            assert quota.acquire() is (before >= RetryQuota.COST)
        else:
            quota.release(retries)

        assert 0 <= quota.left <= RetryQuota.CAPACITY
