"""Secrets: strings that are never shown, and their redaction from server responses."""

from __future__ import annotations

import html
import re
from typing import NoReturn
from urllib.parse import quote, quote_plus

import msgspec

from evtransport.validation import CONTROL

__all__ = ["MAX_SECRET_LENGTH", "Secret", "find_problem", "redact", "validate_secret"]

MASK = "**********"

MAX_SECRET_LENGTH = 16 * 1024
"""Maximum length of a credential in characters. Servers reject longer headers."""

# Shorter secrets occur in ordinary words. Masking these words would reveal the secret.
_SHORTEST_REDACTED = 4


class Secret:
    """String that only `reveal()` shows.

    Example:
        >>> secret = Secret("key")
        >>> secret, secret.reveal()
        (Secret('**********'), 'key')
    """

    __slots__ = ("_encodings", "_value")

    def __init__(self, value: str) -> None:
        self._encodings: tuple[bytes, ...] = ()
        # str() of an enum member is its name, so use the text itself.
        self._value = str.__str__(value) if isinstance(value, str) else value

    def reveal(self) -> str:
        """Return the string itself."""
        return self._value

    def redact(self, data: bytes) -> bytes:
        """Return `data` with a mask in place of this secret, in all common encodings."""
        if len(self._value) < _SHORTEST_REDACTED:
            return data
        self._encodings = self._encodings or _encode(self._value)
        for encoding in self._encodings:
            data = data.replace(encoding, MASK.encode())
        return data

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret can't be pickled; pass the result of reveal() instead")


def find_problem(secret: Secret) -> str | None:
    """Return why a header can't carry a secret, or None if it can. The text does not quote it."""
    value = secret.reveal()
    if not isinstance(value, str):
        return f"must be a string, not {type(value).__name__}"
    if not value.strip():
        return "must not be empty"
    if len(value) > MAX_SECRET_LENGTH:
        return f"must have at most {MAX_SECRET_LENGTH:,} characters"
    if CONTROL.search(value):
        return "must not contain control characters, such as a line break"
    if not value.isascii():
        return "must be ASCII, because a header carries it"
    return None


def validate_secret(name: str, secret: Secret) -> None:
    """Check a credential from the caller.

    Raises:
        ValueError: A header can't carry the credential. The message does not quote it.
    """
    if problem := find_problem(secret):
        raise ValueError(f"{name} {problem}")


def redact(data: bytes, secrets: tuple[Secret, ...]) -> bytes:
    """Return `data` with a mask in place of each secret of at least four characters."""
    for secret in secrets:
        data = secret.redact(data)
    return data


def _encode(text: str) -> tuple[bytes, ...]:
    """Return the text and its JSON, percent-encoded and HTML forms, each once.

    Servers that repeat a credential in an error do so in any of these forms.
    """
    escaped = msgspec.json.encode(text).decode()[1:-1]
    codes = "".join(f"\\u00{byte:02x}" for byte in text.encode())
    percents = (quote(text, safe=""), quote(text), quote_plus(text))
    forms = (
        *(text, text.replace("/", r"\/"), escaped, escaped.replace("/", r"\/")),
        *(codes, re.sub("[a-f]", lambda digit: digit[0].upper(), codes)),
        *percents,
        *(re.sub("%..", lambda code: code[0].lower(), percent) for percent in percents),
        html.escape(text),
    )
    return tuple(form.encode() for form in dict.fromkeys(forms))
