"""Proxies: the choice between the argument `proxy=` and the environment."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Literal, TypeAlias
from urllib.request import getproxies, proxy_bypass

import attrs
from yarl import URL

from evtransport.auth import Secret, problem_of
from evtransport.validation import http_url, is_loopback

__all__ = ["Proxy", "ProxyOption", "SealedProxy", "environment_proxy", "proxy_option"]
__all__ += ["reveal_proxy", "seal_proxy"]


@attrs.frozen
class Proxy:
    """Proxy, with the credentials that are sent to it.

    Attributes:
        url: Address without user and password.
        secrets: The password and the encoded pair of user and password. Empty without a user.
    """

    url: URL
    secrets: tuple[Secret, ...] = ()

    def may_carry(self, url: URL) -> bool:
        """Return False for a plain http address if the proxy is on another machine.

        Plain http addresses are on loopback. A proxy on another machine can't reach them, and must
        not read the credentials in the request.
        """
        return url.scheme == "https" or is_loopback(self.url)

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that only the proxy reads."""
        if not self.secrets:
            return {}
        return {"Proxy-Authorization": f"Basic {self.secrets[-1].reveal()}"}


ProxyOption: TypeAlias = Proxy | Literal[False] | None
"""A checked `proxy=`: one proxy for all requests, none, or those of the environment."""


SealedProxy: TypeAlias = Secret | Literal[False] | None
"""Value of `proxy=`, hidden because a URL may hold a password."""


def seal_proxy(given: str | Secret | Literal[False] | None) -> SealedProxy:
    """Hide the value of `proxy=`."""
    return given if given is None or given is False or isinstance(given, Secret) else Secret(given)


def reveal_proxy(sealed: SealedProxy) -> str | Literal[False] | None:
    """Return the value that `seal_proxy` has hidden."""
    return sealed.reveal() if isinstance(sealed, Secret) else sealed


def proxy_option(sealed: SealedProxy) -> ProxyOption:
    """Check the value of `proxy=` and return the option.

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
    """Return the proxy, None if the text isn't the URL of one.

    The caller raises the error: a traceback from here shows the password.
    """
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
