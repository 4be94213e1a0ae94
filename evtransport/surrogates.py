"""JSON texts with lone surrogates, which msgspec rejects."""

from __future__ import annotations

import re
from typing import Final

import msgspec

__all__ = ["join_lines", "replace_lone_surrogates"]

# The group matches other escapes and whole pairs. They stay.
_ESCAPE: Final = re.compile(
    rb"\\(?:([^u](?:\\[^u])*|u[dD][89abAB]..\\u[dD][c-fC-F]..)|u[dD][89a-fA-F]..)", re.DOTALL
)


def replace_lone_surrogates(text: bytes, instead: bytes = b"fffd") -> bytes:
    r"""Return a JSON text with its lone surrogates replaced. Its length stays the same.

    They appear if a vendor truncates a name inside a UTF-16 surrogate pair: `"BUS-\ud83d"`.

    Args:
        text: JSON text.
        instead: Four hexadecimal digits of the replacement character.
    """
    return _ESCAPE.sub(lambda found: found[0] if found[1] else b"\\u" + instead, text)


def join_lines(text: bytes) -> bytes:
    """Return a JSON text without line breaks. The bytes of its values stay the same.

    White space between the tokens is removed, unless the text has lone surrogates.
    """
    try:
        return msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError:
        return b" ".join(text.splitlines())  # strings have no raw line breaks
