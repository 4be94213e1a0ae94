"""Requests as URLs, and responses as errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from urllib.parse import parse_qsl

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evtransport.errors import (
    AuthError,
    MisdirectedResponse,
    NotFoundError,
    RateLimitedError,
    RedirectError,
    ServerError,
    StatusError,
)
from evtransport.http import (
    ErrorNames,
    Request,
    Response,
    check_echo,
    names_invalid_token,
    parse_retry_after,
    raise_for_status,
)
from tests.support.odd import odd_values

BASE = "https://api.example/v1"
NOW = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


class NoSuchThing(NotFoundError):
    """Documented error."""


NAMES: ErrorNames = {"NoSuchThing": NoSuchThing, "NoSuchKey": AuthError}


def error_of(
    status: int, body: bytes = b"", names: ErrorNames = NAMES, **headers: str
) -> StatusError:
    with pytest.raises(StatusError) as caught:
        raise_for_status(
            Response(status, {k.replace("_", "-"): v for k, v in headers.items()}, body),
            names,
            now=NOW,
        )
    return caught.value


# Requests.

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_a_query_arrives_unchanged(query: list[tuple[str, str]]) -> None:
    url = Request(("r",), bytes, tuple(query)).url(BASE)

    assert parse_qsl(url.raw_query_string, keep_blank_values=True) == query
    assert url.raw_path == "/v1/r"
    assert url.raw_fragment == ""
    assert ("?" in str(url)) is bool(query)


def test_a_space_in_a_query_is_percent_encoded() -> None:
    query = (("from", "2022-01-01T00:00:00.000+01:00"), ("id", "a&b=c/d ?#é"))

    assert str(Request(("r",), bytes, query).url(BASE)) == (
        "https://api.example/v1/r?from=2022-01-01T00%3A00%3A00.000%2B01%3A00"
        "&id=a%26b%3Dc%2Fd%20%3F%23%C3%A9"
    )


# Statuses.


def test_a_200_is_not_an_error_and_its_repr_has_no_body() -> None:
    response = Response(200, {}, b"NoSuchThing")
    raise_for_status(response, NAMES, now=0)

    assert repr(response) == "Response(status=200, headers={})"


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (RedirectError, [300, 301, 302, 303, 304, 307, 308, 399]),
        (AuthError, [401, 403]),
        (NotFoundError, [404]),
        (RateLimitedError, [429]),
        (ServerError, [500, 501, 502, 503, 504, 599, 999]),
        (StatusError, [100, 199, 201, 202, 204, 206, 299, 400, 405, 408, 409, 410, 418, 451]),
    ],
)
def test_the_status_decides_the_class(kind: type[StatusError], statuses: list[int]) -> None:
    for status in statuses:
        error = error_of(status, b"what?")

        assert type(error) is kind
        assert (error.status, error.body, error.code) == (status, b"what?", None)
        assert str(error).startswith(f"the server responded with {status}")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://evil.example:8443/steal?key=s3cr3t", "https://evil.example:8443"),
        ("https://me:s3cr3t@evil.example/", "https://evil.example"),
        ("https://evil.example:s3cr3t/", "another address"),
        ("//evil.example/s3cr3t", "another address"),
        ("/elsewhere?key=s3cr3t", "another address"),
        ("", "another address"),
    ],
)
def test_a_redirect_names_only_the_origin_of_its_target(location: str, target: str) -> None:
    error = error_of(302, location=location)

    assert str(error) == f"the server responded with 302: a redirect to {target}, not followed"


def test_the_message_names_subject_and_expectation() -> None:
    assert str(error_of(204)) == "the server responded with 204: expected a 200 with a JSON body"
    with pytest.raises(AuthError, match=r"^the token URL responded with 403$"):
        raise_for_status(Response(403, {}, b""), {}, now=0, subject="the token URL")


# Bodies.


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": "NoSuchThing"}',
        b'{"error": {"message": "NoSuchThing"}}',
        b'{"code": "NoSuchThing", "message": "None of this id"}',
        b'{"errors": [{"code": "NoSuchThing"}]}',
        b"Error: NoSuchThing.",
        b"<html><title>NoSuchThing</title>",
        b'{"message": "NoSuchThing", "cut of',
        b'\xff {"message": "NoSuchThing"}',
    ],
)
@pytest.mark.parametrize("status", [404, 500])
def test_a_documented_name_decides_the_class_in_any_body(status: int, body: bytes) -> None:
    error = error_of(status, body)

    assert type(error) is NoSuchThing
    assert (error.status, error.code) == (status, "NoSuchThing")
    assert str(error).count("NoSuchThing") == 1


@pytest.mark.parametrize(
    ("body", "names"),
    [
        *((body, NAMES) for body in (b"NoSuchThings", b"xNoSuchThing", b"nosuchthing")),
        (b" " * 5000 + b"NoSuchThing", NAMES),
        (b"NoSuchThing", {}),
    ],
)
def test_without_a_documented_name_the_status_decides(body: bytes, names: ErrorNames) -> None:
    assert type(error_of(404, body, names)) is NotFoundError


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b'{"message": "Broken"}', None, "Broken"),
        (b'{"Message": "Broken"}', None, "Broken"),
        (b'{"code": "E1"}', "E1", "E1"),
        (b'{"code": 17, "message": "Broken"}', "17", "17: Broken"),
        (b'{"code": "Broken", "message": "Broken"}', "Broken", "Broken"),
        (b'{"title": "Oh", "detail": "Broken"}', None, "Broken"),
        (b'{"error": "E1", "error_description": "Oh"}', "E1", "E1: Oh"),
        (b'{"errors": [{"code": "E1", "title": "Oh"}, {"code": "E2"}]}', "E1", "E1: Oh"),
        (b'{"errors": [], "message": "Broken"}', None, "Broken"),
        (b'{"message": "two\\n  lines\\t"}', None, "two lines"),
        (
            msgspec.json.encode({"code": "c" * 10_000, "message": "m" * 10_000}),
            "c" * 200 + "...",
            f"{'c' * 200}...: {'m' * 200}...",
        ),
    ],
)
def test_code_and_message_of_a_body_are_shown_shortened(
    body: bytes, code: str | None, text: str
) -> None:
    error = error_of(500, body)

    assert (error.code, error.body) == (code, body)
    assert str(error) == f"the server responded with 500: {text}"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"<html>", b'{"message": 5}', b'{"message": ""}'),
        *(b'{"errors": [null]}', b'{"errors": {}}', b'{"errors": [], "error": []}'),
        *(b'{"code": ' + b"9" * 5000 + b"}", b'{"message": "\\ud800"}', b'{"message": "\xff"}'),
        *(b"[" * 100_000, b'{"errors": ' + b"[" * 100_000, "\ufeff{}".encode("utf-16")),
    ],
    ids=lambda body: ascii(body[:24]),
)
def test_an_unreadable_body_gives_the_error_of_its_status(body: bytes) -> None:
    error = error_of(503, body)

    assert type(error) is ServerError
    assert str(error) == "the server responded with 503"


@given(st.binary(max_size=200) | st.from_regex(rb'\{"(message|code|title)": ?"[^"]*"\}'))
def test_any_body_gives_an_error(body: bytes) -> None:
    assert str(error_of(503, body, names={})).startswith("the server responded with 503")


@pytest.mark.parametrize(
    ("headers", "body", "named"),
    [
        ({"www-authenticate": 'Bearer realm="x", error="invalid_token"'}, b"", True),
        ({}, b'{"error": "invalid_token"}', True),
        ({"www-authenticate": "Bearer"}, b'{"message": "Forbidden"}', False),
        ({}, b" " * 5_000 + b"invalid_token", False),
    ],
)
def test_an_invalid_token_is_named_in_the_header_or_a_short_body(
    headers: dict[str, str], body: bytes, named: bool
) -> None:
    assert names_invalid_token(Response(403, headers, body)) is named


# Echoed ids.


@pytest.mark.parametrize(
    ("requested", "echoed"), [("TB-1", "tb-1"), ("MÜ-É", "mü-é"), ("straße", "STRASSE")]
)
def test_an_id_in_another_case_is_the_same(requested: str, echoed: str) -> None:
    check_echo("id", requested, echoed)


@pytest.mark.parametrize("echoed", ["TB-2", "", "TB-01", " TB-1", "x" * 10**6])
def test_another_id_is_a_misdirected_response(echoed: str) -> None:
    with pytest.raises(MisdirectedResponse, match=f"requested id 'TB-1', got '{echoed[:9]}") as no:
        check_echo("id", "TB-1", echoed)

    assert len(str(no.value)) < 500


# Retry-After.


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *[("0", 0.0), (" 17 ", 17.0), ("1.5", 1.5), ("86401", 86_400.0), ("9" * 400, 86_400.0)],
        *[("2814, 2", 2_814.0), ("5, soon, , 7", 7.0), ("-5, 6", 6.0), ("\u0661\u0662", None)],
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wednesday, 21-Oct-15 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 08:28:10 +0100", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:27:00 GMT", 86_400.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT, 5", 10.0),
        ("15, Wed, 21 Oct 2015 07:28:10 GMT", 15.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT, Wed, 21 Oct 2015 07:28:20 GMT", 20.0),
        *[("", None), ("-5", None), ("soon", None), ("1e3", None), ("inf", None), ("nan", None)],
        ("Wed, 32 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
    ],
    ids=lambda value: str(value)[:32],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert parse_retry_after({"retry-after": value}, now=NOW) == seconds
    assert error_of(429, retry_after=value).retry_after == seconds


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XXX-05:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("date", ["Wed Oct 21 07:28:10 2015", "Wed, 21 Oct 2015 07:28:10 -0000"])
def test_a_date_without_a_zone_is_in_utc(date: str) -> None:
    assert parse_retry_after({"retry-after": date}, now=NOW) == 10.0


@pytest.mark.parametrize(
    ("date", "seconds"), [(formatdate(NOW, usegmt=True), 30.0), ("yesterday", 20.0)]
)
def test_a_date_is_compared_with_the_date_of_the_response(date: str, seconds: float) -> None:
    headers = {"retry-after": formatdate(NOW + 30, usegmt=True), "date": date}

    assert parse_retry_after(headers, now=NOW + 10) == seconds
    assert parse_retry_after({"date": date}, now=NOW) is None


READERS: dict[str, Callable[[str], object]] = {
    "location": lambda value: error_of(302, location=value),
    "retry-after": lambda value: parse_retry_after({"retry-after": value}, now=NOW),
    "date": lambda value: parse_retry_after({"retry-after": "1", "date": value}, now=NOW),
    "www-authenticate": lambda value: names_invalid_token(
        Response(403, {"www-authenticate": value}, b"")
    ),
}


@pytest.mark.parametrize("header", READERS)
def test_any_header_value_is_readable(header: str) -> None:
    for value in odd_values(2_000):
        try:
            READERS[header](value)
        except Exception as error:
            pytest.fail(f"{header}: {value!r}: {error!r}")


@given(st.text() | st.text("0123456789 :,+-.GMTWedOctJan"), st.text(max_size=20))
def test_any_retry_after_is_at_most_a_day(value: str, date: str) -> None:
    seconds = parse_retry_after({"retry-after": value, "date": date}, now=NOW)

    assert seconds is None or 0 <= seconds <= 86_400
