"""Results of a probe in words. The probes of both APIs test the rest."""

from __future__ import annotations

import attrs
import pytest

from evtransport.measurements import Line, Wording, compare_letters, format_share


@attrs.frozen
class Small:
    """A profile of a few values."""

    order: str | int | None = None
    shares: dict[str, float] | None = None
    times: dict[int, float] | None = None


WORDING = Wording(
    titles={"order": "Order", "shares": "Shares", "times": "Times"},
    words={"order": {"up": "ascending"}},
    formats={"times": lambda times: [f"{size}: {seconds} s" for size, seconds in times.items()]},
)


def test_each_value_is_measured_or_unknown_with_a_reason() -> None:
    profile = Small("up", {"a": 0.25, "b": 1}, {10: 0.5})
    assert list(WORDING.describe(profile, {})) == [
        Line("Order", "measured", "ascending"),
        Line("Shares", "measured", "a 25.0%"),
        Line("", "", "b 100.0%"),
        Line("Times", "measured", "10: 0.5 s"),
    ]
    reasons = {"order": "no session", "times": "no page"}
    assert list(WORDING.describe(Small(shares={}), reasons)) == [
        Line("Order", "unknown", "no session"),
        Line("Shares", "measured", "none"),
        Line("Times", "unknown", "no page"),
    ]


@pytest.mark.parametrize(
    ("sent", "echoed", "letters"),
    [
        ("Cp-1", "Cp-1", "same"),
        ("Cp-1", "CP-1", "upper"),
        ("CP-1", "cp-1", "lower"),
        ("Cp-1", "cP-1", None),
        # These ids look the same in both forms.
        ("CP-1", "CP-1", None),
        ("cp-1", "cp-1", None),
        ("1", "1", None),
    ],
)
def test_letters_that_could_come_from_several_rules_are_unknown(
    sent: str, echoed: str, letters: str | None
) -> None:
    finding = compare_letters([(sent, echoed), ("1", "1")])
    assert (finding.value, bool(finding.reason)) == (letters, letters is None)


def test_a_choice_without_words_is_a_status() -> None:
    line, *_ = WORDING.describe(Small(404, {}, {1: 1}), {})
    assert line.text == "status 404"


def test_a_small_share_is_not_shown_as_zero() -> None:
    assert [format_share(share) for share in (0, 0.0004, 0.5)] == ["0.0%", "< 0.1%", "50.0%"]
