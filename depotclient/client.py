"""Client of the Depot (Siemens DepotFinity) Session Reports API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from yarl import URL

from depotclient.account import choose_address, choose_auth, hint_of
from depotclient.calls import DepotCalls
from depotclient.models import STRUCTURES
from evtransport.client import read_environment
from evtransport.connection import ClientSession, Limiter
from evtransport.proxy import reveal_proxy, seal_proxy
from evtransport.retry import RetryPolicy, Timeout
from evtransport.secrets import Secret
from evtransport.telemetry import Telemetry
from evtransport.transport import MAX_RESPONSE_BYTES, Transport
from evtransport.validation import parse_base_url

__all__ = ["DepotClient"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DepotClient(DepotCalls):
    """Client of the Depot Session Reports API.

    Pass either `token`, or `client_id` and `client_secret`.

    Args:
        token: Access token, which the client does not renew, or an async function without
            arguments that returns one, such as from a vault. The client calls the function at the
            first request and after the API rejected the token. Concurrent requests share one call
            and its `ApiError`. Any other error of the function passes unchanged, without retries.
        client_id: Client id. The client exchanges it and `client_secret` for tokens.
        client_secret: Secret of `client_id`.
        region: Region with known addresses, `eu`. For other regions, pass `base_url`, and
            `token_url` with client credentials.
        base_url: Address up to `/sessionReports`: https, or plain http to a loopback host.
        token_url: Address of the token endpoint, with the same rules.
        session: Your `ClientSession`. The client never closes it, and does not run its
            middlewares. None creates a session on first use.
        proxy: None uses the proxies of `session`, or the proxies from the environment if there is
            no session (`HTTPS_PROXY`, `NO_PROXY`). False uses no proxy, and a URL uses that proxy.
            Both override the session. Credentials in `~/.netrc` are never sent.
        retry: Retry settings.
        timeout: Time limits of a call. In a walk, each page is one call.
        limiter: Async context manager, entered around each request for reports.
        max_response_bytes: Maximum size of a decompressed response, in bytes.
        telemetry: Receiver of telemetry, such as `OpenTelemetry()`. None sends none.

    Attributes:
        now: Function that returns the current time as an aware datetime. Tests may replace it.

    Raises:
        ValueError: An argument is invalid. The message never quotes a secret.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     reports = await depot.session_reports("CP-001", 1).collect(max_items=3)
        >>> len(reports)
        3
    """

    _structures = STRUCTURES

    def __init__(
        self,
        *,
        token: str | Callable[[], Awaitable[str]] | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        region: str = "eu",
        base_url: str | URL | None = None,
        token_url: str | URL | None = None,
        session: ClientSession | None = None,
        proxy: str | Literal[False] | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        timeout: Timeout = Timeout(),  # noqa: B008
        limiter: Limiter | None = None,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        telemetry: Telemetry | None = None,
    ) -> None:
        sealed_token = token if token is None or callable(token) else Secret(token)
        sealed_secret = None if client_secret is None else Secret(client_secret)
        sealed_proxy = seal_proxy(proxy)
        del token, client_secret, proxy  # a traceback that shows locals must not show them
        if token_url is not None:
            token_url = parse_base_url("token_url", token_url)
        find_token_url = partial(choose_address, "token_url", token_url, region)
        self._transport = Transport(
            base_url=choose_address("base_url", base_url, region),
            auth=choose_auth(sealed_token, client_id, sealed_secret, find_token_url),
            hint=hint_of(sealed_token),
            session=session,
            proxy=sealed_proxy,
            retry=retry,
            timeout=timeout,
            limiter=limiter,
            max_response_bytes=max_response_bytes,
            telemetry=telemetry,
        )
        self.now: Callable[[], datetime] = _utc_now

    @classmethod
    def from_env(
        cls,
        *,
        session: ClientSession | None = None,
        proxy: str | Literal[False] | None = None,
        telemetry: Telemetry | None = None,
    ) -> DepotClient:
        """Return a client with the settings in the environment.

        The variables are `DEPOT_TOKEN`, or `DEPOT_CLIENT_ID` and `DEPOT_CLIENT_SECRET`, and
        optionally `DEPOT_REGION`, `DEPOT_BASE_URL` and `DEPOT_TOKEN_URL`.

        Args:
            session: Your `ClientSession`. Use `with_options` to change other settings.
            proxy: Same as in the constructor.
            telemetry: Same as in the constructor.

        Raises:
            ValueError: No credentials or both kinds are set, or a variable is invalid.

        Example:
            >>> async with DepotClient.from_env() as depot:
            ...     async for report in depot.session_reports("CP-001", 1):
            ...         first = report.session_id
            ...         break
            >>> first
            100000001
        """
        sealed_proxy = seal_proxy(proxy)
        del proxy  # a traceback that shows locals must not show it
        if not any(
            map(read_environment, ("DEPOT_TOKEN", "DEPOT_CLIENT_ID", "DEPOT_CLIENT_SECRET"))
        ):
            raise ValueError(
                "no credentials: set DEPOT_TOKEN, or DEPOT_CLIENT_ID and DEPOT_CLIENT_SECRET"
            )
        return cls(
            token=read_environment("DEPOT_TOKEN"),
            client_id=read_environment("DEPOT_CLIENT_ID"),
            client_secret=read_environment("DEPOT_CLIENT_SECRET"),
            region=read_environment("DEPOT_REGION") or "eu",
            base_url=read_environment("DEPOT_BASE_URL"),
            token_url=read_environment("DEPOT_TOKEN_URL"),
            session=session,
            proxy=reveal_proxy(sealed_proxy),
            telemetry=telemetry,
        )
