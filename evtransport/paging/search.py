"""Search for the place of a walk after rows have moved."""

from __future__ import annotations

import attrs

__all__ = ["Search"]

MAX_DISTANCE = 1000


@attrs.frozen
class Search:
    """A page to request: where the place of a walk should be, then before and behind it in turn.

    Attributes:
        middle: Page on which the place should be.
        distance: Distance of the page from `middle`.
        behind: The page lies behind `middle`, in the server's order.
        end: First page that is known to be empty.
    """

    middle: int
    distance: int = 0
    behind: bool = False
    end: int | None = None

    @property
    def page(self) -> int:
        """Number of the page to request."""
        return self.middle + (self.distance if self.behind else -self.distance)

    def after_miss(self, *, empty: bool) -> Search | None:
        """Return what to request after a page without a known row. None if no page is left."""
        end = min(self.page, self.end or self.page) if empty else self.end
        search = attrs.evolve(self, end=end)
        while search.distance <= MAX_DISTANCE:
            before = not search.behind and search.distance > 0
            distance = search.distance if before else search.distance + 1
            search = attrs.evolve(search, distance=distance, behind=before)
            if search.page >= 1 and (end is None or search.page < end):
                return search
        return None
