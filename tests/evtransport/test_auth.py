"""Credentials: when a token is fetched, by whom, and that no text shows one."""

from __future__ import annotations

import asyncio
import base64
import copy
import pickle
import time
import traceback
from collections.abc import Callable
from urllib.parse import quote

import attrs
import msgspec
import pytest
from yarl import URL

from evtransport import (
    ApiError,
    ApiKey,
    AuthError,
    BearerToken,
    ClientCredentials,
    ConnectionFailed,
    Cursor,
    DecodeError,
    RateLimitedError,
    RedirectError,
    SchemaError,
    Secret,
    ServerError,
    StatusError,
)
from evtransport.auth import Auth, check_secret, redact
from evtransport.http import Response

SECRET = "s3cr3t-v4lue"
TOKEN_URL = URL("https://auth.example/token")


def token(value: str = "t0k3n-1", **members: object) -> Response:
    body = {"access_token": value, "token_type": "bearer", "expires_in": 3600, **members}
    return Response(200, {}, msgspec.json.encode(body))


class TokenServer:
    """Answers token requests in order, each when its gate is open."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.received: list[tuple[URL, str, bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, url: URL, authorization: Secret, form: bytes) -> Response:
        self.received.append((url, authorization.reveal(), form))
        answer = self.answers.pop(0)
        await self.gate.wait()
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def requests(self) -> int:
        return len(self.received)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def credentials(clock: Clock) -> ClientCredentials:
    return ClientCredentials("my-id", Secret(SECRET), TOKEN_URL, clock)


async def header_of(auth: Auth, server: TokenServer) -> str:
    return (await auth.header(server)).reveal()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


# Secret.


def test_a_secret_shows_itself_only_by_reveal() -> None:
    secret = Secret(SECRET)

    assert secret.reveal() == SECRET
    for text in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        f"{secret!a}",
        "{}".format(secret),  # noqa: UP032 - one more road to text
        "%s %r" % (secret, secret),  # noqa: UP031
        repr([secret]),
        repr({"token": secret}),
    ):
        assert SECRET not in text
        assert "*****" in text


def test_a_secret_is_not_formatted_to_a_width() -> None:
    with pytest.raises(TypeError) as caught:
        format(Secret(SECRET), ">40")

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled_by_itself_or_within_something(protocol: int) -> None:
    for value in (Secret(SECRET), [Secret(SECRET)], ApiKey(Secret(SECRET))):
        with pytest.raises(TypeError, match="a Secret is not pickled") as caught:
            pickle.dumps(value, protocol)

        assert SECRET not in str(caught.value)


def test_a_secret_and_its_copies_are_equal_and_hash_alike() -> None:
    secret = Secret(SECRET)

    assert copy.copy(secret) == copy.deepcopy(secret) == Secret(SECRET)
    assert len({secret, copy.copy(secret), copy.deepcopy([secret])[0], Secret(SECRET)}) == 1
    assert secret != Secret("other")


def test_a_secret_is_not_equal_to_its_text() -> None:
    assert Secret(SECRET) != SECRET
    assert hash(Secret(SECRET)) != hash(SECRET)


def test_a_secret_has_no_dictionary_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(Secret(SECRET))


@pytest.mark.parametrize(
    "auth",
    [
        ApiKey(Secret(SECRET)),
        BearerToken(Secret(SECRET)),
        ClientCredentials("id", Secret(SECRET), TOKEN_URL),
    ],
    ids=lambda auth: type(auth).__name__,
)
def test_credentials_show_nothing_as_text_or_as_dictionary(
    auth: ApiKey | BearerToken | ClientCredentials,
) -> None:
    encoded = base64.b64encode(f"id:{SECRET}".encode()).decode()

    for text in (repr(auth), str(auth), repr(attrs.astuple(auth, recurse=True))):
        assert SECRET not in text
        assert encoded not in text
    if isinstance(auth, (ApiKey, BearerToken)):
        assert attrs.asdict(auth) == {"secret": Secret(SECRET)}


# Checks.

BAD_SECRETS = {
    "empty": ("", "must not be empty"),
    "blank": (" \t", "must not be empty"),
    "trailing newline": (f"{SECRET}\n", "must not hold control characters; a line end at its end"),
    "carriage return": (f"{SECRET}\r", "must not hold control characters"),
    "NUL": (f"s3\x00{SECRET}", "must not hold control characters"),
    "DEL": (f"{SECRET}\x7f", "must not hold control characters"),
    "umlaut": (f"{SECRET}\u00fc", "must be ASCII"),
    "surrogate": (f"{SECRET}\ud800", "must be ASCII"),
    "longer than any header": (SECRET * 2_000, "must have at most 16,384 characters"),
    "bytes": (SECRET.encode(), "must be a string, not bytes"),
    "number": (5, "must be a string, not int"),
    "nothing": (None, "must be a string, not NoneType"),
}


@pytest.mark.parametrize(("value", "complaint"), BAD_SECRETS.values(), ids=BAD_SECRETS.keys())
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("the_key", lambda secret: check_secret("the_key", secret)),
        ("api_key", ApiKey),
        ("token", BearerToken),
        ("client_secret", lambda secret: ClientCredentials("id", secret, TOKEN_URL)),
    ],
)
def test_a_secret_that_no_header_can_hold_is_refused_without_quoting_it(
    name: str, make: Callable[[Secret], object], value: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=f"^{name} ") as caught:
        make(Secret(value))

    assert complaint in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "s3" not in str(caught.value)


def test_a_trailing_newline_in_a_key_is_refused_with_a_hint() -> None:
    with pytest.raises(ValueError, match="a line end at its end is one too"):
        ApiKey(Secret(f"{SECRET}\n"))


@pytest.mark.parametrize(
    ("client_id", "complaint"),
    [
        ("", "must not be empty"),
        ("a:b", "must not hold a colon"),
        ("a\n", "must not hold control characters"),
        (None, "must be a string, not NoneType"),
    ],
)
def test_a_client_id_that_no_basic_header_can_hold_is_refused(
    client_id: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=f"^client_id {complaint}"):
        ClientCredentials(client_id, Secret(SECRET), TOKEN_URL)


def test_secrets_that_a_server_sends_back_are_masked_wherever_they_stand() -> None:
    secrets = (Secret("aaaa"), Secret("b+.b"))

    masked = redact(b"aaaa/b+.b aaaaa \xff b+xb", secrets)

    assert masked == b"**********/********** **********a \xff b+xb"
    assert redact(b"nothing", ()) == b"nothing"


def test_a_secret_too_short_to_be_one_is_not_masked_out_of_every_word() -> None:
    assert redact(b"message abc abcd", (Secret("e"), Secret("abc"))) == b"message abc abcd"


@pytest.mark.parametrize("secret", ["a" * 16_384, "/%&<\"'\\+ ~" * 1_638, "ab/+%=" * 2_730])
def test_masking_the_longest_secret_is_fast_and_computes_its_encodings_once(
    secret: str,
) -> None:
    longest = Secret(secret)
    body = (b"x" * 1_000 + secret.encode() + quote(secret, safe="").encode().lower()) * 2

    begin = time.perf_counter()
    for _ in range(20):
        masked = redact(body, (longest, Secret("other")))
    seconds = time.perf_counter() - begin

    assert masked == (b"x" * 1_000 + b"**********" * 2) * 2
    assert longest.encodings is longest.encodings
    assert seconds < 1


# Fixed credentials.


async def test_an_api_key_is_its_own_header() -> None:
    auth, server = ApiKey(Secret(SECRET)), TokenServer()

    assert (auth.header_name, await header_of(auth, server)) == ("X-Api-Key", SECRET)
    assert auth.secrets == (Secret(SECRET),)
    assert not auth.invalidate(Secret(SECRET))
    assert not await auth.forbidden(Secret(SECRET), INVALID_TOKEN, server)
    assert server.requests == 0


async def test_a_given_token_is_sent_as_a_bearer_and_can_not_be_renewed() -> None:
    auth, server = BearerToken(Secret(SECRET)), TokenServer()

    assert (auth.header_name, await header_of(auth, server)) == (
        "Authorization",
        f"Bearer {SECRET}",
    )
    assert auth.secrets == (Secret(SECRET),)
    assert not auth.invalidate(Secret(f"Bearer {SECRET}"))
    assert not await auth.forbidden(Secret(f"Bearer {SECRET}"), INVALID_TOKEN, server)
    assert server.requests == 0


# Client credentials.


async def test_a_token_is_fetched_on_first_use_as_the_vendor_describes(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"))

    assert credentials.header_name == "Authorization"
    assert await header_of(credentials, server) == "Bearer t0k3n-1"
    ((url, authorization, form),) = server.received
    assert (url, form) == (TOKEN_URL, b"grant_type=client_credentials")
    assert base64.b64decode(authorization.removeprefix("Basic ")) == f"my-id:{SECRET}".encode()


async def test_ids_beyond_ascii_are_sent_in_utf_8() -> None:
    server = TokenServer(token())

    await ClientCredentials("d\u00e9p\u00f4t", Secret(SECRET), TOKEN_URL).header(server)

    sent = base64.b64decode(server.received[0][1].removeprefix("Basic "))
    assert sent == f"d\u00e9p\u00f4t:{SECRET}".encode()


async def test_all_forms_of_the_secret_and_the_current_token_are_to_be_masked(
    credentials: ClientCredentials,
) -> None:
    pair = base64.b64encode(f"my-id:{SECRET}".encode()).decode()
    assert [*credentials.secrets] == [Secret(SECRET), Secret(pair)]

    await credentials.header(TokenServer(token("t0k3n-1")))

    assert [*credentials.secrets] == [Secret(SECRET), Secret(pair), Secret("t0k3n-1")]
    assert "t0k3n-1" not in repr(credentials)


async def test_a_thousand_first_calls_at_once_make_one_token_request(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"))

    headers = await asyncio.gather(*(header_of(credentials, server) for _ in range(1_000)))

    assert set(headers) == {"Bearer t0k3n-1"}
    assert server.requests == 1


@pytest.mark.parametrize(
    ("expires_in", "renewed_after"),
    [
        (3600, 3540.0),
        (120, 60.0),
        (100, 50.0),
        (5, 2.5),
        (0.5, 0.25),
        ("3600", 3540.0),
        ("3599.5", 3539.5),
        (" 100 ", 50.0),
        ("1e2", 50.0),
    ],
)
async def test_a_token_is_renewed_a_minute_before_its_end_or_at_half_its_life(
    credentials: ClientCredentials, clock: Clock, expires_in: object, renewed_after: float
) -> None:
    server = TokenServer(token("t0k3n-1", expires_in=expires_in), token("t0k3n-2"))
    await credentials.header(server)

    clock.now += renewed_after - 0.125
    assert await header_of(credentials, server) == "Bearer t0k3n-1"
    clock.now += 0.125
    assert await header_of(credentials, server) == "Bearer t0k3n-2"
    assert server.requests == 2


async def test_a_tokens_life_counts_from_when_it_was_asked_for(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(token("t0k3n-1", expires_in=100), token("t0k3n-2"))
    server.gate.clear()
    first = asyncio.create_task(header_of(credentials, server))
    await settle()
    clock.now += 49
    server.gate.set()
    assert await first == "Bearer t0k3n-1"

    clock.now += 1
    assert await header_of(credentials, server) == "Bearer t0k3n-2"


@pytest.mark.parametrize("expires_in", [0, -1, -1e300, "0", "-1"])
async def test_a_token_that_is_dead_on_arrival_serves_those_who_asked_for_it(
    credentials: ClientCredentials, expires_in: object
) -> None:
    server = TokenServer(token("t0k3n-1", expires_in=expires_in), token("t0k3n-2"))

    headers = await asyncio.gather(*(header_of(credentials, server) for _ in range(10)))

    assert set(headers) == {"Bearer t0k3n-1"}
    assert server.requests == 1
    assert await header_of(credentials, server) == "Bearer t0k3n-2"


UNREADABLE_LIVES = (
    *("null", "true", "{}", "[3600]", '""', '"soon"', '"PT1H"', '"1 h"', '"1_000"', '"inf"'),
    *(
        '"NaN"',
        '"0x10"',
        '"\u0663\u0666"',
        '"\\u0033600"',
        "1e999",
        "9" * 5_000,
        '"' + "9" * 400 + '"',
    ),
)


@pytest.mark.parametrize(
    "life",
    ["", *(f', "expires_in": {text}' for text in UNREADABLE_LIVES)],
    ids=lambda text: ascii(text)[:32],
)
async def test_a_token_without_a_readable_life_is_kept_until_it_is_refused(
    credentials: ClientCredentials, clock: Clock, life: str
) -> None:
    body = f'{{"access_token": "t0k3n-1"{life}}}'.encode()
    server = TokenServer(Response(200, {}, body), token("t0k3n-2"))
    header = await credentials.header(server)

    clock.now += 10 * 365 * 86_400
    assert await credentials.header(server) == header
    assert credentials.invalidate(header)
    assert await header_of(credentials, server) == "Bearer t0k3n-2"


async def test_a_leader_that_is_cancelled_hurts_nobody_who_waits(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("never seen"), token("t0k3n-2"))
    server.gate.clear()
    leader = asyncio.create_task(header_of(credentials, server))
    await settle()
    others = [asyncio.create_task(header_of(credentials, server)) for _ in range(19)]
    await settle()

    leader.cancel()
    await settle()
    server.gate.set()

    assert set(await asyncio.gather(*others)) == {"Bearer t0k3n-2"}
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert server.requests == 2


async def test_a_waiter_that_is_cancelled_disturbs_nobody(credentials: ClientCredentials) -> None:
    server = TokenServer(token("t0k3n-1"))
    server.gate.clear()
    calls = [asyncio.create_task(header_of(credentials, server)) for _ in range(5)]
    await settle()

    calls[2].cancel()
    await settle()
    server.gate.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(outcomes.pop(2), asyncio.CancelledError)
    assert set(outcomes) == {"Bearer t0k3n-1"}
    assert server.requests == 1


async def test_a_failure_is_shared_by_all_who_waited_each_with_an_error_of_its_own(
    credentials: ClientCredentials,
) -> None:
    original = ServerError("the server answered 503", status=503, body=b"busy", retry_after=7)
    server = TokenServer(original)

    errors = await asyncio.gather(
        *(header_of(credentials, server) for _ in range(10)), return_exceptions=True
    )

    assert server.requests == 1
    assert len({id(error) for error in [original, *errors]}) == 11
    for error in errors:
        assert isinstance(error, ServerError)
        assert (str(error), error.status, error.retry_after) == (str(original), 503, 7)
    first, second = errors[:2]
    assert isinstance(first, ApiError)
    assert isinstance(second, ApiError)
    first.cursor = Cursor(query={}, limit=1)
    assert second.cursor is None


async def test_a_call_after_a_failure_tries_again(credentials: ClientCredentials) -> None:
    server = TokenServer(ConnectionFailed("no"), ConnectionFailed("no"), token("t0k3n-3"))

    for _ in range(2):
        with pytest.raises(ConnectionFailed):
            await credentials.header(server)

    assert await header_of(credentials, server) == "Bearer t0k3n-3"
    assert server.requests == 3


async def test_an_error_that_is_none_of_ours_reaches_its_caller_and_the_next_one_tries(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(RuntimeError("the client was closed"), token("t0k3n-2"))

    outcomes = await asyncio.gather(
        header_of(credentials, server), header_of(credentials, server), return_exceptions=True
    )

    assert isinstance(outcomes[0], RuntimeError)
    assert outcomes[1] == "Bearer t0k3n-2"


async def test_a_failed_renewal_is_raised_though_the_old_token_still_lives(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(token(expires_in=100), ConnectionFailed("no"))
    await credentials.header(server)
    clock.now += 60

    with pytest.raises(ConnectionFailed):
        await credentials.header(server)

    assert Secret("t0k3n-1") not in credentials.secrets


# A token that the API refuses.


async def test_a_refused_token_is_replaced_once_however_many_calls_met_it(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"), token("t0k3n-2"))
    old = await credentials.header(server)

    async def meet_a_401() -> str:
        assert credentials.invalidate(old)
        return await header_of(credentials, server)

    assert set(await asyncio.gather(*(meet_a_401() for _ in range(50)))) == {"Bearer t0k3n-2"}
    assert server.requests == 2


async def test_refusing_a_token_that_was_replaced_meanwhile_keeps_the_new_one(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"), token("t0k3n-2"))
    old = await credentials.header(server)
    credentials.invalidate(old)
    await credentials.header(server)

    assert credentials.invalidate(old), "there is another one to be had"
    assert await header_of(credentials, server) == "Bearer t0k3n-2"
    assert server.requests == 2


async def test_a_refusal_before_any_token_leaves_one_to_be_had(
    credentials: ClientCredentials,
) -> None:
    assert credentials.invalidate(Secret("Bearer whatever"))
    assert await header_of(credentials, TokenServer(token("t0k3n-1"))) == "Bearer t0k3n-1"


async def test_a_token_that_is_refused_before_those_in_line_see_it_is_fetched_anew(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"), token("t0k3n-2"))

    async def fetch_and_refuse() -> str:
        header = await credentials.header(server)
        credentials.invalidate(header)
        return header.reveal()

    headers = await asyncio.gather(
        fetch_and_refuse(), *(header_of(credentials, server) for _ in range(5))
    )

    assert headers == ["Bearer t0k3n-1", *["Bearer t0k3n-2"] * 5]
    assert server.requests == 2


# A token that the API answers with 403.

FORBIDDEN = Response(403, {}, b'{"message": "Forbidden"}')
INVALID_TOKEN = Response(403, {"www-authenticate": 'Bearer error="invalid_token"'}, b"")


@pytest.mark.parametrize(
    ("age", "answer", "renewed"),
    [
        (59.0, FORBIDDEN, False),
        (60.0, FORBIDDEN, True),
        (3000.0, FORBIDDEN, True),
        (0.0, INVALID_TOKEN, True),
        (0.0, Response(403, {}, b'{"error": "invalid_token"}'), True),
    ],
)
async def test_a_403_renews_a_token_that_may_be_invalid(
    credentials: ClientCredentials, clock: Clock, age: float, answer: Response, renewed: bool
) -> None:
    server = TokenServer(token("t0k3n-1"), token("t0k3n-2"))
    old = await credentials.header(server)
    clock.now += age

    assert await credentials.forbidden(old, answer, server) is renewed
    assert await header_of(credentials, server) == (
        "Bearer t0k3n-2" if renewed else "Bearer t0k3n-1"
    )
    assert server.requests == 1 + renewed


async def test_repeated_403s_cause_one_token_request_a_minute(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(*(token(f"t0k3n-{number}") for number in range(1_000)))
    await credentials.header(server)

    for _ in range(3_600):
        clock.now += 1
        header = await credentials.header(server)
        for answer in (FORBIDDEN, INVALID_TOKEN):
            await credentials.forbidden(header, answer, server)

    # The API refuses each token at once, so none lives until its regular renewal.
    assert server.requests == 1 + 60


async def test_concurrent_403s_share_one_renewal(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(token("t0k3n-1"), token("t0k3n-2"))
    old = await credentials.header(server)
    clock.now += 600

    worth = await asyncio.gather(
        *(credentials.forbidden(old, FORBIDDEN, server) for _ in range(50))
    )

    assert worth == [True] * 50
    assert await header_of(credentials, server) == "Bearer t0k3n-2"
    assert server.requests == 2


async def test_a_403_after_a_401_leaves_the_renewal_to_the_next_request(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"))
    old = await credentials.header(server)
    credentials.invalidate(old)

    assert await credentials.forbidden(old, FORBIDDEN, server)
    assert server.requests == 1


@pytest.mark.parametrize("failure", [ConnectionFailed("no"), Response(401, {}, b""), "cancelled"])
async def test_a_failed_renewal_after_a_403_keeps_the_token_and_is_not_repeated_at_once(
    credentials: ClientCredentials, clock: Clock, failure: Response | Exception | str
) -> None:
    server = TokenServer(token("t0k3n-1"), token("lost") if isinstance(failure, str) else failure)
    old = await credentials.header(server)
    clock.now += 600
    if failure == "cancelled":
        server.gate.clear()
        call = asyncio.create_task(credentials.forbidden(old, FORBIDDEN, server))
        await settle()
        waiting = asyncio.create_task(credentials.forbidden(old, FORBIDDEN, server))
        await settle()
        call.cancel()
        assert await waiting is False
    else:
        with pytest.raises(ApiError):
            await credentials.forbidden(old, FORBIDDEN, server)

    clock.now += 59
    assert not await credentials.forbidden(old, FORBIDDEN, server)
    assert await credentials.header(server) == old
    assert server.requests == 2


async def test_a_call_that_waits_for_a_regular_renewal_uses_one_after_a_403(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(token("t0k3n-1", expires_in=700), token("t0k3n-2"))
    old = await credentials.header(server)
    clock.now += 640
    server.gate.clear()
    forbidden = asyncio.create_task(credentials.forbidden(old, FORBIDDEN, server))
    await settle()
    regular = asyncio.create_task(header_of(credentials, server))
    await settle()
    server.gate.set()

    assert await forbidden
    assert await regular == "Bearer t0k3n-2"
    assert server.requests == 2


# Bad answers.


@pytest.mark.parametrize(
    ("answer", "kind", "shown"),
    [
        (Response(403, {}, b""), AuthError, "the token URL answered 403"),
        (Response(401, {}, b""), AuthError, "the token URL answered 401"),
        (
            Response(400, {}, b'{"error": "invalid_client"}'),
            AuthError,
            "the token URL answered 400: invalid_client",
        ),
        (
            Response(400, {}, b'{"error": "unauthorized_client"}'),
            AuthError,
            "the token URL answered 400: unauthorized_client",
        ),
        (
            Response(400, {}, b'{"error": "invalid_request"}'),
            StatusError,
            "the token URL answered 400",
        ),
        (
            Response(200, {}, b'{"error": "invalid_client", "error_description": "rotated"}'),
            AuthError,
            "the token URL answered 200: invalid_client: rotated",
        ),
        (
            Response(200, {}, b'{"access_token": null, "error": "invalid_grant"}'),
            AuthError,
            "the token URL answered 200: invalid_grant",
        ),
        (
            Response(200, {}, b'{"error": {"code": "access_denied"}}'),
            AuthError,
            "the token URL answered 200: access_denied",
        ),
        (
            Response(200, {}, b'{"error": "invalid_client", "hint": "%s"}' % (b"x" * 5000)),
            AuthError,
            "the token URL answered 200: invalid_client",
        ),
        (
            Response(200, {}, b'{"error": "temporarily_unavailable"}'),
            StatusError,
            "the token URL answered 200: temporarily_unavailable",
        ),
        (Response(200, {}, b'{"error": ""}'), SchemaError, "missing required field access_token"),
        (Response(200, {}, b'{"error": null}'), SchemaError, "missing required field access_token"),
        (Response(429, {"retry-after": "9"}, b""), RateLimitedError, "answered 429"),
        (Response(500, {}, b"oh"), ServerError, "the token URL answered 500"),
        (
            Response(307, {"location": "https://evil.example/?a=s3cr3t-v4lue"}, b""),
            RedirectError,
            "a redirect to https://evil.example, not followed",
        ),
        (Response(204, {}, b""), StatusError, "a 200 with a JSON body was due"),
        (Response(200, {}, b""), DecodeError, "it is empty"),
        (Response(200, {}, b"<html>"), DecodeError, "not JSON"),
        (Response(200, {}, b'{"access_token": "t0k3n'), DecodeError, "not JSON"),
        (Response(200, {}, b'{"access_token": "t0k3n-\xff"}'), DecodeError, "not JSON"),
        (Response(200, {}, b"[]"), SchemaError, "$: expected object, got array"),
        (Response(200, {}, b"null"), SchemaError, "$: expected object, got null"),
        (Response(200, {}, b"{}"), SchemaError, "$: object missing required field access_token"),
        (token(access_token=5), SchemaError, "$.access_token: expected str, got int"),
        (token(access_token=None), SchemaError, "$.access_token: expected str, got null"),
        (token(""), SchemaError, "$.access_token: must not be empty"),
        (token("t0k3n-1\n"), SchemaError, "$.access_token: must not hold control characters"),
        (token("t0k3n-1\u00e9"), SchemaError, "$.access_token: must be ASCII"),
        (
            token("t0k3n-1" * 2_400),
            AuthError,
            "the token URL answered 200: the token has more than 16,384 characters",
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
async def test_a_bad_answer_is_a_typed_error_that_does_not_show_a_token(
    credentials: ClientCredentials, answer: Response, kind: type[ApiError], shown: str
) -> None:
    with pytest.raises(ApiError) as caught:
        await credentials.header(TokenServer(answer))

    error = caught.value
    assert type(error) is kind
    assert shown in str(error)
    told = "".join(
        [
            *(
                repr(vars(link)) + repr(link)
                for link in (error, error.__cause__, error.__context__)
                if link is not None
            ),
            *library_traceback(error),
        ]
    )
    assert "t0k3n" not in told
    assert SECRET not in told


def library_traceback(error: BaseException) -> list[str]:
    """What a traceback that shows locals shows, this file's own frames apart."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return [str(f.locals) for f in shown.stack if f.filename != __file__]


async def test_a_token_of_the_maximum_length_is_accepted(credentials: ClientCredentials) -> None:
    assert len(await header_of(credentials, TokenServer(token("t" * 16_384)))) == 16_391


async def test_a_token_is_accepted_even_if_the_answer_has_an_error_too(
    credentials: ClientCredentials,
) -> None:
    assert await header_of(credentials, TokenServer(token(error="none"))) == "Bearer t0k3n-1"


async def test_a_refusal_keeps_the_answers_code_and_wait_but_not_its_body(
    credentials: ClientCredentials,
) -> None:
    body = b'{"error": "invalid_client", "error_description": "no such client"}'

    with pytest.raises(AuthError) as caught:
        await credentials.header(TokenServer(Response(403, {"retry-after": "9"}, body)))

    error = caught.value
    assert (error.status, error.code, error.retry_after) == (403, "invalid_client", 9.0)
    assert error.body == b""  # an answer of the token URL may hold a token


def test_the_real_clock_is_one_that_is_never_set_back() -> None:
    assert ClientCredentials("id", Secret(SECRET), TOKEN_URL).clock is time.monotonic
