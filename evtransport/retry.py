"""Retry decisions: which errors to retry, how long to wait, and when to stop."""

from __future__ import annotations

import sys
from collections.abc import Callable

import attrs

from evtransport.errors import ApiError, ConnectionFailed, DecodeError, StatusError
from evtransport.validation import validate_int

__all__ = ["RetryPolicy", "RetryQuota", "RetrySchedule", "Timeout", "is_retryable", "is_throttled"]
__all__ += ["requested_wait"]

RETRYABLE_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_THROTTLING_STATUSES = frozenset({408, 429})

# 2**64 seconds exceed any useful delay. Larger exponents would overflow a float.
_MAX_EXPONENT = 64


def _validate_seconds(instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 <= value <= sys.float_info.max):  # type: ignore[operator]
        raise ValueError(f"{attribute.name} must be a number of seconds >= 0, got {value!r}")


def _validate_positive_seconds(
    instance: object, attribute: attrs.Attribute[float], value: object
) -> None:
    _validate_seconds(instance, attribute, value)
    if value == 0:
        raise ValueError(f"{attribute.name} must be greater than 0 seconds")


def _validate_count(instance: object, attribute: attrs.Attribute[int], value: object) -> None:
    validate_int(attribute.name, value, minimum=1)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """Retry settings of a client.

    The wait before retry *n* is drawn uniformly from 0 to
    `min(max_delay, base_delay * 2**(n-1))` seconds ("full jitter").

    Attributes:
        attempts: Maximum number of requests per call, including the first. 1 disables retries.
            One extra request is allowed after a rejected access token was renewed.
        base_delay: Upper bound of the first wait, in seconds.
        max_delay: Upper bound of every wait, in seconds.
        max_retry_after: Longest `Retry-After` to honour, in seconds. If the server requests a
            longer wait, the call fails immediately.

    Example:
        >>> RetryPolicy(attempts=5, base_delay=0.2).backoff_bound(3)
        0.8
    """

    attempts: int = attrs.field(default=3, validator=_validate_count)
    base_delay: float = attrs.field(default=0.5, validator=_validate_seconds)
    max_delay: float = attrs.field(default=20.0, validator=_validate_seconds)
    max_retry_after: float = attrs.field(default=120.0, validator=_validate_seconds)

    def backoff_bound(self, retry: int) -> float:
        """Return the longest possible wait before the given retry (1, 2, ...), in seconds."""
        return min(self.max_delay, self.base_delay * 2.0 ** min(retry - 1, _MAX_EXPONENT))


@attrs.frozen(kw_only=True)
class Timeout:
    """Time limits of one call.

    Attributes:
        total: Limit for the whole call, in seconds: waiting for the limiter, requesting a token,
            all attempts, the waits between them, and reading the bodies.
        connect: Limit for establishing one connection, in seconds.
        read: Longest pause between two bytes of a response, in seconds.

    Example:
        >>> async with ThorClient.from_env() as client:
        ...     thor = client.with_options(timeout=Timeout(total=2, connect=1, read=1))
        ...     print((await thor.get_analytics("TB-0001")).charges.last_7 >= 0)
        True
    """

    total: float = attrs.field(default=60.0, validator=_validate_positive_seconds)
    connect: float = attrs.field(default=10.0, validator=_validate_positive_seconds)
    read: float = attrs.field(default=30.0, validator=_validate_positive_seconds)


@attrs.define(eq=False)
class RetryQuota:
    """Token bucket that limits the retries of one client.

    It keeps retries from amplifying an outage: after 35 failed retries in a row, calls fail on
    their first error. Successful calls refill the bucket. The sizes are those of the AWS SDKs'
    standard retry mode.

    Example:
        >>> quota = RetryQuota()
        >>> quota.acquire(), quota.tokens
        (True, 486)
    """

    CAPACITY = 500
    COST = 14

    tokens: int = CAPACITY

    def acquire(self) -> bool:
        """Remove the tokens for one retry. Return False if too few are left."""
        if self.tokens < self.COST:
            return False
        self.tokens -= self.COST
        return True

    def release(self, retries: int) -> None:
        """Return the tokens of a call that succeeded after `retries` retries (at least 1 token)."""
        self.tokens = min(self.CAPACITY, self.tokens + max(1, retries * self.COST))


def is_retryable(error: Exception) -> bool:
    """Return True if repeating the same GET request may succeed."""
    if isinstance(error, StatusError):
        return error.status in RETRYABLE_STATUSES
    return isinstance(error, ConnectionFailed | DecodeError)


def is_throttled(error: Exception) -> bool:
    """Return True if the server rejects any request for now, whatever its parameters."""
    if not (isinstance(error, StatusError) and is_retryable(error)):
        return False
    return error.status in _THROTTLING_STATUSES or error.retry_after is not None


def requested_wait(error: ApiError) -> float:
    """Return the seconds in the `Retry-After` of an error's response, or 0 without one."""
    return (error.retry_after or 0.0) if isinstance(error, StatusError) else 0.0


@attrs.define(eq=False)
class RetrySchedule:
    """Retry decisions of one call.

    Args:
        policy: Retry settings of the client.
        quota: Token bucket shared by all calls of the client.
        time_left: Returns the seconds until the call's deadline.
        uniform: Returns a random float between its two arguments.
        is_retryable: Returns True for errors after which the request may be sent again.
    """

    policy: RetryPolicy
    quota: RetryQuota
    time_left: Callable[[], float]
    uniform: Callable[[float, float], float]
    is_retryable: Callable[[Exception], bool] = is_retryable
    retries: int = 0
    acquired: int = 0

    def next_wait(self, error: ApiError) -> float | None:
        """Return the seconds to wait before the next attempt, or None to raise `error`.

        If a retryable error is not retried, a note on the error says why.
        """
        if not self.is_retryable(error) or error.attempts >= self.policy.attempts:
            return None
        retry_after = requested_wait(error)
        if retry_after > self.policy.max_retry_after:
            error.add_note(
                f"not retried: Retry-After is {retry_after:g} s,"
                f" max_retry_after is {self.policy.max_retry_after:g} s"
            )
            return None
        jitter = self.uniform(0.0, self.policy.backoff_bound(self.retries + 1))
        wait = max(retry_after, jitter)
        if wait >= self.time_left():
            error.add_note(f"not retried: a wait of {wait:.3g} s would pass the deadline")
            return None
        # An error shared by several waiting calls was caused by one request; only that call pays.
        if not error.shared:
            if not self.quota.acquire():
                error.add_note("not retried: the client's retry quota is exhausted")
                return None
            self.acquired += 1
        self.retries += 1
        return wait
