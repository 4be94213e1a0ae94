"""Client of the Thor integration API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Final, Literal, TypeAlias, overload

from yarl import URL

from evtransport.auth import ApiKey
from evtransport.client import ApiClient, read_environment
from evtransport.connection import ClientSession, Limiter
from evtransport.errors import ApiError
from evtransport.http import Request, check_echo
from evtransport.proxy import reveal_proxy, seal_proxy
from evtransport.query import encode_query
from evtransport.retry import RetryPolicy, Timeout
from evtransport.secrets import Secret
from evtransport.tasks import TaskPool
from evtransport.telemetry import Telemetry
from evtransport.transport import MAX_RESPONSE_BYTES, Transport
from evtransport.validation import (
    encode_segment,
    parse_base_url,
    validate_int,
    validate_interval,
)
from thorclient.errors import ERROR_NAMES
from thorclient.models import (
    STRUCTURES,
    Analytics,
    Chargebox,
    ConnectorType,
    structure_analytics,
    structure_chargebox,
)
from thorclient.poll import (
    Polled,
    iterate_ids,
    poll_analytics,
    structure_listed_box,
    validate_ids,
)
from thorclient.selection import Area, Selection

__all__ = ["BASE_URL", "ThorClient"]

BASE_URL: Final = "https://api.thor.tools/latest/integration"

_Result: TypeAlias = "tuple[str, Analytics | ApiError]"


class ThorClient(ApiClient):
    """Client of the Thor integration API: analytics and chargeboxes.

    Args:
        api_key: Key of the integration. Thor can bind it to one source address.
        base_url: Address of the API: https, or plain http to a loopback host.
        session: Your `ClientSession`. The client never closes it, and does not run its
            middlewares. None creates a session on first use.
        proxy: None uses the proxies of `session`, or the proxies from the environment if there is
            no session (`HTTPS_PROXY`, `NO_PROXY`). False uses no proxy, and a URL uses that proxy.
            Both override the session. Credentials in `~/.netrc` are never sent.
        retry: Retry settings.
        timeout: Time limits of a call.
        limiter: Async context manager, entered around each request.
        max_response_bytes: Maximum size of a decompressed response, in bytes.
        telemetry: Receiver of telemetry, such as `OpenTelemetry()`. None sends none.

    Raises:
        ValueError: An argument is invalid. The message never quotes the key.

    Example:
        >>> async with ThorClient.from_env() as thor:
        ...     box = await thor.get_chargebox("TB-0001")
        >>> box.id
        'TB-0001'
    """

    _structures = STRUCTURES

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | URL = BASE_URL,
        session: ClientSession | None = None,
        proxy: str | Literal[False] | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        timeout: Timeout = Timeout(),  # noqa: B008
        limiter: Limiter | None = None,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        telemetry: Telemetry | None = None,
    ) -> None:
        secret, sealed_proxy = Secret(api_key), seal_proxy(proxy)
        del api_key, proxy  # a traceback that shows locals must not show them
        self._transport = Transport(
            base_url=parse_base_url("base_url", base_url),
            auth=ApiKey(secret),
            hint="check api_key (THOR_API_KEY)",
            names=ERROR_NAMES,
            session=session,
            proxy=sealed_proxy,
            retry=retry,
            timeout=timeout,
            limiter=limiter,
            max_response_bytes=max_response_bytes,
            telemetry=telemetry,
        )

    @classmethod
    def from_env(
        cls,
        *,
        session: ClientSession | None = None,
        proxy: str | Literal[False] | None = None,
        telemetry: Telemetry | None = None,
    ) -> ThorClient:
        """Return a client with the settings in `THOR_API_KEY` and optionally `THOR_BASE_URL`.

        Args:
            session: Your `ClientSession`. Use `with_options` to change other settings.
            proxy: Same as in the constructor.
            telemetry: Same as in the constructor.

        Raises:
            ValueError: `THOR_API_KEY` is not set, or a variable is invalid.

        Example:
            >>> async with ThorClient.from_env() as thor:
            ...     print(len(await thor.get_chargeboxes()) > 0)
            True
        """
        sealed_proxy = seal_proxy(proxy)
        del proxy  # a traceback that shows locals must not show it
        if read_environment("THOR_API_KEY") is None:
            raise ValueError("THOR_API_KEY is not set; it must contain the integration's API key")
        return cls(
            # Read again: a traceback can show a local variable.
            api_key=read_environment("THOR_API_KEY") or "",
            base_url=read_environment("THOR_BASE_URL") or BASE_URL,
            session=session,
            proxy=reveal_proxy(sealed_proxy),
            telemetry=telemetry,
        )

    async def get_analytics(self, chargebox_id: str) -> Analytics:
        """Return the analytics of the last 7, 30 and 60 days (Thor: "Get analytics").

        Args:
            chargebox_id: Chargebox id. It may contain any printable characters, including slashes.

        Raises:
            ValueError: The id is blank, consists only of dots, or contains control characters.
            ChargeboxNotFound: No chargebox has this id.
            AuthError: The API rejected the request, as `APIKeyNotFound`, `RestAPINotEnabled` or
                `InvalidSourceIPAddr`.
            ApiError: The call failed for another reason.

        Example:
            >>> async with ThorClient.from_env() as thor:
            ...     analytics = await thor.get_analytics("TB-0001")
            >>> analytics.charges
            RollingCounts(last_7=..., last_30=..., last_60=...)
        """
        segments = ("analytics", encode_segment("chargebox_id", chargebox_id))
        ids = (("chargebox_id", chargebox_id),)
        return await self._transport.send(
            Request(segments, structure_analytics, ids=ids, template="/analytics/{chargebox_id}")
        )

    async def get_chargebox(self, chargebox_id: str) -> Chargebox:
        """Return a chargebox with its connectors (Thor: "Get chargebox").

        Args:
            chargebox_id: Chargebox id. It may contain any printable characters, including slashes.

        Raises:
            ValueError: The id is blank, consists only of dots, or contains control characters.
            ChargeboxNotFound: No chargebox has this id.
            AuthError: The API rejected the request, as `APIKeyNotFound`, `RestAPINotEnabled` or
                `InvalidSourceIPAddr`.
            MisdirectedResponse: The response describes another chargebox, such as one from a cache.
            ApiError: The call failed for another reason.

        Example:
            >>> async with ThorClient.from_env() as thor:
            ...     box = await thor.get_chargebox("TB-0001")
            >>> [connector.power for connector in box.connectors]
            [...]
        """
        segments = ("chargeboxes", encode_segment("chargebox_id", chargebox_id))

        def decode(body: bytes) -> Chargebox:
            box = structure_chargebox(body)
            check_echo("id", chargebox_id, box.id)
            return box

        ids = (("chargebox_id", chargebox_id),)
        return await self._transport.send(
            Request(segments, decode, ids=ids, template="/chargeboxes/{chargebox_id}")
        )

    async def get_chargeboxes(
        self,
        *,
        only_active: bool = True,
        within: Area | None = None,
        connector_type: ConnectorType | str | None = None,
    ) -> list[Chargebox]:
        """Return all chargeboxes with their connectors (Thor: "Get chargeboxes").

        The vendor documents no pages: one response has all chargeboxes.

        Args:
            only_active: True returns the chargeboxes that are active in the administration
                dashboard. False returns all.
            within: South, west, north and east edges of a rectangle, in degrees. None returns
                chargeboxes everywhere. If west is greater than east, the rectangle crosses the
                180th meridian. The vendor does not document that case.
            connector_type: Type that at least one connector must have. None returns all types.

        Raises:
            ValueError: An argument is invalid.
            AuthError: The API rejected the request, as `APIKeyNotFound`, `RestAPINotEnabled` or
                `InvalidSourceIPAddr`.
            SchemaError: A chargebox is invalid. The error names it by its index, such as `$[3]`.
            ApiError: The call failed for another reason.

        Example:
            >>> async with ThorClient.from_env() as thor:
            ...     boxes = await thor.get_chargeboxes(connector_type="chademo")
            >>> [box.id for box in boxes]
            [...]
        """
        query = Selection.validated(only_active, within, connector_type).query()
        return await self._get_list(
            ("chargeboxes",), encode_query(query), structure_chargebox, "/chargeboxes"
        )

    def get_analytics_many(
        self, ids: Iterable[str], concurrency: int = 16
    ) -> AsyncGenerator[tuple[str, Analytics | ApiError], None]:
        """Yield the analytics of many chargeboxes, in the order of completion.

        A failed call does not stop the others: its error is yielded. If an id is invalid or the
        iterable raises, this raises the error after the results of the earlier ids.

        Args:
            ids: Chargebox ids. They are read lazily, at most `concurrency` ahead of the results.
            concurrency: Maximum number of calls in flight.

        Yields:
            The id, and its `Analytics` or the `ApiError` of its call.

        Raises:
            ValueError: `concurrency` is not an int >= 1, or `ids` is not an iterable of ids.

        Example:
            >>> from contextlib import aclosing
            >>> async with ThorClient.from_env() as thor:
            ...     async with aclosing(thor.get_analytics_many(["TB-0001", "TB-9999"])) as results:
            ...         found = {id_: type(result).__name__ async for id_, result in results}
            >>> sorted(found.items())
            [('TB-0001', 'Analytics'), ('TB-9999', 'ChargeboxNotFound')]
        """
        validate_int("concurrency", concurrency, minimum=1)
        return self._get_analytics_many(iterate_ids(ids), concurrency)

    async def _get_analytics_many(
        self, ids: Iterator[str], concurrency: int
    ) -> AsyncGenerator[_Result, None]:
        failure: Exception | None = None

        def start_calls() -> None:
            nonlocal ids, failure
            try:
                for chargebox_id in islice(ids, concurrency - len(calls)):
                    encode_segment("chargebox_id", chargebox_id)
                    calls.start(self._get_analytics_or_error(chargebox_id))
            except Exception as error:
                ids, failure = iter(()), error

        async with TaskPool[_Result]() as calls:
            start_calls()
            while calls:
                result = await calls.receive()
                start_calls()
                yield result
        if failure is not None:
            raise failure

    async def _get_analytics_or_error(self, chargebox_id: str) -> _Result:
        try:
            return chargebox_id, await self.get_analytics(chargebox_id)
        except ApiError as error:
            return chargebox_id, error

    @overload
    def poll(
        self, ids: Iterable[str], *, every: timedelta = ..., concurrency: int = ...
    ) -> AsyncGenerator[_Result, None]: ...

    @overload
    def poll(
        self, ids: None = None, *, every: timedelta = ..., concurrency: int = ...
    ) -> AsyncGenerator[_Result | tuple[None, ApiError], None]: ...

    def poll(
        self,
        ids: Iterable[str] | None = None,
        *,
        every: timedelta = timedelta(minutes=5),
        concurrency: int = 16,
    ) -> AsyncGenerator[Polled, None]:
        """Yield the analytics of chargeboxes forever, each chargebox once in an interval.

        The requests are spread evenly over the interval. If a request takes longer than the
        interval, the chargebox skips a turn. A chargebox whose call fails is requested again after
        twice the interval, then four times the interval, and so on up to an hour. A success ends
        that. No request starts while you handle a result.

        Without `ids`, the list of active chargeboxes is requested again in each interval. If that
        fails, the id is None, and the chargeboxes of the previous list are still requested.

        If you leave the loop early, requests in flight are cancelled when the iterator is garbage
        collected. Use `contextlib.aclosing` to cancel them at once. A cancelled wait for the next
        result ends the iteration, as for every generator.

        Args:
            ids: Chargebox ids. Duplicates count once. None requests
                `get_chargeboxes()`.
            every: Time between two requests for the same chargebox, at most 366 days.
            concurrency: Maximum number of calls in flight.

        Yields:
            The id, and its `Analytics` or the `ApiError` of its call. The id is None for the error
            of the request for the list.

        Raises:
            ValueError: An argument is invalid.

        Example:
            >>> from contextlib import aclosing
            >>> async with ThorClient.from_env() as thor:
            ...     async with aclosing(thor.poll(every=timedelta(seconds=1))) as results:
            ...         async for chargebox_id, result in results:
            ...             if isinstance(result, ApiError):
            ...                 print(chargebox_id or "list of chargeboxes", result)
            ...             else:
            ...                 print(chargebox_id, result.charges.last_7)
            ...                 break
            TB-...
        """
        validate_interval("every", every)
        validate_int("concurrency", concurrency, minimum=1)
        validated = None if ids is None else validate_ids(ids)
        return poll_analytics(
            self.get_analytics, self._list_ids, validated, every=every, concurrency=concurrency
        )

    async def _list_ids(self) -> list[str]:
        """Return the ids of all active chargeboxes. Other fields may be invalid."""
        query = Selection.validated(True, None, None).query()
        boxes = await self._get_list(("chargeboxes",), encode_query(query), structure_listed_box)
        return [box.id for box in boxes]
