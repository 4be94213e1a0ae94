"""Decoding of JSON bytes with msgspec, and the wording of its errors."""

from __future__ import annotations

import re
from typing import Final, TypeVar

import attrs
import msgspec

from evtransport.errors import DecodeError, SchemaError
from evtransport.surrogates import replace_lone_surrogates

__all__ = ["decode", "problem_line", "problem_of"]

T = TypeVar("T")

MAX_MESSAGE: Final = 300
"""Maximum length of the message of an error that the caller's code raised, in characters."""

_BOM = b"\xef\xbb\xbf"
_PATH = re.compile(r" - at `\$?(.*)`$")


def decode(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], path: str = "$") -> T:
    """Decode JSON as UTF-8, whatever charset the response headers name.

    Args:
        body: JSON text. A byte order mark is ignored.
        decoder: Decoder of the expected type.
        path: Path of the decoded part in the whole body, for the messages.

    Raises:
        DecodeError: The text is not JSON in UTF-8, is truncated, or is nested too deeply.
        SchemaError: The JSON has the wrong type, and the error names the first problem. It is also
            raised for every error in a `Raw`, and for a lone surrogate in a string that `decoder`
            reads.
    """
    if not isinstance(body, msgspec.Raw):
        body = body.removeprefix(_BOM)
    try:
        if isinstance(body, bytes) and not body.isascii():
            # msgspec does not check the strings that it skips. A Raw was checked with its body.
            body.decode()
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        failure: SchemaError | str = SchemaError((problem_line(path, str(error)),))
    except RecursionError:
        failure = "nested too deeply"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        failure = str(error) if body else "it is empty"
    if isinstance(failure, SchemaError):
        raise failure
    if isinstance(body, msgspec.Raw):
        return _decode_ignoring_surrogates(bytes(body), decoder, path, failure)
    raise DecodeError(f"the body is not JSON in UTF-8: {failure}")


def _decode_ignoring_surrogates(
    text: bytes, decoder: msgspec.json.Decoder[T], path: str, message: str
) -> T:
    """Decode a part of a text whose lone surrogates are in strings that the decoder skips.

    Raises:
        SchemaError: The decoder reads a lone surrogate, or the text has another error.
    """
    # If two replacements give the same value, the decoder has read none of them.
    first, second = (replace_lone_surrogates(text, other) for other in (b"fffd", b"fffe"))
    if first == text:
        raise SchemaError((f"{path}: {message}",))
    value = decode(first, decoder, path)
    if value != decode(second, decoder, path):
        raise SchemaError((f"{path}: half of a surrogate pair in a string",))
    return value


def problem_line(path: str, message: str) -> str:
    """Return a line of `SchemaError.problems` for a message of msgspec.

    Args:
        path: Path of the decoded text.
        message: A message such as "Expected `int | null`, got `str` - at `$.a`".
    """
    found = _PATH.search(message)
    inner = found[1] if found else ""
    text = _PATH.sub("", message).replace("`", "").replace(" | null", "")
    return f"{path}{inner}: {text[:1].lower()}{text[1:]}"


def problem_of(path: str, error: Exception) -> str:
    """Return a line of `SchemaError.problems` for an error that the caller's code raised.

    Args:
        path: Path of the JSON text that the code received.
        error: The error. The line quotes at most 300 characters of the message. It names the type
            of the error unless that is `ValueError` or `TypeError`.
    """
    try:
        # attrs validators put a message and then the attribute and its value into args.
        has_attribute = any(isinstance(arg, attrs.Attribute) for arg in error.args)
        is_whole = len(error.args) != 1 and not has_attribute
        message = " ".join(str(error if is_whole else error.args[0]).split())
    except Exception:  # the caller's error may have no text
        message = ""
    if message and isinstance(error, msgspec.ValidationError):
        return problem_line(path, message[:MAX_MESSAGE])
    if not message or not isinstance(error, ValueError | TypeError):
        message = f"{type(error).__name__}: {message}".removesuffix(": ")
    return f"{path}: {message[:MAX_MESSAGE]}"
