"""Passes of a walk with `verify`: when they have converged."""

from __future__ import annotations

import pytest

from evtransport.paging.passes import Pass


@pytest.mark.parametrize(
    ("found", "has_converged"),
    [
        (Pass(), True),
        (Pass(is_whole=False), False),
        (Pass(is_quiet=False), False),
        (Pass(has_joined=False), False),
        (Pass(has_joined=False, seen=6, seen_before=6), True),
        (Pass(has_joined=False, seen=5, seen_before=6), False),
    ],
    ids=str,
)
def test_a_pass_converges_if_it_is_quiet_and_missed_no_row(
    found: Pass, has_converged: bool
) -> None:
    assert found.has_converged is has_converged
