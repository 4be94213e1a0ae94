"""Profile of an account from the evidence of a probe."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Any, Final

import attrs

from depotclient.probe.experiment import SeenReport
from depotclient.probe.fields import FieldCounts
from depotclient.probe.plan import Findings
from depotclient.probe.responses import find_echo
from depotclient.probe.sample import NO_SESSION
from depotclient.probe.speed import (
    Timing,
    find_latency,
    find_page_seconds,
    find_speed,
)
from depotclient.profile import Credentials, Echo, Profile
from evtransport.measurements import Finding, separate
from evtransport.probing import find_compression

__all__ = ["Evidence", "Measurement", "summarize"]

_HOUR: Final = timedelta(hours=1)
_MAX_LENGTH: Final = timedelta(days=366)
"""Longest session that counts. Longer ones have a start from a clock that was not set."""


@attrs.frozen
class Measurement:
    """Result of a probe.

    Attributes:
        profile: Profile of the account. None stands for unknown values.
        reasons: Why a value is unknown, by its name in `Profile`.
        requests: Number of requests sent, with retries and without token requests.

    Example:
        >>> from depotclient.probe import measure
        >>> async with DepotClient.from_env() as depot:
        ...     measurement = await measure(depot, "CP-001", 1)
        >>> measurement.profile.order, measurement.requests <= 40
        ('ascending', True)
    """

    profile: Profile
    reasons: Mapping[str, str]
    requests: int


@attrs.frozen(kw_only=True)
class Evidence:
    """Everything that the responses of a probe show, besides the findings of its experiments.

    Attributes:
        credentials: Kind of the client's credentials.
        token_lifetime: Lifetime of the token.
        echoes: Echoed ids of each response.
        reports: Different reports.
        counts: Counts of their fields.
        timings: Times of the complete responses.
        requests: Number of requests sent.
    """

    credentials: Credentials
    token_lifetime: Finding[float]
    echoes: Sequence[Finding[Echo]]
    reports: Collection[SeenReport]
    counts: FieldCounts
    timings: Sequence[Timing]
    requests: int


def summarize(findings: Findings, evidence: Evidence) -> Measurement:
    """Return the profile, and the reasons for what is unknown."""
    windows, limits, counts = findings.windows, findings.limits.consistent(), evidence.counts
    latency = find_latency(evidence.timings)
    found: dict[str, Finding[Any]] = {
        "credentials": Finding(evidence.credentials),
        "token_lifetime": evidence.token_lifetime,
        "min_limit": limits.min_limit,
        "max_limit": limits.max_limit,
        "low_limits": limits.low_limits,
        "high_limits": limits.high_limits,
        "odd_limits": limits.odd_limits,
        "order": findings.order,
        "ignore_page": findings.ignore_page,
        "past_the_end": findings.past_the_end,
        "page_zero": findings.page_zero,
        "time_filter": windows.time_filter,
        "includes_from": windows.includes_from,
        "includes_to": windows.includes_to,
        "echo": find_echo(evidence.echoes),
        **counts.findings("" if counts.reports else NO_SESSION),
        "compression": find_compression((each.size, each.encoding) for each in evidence.timings),
        "latency": latency,
        "bytes_per_second": find_speed(evidence.timings, latency.value),
        "page_seconds": find_page_seconds(evidence.timings),
        "report_bytes": _size_of(evidence.reports),
        "longest_session": _longest(evidence.reports),
    }
    values, reasons = separate(found)
    return Measurement(
        Profile(**values),
        reasons,
        evidence.requests,
    )


def _size_of(reports: Collection[SeenReport]) -> Finding[int]:
    if not reports:
        return Finding.unknown(NO_SESSION)
    return Finding(int(median(report.size for report in reports)))


def _longest(reports: Collection[SeenReport]) -> Finding[int]:
    """Return the longest session in hours, rounded up."""
    lengths = [r.end - r.start for r in reports if r.start is not None and r.end is not None]
    usable = [length for length in lengths if timedelta() < length <= _MAX_LENGTH]
    if not usable:
        return Finding.unknown("no session with a start and an end" if reports else NO_SESSION)
    return Finding(-(-max(usable) // _HOUR))
