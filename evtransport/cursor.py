"""Where a walk stands, as a value that can be saved as text and resumed from."""

from __future__ import annotations

import base64
import binascii
import zlib
from itertools import accumulate

import attrs
import msgspec

__all__ = ["Cursor"]

_VERSION = "evc1."
_FARTHEST = 10**15
_LARGEST = 64 * 2**20
"""Bytes that a cursor's text may unpack to: a crafted one must not fill the memory."""


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What a cursor's text holds, in this order."""

    query: dict[str, str]
    pinned: dict[str, str]
    offset: int
    limit: int
    size: int | None
    last: int | None
    steps: list[int]


@attrs.frozen(kw_only=True)
class Cursor:
    """The position after one report, exact to the item.

    `str(cursor)` is the text to save, `Cursor.parse(text)` reads it back. The text is opaque: only
    that it comes from this class, whole, is checked. It holds no credentials.

    Attributes:
        query: The query that was walked; another one refuses the cursor.
        pinned: What the walk itself added to the query at its start (the end of the window).
        offset: How many reports of the server's order lie behind.
        limit: The `limit` that the walk asked for last.
        size: How many reports the server serves a page under that limit, None while not known.
        last: The id of the report that was delivered last.
        delivered: The ids of all that were delivered, where the walk has to know them (`verify`).
    """

    query: dict[str, str] = attrs.field(hash=False)
    pinned: dict[str, str] = attrs.field(factory=dict, hash=False)
    offset: int = 0
    limit: int
    size: int | None = None
    last: int | None = None
    delivered: tuple[int, ...] = attrs.field(default=(), repr=False)

    def __attrs_post_init__(self) -> None:
        sizes = (self.limit, 1 if self.size is None else self.size)
        if not 0 <= self.offset <= _FARTHEST or not all(1 <= n <= _FARTHEST for n in sizes):
            raise ValueError(f"no walk can stand there: {self!r}")

    def __str__(self) -> str:
        # Neighbouring ids differ by little, so differences pack much better than ids.
        ids = sorted(self.delivered)
        steps = [b - a for a, b in zip([0, *ids], ids, strict=False)]
        packed = _Packed(
            self.query, self.pinned, self.offset, self.limit, self.size, self.last, steps
        )
        data = zlib.compress(msgspec.json.encode(packed))
        return _VERSION + base64.urlsafe_b64encode(data).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor back from its text.

        Args:
            text: What `str(cursor)` gave.

        Raises:
            ValueError: It is something else, or was cut or changed.
        """
        if not isinstance(text, str) or not text.startswith(_VERSION):
            raise ValueError(f"not a cursor of this library (one begins with {_VERSION!r})")
        try:
            packed = msgspec.json.decode(_unpack(text.removeprefix(_VERSION)), type=_Packed)
            return cls(
                query=packed.query,
                pinned=packed.pinned,
                offset=packed.offset,
                limit=packed.limit,
                size=packed.size,
                last=packed.last,
                delivered=tuple(accumulate(packed.steps)),
            )
        except (ValueError, zlib.error, RecursionError):
            pass
        raise ValueError("the cursor is garbled; it must be the whole text of str(cursor)")


def _unpack(text: str) -> bytes:
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(data, _LARGEST)
    # The stream's own checksum stands at its end, so the end must have been reached.
    if not unpacker.eof or unpacker.unused_data:
        raise binascii.Error("cut off, or with more behind it")
    return unpacked
