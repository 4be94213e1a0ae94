"""Settings of the workers that read partitions."""

from __future__ import annotations

from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar

import attrs

from depotclient.client import DepotClient
from depotclient.partitions.calendar import MARGIN
from depotclient.query import validate_duration
from depotclient.reports import LIMITS
from evtransport.proxy import SealedProxy, parse_proxy, reveal_proxy, seal_proxy
from evtransport.retry import RetryPolicy, Timeout
from evtransport.secrets import Secret
from evtransport.validation import validate_int

__all__ = ["ReadSettings", "require_settings"]

T = TypeVar("T")


def _seal(secret: str | Secret | None) -> Secret | None:
    return secret if secret is None or isinstance(secret, Secret) else Secret(secret)


def _reveal(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def _seal_before_init(cls: type[T]) -> type[T]:
    """Seal the secrets before `__init__` runs: a traceback may show its arguments."""
    init: Any = cls.__init__

    @wraps(init)
    def __init__(self: T, **options: Any) -> None:  # noqa: N807 - replaces the generated method
        for name, seal in (("token", _seal), ("client_secret", _seal), ("proxy", seal_proxy)):
            options[name] = seal(options.get(name))
        init(self, **options)

    cls.__init__ = __init__  # type: ignore[assignment, method-assign]
    return cls


@_seal_before_init
@attrs.frozen(kw_only=True)
class ReadSettings:
    """Account and options for reading partitions, the same for all workers.

    Without credentials, each worker uses the credentials in its environment, as
    `DepotClient.from_env` does. `str` and `repr` show no credentials. But the pickle contains
    them, and the engine stores it and sends it with the tasks.

    Args:
        token: Access token. It must stay valid until everything is read.
        client_id: Client id.
        client_secret: Secret of `client_id`.
        region: As in `DepotClient`, only with credentials.
        base_url: As in `DepotClient`, only with credentials.
        token_url: As in `DepotClient`, only with credentials.
        proxy: As in `DepotClient`, even without credentials. None uses the proxies of each
            worker's environment.
        margin: Time read on both sides of a window. It must cover the longest session.
        verify: Whether to walk each window until a whole pass finds nothing new.
        limit: Reports on a page. None starts with 10 and lets pages grow to about 8 MiB. A larger
            limit saves requests if a window has few small reports.
        retry: Retry settings.
        timeout: Time limits of one page.

    Raises:
        ValueError: An argument is invalid. The message never quotes a secret.

    Example:
        >>> settings = ReadSettings(margin=timedelta(hours=12), verify=True)
    """

    token: Secret | None = attrs.field(default=None, converter=_seal)
    client_id: str | None = None
    client_secret: Secret | None = attrs.field(default=None, converter=_seal)
    region: str | None = None
    base_url: str | None = None
    token_url: str | None = None
    proxy: SealedProxy = attrs.field(default=None, converter=seal_proxy)
    margin: timedelta = MARGIN
    verify: bool = False
    limit: int | None = None
    retry: RetryPolicy = attrs.field(default=RetryPolicy())
    timeout: Timeout = attrs.field(default=Timeout())

    def __attrs_post_init__(self) -> None:
        if self.token is not None and callable(self.token.reveal()):
            raise ValueError(
                "token must be text: a function can't be sent to the workers. Without credentials,"
                " each worker reads those of its own environment"
            )
        validate_duration("margin", self.margin)
        if self.limit is not None:
            validate_int("limit", self.limit, minimum=1, maximum=LIMITS.maximum)
        for name, kind in (("verify", bool), ("retry", RetryPolicy), ("timeout", Timeout)):
            if not isinstance(value := getattr(self, name), kind):
                raise ValueError(f"{name} must be a {kind.__name__}, got {value!r}")
        # An invalid proxy or account fails here, not in a worker.
        parse_proxy(self.proxy)
        if self._has_credentials:
            self.client()
        elif any(value is not None for value in (self.region, self.base_url, self.token_url)):
            raise ValueError(
                "region, base_url and token_url require credentials: without credentials, a worker"
                " reads DEPOT_REGION, DEPOT_BASE_URL and DEPOT_TOKEN_URL from its environment"
            )

    @property
    def _has_credentials(self) -> bool:
        given = (self.token, self.client_id, self.client_secret)
        return any(value is not None for value in given)

    def client(self) -> DepotClient:
        """Return a new client of this account, without opening a connection.

        Raises:
            ValueError: The settings have no credentials, and the environment has none or invalid
                ones.
        """
        if not self._has_credentials:
            return DepotClient.from_env(proxy=reveal_proxy(self.proxy))
        return DepotClient(
            token=_reveal(self.token),
            client_id=self.client_id,
            client_secret=_reveal(self.client_secret),
            region=self.region or "eu",
            base_url=self.base_url,
            token_url=self.token_url,
            proxy=reveal_proxy(self.proxy),
        )

    def __getstate__(self) -> dict[str, Any]:
        # A Secret refuses to be pickled, but workers need its text.
        plain = {
            "token": _reveal(self.token),
            "client_secret": _reveal(self.client_secret),
            "proxy": reveal_proxy(self.proxy),
        }
        return attrs.asdict(self, recurse=False) | plain

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state.keys() != attrs.fields_dict(type(self)).keys():
            del state  # A traceback may show its secrets.
            raise ValueError(
                "the settings were pickled by another version of this library: install the same"
                " version on all workers"
            )
        ReadSettings.__init__(self, **state)


def require_settings(settings: ReadSettings | None) -> ReadSettings:
    """Return the settings. None means the settings in the environment.

    Raises:
        ValueError: The argument is not a `ReadSettings`.
    """
    if settings is None:
        return ReadSettings()
    if not isinstance(settings, ReadSettings):
        # Don't quote the value: it may be a credential.
        raise ValueError(f"settings must be ReadSettings, got {type(settings).__name__}")
    return settings
