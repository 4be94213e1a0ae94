"""Proxies: which one a request goes through, by argument or by the environment."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Literal, TypeAlias
from urllib.request import getproxies, proxy_bypass

import attrs
from yarl import URL

from evtransport.auth import Secret, problem_of
from evtransport.http import http_url, is_loopback

__all__ = ["Proxy", "ProxyOption", "SealedProxy", "environment_proxy", "proxy_option"]
__all__ += ["reveal_proxy", "seal_proxy"]


@attrs.frozen
class Proxy:
    """A proxy, and what it is told of its user.

    Attributes:
        url: Without user and password.
        secrets: The password and the encoded pair; empty without a user.
    """

    url: URL
    secrets: tuple[Secret, ...] = ()

    def may_carry(self, url: URL) -> bool:
        """Return False for plain http over another machine.

        Such an address is on loopback. A proxy elsewhere can't reach it, and must not read its
        credentials.
        """
        return url.scheme == "https" or is_loopback(self.url)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers for the proxy alone."""
        if not self.secrets:
            return {}
        return {"Proxy-Authorization": f"Basic {self.secrets[-1].reveal()}"}


ProxyOption: TypeAlias = Proxy | Literal[False] | None
"""A checked `proxy=`: one proxy for all requests, none, or those of the environment."""


SealedProxy: TypeAlias = Secret | Literal[False] | None
"""What a caller gave as `proxy=`, hidden since a URL may hold a password."""


def seal_proxy(given: str | Secret | Literal[False] | None) -> SealedProxy:
    """Hide what a caller gave as `proxy=`."""
    return given if given is None or given is False or isinstance(given, Secret) else Secret(given)


def reveal_proxy(sealed: SealedProxy) -> str | Literal[False] | None:
    """Return what a caller gave."""
    return sealed.reveal() if isinstance(sealed, Secret) else sealed


def proxy_option(sealed: SealedProxy) -> ProxyOption:
    """Check what a caller gave as `proxy=`.

    Raises:
        ValueError: It is not usable. The message does not quote it.
    """
    return _proxy("proxy", sealed) if isinstance(sealed, Secret) else sealed


def environment_proxy(url: URL) -> Proxy | None:
    """Return the proxy that the environment names for an address (`HTTPS_PROXY`, `NO_PROXY`).

    Raises:
        ValueError: The environment's proxy is not usable. The message does not quote it.
    """
    sealed = Secret(getproxies().get(url.scheme, ""))
    names = (url.raw_host or "", f"{url.host_subcomponent}:{url.port}")
    if not sealed.reveal() or any(map(proxy_bypass, names)):
        return None
    return _proxy(f"{url.scheme}_proxy in the environment", sealed)


def _proxy(name: str, sealed: Secret) -> Proxy:
    if proxy := _parsed(sealed):
        return proxy
    raise ValueError(f"{name} must be the URL of an http or https proxy, such as http://proxy:3128")


def _parsed(sealed: Secret) -> Proxy | None:
    """Return the proxy; None if there is none. An error raised here shows the password."""
    if problem_of(sealed):
        return None
    text = sealed.reveal()
    url = http_url(text if "://" in text else f"http://{text}")
    if url is None:
        return None
    if url.raw_user is None and url.raw_password is None:
        return Proxy(url)
    user, password = url.user or "", url.password or ""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Proxy(url.with_user(None), (Secret(password or user), Secret(pair)))
