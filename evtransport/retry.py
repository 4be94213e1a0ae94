"""Whether a failed attempt is worth another, after which wait, and at whose cost."""

from __future__ import annotations

import sys
from collections.abc import Callable

import attrs

from evtransport.errors import ApiError, ConnectionFailed, DecodeError, StatusError
from evtransport.validation import validate_int

__all__ = ["RetryPolicy", "RetryQuota", "RetrySchedule", "Timeout", "asks_to_wait", "is_retryable"]

RETRYABLE_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_WAIT_STATUSES = frozenset({408, 429})


def _seconds(instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not 0 <= value <= sys.float_info.max
    ):
        raise ValueError(f"{attribute.name} must be a number of seconds from 0 on: {value!r}")


def _more_than_no_seconds(
    instance: object, attribute: attrs.Attribute[float], value: object
) -> None:
    _seconds(instance, attribute, value)
    if value == 0:
        raise ValueError(f"{attribute.name} must be more than 0 seconds")


def _count(instance: object, attribute: attrs.Attribute[int], value: object) -> None:
    validate_int(attribute.name, value, minimum=1)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often and how patiently a call is tried again.

    Attributes:
        attempts: Requests on the wire at the most, the first included. 1 switches retrying off,
            but for the one request more that a token is worth which has just been renewed.
        base_delay: Seconds; the wait before retry n is drawn evenly from 0 to
            `base_delay * 2**(n-1)`.
        max_delay: Seconds; the upper end of that range never grows beyond it.
        max_retry_after: Seconds; a server that asks for a longer wait than this gets none: its
            error is raised at once.
    """

    attempts: int = attrs.field(default=3, validator=_count)
    base_delay: float = attrs.field(default=0.5, validator=_seconds)
    max_delay: float = attrs.field(default=20.0, validator=_seconds)
    max_retry_after: float = attrs.field(default=120.0, validator=_seconds)

    def backoff_bound(self, retry: int) -> float:
        """The upper end, in seconds, of the range of waits before retry 1, 2, ..."""
        # 2**64 seconds are beyond any max_delay, 2**5000 beyond any float.
        return min(self.max_delay, self.base_delay * 2.0 ** min(retry - 1, 64))


@attrs.frozen(kw_only=True)
class Timeout:
    """How long a call may take.

    Attributes:
        total: Seconds for the whole call: limiter, token, all attempts, waits and bodies.
        connect: Seconds for one connection to be established.
        read: Seconds without a single byte after which one attempt is given up.
    """

    total: float = attrs.field(default=60.0, validator=_more_than_no_seconds)
    connect: float = attrs.field(default=10.0, validator=_more_than_no_seconds)
    read: float = attrs.field(default=30.0, validator=_more_than_no_seconds)


@attrs.define(eq=False)
class RetryQuota:
    """A client-wide allowance that keeps an outage from being amplified by retries.

    A retry costs `COST`; a call that succeeds gives back what its retries took, or 1 when it
    needed none. In a full outage the allowance pays for 35 retries, however many calls fail.
    """

    CAPACITY = 500
    COST = 14

    left: int = CAPACITY

    def acquire(self) -> bool:
        """Pay for one retry; False when the allowance does not suffice."""
        if self.left < self.COST:
            return False
        self.left -= self.COST
        return True

    def release(self, retries: int) -> None:
        """Refill after a call that succeeded with that many retries."""
        self.left = min(self.CAPACITY, self.left + max(1, retries * self.COST))


def is_retryable(error: Exception) -> bool:
    """Whether the same GET may well succeed when it is sent once more."""
    if isinstance(error, StatusError):
        return error.status in RETRYABLE_STATUSES
    return isinstance(error, (ConnectionFailed, DecodeError))


def asks_to_wait(error: Exception) -> bool:
    """Return True if a server refuses the request now, whatever it asks for."""
    if not (isinstance(error, StatusError) and is_retryable(error)):
        return False
    return error.status in _WAIT_STATUSES or error.retry_after is not None


@attrs.define(eq=False)
class RetrySchedule:
    """One call's decisions on whether to try again, in the form of a stamina backoff hook.

    Args:
        policy: The caller's policy.
        quota: The client's shared allowance.
        time_left: Seconds until the call's deadline, asked for at each decision.
        uniform: Draws a float between its two arguments.
        is_retryable: Returns True for failures after which the request is sent again.
    """

    policy: RetryPolicy
    quota: RetryQuota
    time_left: Callable[[], float]
    uniform: Callable[[float, float], float]
    is_retryable: Callable[[Exception], bool] = is_retryable
    retries: int = 0
    paid: int = 0

    def __call__(self, error: Exception) -> bool | float:
        """Seconds to wait before the next attempt, or False to let the error out."""
        if not isinstance(error, ApiError) or not self.is_retryable(error):
            return False
        if error.attempts >= self.policy.attempts:
            return False
        asked = (error.retry_after or 0.0) if isinstance(error, StatusError) else 0.0
        if asked > self.policy.max_retry_after:
            error.add_note(
                f"not retried: the server asks for {asked:g} s,"
                f" more than max_retry_after={self.policy.max_retry_after:g}"
            )
            return False
        wait = max(asked, self.uniform(0.0, self.policy.backoff_bound(self.retries + 1)))
        if wait >= self.time_left():
            error.add_note(f"not retried: a wait of {wait:.3g} s would cross the call's deadline")
            return False
        # A call that has only shared another one's failure has sent nothing yet.
        paid = not error.borrowed
        if paid and not self.quota.acquire():
            error.add_note("not retried: too many of this client's calls have failed lately")
            return False
        self.retries += 1
        self.paid += paid
        return wait
