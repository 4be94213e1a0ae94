"""Probes of sandboxes over real sockets: settings, faults, the request budget, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import msgspec
import pytest

from depotclient import AuthError, DepotClient, NotFoundError, ServerError, StatusError
from depotclient.probe import Measurement, measure, probe
from depotclient.sandbox import Churn, DepotSandbox, Fault, ReportShape
from evtransport.telemetry import Attempt, Call, Event, Telemetry
from tests.support.retries import no_retry_delays

CONNECTOR = ("Cp-1", "1")


class CountingLimiter:
    """Limiter that counts the requests."""

    entered = 0

    async def __aenter__(self) -> None:
        self.entered += 1

    async def __aexit__(self, *_: object) -> None:
        pass


def small_sandbox(**settings: object) -> DepotSandbox:
    defaults = {"chargers": {"Cp-1": ["1"]}, "shape": ReportShape.small()}
    return DepotSandbox(**(defaults | settings))  # type: ignore[arg-type]


@asynccontextmanager
async def client_of(sandbox: DepotSandbox, **options: object) -> AsyncGenerator[DepotClient]:
    async with DepotClient(
        client_id=sandbox.client_id,
        client_secret=sandbox.client_secret,
        base_url=sandbox.base_url,
        token_url=sandbox.token_url,
        **options,  # type: ignore[arg-type]
    ) as depot:
        yield depot


async def measured(sandbox: DepotSandbox, **options: object) -> Measurement:
    """Return the measurement of a sandbox, within the request budget."""
    async with sandbox, client_of(sandbox, **options) as depot:
        with no_retry_delays():
            measurement = await measure(depot, *CONNECTOR)
    assert measurement.requests == len(sandbox.requests) <= 40
    return measurement


DEFAULTS: dict[str, object] = {
    "credentials": "client_credentials",
    "token_lifetime": 3600,
    "min_limit": 1,
    "max_limit": None,
    "low_limits": None,
    "high_limits": None,
    "odd_limits": "honoured",
    "order": "ascending",
    "ignore_page": False,
    "past_the_end": "empty",
    "page_zero": 400,
    "time_filter": "start",
    "includes_from": True,
    "includes_to": True,
    "echo": "same",
    "null_fields": {},
    "unknown_fields": {},
    "unknown_values": {},
    "compression": "identity",
    "longest_session": 1,
}
"""What a probe finds in a sandbox with small reports. 60 sessions are too few for large limits."""


async def test_a_probe_finds_the_default_behavior() -> None:
    measurement = await measured(small_sandbox())
    found = {name: getattr(measurement.profile, name) for name in DEFAULTS}
    assert found == DEFAULTS
    assert measurement.reasons == {
        "max_limit": "limits up to 50 are honoured; the window has too few sessions for larger"
        " pages",
        "low_limits": "no limit is smaller than 1",
        "high_limits": "the largest limit is unknown",
    }


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        *(({"order": order}, {}) for order in ("descending", "shuffled", "changing")),
        *(({"max_limit": n}, {"high_limits": "clamp"}) for n in (3, 10, 25, 50)),
        *(({"max_limit": n, "high_limits": 400}, {}) for n in (3, 10, 37, 500, 2000)),
        *(({"min_limit": n}, {"low_limits": "clamp"}) for n in (2, 10, 25)),
        *(({"min_limit": n, "low_limits": 422}, {}) for n in (2, 10, 25)),
        # 10 is the smallest limit that is honoured.
        ({"odd_limits": 400}, {"min_limit": 10, "low_limits": 400}),
        ({"odd_limits": "clamp"}, {"min_limit": 10, "low_limits": "clamp"}),
        ({"odd_limits": 400, "min_limit": 20, "low_limits": 422}, {}),
        (
            {"min_limit": 20, "max_limit": 20},
            {"low_limits": "clamp", "high_limits": "clamp", "odd_limits": None},
        ),
        ({"ignore_page": True}, {"past_the_end": None}),
        *(({"past_the_end": rule}, {}) for rule in ("first_page", "null", 404)),
        ({"past_the_end": "first_page", "order": "shuffled"}, {}),
        *(({"page_zero": rule}, {}) for rule in ("empty", "first_page", "null", 404)),
        *(
            ({"time_filter": kind, "includes_from": start, "includes_to": end}, {})
            for kind in ("start", "end", "overlap")
            for start, end in ((True, False), (False, True))
        ),
        *(({"echo": form}, {}) for form in ("upper", "absent")),
        ({"compression": "gzip"}, {}),
        ({"token_lifetime": 90}, {}),
        ({"missing_fields": {"vehicleId": 0.5, "ocppStatus[].value": 0.25}}, {}),
        ({"null_fields": {"energySocEnd": 0.5}}, {}),
        ({"unknown_fields": {"newField": 0.5}}, {}),
        ({"unknown_values": {"chargeParameters[].paramType": 0.5}}, {}),
        ({"sessions": 300, "max_limit": 200}, {"high_limits": "clamp"}),
    ],
    ids=str,
)
async def test_a_probe_recovers_a_setting(
    settings: Mapping[str, object], found: Mapping[str, object]
) -> None:
    profile = (await measured(small_sandbox(**settings))).profile
    given = {name: value for name, value in settings.items() if name != "sessions"}
    expected = DEFAULTS | given | dict(found)
    missing: Any = expected.pop("missing_fields", {})
    assert {name: getattr(profile, name) for name in expected} == expected
    assert profile.missing_fields is not None
    assert missing.items() <= profile.missing_fields.items()


async def test_a_window_without_sessions_is_widened_up_to_ten_years() -> None:
    measurement = await measured(small_sandbox(start=datetime(2020, 1, 1, tzinfo=UTC)))
    assert measurement.profile.order == "ascending"


async def test_only_the_requested_window_is_read() -> None:
    sandbox = small_sandbox()
    start = datetime(2026, 1, 2, tzinfo=UTC)
    async with sandbox, client_of(sandbox) as depot:
        await measure(depot, *CONNECTOR, from_=start, to=start + timedelta(days=9))
    assert {"2026-01-02T00:00:00.000Z"} == {r.query["from"] for r in sandbox.requests[:3]}
    assert min(r.query["from"] for r in sandbox.requests) == "2026-01-02T00:00:00.000Z"
    assert max(r.query["to"] for r in sandbox.requests) == "2026-01-11T00:00:00.000Z"


async def test_little_is_known_of_a_connector_without_sessions() -> None:
    measurement = await measured(small_sandbox(sessions=0, high_limits=400))
    known = {n: v for n, v in attrs.asdict(measurement.profile).items() if v is not None}
    assert known.pop("latency") >= 0
    assert known == {
        "credentials": "client_credentials",
        "token_lifetime": 3600,
        "max_limit": 2000,
        "high_limits": 400,
        "page_zero": 400,
        "echo": "same",
    }
    assert measurement.reasons["compression"] == "no large response"
    assert measurement.reasons["time_filter"] == "no session in the window"


async def test_the_profile_holds_no_id_vehicle_or_time() -> None:
    sandbox = small_sandbox(unknown_fields={"note": 1.0}, unknown_values={"ocppStatus[].value": 1})
    text = (await measured(sandbox)).profile.to_json().decode()
    report = msgspec.json.decode(sandbox.reports(*CONNECTOR)[0])
    for secret in ("Cp-1", report["vehicleId"], str(report["sessionId"]), "2026-", "Sandbox"):
        assert secret not in text


async def test_a_field_named_after_an_id_leaves_the_unknown_fields_unknown() -> None:
    sandbox = small_sandbox(chargers={"Tariff": ["1"]}, unknown_fields={"tariff": 1.0})
    async with sandbox, client_of(sandbox) as depot:
        measurement = await measure(depot, "Tariff", "1")
    assert b"tariff" not in measurement.profile.to_json()
    reason = "a field is named after an id, or looks like it"
    assert measurement.reasons["unknown_fields"] == reason


async def test_an_error_with_status_200_is_no_page() -> None:
    error = Fault.status(200, body='{"error": "internal"}')
    measurement = await measured(small_sandbox(faults=[error] * 99))
    assert measurement.reasons["past_the_end"] == "page 1: the response has no `items`"
    assert measurement.profile.echo is None


RETRIED = [
    *(Fault.status(status) for status in (429, 500, 503)),
    *(Fault.disconnect(), Fault.truncate(), Fault.html(), Fault.garbage()),
]


async def test_single_failures_change_no_finding() -> None:
    faults = [fault for each in RETRIED for fault in (each, None)]
    measurement = await measured(small_sandbox(faults=faults))
    assert {name: getattr(measurement.profile, name) for name in DEFAULTS} == DEFAULTS
    assert measurement.requests == 23 + len(RETRIED)


@pytest.mark.parametrize("first", range(3, 17))
async def test_what_fails_three_times_is_unknown_and_the_rest_stays_the_same(first: int) -> None:
    faults = [None] * first + [Fault.status(503), Fault.disconnect(), Fault.garbage()]
    measurement = await measured(small_sandbox(faults=faults))
    found = {name: getattr(measurement.profile, name) for name in DEFAULTS}
    unknown = {name for name, value in found.items() if value is None}
    assert {n: v for n, v in found.items() if n not in unknown} == {
        n: v for n, v in DEFAULTS.items() if n not in unknown
    }
    assert set(measurement.reasons) >= unknown


@pytest.mark.parametrize("position", [3, 14, 16, 18])
async def test_a_failed_token_request_is_no_finding(position: int) -> None:
    faults, token_faults = [None] * position + [Fault.status(401)], [None, Fault.status(422)]
    measurement = await measured(small_sandbox(faults=faults, token_faults=token_faults))
    found = {name: getattr(measurement.profile, name) for name in DEFAULTS}
    assert {n: v for n, v in found.items() if v is not None and v != DEFAULTS[n]} == {}
    assert "the server failed: status 422" in measurement.reasons.values()


async def test_a_rejected_token_request_ends_the_probe() -> None:
    faults, token_faults = [None] * 5 + [Fault.status(401)], [None, Fault.status(403)]
    sandbox = small_sandbox(faults=faults, token_faults=token_faults)
    async with sandbox, client_of(sandbox) as depot:
        with pytest.raises(AuthError, match="token URL"):
            await measure(depot, *CONNECTOR)
    assert len(sandbox.requests) == 6


@pytest.mark.parametrize("seed", range(6))
async def test_sessions_that_come_and_go_make_no_wrong_finding(seed: int) -> None:
    churn = Churn(inserts=0.1, late_inserts=0.1, deletes=0.1)
    measurement = await measured(small_sandbox(churn=churn, seed=seed))
    found = {name: getattr(measurement.profile, name) for name in DEFAULTS}
    wrong = {n: v for n, v in found.items() if v is not None and v != DEFAULTS[n]}
    assert wrong == {}


async def test_the_budget_holds_while_two_of_three_requests_fail() -> None:
    faults = [Fault.status(503), Fault.status(503), None] * 20
    measurement = await measured(small_sandbox(faults=faults))
    assert "the 40 requests are used up" in measurement.reasons.values()


async def test_the_budget_holds_while_tokens_are_rejected() -> None:
    faults = [None, *[Fault.status(401)] * 60]
    sandbox = small_sandbox(faults=faults)
    async with sandbox, client_of(sandbox) as depot:
        with pytest.raises(AuthError):
            await measure(depot, *CONNECTOR)
    assert len(sandbox.requests) == 3


@pytest.mark.parametrize(
    ("settings", "error", "requests"),
    [
        ({"chargers": {"cp-2": ["1"]}}, NotFoundError, 1),
        ({"faults": [Fault.status(503)] * 3}, ServerError, 3),
        ({"faults": [Fault.status(403)]}, AuthError, 1),
        ({"faults": [Fault.status(400)] * 10}, StatusError, 10),
    ],
)
async def test_an_error_ends_a_probe_that_can_read_nothing(
    settings: Mapping[str, object], error: type[Exception], requests: int
) -> None:
    sandbox = small_sandbox(**settings)
    async with sandbox, client_of(sandbox) as depot:
        with no_retry_delays(), pytest.raises(error):
            await measure(depot, *CONNECTOR)
    assert len(sandbox.requests) == requests


async def test_a_page_that_is_too_large_is_no_finding() -> None:
    sandbox = small_sandbox()
    largest = max(map(len, sandbox.reports(*CONNECTOR)))
    measurement = await measured(sandbox, max_response_bytes=10 * largest + 100)
    assert measurement.profile.min_limit == 1
    assert measurement.reasons["odd_limits"] == "a page exceeds max_response_bytes"


async def test_bad_arguments_are_rejected_before_any_request() -> None:
    sandbox = small_sandbox()
    async with sandbox, client_of(sandbox) as depot:
        with pytest.raises(ValueError, match="charger_id must not be empty"):
            await probe(depot, "", "1")
        with pytest.raises(ValueError, match="must be aware"):
            await probe(depot, *CONNECTOR, from_=datetime(2026, 1, 1))  # noqa: DTZ001
    assert sandbox.requests == []


@pytest.mark.parametrize("count", [1, 8, 20])
async def test_a_cancelled_probe_leaves_nothing(count: int) -> None:
    sandbox = small_sandbox()

    def cancel(number: int) -> None:
        if number == count:
            task.cancel()

    before = asyncio.all_tasks()
    async with sandbox, client_of(sandbox) as depot:
        task = asyncio.create_task(measure(depot, *CONNECTOR, on_request=cancel))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await depot.session_reports(*CONNECTOR).collect(max_items=1)
    assert asyncio.all_tasks() <= before


async def test_the_client_keeps_its_own_telemetry_limiter_and_credentials() -> None:
    class Counter(Telemetry):
        calls = attempts = events = 0

        def call(self, call: Call) -> AbstractContextManager[object]:
            self.calls += 1
            return nullcontext()

        def attempt(self, attempt: Attempt) -> AbstractContextManager[object]:
            self.attempts += 1
            return nullcontext()

        def event(self, event: Event) -> None:
            self.events += 1

    counter, limiter = Counter(), CountingLimiter()
    sandbox = small_sandbox()
    async with sandbox, client_of(sandbox, telemetry=counter, limiter=limiter) as depot:
        count = (await measure(depot, *CONNECTOR)).requests
    assert (counter.calls, counter.attempts, limiter.entered) == (count, count + 1, count)
    assert counter.events > 0


async def test_the_lifetime_of_a_token_that_was_passed_is_unknown() -> None:
    sandbox = small_sandbox()
    async with sandbox, DepotClient(token=sandbox.token, base_url=sandbox.base_url) as depot:
        measurement = await measure(depot, *CONNECTOR)
    assert measurement.profile.credentials == "token"
    assert measurement.reasons["token_lifetime"] == "the token came without its lifetime"


async def test_the_lifetime_of_an_earlier_token_is_unknown() -> None:
    sandbox = small_sandbox()
    async with sandbox, client_of(sandbox) as depot:
        await depot.session_reports(*CONNECTOR).collect(max_items=1)
        measurement = await measure(depot, *CONNECTOR)
    assert measurement.reasons["token_lifetime"] == "the client had a token before the probe"


async def test_a_token_without_a_lifetime_has_none() -> None:
    response = Fault.status(200, body='{"access_token": "t0k3n-0123456789"}')
    sandbox = small_sandbox(token="t0k3n-0123456789", token_faults=[response])
    measurement = await measured(sandbox)
    assert measurement.reasons["token_lifetime"] == "the token response has no lifetime"
