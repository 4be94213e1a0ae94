"""Cursor: the position of a walk, which can be saved as a string and resumed."""

from __future__ import annotations

import base64
import zlib
from typing import Annotated

import attrs
import msgspec

__all__ = ["RECENT_KEYS", "Cursor"]

RECENT_KEYS = 100
"""Maximum number of recent keys in a cursor."""

MAX_POSITION_LENGTH = 64 * 1024
"""Maximum length of the text before the keys of `verify`. A longer string is not decoded."""

_PREFIX = "evc2."
_MAX_NUMBER = 10**15
_CHECKSUM_BYTES = 4
_BLOCK_BYTES = 24  # Three keys are 32 characters of Base64, so their text can be kept.

# Without these limits, a short text could fill the memory.
_Parameters = Annotated[dict[str, str], msgspec.Meta(max_length=100)]
_RecentKeys = Annotated[tuple[int, ...], msgspec.Meta(max_length=RECENT_KEYS)]


@attrs.frozen(kw_only=True)
class Cursor:
    """Position after one report.

    `str(cursor)` returns a string to save, and `Cursor.parse(text)` reads it back. The string is
    opaque and holds no credentials. It has at most 2,000 characters for a query of typical length.
    With `verify`, it has 11 more for each report delivered.

    Attributes:
        query: Query of the walk. A cursor is rejected for any other query.
        pinned: Parameters that the walk added to the query at its start (the end of the window).
        offset: Estimated number of rows up to the position, in the server's order.
        limit: Largest limit that the walk requests at this position.
        max_limit: Largest limit that the server serves or accepts. None if unknown.
        overlap: True if the server serves the limits that are requested.
        recent: Keys of the last delivered rows, oldest first, at most 100.
        delivered: Keys of all rows delivered, 8 bytes each, if the walk verifies.
        finished: True if one of several walks has ended here. Resuming all of them sends no request
            for it. Resuming it alone requests later rows.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     async with depot.session_reports("CP-001", 1).walk() as walk:
        ...         first = await anext(walk)
        ...         text = str(walk.cursor)
        ...     reports = depot.session_reports("CP-001", 1, resume=text)
        ...     (second,) = await reports.collect(max_items=1)
        >>> second.session_id - first.session_id
        1
    """

    query: _Parameters = attrs.field(hash=False)
    pinned: _Parameters = attrs.field(factory=dict, hash=False)
    offset: int = 0
    limit: int
    max_limit: int | None = None
    overlap: bool = True
    recent: _RecentKeys = attrs.field(default=(), repr=False)
    delivered: bytes = attrs.field(default=b"", repr=False)
    finished: bool = False
    # Text of the first keys, so that a cursor for each page doesn't encode all keys again.
    _encoded: str = attrs.field(default="", alias="encoded", eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        limits = (self.limit, 1 if self.max_limit is None else self.max_limit)
        if not 0 <= self.offset <= _MAX_NUMBER or not all(1 <= n <= _MAX_NUMBER for n in limits):
            raise ValueError(f"impossible position: {self!r}")

    def __str__(self) -> str:
        position = msgspec.msgpack.encode(attrs.evolve(self, delivered=b""))
        text = _PREFIX + _to_base64(_checksum(position, self.delivered) + position)
        if not self.delivered:
            return text
        return f"{text}.{self._encoded}{_to_base64(self.delivered[self._encoded_bytes :])}"

    def with_delivered(self, keys: bytes) -> Cursor:
        """Return the cursor after the delivery of more keys, 8 bytes each."""
        delivered = self.delivered + keys
        blocks = delivered[self._encoded_bytes : len(delivered) // _BLOCK_BYTES * _BLOCK_BYTES]
        return attrs.evolve(self, delivered=delivered, encoded=self._encoded + _to_base64(blocks))

    @property
    def _encoded_bytes(self) -> int:
        return len(self._encoded) // 4 * 3

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor from a string. Time and memory are proportional to its length.

        Args:
            text: The result of `str(cursor)`.

        Raises:
            ValueError: The string is not a cursor, is truncated or changed, or exceeds 64 KiB
                before the keys of `verify`.
        """
        if not isinstance(text, str) or not text.startswith(_PREFIX):
            raise ValueError(f"not a cursor of this library: it must start with {_PREFIX!r}")
        position, _, keys = text.removeprefix(_PREFIX).partition(".")
        try:
            return _decode(position, keys)
        except (ValueError, RecursionError):
            pass
        raise ValueError("the cursor is garbled: pass the whole text of str(cursor)")


def _decode(position: str, keys: str) -> Cursor:
    if len(position) > MAX_POSITION_LENGTH:
        raise ValueError("the position is too long")
    data, delivered = _from_base64(position), _from_base64(keys)
    content = data[_CHECKSUM_BYTES:]
    if _checksum(content, delivered) != data[:_CHECKSUM_BYTES]:
        raise ValueError("wrong checksum")
    if len(delivered) % 8:
        raise ValueError("incomplete key")
    cursor = msgspec.msgpack.decode(content, type=Cursor)
    return attrs.evolve(cursor, delivered=delivered, encoded="")


def _checksum(position: bytes, delivered: bytes) -> bytes:
    return zlib.crc32(delivered, zlib.crc32(position)).to_bytes(_CHECKSUM_BYTES)


def _to_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
