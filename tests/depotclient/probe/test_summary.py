"""A profile from findings and evidence."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from depotclient.probe.experiment import SeenReport
from depotclient.probe.fields import FieldCounts
from depotclient.probe.plan import Findings
from depotclient.probe.speed import Timing
from depotclient.probe.summary import Evidence, summarize
from depotclient.profile import Profile
from evtransport.measurements import Finding
from tests.support.probing import seen

NOTHING = Findings.unknown("no session in the window")


def evidence(*reports: SeenReport, **changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "credentials": "token",
        "token_lifetime": Finding.unknown("the token came without its lifetime"),
        "echoes": (),
        "reports": reports,
        "counts": FieldCounts(),
        "timings": (),
        "requests": 3,
    }
    return Evidence(**(values | changes))


def test_each_unknown_value_has_a_reason() -> None:
    measurement = summarize(NOTHING, evidence())
    assert measurement.profile == Profile(credentials="token")
    assert {*measurement.reasons, "credentials"} == set(attrs.fields_dict(Profile))
    assert "" not in measurement.reasons.values()


@pytest.mark.parametrize(
    ("hours", "longest"),
    [
        ((0.5, 1.0), 1),
        ((0.5, 1.1), 2),
        # The clock of the charger was not set, or went back.
        ((2.0, 24 * 400), 2),
        ((-1.0,), None),
    ],
)
def test_the_longest_session_is_rounded_up_to_hours(
    hours: tuple[float, ...], longest: int | None
) -> None:
    reports = [seen(number, hours=each) for number, each in enumerate(hours)]
    measurement = summarize(NOTHING, evidence(*reports, attrs.evolve(seen(9), end=None)))
    assert measurement.profile.longest_session == longest
    if longest is None:
        assert measurement.reasons["longest_session"] == "no session with a start and an end"


def test_the_size_of_a_report_is_the_median() -> None:
    reports = [seen(number, size=size) for number, size in enumerate((10, 400, 30))]
    assert summarize(NOTHING, evidence(*reports)).profile.report_bytes == 30


@pytest.mark.parametrize(("encoding", "expected"), [("gzip", "gzip"), ("br", None)])
def test_an_encoding_without_a_name_in_profiles_is_unknown(
    encoding: str, expected: str | None
) -> None:
    timings = [Timing(1, 2000, 0.1, encoding)]
    assert summarize(NOTHING, evidence(timings=timings)).profile.compression == expected


def test_contradictory_limits_are_unknown() -> None:
    limits = attrs.evolve(NOTHING.limits, min_limit=Finding(25), max_limit=Finding(10))
    measurement = summarize(attrs.evolve(NOTHING, limits=limits), evidence())
    assert (measurement.profile.min_limit, measurement.profile.max_limit) == (None, None)
    assert measurement.reasons["max_limit"] == "the responses contradict each other"
