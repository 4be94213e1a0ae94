"""Recent keys of a cursor: the delivered rows that are farthest along in the server's order."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from evtransport.paging.cursor import RECENT_KEYS

__all__ = ["RecentLink", "merge_recent"]


@attrs.frozen
class RecentLink:
    """Relation of the last accepted page to the recent keys of the cursor.

    Attributes:
        extends: True if the page holds a recent key, or follows such a page.
        appends: True if the rows of the page come after all recent rows.
        apart: Number of rows delivered since a page held the last recent key.
    """

    extends: bool = True
    appends: bool = True
    apart: int = 0

    def after_page(
        self, recent: Sequence[int], keys: Sequence[int], *, new: int, has_known: bool
    ) -> RecentLink:
        """Return the relation of the next page, which has `new` rows to deliver."""
        holds_last = not recent or recent[-1] in keys
        follows = self.extends and not has_known
        apart = 0 if holds_last or follows else self.apart + new
        # After this many other rows, the last recent row has moved or left the server.
        appends = follows or apart > RECENT_KEYS
        extends = appends or not set(recent).isdisjoint(keys)
        return RecentLink(extends, appends, 0 if appends else apart)


def merge_recent(recent: tuple[int, ...], page: Sequence[int], *, appends: bool) -> tuple[int, ...]:
    """Return the recent keys after the delivery of these rows of a page."""
    shared = set(recent).intersection(page)
    if appends:
        return (*(key for key in recent if key not in shared), *page)[-RECENT_KEYS:]
    if not shared:
        return recent
    # Insert the other rows of the page next to the rows that are already recent.
    merged = list(recent)
    position = next(merged.index(key) for key in page if key in shared)
    first = max(0, len(page) - RECENT_KEYS)
    for key in (key for key in page[:first] if key in shared):
        position = merged.index(key) + 1
    for key in page[first:]:
        if key in shared:
            position = merged.index(key)
        else:
            merged.insert(position, key)
        position += 1
    return tuple(merged[-RECENT_KEYS:])
