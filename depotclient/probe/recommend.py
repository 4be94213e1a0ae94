"""Settings of walks and copies that suit an account, with the reason for each."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final, Generic, TypeVar

import attrs

from depotclient.profile import Profile
from depotclient.reports import LIMITS

__all__ = ["Advice", "Recommendation", "recommend"]

T = TypeVar("T")

_DEFAULT_LAG: Final = timedelta(days=3)
_HOUR: Final = timedelta(hours=1)
_MAX_MARGIN: Final = timedelta(days=366)
_MAX_READ_AHEAD: Final = 4


@attrs.frozen
class Advice(Generic[T]):
    """Recommended value of a setting.

    Attributes:
        value: The value. None if the profile is not enough to tell.
        reason: Why, in words.

    Example:
        >>> Advice(100, "the largest limit that the server honours").value
        100
    """

    value: T | None
    reason: str


@attrs.frozen
class Recommendation:
    """Settings that suit an account.

    Attributes:
        limit: Largest page of a walk.
        read_ahead: Requests in flight while a page is consumed.
        verify: Whether to walk a window again until nothing new is found.
        margin: Time to request on both sides of a window.
        lag: Time in which reports can still change, for `load`, `export` and `follow`.

    Example:
        >>> from depotclient.profile import Profile
        >>> recommend(Profile(order="changing")).verify.value
        True
    """

    limit: Advice[int]
    read_ahead: Advice[int]
    verify: Advice[bool]
    margin: Advice[timedelta]
    lag: Advice[timedelta]


def recommend(profile: Profile) -> Recommendation:
    """Return the settings that suit an account.

    Args:
        profile: Result of `probe`.

    Returns:
        The settings. A value is None if it depends on something that the profile lacks.

    The vendor documents no such settings (Depot: Session Reports API).

    Example:
        >>> from depotclient.profile import Profile
        >>> advice = recommend(Profile(min_limit=1, max_limit=100, report_bytes=4_000)).limit
        >>> advice.value, advice.reason
        (100, 'the largest limit that the server honours')
    """
    limit = _choose_limit(profile)
    return Recommendation(
        limit=limit,
        read_ahead=_choose_read_ahead(profile, limit.value or LIMITS.first),
        verify=_choose_verify(profile),
        margin=_choose_margin(profile),
        lag=_choose_lag(profile),
    )


def _choose_limit(profile: Profile) -> Advice[int]:
    if profile.report_bytes is None:
        return Advice(None, "the size of the reports is unknown")
    if profile.max_limit is None:
        return Advice(None, "the largest limit is unknown; by default, pages grow from 10 reports")
    size = max(1, LIMITS.growth_bytes // profile.report_bytes)
    if size >= profile.max_limit:
        return Advice(
            min(profile.max_limit, LIMITS.maximum), "the largest limit that the server honours"
        )
    if size > 10:
        size = size // 10 * 10  # Some servers honour no others.
    if profile.min_limit is not None and size <= profile.min_limit:
        return Advice(
            min(profile.min_limit, LIMITS.maximum),
            "the smallest limit that the server honours, because reports are large",
        )
    return Advice(size, f"pages of about {LIMITS.growth_bytes // 2**20} MiB")


def _choose_read_ahead(profile: Profile, limit: int) -> Advice[int]:
    if profile.latency is None or profile.report_bytes is None or profile.bytes_per_second is None:
        return Advice(None, "latency or speed is unknown")
    transfer = limit * profile.report_bytes / profile.bytes_per_second
    pages = math.ceil(profile.latency / transfer)
    if pages <= 1:
        return Advice(1, "a page takes longer than the latency")
    value = min(pages, _MAX_READ_AHEAD)
    return Advice(value, f"the latency is as long as the transfer of {pages} pages")


def _choose_verify(profile: Profile) -> Advice[bool]:
    if profile.order == "changing":
        return Advice(True, "the order changes, so one pass can miss sessions")
    if profile.odd_limits is None or profile.min_limit is None:
        return Advice(None, "whether the server honours every limit is unknown")
    if profile.odd_limits == "honoured" and profile.min_limit != profile.max_limit:
        return Advice(False, "pages can overlap, so a walk finds deletes by itself")
    return Advice(True, "pages can't overlap, so deletes during a walk can hide sessions")


def _choose_margin(profile: Profile) -> Advice[timedelta]:
    if profile.time_filter == "start" and profile.includes_from:
        return Advice(timedelta(), "a window has exactly the sessions that start in it")
    if profile.time_filter == "start":
        return Advice(_HOUR, "a session that starts at `from` may be left out")
    if profile.longest_session is None:
        return Advice(None, "the longest session is unknown")
    return Advice(
        min(2 * profile.longest_session * _HOUR, _MAX_MARGIN),
        f"twice the longest session, which took up to {profile.longest_session} h",
    )


def _choose_lag(profile: Profile) -> Advice[timedelta]:
    if profile.longest_session is None:
        return Advice(None, "the longest session is unknown")
    twice = 2 * profile.longest_session * _HOUR
    if twice > _DEFAULT_LAG:
        return Advice(
            twice, f"twice the longest session, which took up to {profile.longest_session} h"
        )
    return Advice(
        _DEFAULT_LAG,
        f"the default; the longest session took up to {profile.longest_session} h, and a probe"
        " can't see how late reports arrive",
    )
