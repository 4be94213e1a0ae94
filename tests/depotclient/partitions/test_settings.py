"""Settings of workers: they can be pickled, are checked at once, and show no secret."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import attrs
import pytest

from depotclient import RetryPolicy, Timeout
from depotclient.partitions import Partition, ReadSettings, read_batches
from evtransport.proxy import reveal_proxy
from tests.support.error_dump import dump_error

SECRET = "s3cr3t-enough-to-be-found"

GIVEN: dict[str, dict[str, Any]] = {
    "the environment": {},
    "a token": {"token": SECRET, "margin": timedelta(hours=3), "limit": 7},
    "client credentials": {
        "client_id": "me",
        "client_secret": SECRET,
        "base_url": "https://depot.test/v1",
        "token_url": "https://depot.test/token",
        "verify": True,
        "retry": RetryPolicy(attempts=9),
        "timeout": Timeout(total=5),
        "proxy": False,
    },
    "a proxy with a password": {"proxy": f"http://me:{SECRET}@proxy:3128"},
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN.keys())
def test_pickled_settings_equal_them_and_show_no_secret(given: dict[str, Any]) -> None:
    settings = ReadSettings(**given)
    other: ReadSettings = pickle.loads(pickle.dumps(settings))  # noqa: S301
    assert other == settings == attrs.evolve(settings)
    assert hash(other) == hash(settings)
    assert SECRET not in repr(other) + str(other)
    secrets = {secret.reveal() for secret in (other.token, other.client_secret) if secret}
    assert secrets == ({SECRET} & set(given.values()))
    assert reveal_proxy(other.proxy) == given.get("proxy")
    assert (other.retry, other.limit) == (given.get("retry", RetryPolicy()), given.get("limit"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"token": ""}, "token must not be empty"),
        ({"token": lambda: SECRET}, "token must be text: a function can't be sent to the workers"),
        ({"token": SECRET, "client_id": "me"}, "pass exactly one kind of credentials"),
        ({"client_secret": SECRET}, "client_id is missing"),
        ({"token": SECRET + "\n"}, "control characters"),
        ({"base_url": "https://depot.test"}, "require credentials: without credentials, a"),
        ({"region": "eu"}, "require credentials"),
        ({"margin": timedelta(days=367)}, "margin must be from 0 to 366 days, got 367 days"),
        ({"margin": 1}, "margin must be from 0 to 366 days, got 1"),
        ({"limit": 2001}, "limit must be an int"),
        ({"verify": "yes", "token": SECRET}, "verify must be a bool, got 'yes'"),
        ({"retry": 5}, "retry must be a RetryPolicy, got 5"),
        ({"timeout": None, "token": SECRET}, "timeout must be a Timeout, got None"),
        ({"proxy": f"socks5://{SECRET}@proxy"}, "proxy must be the URL of an http or https proxy"),
        ({"proxy": f"http://{SECRET}@", "token": SECRET}, "proxy must be the URL of an http"),
    ],
)
def test_invalid_settings_are_rejected_without_a_secret(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as failed:
        ReadSettings(**given)
    assert SECRET not in dump_error(failed.value)


def test_settings_of_another_version_are_rejected_without_a_secret() -> None:
    settings = ReadSettings(token=SECRET)
    state = settings.__getstate__() | {"patience": 3}
    with pytest.raises(ValueError, match="pickled by another version of this library") as failed:
        settings.__setstate__(state)
    del state
    assert SECRET not in dump_error(failed.value)


def test_a_secret_in_the_place_of_settings_is_not_quoted() -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match="settings must be ReadSettings, got str") as failed:
        read_batches([Partition("CP-001", "1", "2026-01")], SECRET)  # type: ignore[arg-type]
    assert SECRET not in str(failed.value)
