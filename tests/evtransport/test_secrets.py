"""Secrets: no text shows them, and redaction finds them in all common encodings."""

from __future__ import annotations

import copy
import html
import json
import pickle
import re
from collections.abc import Callable
from enum import Enum
from itertools import product
from urllib.parse import quote, quote_plus

import pytest

from evtransport import ApiKey, Secret
from evtransport.secrets import redact, validate_secret

SECRET = "s3cr3t-v4lue"
ODD_SECRET = "a/%&<\"'\\+ ~"


def test_no_text_and_no_pickle_shows_a_secret() -> None:
    secret = Secret(SECRET)

    assert secret.reveal() == SECRET
    for text in (repr(secret), str(secret), f"{secret}", "%s" % secret, repr([secret])):  # noqa: UP031
        assert "*****" in text
        assert SECRET not in text
    for value, protocol in product((secret, ApiKey(secret)), range(pickle.HIGHEST_PROTOCOL + 1)):
        with pytest.raises(TypeError, match=r"^a Secret can't be pickled; pass the result of rev"):
            pickle.dumps(value, protocol)


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
        (" \t", "must not be empty"),
        (f"{SECRET}\x7f", "must not contain control characters, such as a line break"),
        (f"{SECRET}\ud800", "must be ASCII"),
        (SECRET * 2_000, "must have at most 16,384 characters"),
        (SECRET.encode(), "must be a string, not bytes"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_secret_that_no_header_can_carry_is_rejected_without_quoting_it(
    value: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=f"^the_key {problem}") as caught:
        validate_secret("the_key", Secret(value))

    assert "s3" not in str(caught.value)


def test_all_secrets_of_at_least_four_characters_are_redacted_everywhere() -> None:
    secrets = (Secret("aaaa"), Secret("b+.b"), Secret("e"), Secret("abc"))

    assert redact(b"aaaa/b+.b aaaaa abc \xff b+xb", secrets) == (
        b"**********/********** **********a abc \xff b+xb"
    )


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
    for secret in (ODD_SECRET, ODD_SECRET * 100):
        assert redact(f"<{encode(secret)}>".encode(), (Secret(secret),)) == b"<**********>"
