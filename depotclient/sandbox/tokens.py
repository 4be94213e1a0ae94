"""Bearer tokens of the sandbox: issued, checked and revoked."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import attrs

from depotclient.sandbox.requests import RefusedError
from evtransport.testing.faults import SandboxResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

__all__ = ["TokenStore"]


@attrs.define(eq=False, repr=False)
class TokenStore:
    """Tokens that the sandbox has issued, with the time at which they expire.

    Args:
        clock: Returns monotonic seconds.
    """

    clock: Callable[[], float]
    expiry: dict[str, float] = attrs.field(init=False, factory=dict[str, float])

    def issue(
        self, request: web.BaseRequest, form: bytes, credentials: str, lifetime: float
    ) -> SandboxResponse:
        """Return the response to a token request. Raise RefusedError if it is invalid.

        Args:
            request: The request.
            form: Its body.
            credentials: Client id and secret that are valid, separated by a colon.
            lifetime: Lifetime of the token, in seconds.
        """
        if request.method != "POST":
            raise RefusedError(405, "the method must be POST")
        pair = base64.b64encode(credentials.encode()).decode()
        authorized = request.headers.get("Authorization") == f"Basic {pair}"
        grant = parse_qs(form.decode("utf-8", "replace")).get("grant_type")
        if not authorized or grant != ["client_credentials"]:
            raise RefusedError(403, "Forbidden")
        token = secrets.token_urlsafe()
        self.expiry[token] = self.clock() + lifetime
        return SandboxResponse.json(
            {"access_token": token, "expires_in": lifetime, "token_type": "bearer"}
        )

    def authorize(self, request: web.BaseRequest, lasting: str) -> None:
        """Raise RefusedError unless a request may read. The token `lasting` is always valid."""
        if request.method != "GET":
            raise RefusedError(405, "the method must be GET")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token != lasting and self.expiry.get(token, 0.0) <= self.clock():
            raise RefusedError(401, "Unauthorized")

    def revoke(self) -> None:
        """Forget all tokens."""
        self.expiry.clear()
