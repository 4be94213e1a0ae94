"""Credentials: which header they send, and when a token is requested, shared and renewed."""

from __future__ import annotations

import asyncio
import base64
import time

import pytest

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
from evtransport.http import Response
from tests.support.error_dump import dump_error
from tests.support.tokens import CLIENT_ID, SECRET, TOKEN_URL, Clock, TokenServer, header, token
from tests.support.waiting import iterate_loop

PAIR = base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode()).decode()
FORBIDDEN = Response(403, {}, b'{"message": "Forbidden"}')
INVALID_TOKEN = Response(403, {"www-authenticate": 'Bearer error="invalid_token"'}, b"")


@pytest.mark.parametrize(
    ("client_id", "secret", "message"),
    [
        ("", SECRET, "client_id must not be empty"),
        ("a:b", SECRET, "client_id must not contain a colon"),
        ("id", f"{SECRET}\n", "client_secret must not contain control characters"),
    ],
)
def test_client_credentials_that_no_header_can_carry_are_rejected(
    client_id: str, secret: str, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        ClientCredentials(client_id, Secret(secret), TOKEN_URL)


@pytest.mark.parametrize(
    ("kind", "argument", "name", "value"),
    [
        (ApiKey, "api_key", "X-Api-Key", SECRET),
        (BearerToken, "token", "Authorization", f"Bearer {SECRET}"),
    ],
)
async def test_a_fixed_credential_is_its_own_header_and_never_renewed(
    kind: type[ApiKey | BearerToken], argument: str, name: str, value: str
) -> None:
    auth, server = kind(Secret(SECRET)), TokenServer()
    credential = await auth.get_credential(server)

    assert (credential.name, credential.value) == (name, value)
    assert auth.secrets == (Secret(SECRET),)
    assert not auth.invalidate(credential)
    assert not await auth.renew_forbidden(credential, INVALID_TOKEN, server)
    with pytest.raises(ValueError, match=f"^{argument} must not contain control characters"):
        kind(Secret(f"{SECRET}\n"))


# Tokens. The promise R8 tests concurrent and cancelled calls.


async def test_a_token_is_requested_on_first_use_as_the_vendor_describes(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"))
    assert [*credentials.secrets] == [Secret(SECRET), Secret(PAIR)]

    assert await header(credentials, server) == "Bearer t0k3n-1"

    form = b"grant_type=client_credentials"
    assert server.received == [(TOKEN_URL, f"Authorization: Basic {PAIR}", form)]
    assert credentials.secrets[2:] == (Secret("t0k3n-1"),)
    assert ClientCredentials("id", Secret(SECRET), TOKEN_URL).clock is time.monotonic


@pytest.mark.parametrize(
    ("expires_in", "renewed_after"),
    [
        *[(3600, 3540.0), (120, 60.0), (100, 50.0), (0.5, 0.25), (0, 0.0), ("-1", 0.0)],
        *[("3600", 3540.0), ("3599.5", 3539.5), (" 100 ", 50.0), ("1e2", 50.0)],
    ],
)
async def test_a_token_is_renewed_a_minute_before_its_end_or_at_half_its_life(
    credentials: ClientCredentials, clock: Clock, expires_in: object, renewed_after: float
) -> None:
    server = TokenServer(token("t0k3n-1", expires_in=expires_in), token("t0k3n-2"))
    server.gate.clear()
    calls = [asyncio.create_task(header(credentials, server)) for _ in range(3)]
    await iterate_loop(5)
    clock.now += max(0.0, renewed_after - 0.125)  # the life counts from the request
    server.gate.set()

    assert await asyncio.gather(*calls) == ["Bearer t0k3n-1"] * 3
    clock.now += 0.125
    assert await header(credentials, server) == "Bearer t0k3n-2"


@pytest.mark.parametrize(
    "expires_in",
    [
        *("", "null", "{}", '""', '"soon"', '"1_000"', '"inf"', '"0x10"', '"\\u0033600"'),
        *('"\u0663\u0666"', "1e999", "9" * 5_000, '"' + "9" * 400 + '"'),
    ],
    ids=lambda text: ascii(text)[:16],
)
async def test_a_token_without_a_readable_life_is_kept_until_a_401(
    credentials: ClientCredentials, clock: Clock, expires_in: str
) -> None:
    member = expires_in and f', "expires_in": {expires_in}'
    body = f'{{"access_token": "t0k3n-1"{member}}}'.encode()
    server = TokenServer(Response(200, {}, body), token("t0k3n-2"))
    credential = await credentials.get_credential(server)

    clock.now += 10 * 365 * 86_400
    assert await credentials.get_credential(server) == credential
    assert credentials.invalidate(credential)
    assert await header(credentials, server) == "Bearer t0k3n-2"
    assert credentials.invalidate(credential), "another token is available"
    assert await header(credentials, server) == "Bearer t0k3n-2"


async def test_a_token_that_is_invalidated_before_waiting_calls_see_it_is_requested_again(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-0", expires_in=0), token("t0k3n-1"), token("t0k3n-2"))
    await credentials.get_credential(server)

    async def get_and_invalidate() -> str:
        credential = await credentials.get_credential(server)
        credentials.invalidate(credential)
        return credential.value

    headers = await asyncio.gather(
        get_and_invalidate(), *(header(credentials, server) for _ in range(5))
    )

    assert headers == ["Bearer t0k3n-1", *["Bearer t0k3n-2"] * 5]


# Failed token requests.


async def test_waiting_calls_share_a_failure_and_each_gets_its_own_error(
    credentials: ClientCredentials,
) -> None:
    original = ServerError("the server is busy", status=503, body=b"busy", retry_after=7)
    server = TokenServer(original)

    errors = await asyncio.gather(
        *(header(credentials, server) for _ in range(10)), return_exceptions=True
    )

    assert len({id(error) for error in [original, *errors]}) == 11
    shared = []
    for error in errors:
        assert isinstance(error, ServerError)
        assert (str(error), error.status, error.retry_after) == (str(original), 503, 7)
        assert error.cursor is None
        error.cursor = Cursor(query={}, limit=1)
        shared.append(error.shared)
    assert shared == [False] + [True] * 9


async def test_an_error_of_another_type_reaches_only_its_own_call(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(RuntimeError("the client was closed"), token())

    outcomes = await asyncio.gather(
        header(credentials, server), header(credentials, server), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [RuntimeError, str]


async def test_a_failed_renewal_is_raised_even_if_the_old_token_is_valid(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(token("old", expires_in=100), ConnectionFailed("no"), token("new"))
    await credentials.get_credential(server)
    clock.now += 60

    with pytest.raises(ConnectionFailed):
        await credentials.get_credential(server)
    assert Secret("old") not in credentials.secrets
    assert await header(credentials, server) == "Bearer new"


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (401, b"", AuthError, "the token URL: 401 Unauthorized"),
        (
            400,
            b'{"error": "unauthorized_client"}',
            AuthError,
            "the token URL: 400 unauthorized_client",
        ),
        (400, b'{"error": "invalid_request"}', StatusError, "400 invalid_request"),
        (429, b"", RateLimitedError, "the token URL: 429 Too Many Requests"),
        (307, b"", RedirectError, "307 Temporary Redirect"),
        (200, b'{"error": "invalid_client", "hint": "%s"}' % (b"x" * 5000), AuthError, "200 inv"),
        (200, b'{"access_token": null, "error": "invalid_grant"}', AuthError, "200 invalid_grant"),
        (200, b'{"error": {"code": "access_denied"}}', AuthError, "200 access_denied"),
        (200, b'{"error": "busy"}', StatusError, "the token URL: 200 busy"),
        (200, b'{"error": null}', SchemaError, "$: object missing required field access_token"),
        (200, b'{"access_token": "t0k3n', DecodeError, "the token URL: the body is not JSON"),
        (200, b'{"access_token": 5}', SchemaError, "$.access_token: expected str"),
        (200, b'{"access_token": ""}', SchemaError, "$.access_token: must not be empty"),
        (200, b'{"access_token": "t0k3n\\n"}', SchemaError, "must not contain control characters"),
        (200, b'{"access_token": "%s"}' % (b"t0k3n" * 4_000), AuthError, "more than 16,384"),
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_a_bad_token_response_is_a_typed_error_that_shows_no_token(
    credentials: ClientCredentials, status: int, body: bytes, kind: type[ApiError], message: str
) -> None:
    response = Response(status, {"retry-after": "9"}, body)
    with pytest.raises(ApiError) as caught:
        await credentials.get_credential(TokenServer(response))

    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert "t0k3n" not in dump_error(caught.value)
    if isinstance(caught.value, StatusError) and b"t0k3n" not in body:
        # The body may hold a token.
        assert (caught.value.body, caught.value.retry_after) == (b"", 9.0)


@pytest.mark.parametrize("response", [token("t" * 16_384), token("t0k3n", error="none")])
async def test_a_token_is_accepted_at_the_maximum_length_and_next_to_an_error(
    credentials: ClientCredentials, response: Response
) -> None:
    assert (await header(credentials, TokenServer(response))).startswith("Bearer t")


# Tokens that get a 403: they are renewed if that may help, at most once a minute.


@pytest.mark.parametrize(
    ("age", "response", "renewed"),
    [(59.0, FORBIDDEN, False), (60.0, FORBIDDEN, True), (0.0, INVALID_TOKEN, True)],
)
async def test_a_403_renews_a_token_that_may_be_invalid(
    credentials: ClientCredentials, clock: Clock, age: float, response: Response, renewed: bool
) -> None:
    server = TokenServer(token("t0k3n-1"), token("t0k3n-2"))
    old = await credentials.get_credential(server)
    clock.now += age

    assert await credentials.renew_forbidden(old, response, server) is renewed
    assert await header(credentials, server) == f"Bearer t0k3n-{1 + renewed}"
    assert server.requests == 1 + renewed


async def test_repeated_403s_cause_one_token_request_a_minute(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(*(token(f"t0k3n-{number}") for number in range(100)))

    for _ in range(600):
        credential = await credentials.get_credential(server)
        clock.now += 1
        for response in (FORBIDDEN, INVALID_TOKEN):
            await credentials.renew_forbidden(credential, response, server)

    assert server.requests == 1 + 10


async def test_concurrent_403s_and_calls_share_one_renewal(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(token("t0k3n-1", expires_in=700), token("t0k3n-2"))
    old = await credentials.get_credential(server)
    clock.now += 640  # the scheduled renewal waits for the one that a 403 started

    renewed = await asyncio.gather(
        *(credentials.renew_forbidden(old, FORBIDDEN, server) for _ in range(10)),
        header(credentials, server),
    )

    assert renewed == [True] * 10 + ["Bearer t0k3n-2"]
    assert server.requests == 2
    credentials.invalidate(await credentials.get_credential(server))
    assert await credentials.renew_forbidden(old, FORBIDDEN, server), "left to the next request"
    assert server.requests == 2


@pytest.mark.parametrize("failure", [ConnectionFailed("no"), Response(401, {}, b""), None])
async def test_a_failed_or_cancelled_renewal_keeps_the_token_and_is_not_repeated_for_a_minute(
    credentials: ClientCredentials, clock: Clock, failure: Response | Exception | None
) -> None:
    server = TokenServer(token(), failure or token("lost"))
    old = await credentials.get_credential(server)
    clock.now += 600
    if failure is None:
        server.gate.clear()
    first, waiting = (
        asyncio.create_task(credentials.renew_forbidden(old, FORBIDDEN, server)) for _ in range(2)
    )
    await iterate_loop(5)
    first.cancel()  # does nothing after a failure
    assert await waiting is False
    with pytest.raises(ApiError if failure else asyncio.CancelledError):
        await first

    clock.now += 59
    assert not await credentials.renew_forbidden(old, FORBIDDEN, server)
    assert await credentials.get_credential(server) == old
    assert server.requests == 2
