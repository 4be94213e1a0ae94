"""Halves of surrogate pairs in JSON texts, which msgspec refuses."""

from __future__ import annotations

import re
from typing import Final

import msgspec

__all__ = ["in_one_line", "without_lone_surrogates"]

# The group has other escapes and whole pairs, which stay.
_ESCAPE: Final = re.compile(
    rb"\\(?:([^u](?:\\[^u])*|u[dD][89abAB]..\\u[dD][c-fC-F]..)|u[dD][89a-fA-F]..)", re.DOTALL
)


def without_lone_surrogates(text: bytes, instead: bytes = b"fffd") -> bytes:
    r"""Return a JSON text of the same length with other characters for lone surrogates.

    A vendor that cuts a name after so many UTF-16 units makes them: `"BUS-\ud83d"`.

    Args:
        text: The JSON text.
        instead: Four hexadecimal digits of the character.
    """
    return _ESCAPE.sub(lambda found: found[0] if found[1] else b"\\u" + instead, text)


def in_one_line(text: bytes) -> bytes:
    """Return a JSON text without line ends, its values byte for byte.

    White space between the tokens is dropped, unless there are lone surrogates.
    """
    try:
        return msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError:
        return b" ".join(text.splitlines())  # Within a string, line ends are escaped.
