"""Passes of a walk: whether `verify` has found all rows."""

from __future__ import annotations

import attrs

from evtransport.paging.known import PageRows
from evtransport.paging.sizes import PageRequest

__all__ = ["MAX_PASSES", "Pass"]

MAX_PASSES = 20
"""Maximum number of passes of `verify`."""


@attrs.frozen
class Pass:
    """One pass through all pages. Without `verify` a walk has one pass.

    Attributes:
        number: 1 for the first pass.
        is_whole: True if the pass started at page 1.
        is_quiet: True if the pass has delivered no row.
        has_joined: True if all pages but page 1 joined, and the last one was short.
        seen: Number of rows seen.
        seen_before: Number of rows seen in the previous pass. None if that pass was incomplete.
        idle: Number of accepted pages in a row that did not advance the walk.
    """

    number: int = 1
    is_whole: bool = True
    is_quiet: bool = True
    has_joined: bool = True
    seen: int = 0
    seen_before: int | None = None
    idle: int = 0

    def after_page(self, request: PageRequest, rows: PageRows) -> Pass:
        """Return the pass after an accepted page."""
        return attrs.evolve(
            self,
            is_quiet=self.is_quiet and not rows.new,
            has_joined=self.has_joined and (bool(rows.known) or request.page == 1),
            seen=self.seen + rows.added,
            idle=0 if rows.advances else self.idle + 1,
        )

    @property
    def has_converged(self) -> bool:
        """True if the pass has seen all rows, and each was delivered before the pass."""
        # Deletes may hide rows from pages that did not join. Then fewer rows are seen.
        if not self.has_joined and (self.seen_before is None or self.seen < self.seen_before):
            return False
        return self.is_whole and self.is_quiet
