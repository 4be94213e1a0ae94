"""The position of a walk, as a value that can be saved as text and resumed from."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Annotated

import attrs
import msgspec

__all__ = ["RECENT_KEYS", "Cursor", "DeliveredKeys"]

RECENT_KEYS = 100
"""Keys of the rows delivered last that a cursor carries."""

MAX_POSITION_TEXT = 64 * 1024
"""Maximum characters of a cursor, without the keys of `verify`. A longer text is refused unread."""

MAX_PARAMETERS = 100
"""Maximum number of query parameters in a cursor."""

_VERSION = "evc2."
_OLD_VERSION = "evc1."
_MAX_NUMBER = 10**15
_KEY_BYTES = 8
_CHECKSUM_BYTES = 4
_KEYS = "delivered"


class DeliveredKeys:
    """Keys of all rows that a walk has delivered, up to a cursor.

    The cursors of one walk share one log, and each sees the part that was there when it was made.
    """

    __slots__ = ("_count", "_log")

    def __init__(self, log: bytearray | None = None, count: int = 0) -> None:
        self._log = bytearray() if log is None else log
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return (key for (key,) in struct.iter_unpack(">Q", bytes(self)))

    def __bytes__(self) -> bytes:
        return bytes(memoryview(self._log)[: self._count * _KEY_BYTES])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeliveredKeys) and bytes(self) == bytes(other)

    def first(self, count: int) -> DeliveredKeys:
        """Return the first `count` keys."""
        return DeliveredKeys(self._log, count)

    def plus(self, keys: Iterable[int]) -> DeliveredKeys:
        """Return these keys and more of them."""
        is_newest = len(self._log) == self._count * _KEY_BYTES
        log = self._log if is_newest else bytearray(bytes(self))
        for key in keys:
            log += key.to_bytes(_KEY_BYTES)
        return DeliveredKeys(log, len(log) // _KEY_BYTES)


@attrs.frozen(kw_only=True)
class Cursor:
    """The position after one report, exact to the item.

    `str(cursor)` is the text to save and `Cursor.parse(text)` reads it back. The text is opaque and
    holds no credentials. It has at most 2,000 characters for a query of usual length; with `verify`
    11 more for each report delivered.

    Attributes:
        query: The query of the walk. A cursor is refused for any other query.
        pinned: Parameters that the walk added to the query at its start (the end of the window).
        offset: Estimated number of rows up to here, in the server's order.
        limit: Largest limit that the walk asked for last.
        max_limit: Largest limit that the server serves or accepts; None if not known.
        overlap: The server serves the limits that it is asked for.
        recent: Keys of the rows delivered last, oldest first, at most 100.
        delivered: Keys of all rows delivered, if the walk verifies.
    """

    query: dict[str, str] = attrs.field(hash=False)
    pinned: dict[str, str] = attrs.field(factory=dict, hash=False)
    offset: int = 0
    limit: int
    max_limit: int | None = None
    overlap: bool = True
    recent: tuple[int, ...] = attrs.field(default=(), repr=False)
    delivered: DeliveredKeys = attrs.field(factory=DeliveredKeys, repr=False, hash=False)

    def __attrs_post_init__(self) -> None:
        sizes = (self.limit, 1 if self.max_limit is None else self.max_limit)
        if not 0 <= self.offset <= _MAX_NUMBER or not all(1 <= n <= _MAX_NUMBER for n in sizes):
            raise ValueError(f"impossible position: {self!r}")

    def __str__(self) -> str:
        fields = attrs.asdict(self, recurse=False, filter=lambda field, _: field.name != _KEYS)
        position, keys = msgspec.msgpack.encode(fields), bytes(self.delivered)
        text = _VERSION + _base64(_checksum(position, keys) + position)
        return f"{text}.{_base64(keys)}" if keys else text

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor from its text, in time and memory proportional to the length of the text.

        Args:
            text: The result of `str(cursor)`.

        Raises:
            ValueError: The text is no cursor, was cut or changed, has an older format, or has more
                than 64 KiB besides the keys of `verify`.
        """
        if not isinstance(text, str) or not text.startswith((_VERSION, _OLD_VERSION)):
            raise ValueError(f"not a cursor of this library (one begins with {_VERSION!r})")
        if text.startswith(_OLD_VERSION):
            raise ValueError(
                "the cursor has an older format that can't be resumed: walk the window again"
                " without resume="
            )
        try:
            return _decoded(*text.removeprefix(_VERSION).partition(".")[::2])
        except (ValueError, RecursionError):
            pass
        raise ValueError("the cursor is garbled; it must be the whole text of str(cursor)")


_Parameters = Annotated[dict[str, str], msgspec.Meta(max_length=MAX_PARAMETERS)]


class _Position(msgspec.Struct, kw_only=True):
    """Saved form of a cursor. In texts of earlier versions, it includes the delivered keys."""

    query: _Parameters
    pinned: _Parameters = msgspec.field(default_factory=dict)
    offset: int = 0
    limit: int
    max_limit: int | None = None
    overlap: bool = True
    recent: Annotated[tuple[int, ...], msgspec.Meta(max_length=RECENT_KEYS)] = ()
    delivered: bytes = b""


def _decoded(position_text: str, keys_text: str) -> Cursor:
    if len(position_text) > MAX_POSITION_TEXT:
        raise ValueError("the position is too long")
    data, keys = _bytes(position_text), _bytes(keys_text)
    content = data[_CHECKSUM_BYTES:]
    if _checksum(content, keys) != data[:_CHECKSUM_BYTES]:
        raise ValueError("wrong checksum")
    fields = msgspec.structs.asdict(msgspec.msgpack.decode(content, type=_Position))
    log = bytearray(fields.pop(_KEYS) + keys)
    return Cursor(**fields, delivered=DeliveredKeys(log, len(log) // _KEY_BYTES))


def _checksum(position: bytes, keys: bytes) -> bytes:
    return zlib.crc32(keys, zlib.crc32(position)).to_bytes(_CHECKSUM_BYTES)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
