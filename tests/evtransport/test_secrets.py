"""Secrets: no text shows them, and redaction finds them in all usual encodings."""

from __future__ import annotations

import copy
import html
import json
import pickle
import re
from collections.abc import Callable
from enum import Enum
from urllib.parse import quote, quote_plus

import pytest

from evtransport import ApiKey, Secret
from evtransport.secrets import redact, validate_secret

SECRET = "s3cr3t-v4lue"
ODD_SECRET = "a/%&<\"'\\+ ~"


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "%s %r".__mod__, lambda secret: repr([secret]), ascii]
)
def test_text_of_a_secret_is_a_mask(show: Callable[[object], str]) -> None:
    secret = Secret(SECRET)
    shown = show((secret, secret)) if show == "%s %r".__mod__ else show(secret)

    assert "*****" in shown
    assert SECRET not in shown
    assert secret.reveal() == SECRET


def test_a_secret_accepts_no_format_width_and_has_no_dictionary() -> None:
    with pytest.raises(TypeError) as caught:
        format(Secret(SECRET), ">40")
    with pytest.raises(TypeError):
        vars(Secret(SECRET))

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [Secret(SECRET), [Secret(SECRET)], ApiKey(Secret(SECRET))])
def test_a_secret_cannot_be_pickled(value: object, protocol: int) -> None:
    with pytest.raises(TypeError, match="a Secret can't be pickled") as caught:
        pickle.dumps(value, protocol)

    assert SECRET not in str(caught.value)


def test_equal_secrets_hash_alike_and_differ_from_their_text() -> None:
    secret = Secret(SECRET)

    assert len({secret, copy.copy(secret), copy.deepcopy([secret])[0], Secret(SECRET)}) == 1
    assert secret != Secret("other")
    assert secret != SECRET
    assert hash(secret) != hash(SECRET)


def test_a_secret_of_an_enum_is_its_value() -> None:
    class Key(str, Enum):  # noqa: UP042 - users have such enums
        MINE = SECRET

    assert Secret(Key.MINE).reveal() == SECRET


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "must not be empty"),
        (" \t", "must not be empty"),
        (f"{SECRET}\n", "must not hold control characters, such as a line end"),
        (f"{SECRET}\x7f", "must not hold control characters"),
        (f"{SECRET}\u00fc", "must be ASCII"),
        (f"{SECRET}\ud800", "must be ASCII"),
        (SECRET * 2_000, "must have at most 16,384 characters"),
        (SECRET.encode(), "must be a string, not bytes"),
        (None, "must be a string, not NoneType"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_secret_that_no_header_can_carry_is_refused_without_quoting_it(
    value: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=f"^the_key {problem}") as caught:
        validate_secret("the_key", Secret(value))

    assert "s3" not in str(caught.value)


def test_all_secrets_are_redacted_wherever_they_stand() -> None:
    secrets = (Secret("aaaa"), Secret("b+.b"))

    assert redact(b"aaaa/b+.b aaaaa \xff b+xb", secrets) == (
        b"**********/********** **********a \xff b+xb"
    )
    assert redact(b"nothing", ()) == b"nothing"


def test_secrets_of_up_to_three_characters_are_not_redacted() -> None:
    assert redact(b"message abc", (Secret("e"), Secret("abc"))) == b"message abc"


@pytest.mark.parametrize(
    "encode",
    [
        str,
        lambda text: text.replace("/", r"\/"),
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
        lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
        lambda text: "".join(f"\\u{ord(letter):04X}" for letter in text),
        quote,
        quote_plus,
        lambda text: quote(text, safe=""),
        lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
        html.escape,
    ],
)
def test_each_usual_encoding_is_redacted(encode: Callable[[str], str]) -> None:
    assert redact(f"<{encode(ODD_SECRET)}>".encode(), (Secret(ODD_SECRET),)) == b"<**********>"


def test_the_longest_secret_is_redacted() -> None:
    longest = ODD_SECRET * 1_489

    assert redact(quote(longest).encode() * 2, (Secret(longest),)) == b"*" * 20
