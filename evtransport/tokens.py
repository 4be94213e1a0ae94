"""Responses of a token URL, and the age at which a token is renewed."""

from __future__ import annotations

import math
import re
import time

import msgspec

from evtransport.errors import AuthError, SchemaError
from evtransport.http import ErrorNames, Response, build_status_error
from evtransport.secrets import MAX_SECRET_LENGTH, Secret, find_problem
from evtransport.structure import JsonValue, decode

__all__ = ["parse_token", "renewal_age"]

OAUTH_ERRORS: ErrorNames = dict.fromkeys(
    ("access_denied", "invalid_client", "invalid_grant", "invalid_scope", "unauthorized_client"),
    AuthError,
)
"""RFC 6749 errors that reject the credentials, whatever the status."""

EXPIRY_SKEW = 60.0
"""Seconds before expiry at which a token is renewed, but at most half of its lifetime."""

_NUMBER = re.compile(r'"?\s*(-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)\s*"?')


class _TokenResponse(msgspec.Struct):
    access_token: str | None = None
    expires_in: msgspec.Raw = msgspec.Raw()
    error: JsonValue = None


_DECODER = msgspec.json.Decoder(_TokenResponse)


def parse_token(response: Response) -> tuple[Secret, float | None]:
    """Return the token in a response from the token URL, and its lifetime in seconds if known.

    Raises:
        StatusError: The response is an error. Its status may be 200.
        ResponseError: The response has no token that a header can carry.
    """
    found = decode(response.body, _DECODER) if response.status == 200 else None
    if found is None or (found.error and not found.access_token):
        raise build_status_error(response, OAUTH_ERRORS, now=time.time())
    if found.access_token is None:
        raise SchemaError(("$: object missing required field access_token",))
    if len(found.access_token) > MAX_SECRET_LENGTH:
        text = f"the token has more than {MAX_SECRET_LENGTH:,} characters"
        raise AuthError(text, status=200)
    secret = Secret(found.access_token)
    if problem := find_problem(secret):
        raise SchemaError((f"$.access_token: {problem}",))
    number = _NUMBER.fullmatch(bytes(found.expires_in).decode())
    return secret, max(0.0, float(number[1])) if number else None


def renewal_age(lifetime: float | None) -> float:
    """Return the age in seconds at which a token with this lifetime is renewed."""
    return math.inf if lifetime is None else lifetime - min(EXPIRY_SKEW, lifetime / 2)
