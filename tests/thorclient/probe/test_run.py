"""Probes of sandboxes: they recover the settings, with few requests."""

from __future__ import annotations

from typing import Any, get_args

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thorclient import APIKeyNotFound, ChargeboxNotFound, InternalServerError, ThorClient
from thorclient.probe import Measurement, measure, probe
from thorclient.profile import (
    KNOWN_PATHS,
    KNOWN_VALUES,
    Compression,
    Echo,
    ElementType,
    ErrorShape,
    Profile,
    may_be_absent,
)
from thorclient.sandbox import Fault, ThorSandbox

IDS = [f"Tb-{number}x" for number in range(20)]
"""Ids in which upper and lower case differ."""

# Some of these chargeboxes are inactive, and some connectors are occupied.
SEED = 1

# The activity and the connectors in use are measured too, and need these fields. The others are
# objects or lists: without them, their parts can't be counted.
FIXED = {"chargebox.active", "chargebox.connectors", "chargebox.type", "chargebox.coordinates"}
FIXED |= {"chargebox.occupied_connectors", "chargebox.reserved_connectors"}
FIXED |= {f"analytics.{name}" for name in ("charges", "disconnections", "energy", "users")}
FIELDS = sorted(path for path in KNOWN_PATHS - FIXED if may_be_absent(path) and "[]" not in path)
SHARES = st.integers(1, 20).map(lambda number: number / 20)


async def measured(**values: Any) -> tuple[Measurement, ThorSandbox]:
    """Return the measurement of a sandbox with settings."""
    defaults: dict[str, Any] = {"chargeboxes": IDS, "seed": SEED}
    async with ThorSandbox(**defaults | values) as sandbox:
        async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
            return await measure(thor, IDS[0]), sandbox


def without_times(profile: Profile) -> Profile:
    return attrs.evolve(profile, latency=None)


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "analytics_not_found": st.sampled_from([400, 404, 410, 422]),
        "chargebox_not_found": st.sampled_from([400, 404, 410, 422]),
        "error_shape": st.sampled_from(get_args(ErrorShape)),
        "case_sensitive": st.booleans(),
        "echo": st.sampled_from(get_args(Echo)),
        "occupied_type": st.sampled_from(get_args(ElementType)),
        "filters_active": st.booleans(),
        "compression": st.sampled_from(get_args(Compression)),
        "missing_fields": st.dictionaries(st.sampled_from(FIELDS[::2]), SHARES, max_size=3),
        "null_fields": st.dictionaries(st.sampled_from(FIELDS[1::2]), SHARES, max_size=3),
        "unknown_fields": st.dictionaries(
            st.sampled_from(["chargebox.tariff", "chargebox.type.doors", "analytics.co2"]), SHARES
        ),
        "unknown_values": st.dictionaries(
            st.sampled_from(sorted(KNOWN_VALUES)), st.just(1.0), max_size=2
        ),
    },
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SETTINGS)
async def test_a_probe_recovers_the_settings_of_a_sandbox_and_of_one_made_from_its_profile(
    values: dict[str, Any],
) -> None:
    for path in values.get("unknown_values", ()):
        values.get("missing_fields", {}).pop(path, None)
        values.get("null_fields", {}).pop(path, None)
    first, sandbox = await measured(**values)
    assert without_times(first.profile) == without_times(sandbox.profile)
    second, _ = await measured(profile=first.profile, latency=0)
    assert without_times(second.profile) == without_times(first.profile)
    assert first.reasons == {}
    assert len(sandbox.requests) == first.requests <= 40
    assert {request.method for request in sandbox.requests} == {"GET"}


async def test_a_sandbox_has_the_latency_of_its_profile() -> None:
    measurement, _ = await measured(profile=Profile(latency=0.01), chargeboxes=IDS[:1])
    assert (measurement.profile.latency or 0) >= 0.01


async def test_a_probe_sends_at_most_40_requests_and_samples_analytics() -> None:
    ids = [IDS[0], *(f"TB-{number}" for number in range(500))]
    faults = [Fault.status(503)] * 5
    measurement, sandbox = await measured(chargeboxes=ids, faults=[None, *faults])
    assert len(sandbox.requests) == measurement.requests == 40
    assert measurement.analytics == 40 - 10
    # The list of all chargeboxes failed three times. That of the active ones took its place.
    assert 400 < measurement.chargeboxes < 501
    assert measurement.reasons["filters_active"] == "the list of chargeboxes has status 503"


@pytest.mark.parametrize(("successes", "requests"), [(1, 1 + 3 * 6), (3, 40)])
async def test_a_probe_of_a_server_that_fails_ends(successes: int, requests: int) -> None:
    faults = [None] * successes + [Fault.disconnect()] * 40
    measurement, sandbox = await measured(faults=faults)
    assert len(sandbox.requests) == measurement.requests == requests
    assert set(measurement.reasons.values()) >= {
        "the server failed: ConnectionFailed",
        "no analytics could be read",
    }
    assert measurement.profile.echo == "same"


async def test_ids_without_letters_show_nothing_about_their_case() -> None:
    async with ThorSandbox(chargeboxes=["1", "2"], error_shape="none") as sandbox:
        async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
            measurement = await measure(thor, "1")
    assert measurement.reasons["case_sensitive"] == "no id has letters"


async def test_a_server_that_knows_every_id_shows_no_error() -> None:
    box = b'{"id": "Tb-0x"}'
    faults = [Fault.status(200, body=b"[{}]")] * 2 + [Fault.status(200, body=box)] * 3
    measurement, _ = await measured(faults=[Fault.status(200, body=box), *faults])
    reason = "an id that does not exist has a response with status 200"
    assert measurement.reasons["chargebox_not_found"] == reason
    assert measurement.reasons["error_shape"] == reason


@pytest.mark.parametrize(
    ("chargebox_id", "api_key", "error"),
    [
        ("nowhere", "key", ChargeboxNotFound),
        ("Tb-0x", "wrong", APIKeyNotFound),
        ("Tb-1x", "key", InternalServerError),
        ("..", "key", ValueError),
    ],
)
async def test_a_probe_needs_a_chargebox_that_can_be_read(
    chargebox_id: str, api_key: str, error: type[Exception]
) -> None:
    async with ThorSandbox(chargeboxes=IDS, api_key="key", broken=[IDS[1]]) as sandbox:
        async with ThorClient(api_key=api_key, base_url=sandbox.base_url) as thor:
            with pytest.raises(error):
                await probe(thor, chargebox_id)
