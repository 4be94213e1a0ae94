"""Requests as URLs, and responses as errors."""

from __future__ import annotations

import time
from collections.abc import Iterator
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
    KEPT_HEADERS,
    ErrorNames,
    Request,
    Response,
    build_status_error,
    check_echo,
    names_invalid_token,
    parse_retry_after,
)
from tests.support.odd import PIECES

BASE = "https://api.example/v1"
NOW = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


class NoSuchThing(NotFoundError):
    """Documented error."""


NAMES: ErrorNames = {"NoSuchThing": NoSuchThing, "NoSuchKey": AuthError}


def error_of(
    status: int, body: bytes = b"", names: ErrorNames = NAMES, **headers: str
) -> StatusError:
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return build_status_error(Response(status, lines, body), names, now=NOW)


# Requests.

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_a_query_arrives_unchanged(query: list[tuple[str, str]]) -> None:
    url = Request(("r",), bytes, tuple(query)).url(BASE)

    assert parse_qsl(url.raw_query_string, keep_blank_values=True) == query
    assert (url.raw_path, url.raw_fragment) == ("/v1/r", "")
    assert "+" not in url.raw_query_string  # some servers do not read it as a space
    assert ("?" in str(url)) is bool(query)


@pytest.mark.parametrize(
    ("title", "label"),
    [("", "GET chargeboxes/TB%2F1"), ("chargeboxes page 2", "GET chargeboxes page 2")],
)
def test_a_request_names_itself_on_an_error(title: str, label: str) -> None:
    request = Request(
        ("chargeboxes", "TB%2F1"), bytes, (("page", "2"),), ids=(("id", "TB/1"),), title=title
    )
    error = NotFoundError("gone", status=404)

    request.describe(error)

    assert (error.method, error.path, error.label) == ("GET", "chargeboxes/TB%2F1", label)
    assert error.context == {"id": "TB/1", "page": "2"}


# Statuses.


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (RedirectError, [300, 304, 399]),
        (AuthError, [401, 403]),
        (NotFoundError, [404]),
        (RateLimitedError, [429]),
        (ServerError, [500, 503, 999]),
        (StatusError, [100, 201, 299, 400, 402, 418, 428, 499]),
    ],
)
def test_the_status_decides_the_class(kind: type[StatusError], statuses: list[int]) -> None:
    for status in statuses:
        error = error_of(status, b"what?")
        assert type(error) is kind
        assert (error.status, error.body, error.code) == (status, b"what?", None)
        assert str(error).startswith(str(status))


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://evil.example:8443/steal?key=s3cr3t", "https://evil.example:8443"),
        ("https://me:s3cr3t@evil.example/", "https://evil.example"),
        ("/other?key=s3cr3t", "another address"),
    ],
)
def test_a_redirect_names_only_the_origin_of_its_target(location: str, target: str) -> None:
    error = error_of(302, location=location)

    assert str(error) == f"302 Found: a redirect to {target}, not followed"


def test_the_message_names_the_status_and_the_expectation() -> None:
    assert str(error_of(204)) == "204 No Content: expected a 200 with a JSON body"
    assert str(error_of(999)) == "999"


# Bodies.


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "NoSuchThing"}}',
        b'{"message": "not NoSuchKey", "code": "NoSuchThing"}',
        b"<html><title>NoSuchThing</title>",
        b'\xff {"message": "NoSuchThing", "cut of',
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
        (b'{"message": "Broken"}', None, "Internal Server Error: Broken"),
        (b'{"Message": "Broken"}', None, "Internal Server Error: Broken"),
        (b'{"code": 17, "message": "Broken"}', "17", "Internal Server Error: 17: Broken"),
        (b'{"code": 500}', "500", "Internal Server Error"),
        (b'{"code": "Broken", "message": "Broken"}', "Broken", "Broken"),
        (b'{"title": "Oh", "detail": "Broken"}', None, "Internal Server Error: Broken"),
        (b'{"error": "E1", "error_description": "Oh"}', "E1", "E1: Oh"),
        (b'{"errors": [{"code": "E1", "title": "Oh"}, {"code": "E2"}]}', "E1", "E1: Oh"),
        (b'{"errors": [], "message": "Broken"}', None, "Internal Server Error: Broken"),
        (b'{"message": "two\\n  lines\\t"}', None, "Internal Server Error: two lines"),
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
    assert str(error) == f"500 {text}"


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
    assert str(error) == "503 Service Unavailable"


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


def test_an_id_must_equal_the_requested_one_except_for_case() -> None:
    for requested, echoed in (("TB-1", "tb-1"), ("straße", "STRASSE")):
        check_echo("id", requested, echoed)
    for echoed in ("TB-2", "", "TB-01", " TB-1", "x" * 10**6):
        with pytest.raises(MisdirectedResponse, match="requested id 'TB-1', got '") as caught:
            check_echo("id", "TB-1", echoed)
        assert repr(echoed)[:9] in str(caught.value)
        assert len(str(caught.value)) < 500


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
        (f"Wed, 21 Oct {'9' * 20} 07:28:00 GMT", None),
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
@pytest.mark.parametrize(
    ("until", "sent", "seconds"),
    [
        ("Wed, 21 Oct 2015 07:28:10 -0000", "", 10.0),
        ("Wed Oct 21 07:28:10 2015", "", 10.0),
        ("Wed Oct 21 07:28:10 2015", "Wed, 21 Oct 2015 07:27:30 GMT", 40.0),
        ("Wed Oct 21 07:28:10 2015", "yesterday", 10.0),
    ],
)
def test_a_date_is_in_utc_and_compared_with_the_date_of_the_response(
    until: str, sent: str, seconds: float
) -> None:
    assert parse_retry_after({"retry-after": until, "date": sent}, now=NOW) == seconds
    assert parse_retry_after({"date": sent}, now=NOW) is None


# Pieces that have a meaning in some header.
pieces = st.sampled_from(PIECES) | st.text("0123456789 :,+-.GMTWedOctJan") | st.text()
header_values = st.lists(pieces, max_size=6).map("".join)
any_headers = st.fixed_dictionaries(dict.fromkeys(KEPT_HEADERS, header_values))


@given(st.sampled_from([302, 429]), any_headers, st.binary(max_size=100))
def test_any_headers_and_body_give_an_error_with_a_wait_of_at_most_a_day(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    response = Response(status, headers, body)

    wait = build_status_error(response, {}, now=NOW).retry_after

    assert names_invalid_token(response) in {True, False}
    assert wait is None or 0 <= wait <= 86_400
