"""Addresses, and the pure function that tells a body from an error."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from urllib.parse import parse_qsl, unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from evtransport.errors import (
    ApiError,
    AuthError,
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
    decipher,
    declared_length,
    parse_retry_after,
    says_invalid_token,
)
from evtransport.validation import identifier, parse_base_url, path_segment
from tests.support.odd import odd_values

BASE = URL("https://api.example/v1")


class NoSuchThing(NotFoundError):
    """A documented error."""


class NoSuchKey(AuthError):
    """Another one."""


NAMES: ErrorNames = {"NoSuchThing": NoSuchThing, "NoSuchKey": NoSuchKey}


def failure(status: int, body: bytes = b"", names: ErrorNames = NAMES, **headers: str) -> ApiError:
    with pytest.raises(StatusError) as caught:
        decipher(
            Response(status, {k.replace("_", "-"): v for k, v in headers.items()}, body),
            names,
            now=0,
        )
    return caught.value


# Paths.

UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


@given(st.text(st.characters(), max_size=20) | st.text("./\\?#%+ ~\U0001f50c", max_size=6))
def test_any_text_becomes_exactly_one_segment_or_is_refused(text: str) -> None:
    try:
        segment = path_segment("chargebox_id", text)
    except ValueError:
        assert not text.strip() or not text.strip(".") or UNFIT.search(text)
        return

    url = Request(("analytics", segment), bytes).url(str(BASE))

    assert url.raw_path.split("/")[:-1] == ["", "v1", "analytics"]
    assert unquote(url.raw_path.split("/")[-1], errors="strict") == text
    assert (url.origin(), url.raw_query_string, url.raw_fragment) == (BASE.origin(), "", "")
    assert str(url).isascii()


@pytest.mark.parametrize(
    "text",
    ["IT-123", "a/b", "a?b", "a#b", "100%", "%2e%2e", "..a", "a..", "\U0001f50c", "a b", "é"],
)
def test_ids_of_every_look_are_accepted(text: str) -> None:
    assert unquote(path_segment("id", text)) == text


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        (".", "must be more than dots"),
        ("..", "must be more than dots"),
        ("a\n", "must not hold control characters: 'a\\n'"),
        ("a\x00b", "must not hold control characters: 'a\\x00b'"),
        ("a\x7f", "must not hold control characters: 'a\\x7f'"),
        ("a\ud800", "must be valid Unicode, without lone surrogates: 'a\\ud800'"),
        (5, "must be a string, not int"),
        (None, "must be a string, not NoneType"),
        (b"a", "must be a string, not bytes"),
    ],
    ids=ascii,
)
def test_what_is_no_id_is_refused_with_the_reason(value: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"^chargebox_id ") as caught:
        path_segment("chargebox_id", value)

    assert complaint in str(caught.value)


def test_dots_alone_are_an_id_where_no_path_swallows_them() -> None:
    assert identifier("charger_id", "..") == ".."


# Base URLs.


@pytest.mark.parametrize(
    ("given", "stands_for"),
    [
        ("https://api.example/v1", "https://api.example/v1"),
        ("https://api.example/v1/", "https://api.example/v1"),
        ("https://api.example", "https://api.example"),
        ("HTTPS://API.example:8443/", "https://api.example:8443"),
        ("http://localhost:8080/x", "http://localhost:8080/x"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.1.2.3", "http://127.1.2.3"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://api.example/a b", "https://api.example/a%20b"),
        ("https://api.example/?", "https://api.example"),
        ("https://api.example.", "https://api.example."),
        ("https://api_1.example-2.com:/", "https://api_1.example-2.com"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("https://192.0.2.1", "https://192.0.2.1"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        (f"https://{'a' * 63}.example", f"https://{'a' * 63}.example"),
    ],
)
@pytest.mark.parametrize("kind", [str, URL])
def test_requests_go_below_the_base_url(given: str, stands_for: str, kind: type[str | URL]) -> None:
    base = parse_base_url("base_url", kind(given))

    assert str(Request(("a", "b%2Fc"), bytes).url(str(base))) == f"{stands_for}/a/b%2Fc"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "absolute https URL"),
        ("api.example/v1", "absolute https URL"),
        ("//api.example/v1", "absolute https URL"),
        ("/v1", "absolute https URL"),
        ("https:///v1", "absolute https URL"),
        ("ftp://api.example", "absolute https URL"),
        ("https://api.example:99999", "absolute https URL"),
        ("https://[::1", "absolute https URL"),
        ("https://api example", "absolute https URL"),
        ("https://api.exa\x00mple", "absolute https URL"),
        (None, "absolute https URL"),
        (5, "absolute https URL"),
        (b"https://api.example", "absolute https URL"),
        ("https://h%00.com", "absolute https URL"),
        ("https://h%2f.com", "absolute https URL"),
        ("https://api..example", "absolute https URL"),
        ("https://api.example;x", "absolute https URL"),
        ("https://*", "absolute https URL"),
        (f"https://{'a' * 64}.example", "absolute https URL"),
        (f"https://{'a.' * 127}example", "absolute https URL"),
        ("http://127.\u0660.\u0660.\u0661", "must be https"),
        ("http://127.0.0.\u0967", "must be https"),
        ("http://\uff11\uff12\uff17.0.0.1", "absolute https URL"),
        ("http://127\u30020\u30020\u30021", "absolute https URL"),
        ("http://l\u24deca\u2113host", "absolute https URL"),
        ("https://\u24d4xample.com", "absolute https URL"),
        ("https://api.example:\u0664\u0664\u0663", "absolute https URL"),
        ("https://api.example:\uff14\uff14\uff13/v1", "absolute https URL"),
        ("https://api.example:+443", "absolute https URL"),
        ("https://api.example:4_43", "absolute https URL"),
        ("https://[::1]:\u0661", "absolute https URL"),
        ("https://[v1.x]", "absolute https URL"),
        ("http://127.0.0.256", "must be https"),
        ("http://127.1", "must be https"),
        ("http://[::2]", "must be https"),
        ("https://me:s3cr3t@api.example", "must not hold a user or password"),
        ("https://s3cr3t@api.example", "must not hold a user or password"),
        ("https://:s3cr3t@api.example", "must not hold a user or password"),
        ("http://me:s3cr3t@api.example", "must not hold a user or password"),
        ("https://api.example/v1?a=b", "must end after its path"),
        ("https://api.example/v1#a", "must end after its path"),
        ("http://api.example", "must be https"),
        ("http://localhost.example", "must be https"),
        ("http://127.0.0.1.example", "must be https"),
        ("http://128.0.0.1", "must be https"),
        ("http://0.0.0.0", "must be https"),
    ],
    ids=ascii,
)
def test_an_address_that_credentials_must_not_go_to_is_refused(value: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"^base_url must ") as caught:
        parse_base_url("base_url", value)

    assert complaint in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


# Queries.


def test_a_time_zone_sign_and_separators_in_a_query_are_encoded() -> None:
    query = (("from", "2022-01-01T00:00:00.000+01:00"), ("id", "a&b=c/d ?#é"))

    assert str(Request(("r",), bytes, query).url(str(BASE))) == (
        "https://api.example/v1/r?from=2022-01-01T00%3A00%3A00.000%2B01%3A00"
        "&id=a%26b%3Dc%2Fd%20%3F%23%C3%A9"
    )


def test_a_request_without_a_query_has_no_question_mark() -> None:
    assert str(Request(("r",), bytes).url(str(BASE))) == "https://api.example/v1/r"


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_any_query_arrives_as_it_was_asked(query: list[tuple[str, str]]) -> None:
    url = Request(("r",), bytes, tuple(query)).url(str(BASE))

    assert parse_qsl(url.raw_query_string, keep_blank_values=True) == query
    assert url.raw_path == "/v1/r"
    assert url.raw_fragment == ""


# What an answer is.


def test_the_body_of_a_200_is_handed_on_whatever_it_says() -> None:
    assert decipher(Response(200, {}, b"NoSuchThing"), NAMES, now=0) == b"NoSuchThing"


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
def test_every_other_status_is_an_error_of_the_class_that_fits_it(
    kind: type[StatusError], statuses: list[int]
) -> None:
    for status in statuses:
        error = failure(status, b"what?")

        assert type(error) is kind
        assert isinstance(error, StatusError)
        assert (error.status, error.body, error.code) == (status, b"what?", None)
        assert str(error).startswith(f"the server answered {status}")


def test_a_204_says_what_was_due_instead() -> None:
    assert str(failure(204)) == "the server answered 204: a 200 with a JSON body was due"


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("//:443/login", "an address that can't be read"),
        ("x://:0", "an address that can't be read"),
        ("//evil.example", "//evil.example"),
        ("https://evil.example:8443/steal?key=s3cr3t", "https://evil.example:8443"),
        ("https://me:s3cr3t@evil.example/", "https://evil.example"),
        ("/elsewhere?key=s3cr3t", "the same host"),
        ("https://evil.example:s3cr3t/", "an address that can't be read"),
        ("", "the same host"),
    ],
)
def test_a_redirect_names_its_target_but_no_more_of_it(location: str, shown: str) -> None:
    error = failure(302, location=location)

    assert str(error) == f"the server answered 302: a redirect to {shown}, not followed"


def test_a_redirect_to_nowhere_is_a_redirect() -> None:
    assert str(failure(301)).endswith("a redirect to the same host, not followed")


def test_an_error_says_who_answered() -> None:
    with pytest.raises(AuthError, match=r"^the token URL answered 403$"):
        decipher(Response(403, {}, b""), {}, now=0, subject="the token URL")


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": "NoSuchThing"}',
        b'{"Message": "NoSuchThing"}',
        b'{"error": "NoSuchThing"}',
        b'{"error": {"message": "NoSuchThing"}}',
        b'{"code": "NoSuchThing", "message": "None of this id"}',
        b'{"errors": [{"code": "NoSuchThing"}]}',
        b'"NoSuchThing"',
        b"NoSuchThing",
        b"Error: NoSuchThing.",
        b"<html><title>NoSuchThing</title>",
        b'{"message": "NoSuchThing", "cut of',
        b'\xff {"message": "NoSuchThing"}',
    ],
)
@pytest.mark.parametrize("status", [404, 403, 500])
def test_a_documented_name_is_found_in_every_form_of_a_body(status: int, body: bytes) -> None:
    error = failure(status, body)

    assert type(error) is NoSuchThing
    assert (error.status, error.code) == (status, "NoSuchThing")
    assert str(error).count("NoSuchThing") == 1


@pytest.mark.parametrize(
    "body",
    [b"NoSuchThings", b"xNoSuchThing", b"nosuchthing", b"", b"null", b" " * 5000 + b"NoSuchThing"],
)
def test_a_body_without_a_documented_name_falls_back_to_the_status(body: bytes) -> None:
    assert type(failure(404, body)) is NotFoundError
    assert type(failure(500, body)) is ServerError


def test_without_documented_names_the_status_decides() -> None:
    assert type(failure(404, b"NoSuchThing", names={})) is NotFoundError


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b'{"message": "Broken"}', None, "Broken"),
        (b'{"code": "E1"}', "E1", "E1"),
        (b'{"code": 17, "message": "Broken"}', "17", "17: Broken"),
        (b'{"code": "Broken", "message": "Broken"}', "Broken", "Broken"),
        (b'{"title": "Oh", "detail": "Broken"}', None, "Broken"),
        (b'{"title": "Oh"}', None, "Oh"),
        (b'{"errors": [{"code": "E1", "title": "Oh"}, {"code": "E2"}]}', "E1", "E1: Oh"),
        (b'{"errors": [{"status": "500", "detail": "Broken"}]}', None, "Broken"),
        (b'{"errors": [], "message": "Broken"}', None, "Broken"),
        (b'{"message": "two\\n  lines\\t"}', None, "two lines"),
    ],
)
def test_the_code_and_message_that_a_body_states_are_shown(
    body: bytes, code: str | None, text: str
) -> None:
    error = failure(500, body)

    assert isinstance(error, StatusError)
    assert error.code == code
    assert str(error) == f"the server answered 500: {text}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b"<html>",
        b'{"message": 5}',
        b'{"message": ""}',
        b'{"errors": [null]}',
        b'{"errors": {}}',
        b'{"error": []}',
        b'{"errors": [], "error": []}',
        b'{"code": ' + b"9" * 5000 + b"}",
        b'{"message": "\\ud800"}',
        b'{"message": "cut \xc3',
        b'{"message": "\xff"}',
        b'{"errors": [{"detail": "\xff"}]}',
        b"[" * 100_000,
        b'{"errors": ' + b"[" * 100_000,
        "\ufeff{}".encode("utf-16"),
    ],
    ids=lambda body: ascii(body[:24]),
)
def test_a_body_that_states_nothing_readable_still_gives_the_error_of_its_status(
    body: bytes,
) -> None:
    error = failure(503, body)

    assert type(error) is ServerError
    assert str(error) == "the server answered 503"
    assert error.body == body


@given(st.binary(max_size=200) | st.from_regex(rb'\{"(message|code|title)": ?"[^"]*"\}'))
def test_no_body_whatever_keeps_a_failed_call_from_its_error(body: bytes) -> None:
    assert failure(503, body, names={}).args[0].startswith("the server answered 503")


def test_a_long_message_is_shortened_and_the_body_kept_whole() -> None:
    body = msgspec.json.encode({"code": "c" * 10_000, "message": "m" * 10_000})

    error = failure(500, body)

    assert isinstance(error, StatusError)
    assert error.body == body
    assert str(error) == f"the server answered 500: {'c' * 200}...: {'m' * 200}..."


# Retry-After.

NOW = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XXX-05:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("17", 17.0),
        (" 17 ", 17.0),
        ("1.5", 1.5),
        ("86399", 86_399.0),
        ("86401", 86_400.0),
        ("9" * 400, 86_400.0),
        ("2814, 2", 2_814.0),
        ("2,2814", 2_814.0),
        ("5, soon, , 7", 7.0),
        ("soon, 5", 5.0),
        ("-5, 6", 6.0),
        ("2, " + "9" * 400, 86_400.0),
        ("\u0661\u0662", None),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wednesday, 21-Oct-15 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 08:28:10 +0100", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:27:00 GMT", 86_400.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT, 5", 10.0),
        ("15, Wed, 21 Oct 2015 07:28:10 GMT", 15.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT, Wed, 21 Oct 2015 07:28:20 GMT", 20.0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1e3", None),
        ("inf", None),
        ("nan", None),
        ("Wed, 32 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
    ],
    ids=lambda value: str(value)[:32],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, seconds: float | None) -> None:
    assert parse_retry_after({"retry-after": value}, now=NOW) == seconds


def test_an_answer_without_retry_after_asks_for_no_wait() -> None:
    assert parse_retry_after({"date": formatdate(NOW, usegmt=True)}, now=NOW) is None


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize(
    "date",
    ["Wed Oct 21 07:28:10 2015", "Wed, 21 Oct 2015 07:28:10 -0000"],
    ids=["asctime", "-0000"],
)
def test_a_date_that_names_no_zone_is_in_utc_wherever_the_client_runs(date: str) -> None:
    assert parse_retry_after({"retry-after": date}, now=NOW) == 10.0


@pytest.mark.parametrize("clock_is_wrong_by", [-86_400, 0, 86_400])
def test_a_date_is_held_against_the_servers_own_clock(clock_is_wrong_by: int) -> None:
    headers = {
        "retry-after": formatdate(NOW + 30, usegmt=True),
        "date": formatdate(NOW, usegmt=True),
    }

    assert parse_retry_after(headers, now=NOW + clock_is_wrong_by) == 30.0


def test_a_date_header_that_is_none_leaves_the_clients_clock() -> None:
    headers = {"retry-after": formatdate(NOW + 30, usegmt=True), "date": "yesterday"}

    assert parse_retry_after(headers, now=NOW + 10) == 20.0


@given(st.text() | st.text("0123456789 :,+-.GMTWedOctJan"), st.text(max_size=20))
def test_a_garbled_retry_after_is_at_most_a_day(value: str, date: str) -> None:
    seconds = parse_retry_after({"retry-after": value, "date": date}, now=NOW)

    assert seconds is None or 0 <= seconds <= 86_400


# Arbitrary header values.


READ: dict[str, Callable[[str], object]] = {
    "location": lambda odd: failure(302, location=odd),
    "retry-after": lambda odd: failure(429, retry_after=odd),
    "date": lambda odd: failure(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT", date=odd),
    "www-authenticate": lambda odd: says_invalid_token(
        Response(403, {"www-authenticate": odd}, b"")
    ),
    "content-length": declared_length,
}


@pytest.mark.parametrize("header", READ)
def test_no_header_value_makes_an_answer_unreadable(header: str) -> None:
    for odd in odd_values(10_000):
        try:
            READ[header](odd)
        except Exception as error:
            pytest.fail(f"{header}: {odd!r}: {error!r}")


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ("0", 0),
        (" 17 ", 17),
        ("9" * 5_000, sys.maxsize),
        ("", 0),
        ("-1", 0),
        ("1_000", 0),
        ("\u0661\u0662", 0),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_length_that_is_no_number_announces_nothing(header: str, length: int) -> None:
    assert declared_length(header) == length


@pytest.mark.parametrize(
    ("headers", "body", "named"),
    [
        ({"www-authenticate": 'Bearer realm="x", error="invalid_token"'}, b"", True),
        ({}, b'{"error": "invalid_token"}', True),
        ({}, b"", False),
        ({"www-authenticate": "Bearer"}, b'{"message": "Forbidden"}', False),
        ({}, b" " * 5_000 + b"invalid_token", False),
    ],
)
def test_a_refusal_names_the_token_in_its_header_or_a_short_body(
    headers: dict[str, str], body: bytes, named: bool
) -> None:
    assert says_invalid_token(Response(403, headers, body)) is named


def test_the_error_carries_the_wait_that_the_server_asked_for() -> None:
    error = failure(429, retry_after="7")

    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 7.0


def test_the_body_does_not_show_in_the_repr_of_a_response() -> None:
    assert repr(Response(200, {}, b"s3cr3t")) == "Response(status=200, headers={})"
