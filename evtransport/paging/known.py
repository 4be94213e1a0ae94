"""Rows that a walk knows: which rows of a page are new."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import islice

import attrs

from evtransport.paging.cursor import RECENT_KEYS, Cursor

__all__ = ["KnownRows", "PageRows"]

MIN_REMEMBERED = 10_000
"""Number of rows remembered, in addition to those of the last two pages."""


@attrs.frozen
class PageRows:
    """Rows of a page, compared with the known rows.

    Attributes:
        new: Indexes of the rows to deliver.
        known: Indexes of the rows seen earlier in this pass.
        added: Number of distinct rows not seen earlier in this pass.
        advances: True if the last row was not seen earlier in this pass.
    """

    new: tuple[int, ...]
    known: tuple[int, ...]
    added: int
    advances: bool


@attrs.define(eq=False)
class KnownRows:
    """Keys of the rows that a walk has seen and delivered.

    Attributes:
        seen: Keys of the rows seen in this pass, oldest first. The oldest keys may be forgotten.
        delivered: Keys of all rows delivered. None if they are not kept.
        complete: True if no delivered row has been forgotten.
    """

    seen: dict[int, None]
    delivered: set[int] | None
    complete: bool

    @classmethod
    def from_cursor(cls, cursor: Cursor, *, verify: bool) -> KnownRows:
        """Return the rows that are known at a cursor."""
        keeps_all = verify or bool(cursor.delivered)
        delivered = {key for (key,) in struct.iter_unpack(">Q", cursor.delivered)}
        complete = keeps_all or len(cursor.recent) < RECENT_KEYS
        return cls(dict.fromkeys(cursor.recent), delivered if keeps_all else None, complete)

    def add(self, keys: Sequence[int]) -> PageRows:
        """Add the rows of a page, and return which of them are new."""
        known = tuple(index for index, key in enumerate(keys) if key in self.seen)
        # Rows before a known row have been delivered, and may have been forgotten.
        first = known[-1] if known and not self.complete else 0
        delivered = self.seen if self.delivered is None else self.delivered
        new: dict[int, int] = {}
        for index in range(first, len(keys)):
            if keys[index] not in delivered:
                new.setdefault(keys[index], index)
        if self.delivered is not None:
            self.delivered.update(new)
        advances, seen_before = keys[-1] not in self.seen, len(self.seen)
        self.seen.update(dict.fromkeys(keys))
        rows = PageRows(tuple(new.values()), known, len(self.seen) - seen_before, advances)
        self._forget(len(self.seen) - MIN_REMEMBERED - 2 * len(keys))
        return rows

    def _forget(self, count: int) -> None:
        for key in list(islice(self.seen, max(0, count))):
            del self.seen[key]
            self.complete = self.delivered is not None
