"""Round trip: a probe recovers the settings of a sandbox, whose profile makes the same sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depotclient.client import DepotClient
from depotclient.probe.run import measure
from depotclient.probe.summary import Measurement
from depotclient.profile import Profile
from depotclient.sandbox import DepotSandbox, ReportShape
from evtransport.probing import MAX_REQUESTS

# The letters show how the server echoes ids.
CHARGER, CONNECTOR = "Cp-1", "a"
SESSIONS = 60
"""Number of sessions that suffices to notice each setting."""

START, END = datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
MEASURED = {"latency", "bytes_per_second", "page_seconds", "report_bytes", "longest_session"}
SHARES = {"missing_fields", "null_fields", "unknown_fields", "unknown_values"}

few_examples = settings(max_examples=settings().max_examples // 8)

rules = st.sampled_from(["empty", "first_page", "null", 400, 404])


def clamped_or(status: int) -> st.SearchStrategy[str | int]:
    return st.sampled_from(["clamp", status])


@st.composite
def behaviors(
    draw: st.DrawFn, smallest: tuple[int, ...] = (1, 3, 10), largest: tuple[int, ...] = (20, 33, 40)
) -> dict[str, Any]:
    """Return settings of a server. Limits are multiples of 10 if only these are honoured."""
    odd_limits = draw(st.sampled_from(["honoured", "clamp", 422]))
    if odd_limits != "honoured":
        smallest = tuple(limit for limit in smallest if limit % 10 == 0)
        largest = tuple(limit for limit in largest if limit % 10 == 0)
    min_limit = draw(st.sampled_from(smallest))
    return {
        "credentials": draw(st.sampled_from(["token", "client_credentials"])),
        "token_lifetime": draw(st.sampled_from([60, 3600])),
        "min_limit": min_limit,
        "max_limit": max(min_limit, draw(st.sampled_from(largest))),
        "low_limits": draw(clamped_or(400)),
        "high_limits": draw(clamped_or(413)),
        "odd_limits": odd_limits,
        "order": draw(st.sampled_from(["ascending", "descending", "shuffled", "changing"])),
        "ignore_page": draw(st.booleans()),
        "past_the_end": draw(rules),
        "page_zero": draw(rules),
        "time_filter": draw(st.sampled_from(["start", "end", "overlap"])),
        "includes_from": draw(st.booleans()),
        "includes_to": draw(st.booleans()),
        "echo": draw(st.sampled_from(["same", "upper", "lower", "absent"])),
        "compression": draw(st.sampled_from(["identity", "gzip", "deflate"])),
    }


def hidden(behavior: dict[str, Any]) -> set[str]:
    """Return the settings that no client can notice."""
    names = set[str]()
    is_changing = behavior["order"] == "changing"
    if behavior["credentials"] == "token":
        names.add("token_lifetime")
    if behavior["min_limit"] == 1:
        names.add("low_limits")
    if behavior["ignore_page"]:
        names.add("past_the_end")
    if is_changing and (behavior["ignore_page"] or behavior["past_the_end"] == "first_page"):
        # A page of other reports may be the first one.
        names |= {"ignore_page", "past_the_end"}
    if is_changing and behavior["page_zero"] == "first_page":
        names.add("page_zero")
    if behavior["high_limits"] == "clamp" and (is_changing or behavior["ignore_page"]):
        # The position of a report on a larger page tells nothing.
        names |= {"max_limit", "high_limits"}
    return names


async def probed(sessions: int = SESSIONS, **behavior: Any) -> tuple[Profile, Measurement]:
    """Return the profile of a sandbox, and what a probe of it measures."""
    sandbox = DepotSandbox(
        chargers={CHARGER: [CONNECTOR]},
        sessions=sessions,
        **{"shape": ReportShape.small()} | behavior,
    )
    async with sandbox:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in sandbox.environment.items():
                patch.setenv(name, value)
            depot = DepotClient.from_env()
        async with depot:
            measurement = await measure(depot, CHARGER, CONNECTOR, from_=START, to=END)
        assert len(sandbox.requests) == measurement.requests <= MAX_REQUESTS
    return sandbox.profile, measurement


def known(profile: Profile) -> dict[str, Any]:
    """Return the known values of a profile, without those that a sandbox can only approximate."""
    values = attrs.asdict(profile, filter=lambda _, value: value is not None)
    return {name: value for name, value in values.items() if name not in MEASURED}


def assert_no_contradiction(one: Profile, other: Profile) -> None:
    """Assert that values which both profiles have are equal."""
    names = known(one).keys() & known(other).keys()
    assert {n: known(one)[n] for n in names} == {n: known(other)[n] for n in names}


@few_examples
@given(behaviors())
async def test_a_probe_recovers_each_setting_and_its_profile_makes_the_same_sandbox(
    behavior: dict[str, Any],
) -> None:
    made, measurement = await probed(missing_fields={}, **behavior)
    assert_no_contradiction(measurement.profile, made)
    assert {*measurement.reasons} - MEASURED <= hidden(behavior)
    _, again = await probed(profile=measurement.profile, latency=0, bytes_per_second=None)
    assert known(measurement.profile).items() <= known(again.profile).items()


@few_examples
@given(
    behaviors(smallest=(1, 2, 10, 20, 50), largest=(1, 5, 10, 20, 40, 2000)),
    st.sampled_from([0, 1, 3, 8, 15, 30]),
)
async def test_a_probe_with_too_few_sessions_measures_nothing_wrong(
    behavior: dict[str, Any], sessions: int
) -> None:
    made, measurement = await probed(sessions, missing_fields={}, **behavior)
    assert_no_contradiction(measurement.profile, made)
    _, again = await probed(sessions, profile=measurement.profile, latency=0, bytes_per_second=None)
    assert_no_contradiction(measurement.profile, again.profile)


@st.composite
def field_shares(draw: st.DrawFn) -> tuple[int, dict[str, Any]]:
    """Return a number of sessions, and settings with shares of whole reports and events."""
    sessions = draw(st.integers(1, SESSIONS))

    def shares(*paths: str) -> dict[str, float]:
        counts = st.integers(1, sessions).map(lambda count: count / sessions)
        return draw(st.dictionaries(st.sampled_from(paths), counts))

    return sessions, {
        "missing_fields": shares("vehicleId", "deviceStatus[].errorCodes", "chargeParameters"),
        "null_fields": shares("energySocEnd", "sessionMeterValues[].value", "detailStatus"),
        "unknown_fields": shares("tariff", "ocppStatus[].reason"),
        "unknown_values": shares("ocppStatus[].value", "sessionMeterValues[].key"),
    }


@few_examples
@given(field_shares())
async def test_a_probe_that_reads_all_sessions_recovers_the_shares_exactly(
    drawn: tuple[int, dict[str, Any]],
) -> None:
    sessions, behavior = drawn
    _, measurement = await probed(sessions, **behavior)
    found = attrs.asdict(measurement.profile)
    assert {name: found[name] for name in SHARES} == behavior
    _, again = await probed(sessions, profile=measurement.profile, latency=0)
    assert known(again.profile) == known(measurement.profile)


async def test_a_probe_recovers_the_sizes_of_a_sandbox_that_takes_its_time() -> None:
    behavior: dict[str, Any] = {
        "latency": 0.02,
        "bytes_per_second": 400_000.0,
        "shape": ReportShape.of_size(4000),
    }
    _, measurement = await probed(**behavior)
    profile = measurement.profile
    # A busy machine makes responses slower, never faster.
    assert profile.latency is not None
    assert profile.latency >= 0.02
    assert profile.bytes_per_second is not None
    assert profile.report_bytes == pytest.approx(4000, rel=0.1)
    assert profile.longest_session == 1


@given(behaviors())
@settings(max_examples=1)
def test_the_round_trip_covers_each_value_of_a_profile(behavior: dict[str, Any]) -> None:
    assert {*behavior} | SHARES | MEASURED == {field.name for field in attrs.fields(Profile)}
