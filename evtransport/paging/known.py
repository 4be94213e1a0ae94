"""Rows that a walk knows: whether a page joins them, and which of its rows are new."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import attrs

from evtransport.paging.cursor import RECENT_KEYS, Cursor

__all__ = ["KnownRows", "PageRows"]

MIN_REMEMBERED = 10_000
"""Rows met that are remembered, besides those of the last two pages."""


@attrs.frozen
class PageRows:
    """Rows of a page, compared with the known ones.

    Attributes:
        new: Indexes of the rows to deliver.
        known: Indexes of the rows that this pass has met before.
        added: Number of the other rows.
        advances: The last row is one of the other rows.
    """

    new: tuple[int, ...]
    known: tuple[int, ...]
    added: int
    advances: bool


@attrs.define(eq=False)
class KnownRows:
    """Keys of rows.

    Attributes:
        met: Keys of the rows met in this pass, oldest first. The oldest of many are forgotten.
        delivered: Keys of all rows delivered, or None if they are not kept.
        complete: No row that was delivered has been forgotten.
    """

    met: dict[int, None]
    delivered: set[int] | None
    complete: bool

    @classmethod
    def at(cls, cursor: Cursor, *, verify: bool) -> KnownRows:
        """Return what is known at a cursor."""
        keeps_all = verify or len(cursor.delivered) > 0
        delivered = set(cursor.delivered) if keeps_all else None
        complete = keeps_all or len(cursor.recent) < RECENT_KEYS
        return cls(dict.fromkeys(cursor.recent), delivered, complete)

    def take(self, keys: Sequence[int]) -> PageRows:
        """Add the rows of a page, and return which are new."""
        known = tuple(index for index, key in enumerate(keys) if key in self.met)
        # Rows before a known one have been delivered, and may have been forgotten.
        first = known[-1] if known and not self.complete else 0
        delivered = self.met if self.delivered is None else self.delivered
        new: dict[int, int] = {}
        for index in range(first, len(keys)):
            if keys[index] not in delivered:
                new.setdefault(keys[index], index)
        if self.delivered is not None:
            self.delivered.update(new)
        advances, before = keys[-1] not in self.met, len(self.met)
        self.met.update(dict.fromkeys(keys))
        rows = PageRows(tuple(new.values()), known, len(self.met) - before, advances)
        for key in list(islice(self.met, max(0, len(self.met) - MIN_REMEMBERED - 2 * len(keys)))):
            del self.met[key]
            self.complete = self.delivered is not None
        return rows
