"""Credentials: which header they send, and when a token is requested, shared and renewed."""

from __future__ import annotations

import asyncio
import base64
import time

import attrs
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
from evtransport.auth import Credential
from evtransport.http import Response
from tests.support.error_dump import dump_error
from tests.support.tokens import (
    INVALID_TOKEN,
    SECRET,
    TOKEN_URL,
    Clock,
    TokenServer,
    header,
    settle,
    token,
)

PAIR = base64.b64encode(f"my-id:{SECRET}".encode()).decode()
OTHER = Credential("Authorization", "Bearer ", Secret("other"))


# Construction and fixed credentials.


@pytest.mark.parametrize(
    "auth",
    [
        ApiKey(Secret(SECRET)),
        BearerToken(Secret(SECRET)),
        ClientCredentials("my-id", Secret(SECRET), TOKEN_URL),
    ],
    ids=lambda auth: type(auth).__name__,
)
def test_credentials_show_no_secret(auth: ApiKey | BearerToken | ClientCredentials) -> None:
    for text in (repr(auth), str(auth), repr(attrs.astuple(auth, recurse=True))):
        assert SECRET not in text
        assert PAIR not in text


@pytest.mark.parametrize(
    ("client_id", "secret", "message"),
    [
        ("", SECRET, "client_id must not be empty"),
        ("a:b", SECRET, "client_id must not hold a colon"),
        (None, SECRET, "client_id must be a string, not NoneType"),
        ("id", f"{SECRET}\n", "client_secret must not hold control characters"),
    ],
)
def test_client_credentials_that_no_header_can_carry_are_refused(
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
    assert server.requests == 0
    with pytest.raises(ValueError, match=f"^{argument} must not hold control characters"):
        kind(Secret(f"{SECRET}\n"))


# The first token.


async def test_a_token_is_requested_on_first_use_as_the_vendor_describes(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"))
    assert [*credentials.secrets] == [Secret(SECRET), Secret(PAIR)]

    assert await header(credentials, server) == "Bearer t0k3n-1"

    form = b"grant_type=client_credentials"
    assert server.received == [(TOKEN_URL, f"Authorization: Basic {PAIR}", form)]
    assert credentials.secrets[2:] == (Secret("t0k3n-1"),)
    assert "t0k3n-1" not in repr(credentials)
    assert ClientCredentials("id", Secret(SECRET), TOKEN_URL).clock is time.monotonic


async def test_a_client_id_beyond_ascii_is_sent_in_utf_8() -> None:
    server = TokenServer(token())
    await ClientCredentials("d\u00e9p\u00f4t", Secret(SECRET), TOKEN_URL).get_credential(server)

    sent = base64.b64decode(server.received[0][1].rpartition(" ")[2])
    assert sent == f"d\u00e9p\u00f4t:{SECRET}".encode()


async def test_concurrent_first_calls_send_one_token_request(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"))
    headers = await asyncio.gather(*(header(credentials, server) for _ in range(100)))

    assert set(headers) == {"Bearer t0k3n-1"}
    assert server.requests == 1


# Renewal by time.


@pytest.mark.parametrize(
    ("expires_in", "renewed_after"),
    [
        *[(3600, 3540.0), (120, 60.0), (100, 50.0), (0.5, 0.25)],
        *[("3600", 3540.0), ("3599.5", 3539.5), (" 100 ", 50.0), ("1e2", 50.0)],
    ],
)
async def test_a_token_is_renewed_a_minute_before_its_end_or_at_half_its_life(
    credentials: ClientCredentials, clock: Clock, expires_in: object, renewed_after: float
) -> None:
    server = TokenServer(token("t0k3n-1", expires_in=expires_in), token("t0k3n-2"))
    server.gate.clear()
    first = asyncio.create_task(header(credentials, server))
    await settle()
    clock.now += renewed_after - 0.125  # the life counts from the request
    server.gate.set()

    assert await first == "Bearer t0k3n-1"
    assert await header(credentials, server) == "Bearer t0k3n-1"
    clock.now += 0.125
    assert await header(credentials, server) == "Bearer t0k3n-2"


@pytest.mark.parametrize("expires_in", [0, -1e300, "-1"])
async def test_a_token_that_has_expired_on_arrival_serves_the_waiting_calls(
    credentials: ClientCredentials, expires_in: object
) -> None:
    server = TokenServer(token("t0k3n-1", expires_in=expires_in), token("t0k3n-2"))

    headers = await asyncio.gather(*(header(credentials, server) for _ in range(10)))

    assert set(headers) == {"Bearer t0k3n-1"}
    assert await header(credentials, server) == "Bearer t0k3n-2"


@pytest.mark.parametrize(
    "expires_in",
    [
        *("", "null", "true", "{}", '""', '"soon"', '"PT1H"', '"1_000"', '"inf"', '"0x10"'),
        *('"\u0663\u0666"', '"\\u0033600"', "1e999", "9" * 5_000, '"' + "9" * 400 + '"'),
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


# Cancellation and failure.


@pytest.mark.parametrize(("cancelled", "requests"), [(0, 2), (2, 1)])
async def test_a_cancelled_call_does_not_affect_the_others(
    credentials: ClientCredentials, cancelled: int, requests: int
) -> None:
    server = TokenServer(*[token()] * requests)
    server.gate.clear()
    calls = [asyncio.create_task(header(credentials, server)) for _ in range(5)]
    await settle()

    calls[cancelled].cancel()
    await settle()
    server.gate.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(outcomes.pop(cancelled), asyncio.CancelledError)
    assert outcomes == ["Bearer t0k3n-1"] * 4
    assert server.requests == requests


async def test_waiting_calls_share_a_failure_and_each_gets_its_own_error(
    credentials: ClientCredentials,
) -> None:
    original = ServerError("the server responded with 503", status=503, body=b"busy", retry_after=7)
    server = TokenServer(original)

    errors = await asyncio.gather(
        *(header(credentials, server) for _ in range(10)), return_exceptions=True
    )

    assert server.requests == 1
    assert len({id(error) for error in [original, *errors]}) == 11
    shared = []
    for error in errors:
        assert isinstance(error, ServerError)
        assert (str(error), error.status, error.retry_after) == (str(original), 503, 7)
        assert error.cursor is None
        error.cursor = Cursor(query={}, limit=1)
        shared.append(error.shared)
    assert shared == [False] + [True] * 9


async def test_a_call_after_a_failure_requests_a_token_again(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(ConnectionFailed("no"), ConnectionFailed("no"), token("t0k3n-3"))
    for _ in range(2):
        with pytest.raises(ConnectionFailed):
            await credentials.get_credential(server)

    assert await header(credentials, server) == "Bearer t0k3n-3"


async def test_an_error_of_another_type_reaches_only_its_own_call(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(RuntimeError("the client was closed"), token("t0k3n-2"))

    outcomes = await asyncio.gather(
        header(credentials, server), header(credentials, server), return_exceptions=True
    )

    assert isinstance(outcomes[0], RuntimeError)
    assert outcomes[1] == "Bearer t0k3n-2"


async def test_a_failed_renewal_is_raised_although_the_old_token_is_valid(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(token(expires_in=100), ConnectionFailed("no"))
    await credentials.get_credential(server)
    clock.now += 60

    with pytest.raises(ConnectionFailed):
        await credentials.get_credential(server)

    assert Secret("t0k3n-1") not in credentials.secrets


# Tokens that get a 401.


async def test_a_token_that_many_calls_invalidate_is_renewed_once(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"), token("t0k3n-2"))
    assert credentials.invalidate(OTHER)
    old = await credentials.get_credential(server)

    async def get_a_401() -> str:
        assert credentials.invalidate(old)
        return await header(credentials, server)

    assert set(await asyncio.gather(*(get_a_401() for _ in range(50)))) == {"Bearer t0k3n-2"}
    assert credentials.invalidate(old), "a token is available"
    assert await header(credentials, server) == "Bearer t0k3n-2"
    assert server.requests == 2


async def test_a_token_that_is_invalidated_before_waiting_calls_see_it_is_requested_again(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"), token("t0k3n-2"))

    async def get_and_invalidate() -> str:
        credential = await credentials.get_credential(server)
        credentials.invalidate(credential)
        return credential.value

    headers = await asyncio.gather(
        get_and_invalidate(), *(header(credentials, server) for _ in range(5))
    )

    assert headers == ["Bearer t0k3n-1", *["Bearer t0k3n-2"] * 5]
    assert server.requests == 2


# Token responses.


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (401, b"", AuthError, "the token URL responded with 401"),
        (
            400,
            b'{"error": "unauthorized_client"}',
            AuthError,
            "responded with 400: unauthorized_client",
        ),
        (400, b'{"error": "invalid_request"}', StatusError, "responded with 400"),
        (429, b"", RateLimitedError, "responded with 429"),
        (307, b"", RedirectError, "responded with 307"),
        (200, b'{"error": "invalid_client", "hint": "%s"}' % (b"x" * 5000), AuthError, "200: inv"),
        (200, b'{"access_token": null, "error": "invalid_grant"}', AuthError, "200: invalid_grant"),
        (
            200,
            b'{"error": {"code": "access_denied"}}',
            AuthError,
            "responded with 200: access_denied",
        ),
        (200, b'{"error": "busy"}', StatusError, "the token URL responded with 200: busy"),
        (200, b'{"error": null}', SchemaError, "$: object missing required field access_token"),
        (200, b"", DecodeError, "it is empty"),
        (200, b'{"access_token": "t0k3n', DecodeError, "not JSON"),
        (200, b'{"access_token": "t0k3n-\xff"}', DecodeError, "not JSON"),
        (200, b"[]", SchemaError, "$: expected object, got array"),
        (200, b'{"access_token": 5}', SchemaError, "$.access_token: expected str"),
        (200, b'{"access_token": ""}', SchemaError, "$.access_token: must not be empty"),
        (200, b'{"access_token": "t0k3n\\n"}', SchemaError, "must not hold control characters"),
        (200, b'{"access_token": "%s"}' % (b"t0k3n" * 4_000), AuthError, "more than 16,384"),
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_a_bad_token_response_is_a_typed_error_that_shows_no_token(
    credentials: ClientCredentials, status: int, body: bytes, kind: type[ApiError], message: str
) -> None:
    with pytest.raises(ApiError) as caught:
        await credentials.get_credential(TokenServer(Response(status, {}, body)))

    assert type(caught.value) is kind
    assert message in str(caught.value)
    shown = dump_error(caught.value)
    assert "t0k3n" not in shown
    assert SECRET not in shown


async def test_a_refusal_keeps_code_and_wait_but_not_the_body(
    credentials: ClientCredentials,
) -> None:
    body = b'{"error": "invalid_client", "error_description": "no such client"}'
    with pytest.raises(AuthError) as caught:
        await credentials.get_credential(TokenServer(Response(403, {"retry-after": "9"}, body)))

    error = caught.value
    assert (error.status, error.code, error.retry_after) == (403, "invalid_client", 9.0)
    assert error.body == b""  # a response of the token URL may hold a token


@pytest.mark.parametrize("response", [token("t" * 16_384), token("t0k3n", error="none")])
async def test_a_token_is_accepted_at_the_maximum_length_and_next_to_an_error(
    credentials: ClientCredentials, response: Response
) -> None:
    assert (await header(credentials, TokenServer(response))).startswith("Bearer t")
