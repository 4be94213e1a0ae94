"""Passes of a walk with `verify`: when they have converged."""

from __future__ import annotations

from typing import Any

import pytest

from evtransport.paging.passes import Pass


@pytest.mark.parametrize(
    ("changes", "has_converged"),
    [
        ({}, True),
        ({"is_whole": False}, False),
        ({"is_quiet": False}, False),
        ({"has_joined": False}, False),
        ({"has_joined": False, "seen": 6, "seen_before": 6}, True),
        ({"has_joined": False, "seen": 5, "seen_before": 6}, False),
    ],
    ids=str,
)
def test_a_pass_converges_if_it_is_quiet_and_missed_no_row(
    changes: dict[str, Any], has_converged: bool
) -> None:
    assert Pass(**changes).has_converged is has_converged
