"""Validation of integers, ids and addresses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from yarl import URL

from evtransport.http import Request
from evtransport.validation import (
    encode_segment,
    normalize_connector_id,
    parse_base_url,
    validate_int,
    validate_interval,
)


@pytest.mark.parametrize("value", [0, 6, 1.0, True, "3", None])
def test_an_int_outside_its_range_is_rejected(value: object) -> None:
    with pytest.raises(ValueError, match=r"^limit must be an int from 1 to 5, got "):
        validate_int("limit", value, minimum=1, maximum=5)


def test_an_int_within_its_range_is_returned() -> None:
    assert [validate_int("limit", n, minimum=1, maximum=5) for n in (1, 3, 5)] == [1, 3, 5]
    with pytest.raises(ValueError, match=r"^limit must be an int >= 1, got 0"):
        validate_int("limit", 0, minimum=1)


@pytest.mark.parametrize("value", [timedelta(), -timedelta(1), timedelta(367), 60, None])
def test_an_interval_is_positive_and_at_most_a_year(value: object) -> None:
    with pytest.raises(ValueError, match=r"^every must be a timedelta greater than 0, such as "):
        validate_interval("every", value)


@pytest.mark.parametrize(
    ("connector_id", "normal"),
    [
        *[("1", "1"), ("0010", "10"), ("000", "0"), ("A01", "A01"), ("-01", "-01"), ("", "")],
        ("\u0660\u0661", "\u0660\u0661"),
    ],
)
def test_leading_zeros_of_a_connector_id_do_not_count(connector_id: str, normal: str) -> None:
    assert normalize_connector_id(connector_id) == normal


# Ids. The promise R11 sends them.


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("  ", "must not be empty"),
        ("..", "must not consist only of dots"),
        ("a\n", "must not contain control characters, got 'a\\n'"),
        ("a\ud800", "must be valid Unicode, without lone surrogates, got 'a\\ud800'"),
        (5, "must be a string, not int"),
    ],
    ids=ascii,
)
def test_a_rejected_id_is_named_with_the_reason(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=r"^chargebox_id ") as caught:
        encode_segment("chargebox_id", value)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://api.example/v1/", "https://api.example/v1"),
        ("https://api.example", "https://api.example"),
        ("HTTPS://API.example:8443/", "https://api.example:8443"),
        ("http://localhost:8080/x", "http://localhost:8080/x"),
        ("http://127.1.2.3", "http://127.1.2.3"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://api.example/a b", "https://api.example/a%20b"),
        ("https://api.example/?", "https://api.example"),
        ("https://api.example.", "https://api.example."),
        ("https://api_1.example-2.com:/", "https://api_1.example-2.com"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        (f"https://{'a' * 63}.example", f"https://{'a' * 63}.example"),
    ],
)
@pytest.mark.parametrize("kind", [str, URL])
def test_requests_are_sent_below_the_base_url(given: str, base: str, kind: type[str | URL]) -> None:
    url = parse_base_url("base_url", kind(given))

    assert str(Request(("a", "b%2Fc"), bytes).url(str(url))) == f"{base}/a/b%2Fc"


@pytest.mark.parametrize(
    ("message", "values"),
    [
        (
            "must be an absolute https URL",
            [
                *("", "api.example/v1", "//api.example/v1", "/v1", "https:///v1", None, 5, b"x"),
                *("ftp://api.example", "https://api.example:99999", "https://[::1", "https://*"),
                *("https://api example", "https://api.exa\x00mple", "https://h%00.com"),
                *("https://h%2f.com", "https://api..example", "https://api.example;x"),
                *(f"https://{'a' * 64}.example", f"https://{'a.' * 127}example"),
                *("http://\uff11\uff12\uff17.0.0.1", "http://127\u30020\u30020\u30021"),
                *("http://l\u24deca\u2113host", "https://\u24d4xample.com", "https://[v1.x]"),
                *("https://api.example:\u0664\u0664\u0663", "https://[::1]:\u0661"),
                *("https://api.example:\uff14\uff14\uff13/v1", "https://api.example:+443"),
                "https://api.example:4_43",
            ],
        ),
        (
            "must be https",
            [
                *("http://127.\u0660.\u0660.\u0661", "http://127.0.0.\u0967", "http://127.1"),
                *("http://127.0.0.256", "http://[::2]", "http://api.example", "http://0.0.0.0"),
                *("http://localhost.example", "http://127.0.0.1.example", "http://128.0.0.1"),
            ],
        ),
        (
            "must not contain a user or password",
            [
                *("https://me:s3cr3t@api.example", "https://s3cr3t@api.example"),
                *("https://:s3cr3t@api.example", "http://me:s3cr3t@api.example"),
            ],
        ),
        (
            "must not have a query or fragment",
            ["https://api.example/v1?a=s3cr3t", "https://api.example/v1#s3cr3t"],
        ),
    ],
)
def test_an_address_that_must_not_receive_credentials_is_rejected(
    message: str, values: list[str]
) -> None:
    for value in values:
        with pytest.raises(ValueError, match=f"^base_url {message}") as caught:
            parse_base_url("base_url", value)

        assert "s3cr3t" not in str(caught.value)
