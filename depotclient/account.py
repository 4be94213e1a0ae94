"""Account of a client: its credentials, and the addresses of the vendor's regions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import attrs
from yarl import URL

from evtransport.auth import Auth, BearerToken, ClientCredentials, TokenFunction
from evtransport.secrets import Secret
from evtransport.validation import parse_base_url

__all__ = ["REGIONS", "Region", "choose_address", "choose_auth", "hint_of"]


@attrs.frozen
class Region:
    """Addresses of one of the vendor's regions."""

    base_url: str
    token_url: str


REGIONS: Final = {
    "eu": Region(
        base_url="https://api.eu.depot.emobility.io/v1",
        token_url="https://clientapp-auth.eu.depot.emobility.io/oauth2/token",  # noqa: S106
    )
}
"""Regions with published addresses. The vendor has other regions."""


def choose_auth(
    token: Secret | Callable[[], Awaitable[str]] | None,
    client_id: str | None,
    client_secret: Secret | None,
    token_url: Callable[[], URL],
) -> Auth:
    """Return the credentials that the arguments of a client describe.

    Raises:
        ValueError: They are not exactly one kind of credentials, or invalid.
    """
    if (token is None) == (client_id is None and client_secret is None):
        raise ValueError(
            "pass exactly one kind of credentials: token, or client_id and client_secret"
        )
    if isinstance(token, Secret):
        return BearerToken(token)
    if token is not None:
        return TokenFunction(token)
    if client_id is None or client_secret is None:
        missing = "client_id" if client_id is None else "client_secret"
        raise ValueError(f"{missing} is missing: client credentials are a pair")
    return ClientCredentials(client_id, client_secret, token_url())


def hint_of(token: Secret | Callable[[], Awaitable[str]] | None) -> str:
    """Return which credential to check after the API rejected it."""
    if token is None:
        return "check client_id and client_secret (DEPOT_CLIENT_ID and DEPOT_CLIENT_SECRET)"
    is_function = not isinstance(token, Secret)
    return "check the function passed as token" if is_function else "check token (DEPOT_TOKEN)"


def choose_address(name: str, address: str | URL | None, region: object) -> URL:
    """Return the caller's address, or the region's published one.

    Args:
        name: Name of the argument: `base_url` or `token_url`.
        address: Address that the caller gave.
        region: Region that the caller gave.

    Raises:
        ValueError: The address is invalid, or it is missing and the region has no published one.
    """
    known = REGIONS.get(region) if isinstance(region, str) else None
    if address is None and known is None:
        raise ValueError(
            f"the addresses of region {region!r} are not published (known: {', '.join(REGIONS)});"
            f" pass {name}"
        )
    return parse_base_url(name, getattr(known, name) if address is None else address)
