"""Manifests in Parquet files, found in the bytes of the footer without parsing the schema."""

from __future__ import annotations

import os
import re
from typing import Final

__all__ = ["MANIFEST_KEY", "find_manifest"]

MANIFEST_KEY: Final = "depotclient.export"
"""Key of the manifest in the metadata of a Parquet file."""

TAIL_BYTES: Final = 2**14
"""Bytes to read at the end of a file. They contain the metadata of nearly all files."""

_MAGIC: Final = b"PAR1"
# A pair of key and value in Thrift's compact protocol: before each string, the field header 0x18
# and the length of the string, in groups of seven bits.
_BEFORE_LENGTH: Final = b"\x18%c%s\x18" % (len(MANIFEST_KEY), MANIFEST_KEY.encode())
_LENGTH: Final = re.compile(rb"[\x80-\xff]{0,4}[\x00-\x7f]")


def find_manifest(descriptor: int, size: int) -> bytes | None:
    """Return the manifest of a Parquet file as JSON, or None if it was not found.

    Args:
        descriptor: Open file.
        size: Size of the file in bytes.
    """
    tail = _read_end(descriptor, size, TAIL_BYTES)
    if tail[-4:] != _MAGIC:
        return None
    footer_bytes = int.from_bytes(tail[-8:-4], "little") + 8
    manifest = _value_in(tail[-footer_bytes:])
    if manifest is None and len(tail) < footer_bytes <= size:
        manifest = _value_in(_read_end(descriptor, size, footer_bytes))
    return manifest


def _read_end(descriptor: int, size: int, length: int) -> bytes:
    if size > length:
        os.lseek(descriptor, size - length, os.SEEK_SET)
    return os.read(descriptor, length)


def _value_in(footer: bytes) -> bytes | None:
    position = footer.rfind(_BEFORE_LENGTH)
    found = _LENGTH.match(footer, position + len(_BEFORE_LENGTH))
    if position < 0 or found is None:
        return None
    length = sum((byte & 0x7F) << 7 * index for index, byte in enumerate(found[0]))
    return footer[found.end() : found.end() + length]
