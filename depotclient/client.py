"""The client of the Depot (Siemens DepotFinity) Session Reports API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal, TypeVar, overload

import attrs
from yarl import URL

from depotclient.models import SessionReport, structurer_of
from depotclient.query import Query
from depotclient.reports import LIMITS, SessionReports
from evtransport.auth import Auth, BearerToken, ClientCredentials, Secret
from evtransport.client import ApiClient, from_environment
from evtransport.paging.cursor import Cursor
from evtransport.proxy import proxy_option, reveal_proxy, seal_proxy
from evtransport.retry import RetryPolicy, Timeout
from evtransport.transport import MAX_RESPONSE_BYTES, ClientSession, Limiter, Transport
from evtransport.validation import parse_base_url, validate_int

__all__ = ["REGIONS", "DepotClient", "Region"]

T = TypeVar("T")


@attrs.frozen
class Region:
    """The two addresses of one of the vendor's regions."""

    base_url: str
    token_url: str


REGIONS: Final = {
    "eu": Region(
        base_url="https://api.eu.depot.emobility.io/v1",
        token_url="https://clientapp-auth.eu.depot.emobility.io/oauth2/token",  # noqa: S106
    )
}
"""The regions whose addresses the vendor publishes. Others exist; their addresses must be given."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DepotClient(ApiClient):
    """The Depot Session Reports API.

    Give either `token`, or `client_id` and `client_secret`.

    Args:
        token: An access token that you obtained.
        client_id: Client credentials, exchanged for tokens that are renewed as needed.
        client_secret: The secret that goes with `client_id`.
        region: A region whose addresses are known, `eu`; for another one give `base_url`, and
            `token_url` with client credentials.
        base_url: https, or plain http to a loopback host; the address up to `/sessionReports`.
        token_url: Likewise, of the token endpoint.
        session: A `ClientSession` of yours, which is never closed here; its own middlewares are
            not run for these requests. None makes one on first use.
        proxy: None uses the proxies of your session, or of the environment (`HTTPS_PROXY`,
            `NO_PROXY`) without one. False uses no proxy, a URL that proxy. Both overrule the
            session. Credentials in `~/.netrc` are never sent.
        retry: How often and how patiently failed requests are repeated.
        timeout: How long a call may take; in a walk, each page is one call.
        limiter: Anything that can be `async with`, entered around each request for reports.
        max_response_bytes: How many decompressed bytes of an answer are held at the most.

    Attributes:
        now: Tells the time, aware; for tests to replace.

    Raises:
        ValueError: An argument is not usable. The message never quotes a secret.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
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
    ) -> None:
        sealed_token = None if token is None else Secret(token)
        sealed_secret = None if client_secret is None else Secret(client_secret)
        sealed_proxy = seal_proxy(proxy)
        del token, client_secret, proxy  # a traceback that shows locals must not show them
        known = REGIONS.get(region) if isinstance(region, str) else None
        if token_url is not None:
            token_url = parse_base_url("token_url", token_url)
        self._transport = Transport(
            base_url=_address("base_url", base_url, region, known.base_url if known else None),
            auth=_credentials(
                sealed_token,
                client_id,
                sealed_secret,
                lambda: _address(
                    "token_url", token_url, region, known.token_url if known else None
                ),
            ),
            session=session,
            proxy=proxy_option(sealed_proxy),
            retry=retry,
            timeout=timeout,
            limiter=limiter,
            max_response_bytes=max_response_bytes,
        )
        self.now: Callable[[], datetime] = _utc_now

    @classmethod
    def from_env(
        cls,
        *,
        session: ClientSession | None = None,
        proxy: str | Literal[False] | None = None,
    ) -> DepotClient:
        """A client by the environment.

        `DEPOT_TOKEN`, or `DEPOT_CLIENT_ID` and `DEPOT_CLIENT_SECRET`; and where they are set,
        `DEPOT_REGION`, `DEPOT_BASE_URL` and `DEPOT_TOKEN_URL`.

        Args:
            session: A `ClientSession` of yours; the other options are had by `with_options`.
            proxy: As in the constructor.

        Raises:
            ValueError: No credentials or both kinds are set, or a variable is not usable.
        """
        sealed_proxy = seal_proxy(proxy)
        del proxy  # a traceback that shows locals must not show it
        if not any(
            map(from_environment, ("DEPOT_TOKEN", "DEPOT_CLIENT_ID", "DEPOT_CLIENT_SECRET"))
        ):
            raise ValueError(
                "no credentials: set DEPOT_TOKEN, or DEPOT_CLIENT_ID and DEPOT_CLIENT_SECRET"
            )
        return cls(
            token=from_environment("DEPOT_TOKEN"),
            client_id=from_environment("DEPOT_CLIENT_ID"),
            client_secret=from_environment("DEPOT_CLIENT_SECRET"),
            region=from_environment("DEPOT_REGION") or "eu",
            base_url=from_environment("DEPOT_BASE_URL"),
            token_url=from_environment("DEPOT_TOKEN_URL"),
            session=session,
            proxy=reveal_proxy(sealed_proxy),
        )

    @overload
    def session_reports(
        self,
        charger_id: str,
        connector_id: str | int,
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        limit: int | None = None,
        read_ahead: int = 1,
        resume: Cursor | str | None = None,
        verify: bool = False,
    ) -> SessionReports[SessionReport]: ...

    @overload
    def session_reports(
        self,
        charger_id: str,
        connector_id: str | int,
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        limit: int | None = None,
        read_ahead: int = 1,
        into: type[T],
        resume: Cursor | str | None = None,
        verify: bool = False,
    ) -> SessionReports[T]: ...

    def session_reports(
        self,
        charger_id: str,
        connector_id: str | int,
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        limit: int | None = None,
        read_ahead: int = 1,
        into: type[T] = SessionReport,  # type: ignore[assignment]
        resume: Cursor | str | None = None,
        verify: bool = False,
    ) -> SessionReports[T]:
        """The session reports of one connector (Depot: Session Reports API). Nothing is asked yet.

        The vendor doesn't document which of a session's times the window tests, whether its ends
        are inclusive, and how the reports are ordered.

        Args:
            charger_id: The charger.
            connector_id: The connector; an int is sent as its digits.
            from_: Begin of the window, aware. None leaves it to the server.
            to: End of the window, aware. None means the start of each walk, so that later
                sessions don't shift the pages.
            limit: Largest page, 1 to 2000 reports (the vendor documents a minimum of 10 and a
                maximum of 2000). The walk asks for limits from half of it up, so that pages
                overlap. None lets the walk choose: it starts at 10 and grows while pages stay under
                8 MiB.
            read_ahead: Requests in flight while a page is consumed. 0 requests a page when the last
                one is consumed. With 2 or more, several requests are in flight at once.
            into: An attrs class with some of `SessionReport`'s fields; only those are parsed.
            resume: A cursor of an earlier walk of the same query, or its text. The window stays
                as that walk pinned it.
            verify: Walk the window again until a whole pass brings nothing new. This finds reports
                that were added before the walk's place or changed places. On a server that does not
                serve the limits that it is asked for, it finds reports that were skipped because
                others were deleted. It takes at least twice the requests, and keeps a key of every
                report in memory and in the cursor.

        Raises:
            ValueError: An argument is invalid, or the cursor belongs to another query, or to a walk
                without `verify`.
        """
        now = self.now
        query = Query.checked(charger_id, connector_id, from_, to, now())
        if limit is not None:
            validate_int("limit", limit, minimum=1, maximum=LIMITS.most)
        validate_int("read_ahead", read_ahead, minimum=0)
        if not isinstance(verify, bool):
            raise ValueError(f"verify must be True or False: {verify!r}")
        cursor = resume if resume is None or isinstance(resume, Cursor) else Cursor.parse(resume)
        if cursor is not None:
            query.check_cursor(cursor)
            if verify and cursor.offset and not cursor.delivered:
                raise ValueError(
                    "a walk with verify=True can only be resumed from a cursor of such a walk"
                )
        return SessionReports(
            transport=self._transport,
            structure=structurer_of(into),
            now=now,
            query=query,
            limit=limit,
            read_ahead=read_ahead,
            verify=verify,
            resume=cursor,
        )


def _credentials(
    token: Secret | None,
    client_id: str | None,
    client_secret: Secret | None,
    token_url: Callable[[], URL],
) -> Auth:
    if (token is None) == (client_id is None and client_secret is None):
        raise ValueError(
            "give exactly one kind of credentials: token, or client_id and client_secret"
        )
    if token is not None:
        return BearerToken(token)
    if client_id is None or client_secret is None:
        missing = "client_id" if client_id is None else "client_secret"
        raise ValueError(f"{missing} is missing: client credentials are a pair")
    return ClientCredentials(client_id, client_secret, token_url())


def _address(name: str, given: str | URL | None, region: str, published: str | None) -> URL:
    address = published if given is None else given
    if address is None:
        raise ValueError(
            f"the addresses of region {region!r} are not published (known: {', '.join(REGIONS)});"
            f" give {name}"
        )
    return parse_base_url(name, address)
