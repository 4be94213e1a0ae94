"""Proxies: the `proxy=` argument and the proxies from the environment."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Literal, TypeAlias
from urllib.request import getproxies, proxy_bypass

import attrs
from yarl import URL

from evtransport.secrets import Secret, find_problem
from evtransport.validation import is_loopback, parse_http_url

__all__ = ["Proxy", "SealedProxy", "find_environment_proxy", "parse_proxy"]
__all__ += ["reveal_proxy", "seal_proxy"]

SealedProxy: TypeAlias = Secret | Literal[False] | None
"""Value of `proxy=`, sealed because a URL may hold a password."""


@attrs.frozen
class Proxy:
    """Proxy with its credentials.

    Attributes:
        url: Address without user and password.
        secrets: Password, and encoded pair of user and password. Empty without a user.
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
        """Return the headers that only the proxy reads."""
        if not self.secrets:
            return {}
        return {"Proxy-Authorization": f"Basic {self.secrets[-1].reveal()}"}


def seal_proxy(proxy: str | Secret | Literal[False] | None) -> SealedProxy:
    """Seal the value of `proxy=`."""
    return Secret(proxy) if not isinstance(proxy, Secret | None) and proxy is not False else proxy


def reveal_proxy(sealed: SealedProxy) -> str | Literal[False] | None:
    """Return the value that `seal_proxy` has sealed."""
    return sealed.reveal() if isinstance(sealed, Secret) else sealed


def parse_proxy(sealed: SealedProxy) -> Proxy | Literal[False] | None:
    """Return the proxy of `proxy=`, False for no proxy, or None for the environment's.

    Raises:
        ValueError: The value is not usable. The message does not quote it.
    """
    return _parse("proxy", sealed) if isinstance(sealed, Secret) else sealed


def find_environment_proxy(url: URL) -> Proxy | None:
    """Return the proxy that the environment names for an address (`HTTPS_PROXY`, `NO_PROXY`).

    Raises:
        ValueError: The environment's proxy is not usable. The message does not quote it.
    """
    sealed = Secret(getproxies().get(url.scheme, ""))
    names = (url.raw_host or "", f"{url.host_subcomponent}:{url.port}")
    if not sealed.reveal() or any(map(proxy_bypass, names)):
        return None
    return _parse(f"{url.scheme}_proxy in the environment", sealed)


def _parse(name: str, sealed: Secret) -> Proxy:
    # The error is raised here, because a traceback that shows locals must not show the password.
    if proxy := _try_parse(sealed):
        return proxy
    raise ValueError(f"{name} must be the URL of an http or https proxy, such as http://proxy:3128")


def _try_parse(sealed: Secret) -> Proxy | None:
    if find_problem(sealed):
        return None
    text = sealed.reveal()
    url = parse_http_url(text if "://" in text else f"http://{text}")
    if url is None:
        return None
    if url.raw_user is None and url.raw_password is None:
        return Proxy(url)
    user, password = url.user or "", url.password or ""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Proxy(url.with_user(None), (Secret(password or user), Secret(pair)))
