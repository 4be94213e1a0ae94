"""Sandboxes made from a profile, and the profile of a sandbox."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depotclient.profile import Profile
from depotclient.sandbox import DepotSandbox, ReportShape

ONE = {"CP-1": ["1"]}
STRANGE = Profile(max_limit=20, order="descending", includes_to=False, latency=0.25)


@given(
    st.builds(
        Profile,
        order=st.sampled_from(["ascending", "changing"]) | st.none(),
        max_limit=st.integers(1, 5000) | st.none(),
        high_limits=st.sampled_from(["clamp", 400]) | st.none(),
        missing_fields=st.just({"vehicleId": 0.5}) | st.none(),
        token_lifetime=st.just(60) | st.none(),
    )
)
def test_a_sandbox_has_the_known_values_of_its_profile_and_defaults(profile: Profile) -> None:
    known = attrs.asdict(profile, filter=lambda _, value: value is not None)
    default = DepotSandbox(chargers={}).profile
    assert DepotSandbox(profile=profile, chargers={}).profile == attrs.evolve(default, **known)


def test_a_profile_may_be_the_path_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(STRANGE.to_json())
    for given_path in (path, str(path)):
        sandbox = DepotSandbox(profile=given_path)
        assert (sandbox.profile.max_limit, sandbox.latency) == (20, 0.25)


@pytest.mark.parametrize(
    ("explicit", "found"),
    [
        # These are the defaults without a profile.
        ({"order": "ascending"}, {"order": "ascending", "max_limit": 20}),
        ({"max_limit": None}, {"order": "descending", "max_limit": None}),
        ({"latency": 0.0}, {"latency": 0.0, "includes_to": False}),
        ({"inclusive": True}, {"includes_from": True, "includes_to": True}),
        ({"inclusive": False}, {"includes_from": False, "includes_to": False}),
        ({"includes_from": False}, {"includes_from": False, "includes_to": False}),
        ({"inclusive": False, "includes_to": True}, {"includes_from": False, "includes_to": True}),
    ],
)
def test_explicit_arguments_win_over_the_profile(
    explicit: dict[str, Any], found: dict[str, Any]
) -> None:
    profile = DepotSandbox(profile=STRANGE, **explicit).profile
    assert {name: getattr(profile, name) for name in found} == found


def test_the_reports_have_about_the_size_in_the_profile_unless_a_shape_is_given() -> None:
    def size(**settings: Any) -> float:
        sandbox = DepotSandbox(chargers=ONE, sessions=9, **settings)
        return median(map(len, sandbox.reports("CP-1", "1")))

    for expected in (2_000, 20_000, 150_000):
        assert size(profile=Profile(report_bytes=expected)) == pytest.approx(expected, rel=0.1)
    small = ReportShape.small()
    assert size(profile=Profile(report_bytes=50_000), shape=small) == size(shape=small)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'{"kind": "depotclient.profile", "version": 2}',
            "version 2, but this release reads version 1",
        ),
        (b"{}", "not a profile"),
    ],
)
def test_a_file_that_is_not_a_profile_of_this_version_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        DepotSandbox(profile=path)


def test_a_contradiction_between_profile_and_arguments_is_refused() -> None:
    with pytest.raises(ValueError, match="max_limit must be at least min_limit"):
        DepotSandbox(profile=STRANGE, min_limit=30)


def test_an_argument_that_is_neither_profile_nor_path_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a Profile of this API or a path, got a builtins\.dict"):
        DepotSandbox(profile={"max_limit": 20})  # type: ignore[arg-type]
