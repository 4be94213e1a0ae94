"""Proxies from the argument and from the environment. `test_connection_proxy.py` uses them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from yarl import URL

from depotclient import DepotClient
from evtransport.proxy import Proxy, find_environment_proxy, parse_proxy, reveal_proxy, seal_proxy
from tests.support.error_dump import dump_error
from thorclient import ThorClient

KEY = "k3y-of-the-api"
PAIR = base64.b64encode(b"me:p/ss w0rd").decode()


@pytest.mark.parametrize(
    ("given", "url", "headers"),
    [
        ("http://proxy:3128", "http://proxy:3128", {}),
        ("proxy:3128", "http://proxy:3128", {}),
        ("https://proxy/", "https://proxy/", {}),
        ("http://[::1]:3128", "http://[::1]:3128", {}),
        ("http://me:p%2Fss%20w0rd@proxy", "http://proxy", {"Proxy-Authorization": f"Basic {PAIR}"}),
        ("me:pw@proxy:1", "http://proxy:1", {"Proxy-Authorization": "Basic bWU6cHc="}),
        ("http://t0ken@proxy", "http://proxy", {"Proxy-Authorization": "Basic dDBrZW46"}),
        ("http://me:b%C3%BC@proxy", "http://proxy", {"Proxy-Authorization": "Basic bWU6YsO8"}),
    ],
)
def test_user_and_password_are_removed_from_the_url(
    given: str, url: str, headers: dict[str, str]
) -> None:
    sealed = seal_proxy(given)
    proxy = parse_proxy(sealed)

    assert isinstance(proxy, Proxy)
    assert (str(proxy.url), dict(proxy.headers)) == (url, headers)
    assert "p%2F" not in repr(proxy) + repr(sealed)
    assert reveal_proxy(sealed) == given
    assert seal_proxy(sealed) is sealed
    assert [parse_proxy(seal_proxy(value)) for value in (None, False)] == [None, False]
    assert [reveal_proxy(seal_proxy(value)) for value in (None, False)] == [None, False]


@pytest.mark.parametrize(
    "given",
    [
        *("", " ", True, 5, b"http://me:s3cr3t@proxy", "socks5://me:s3cr3t@proxy"),
        *("http://me:s3cr3t@", "http://me:s3cr3t@proxy:99999", "http://me:s3cr3t@[::1"),
        *("http://me:s3cr3t@pro xy", "http://me:s3cr3t@proxy\n", "http://me:s3cr3t@proxy:\u0661"),
        "http://me:s3cr3t\u00fc@proxy",
    ],
    ids=ascii,
)
def test_an_invalid_proxy_is_rejected_at_construction_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, given: Any
) -> None:
    monkeypatch.setenv("THOR_API_KEY", KEY)
    monkeypatch.setenv("DEPOT_TOKEN", KEY)
    for make in (
        lambda proxy: ThorClient(api_key=KEY, proxy=proxy),
        lambda proxy: DepotClient(token=KEY, proxy=proxy),
        lambda proxy: ThorClient.from_env(proxy=proxy),
        lambda proxy: DepotClient.from_env(proxy=proxy),
    ):
        with pytest.raises(ValueError, match=r"^proxy must be the URL of an http or") as caught:
            make(given)

        assert "s3cr3t" not in dump_error(caught.value)
        client = make("http://me:s3cr3t@proxy:1")
        assert "s3cr3t" not in repr(client) + repr(vars(client))


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({"HTTPS_PROXY": "http://proxy:1"}, "https://api.example/v1", "http://proxy:1"),
        ({"https_proxy": "proxy:1"}, "https://api.example/v1", "http://proxy:1"),
        ({"HTTPS_PROXY": ""}, "https://api.example", None),
        ({"HTTP_PROXY": "http://proxy:1"}, "https://api.example", None),
        ({"ALL_PROXY": "socks5://proxy:1"}, "https://api.example", None),
        ({"HTTPS_PROXY": "proxy", "NO_PROXY": "*"}, "https://api.example", None),
        ({"HTTPS_PROXY": "proxy", "NO_PROXY": "x, .example"}, "https://api.example", None),
        ({"HTTPS_PROXY": "proxy", "NO_PROXY": "api.example:443"}, "https://api.example", None),
        ({"HTTPS_PROXY": "p", "NO_PROXY": "api.example:1"}, "https://api.example", "http://p"),
        ({"HTTPS_PROXY": "p", "NO_PROXY": "pi.example"}, "https://api.example", "http://p"),
        ({"HTTPS_PROXY": "proxy", "NO_PROXY": "::1"}, "https://[::1]:8", None),
        ({"HTTPS_PROXY": "proxy", "NO_PROXY": "[::1]:8"}, "https://[::1]:8", None),
    ],
    ids=str,
)
def test_the_environment_names_proxies_and_exceptions(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    found = find_environment_proxy(URL(url))

    assert (found and str(found.url)) == proxy


def test_an_invalid_proxy_of_the_environment_is_rejected_at_construction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:s3cr3t@proxy")

    with pytest.raises(ValueError, match="https_proxy in the environment must be the") as caught:
        ThorClient(api_key=KEY)

    assert "s3cr3t" not in dump_error(caught.value)
    ThorClient(api_key=KEY, proxy=False)
    ThorClient(api_key=KEY, proxy="http://proxy")
