"""The client of the Thor integration API."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Final, Literal

from yarl import URL

from evtransport.auth import ApiKey, Secret
from evtransport.client import ApiClient, from_environment
from evtransport.errors import ApiError
from evtransport.http import Request, check_echo
from evtransport.proxy import proxy_option, reveal_proxy, seal_proxy
from evtransport.retry import RetryPolicy, Timeout
from evtransport.transport import MAX_RESPONSE_BYTES, ClientSession, Limiter, Transport
from evtransport.validation import parse_base_url, path_segment, validate_int
from thorclient.errors import ERROR_NAMES
from thorclient.models import Analytics, Chargebox, structure_analytics, structure_chargebox

__all__ = ["BASE_URL", "ThorClient"]

BASE_URL: Final = "https://api.thor.tools/latest/integration"


class ThorClient(ApiClient):
    """The Thor integration API: analytics and chargeboxes.

    Args:
        api_key: Sent as `X-Api-Key` with every request. Thor can tie a key to one source address.
        base_url: https, or plain http to a loopback host.
        session: A `ClientSession` of yours, which is never closed here; its own middlewares are
            not run for these requests. None makes one on first use.
        proxy: None uses the proxies of your session, or of the environment (`HTTPS_PROXY`,
            `NO_PROXY`) without one. False uses no proxy, a URL that proxy. Both overrule the
            session. Credentials in `~/.netrc` are never sent.
        retry: How often and how patiently failed requests are repeated.
        timeout: How long a call may take.
        limiter: Anything that can be `async with`, entered around each request.
        max_response_bytes: How many decompressed bytes of an answer are held at the most.

    Raises:
        ValueError: An argument is not usable. The message never quotes the key.
    """

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
    ) -> None:
        secret, sealed_proxy = Secret(api_key), seal_proxy(proxy)
        del api_key, proxy  # a traceback that shows locals must not show them
        self._transport = Transport(
            base_url=parse_base_url("base_url", base_url),
            auth=ApiKey(secret),
            names=ERROR_NAMES,
            session=session,
            proxy=proxy_option(sealed_proxy),
            retry=retry,
            timeout=timeout,
            limiter=limiter,
            max_response_bytes=max_response_bytes,
        )

    @classmethod
    def from_env(
        cls,
        *,
        session: ClientSession | None = None,
        proxy: str | Literal[False] | None = None,
    ) -> ThorClient:
        """A client by the environment: `THOR_API_KEY`, and `THOR_BASE_URL` where it is set.

        Args:
            session: A `ClientSession` of yours; the other options are had by `with_options`.
            proxy: As in the constructor.

        Raises:
            ValueError: `THOR_API_KEY` is not set, or one of the two is not usable.
        """
        sealed_proxy = seal_proxy(proxy)
        del proxy  # a traceback that shows locals must not show it
        if from_environment("THOR_API_KEY") is None:
            raise ValueError("THOR_API_KEY is not set; it must hold the integration's API key")
        return cls(  # read once more, since a local would show in a traceback
            api_key=from_environment("THOR_API_KEY") or "",
            base_url=from_environment("THOR_BASE_URL") or BASE_URL,
            session=session,
            proxy=reveal_proxy(sealed_proxy),
        )

    async def get_analytics(self, chargebox_id: str) -> Analytics:
        """The counts of one chargebox over the last 7, 30 and 60 days (Thor: "Get analytics").

        Args:
            chargebox_id: One path segment, whatever it holds.

        Raises:
            ValueError: The id is empty, only dots, or holds control characters.
            ChargeboxNotFound: There is none of this id.
            AuthError: As `APIKeyNotFound`, `RestAPINotEnabled` or `InvalidSourceIPAddr`.
            ApiError: The call failed in another way.
        """
        return await self._transport.send(
            Request(("analytics", path_segment("chargebox_id", chargebox_id)), structure_analytics)
        )

    async def get_chargebox(self, chargebox_id: str) -> Chargebox:
        """One chargebox with its connectors (Thor: "Get chargebox").

        Args:
            chargebox_id: One path segment, whatever it holds.

        Raises:
            ValueError: The id is empty, only dots, or holds control characters.
            ChargeboxNotFound: There is none of this id.
            AuthError: As `APIKeyNotFound`, `RestAPINotEnabled` or `InvalidSourceIPAddr`.
            MisdirectedResponse: The answer is another chargebox, for example from a cache.
            ApiError: The call failed in another way.
        """
        segments = ("chargeboxes", path_segment("chargebox_id", chargebox_id))

        def decode(body: bytes) -> Chargebox:
            box = structure_chargebox(body)
            check_echo("id", chargebox_id, box.id)
            return box

        return await self._transport.send(Request(segments, decode))

    def get_analytics_many(
        self, ids: Iterable[str], concurrency: int = 16
    ) -> AsyncGenerator[tuple[str, Analytics | ApiError], None]:
        """The analytics of many chargeboxes, in the order in which they arrive.

        One chargebox that fails does not stop the others: its error is yielded in its place. An id
        that is no id at all, and whatever else the iterable raises, ends the iteration with that
        error, after the results of all ids before it.

        Args:
            ids: Taken one by one, never more than `concurrency` ahead of what has been yielded.
            concurrency: How many calls are under way at the most.

        Yields:
            The id, and its `Analytics` or the `ApiError` that its call came to.

        Raises:
            ValueError: `concurrency` is no int of at least 1, or `ids` no iterable of ids.
        """
        validate_int("concurrency", concurrency, minimum=1)
        if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
            raise ValueError(f"ids must be an iterable of ids, not {type(ids).__name__}")
        return self._get_analytics_many(iter(ids), concurrency)

    async def _get_analytics_many(
        self, ids: Iterator[str], concurrency: int
    ) -> AsyncGenerator[tuple[str, Analytics | ApiError], None]:
        async def one(chargebox_id: str) -> tuple[str, Analytics | ApiError]:
            try:
                return chargebox_id, await self.get_analytics(chargebox_id)
            except ApiError as error:
                return chargebox_id, error

        running: set[asyncio.Task[tuple[str, Analytics | ApiError]]] = set()
        finished: deque[asyncio.Task[tuple[str, Analytics | ApiError]]] = deque()
        some_finished = asyncio.Event()
        broken: Exception | None = None
        exhausted = False

        def finish(task: asyncio.Task[tuple[str, Analytics | ApiError]]) -> None:
            finished.append(task)
            some_finished.set()

        def fill() -> None:
            nonlocal exhausted, broken
            while not exhausted and len(running) < concurrency:
                try:
                    chargebox_id = next(ids)
                    path_segment("chargebox_id", chargebox_id)
                except StopIteration:
                    exhausted = True
                except Exception as error:  # the caller's own, raised once nothing is left to yield
                    exhausted, broken = True, error
                else:
                    task = asyncio.create_task(one(chargebox_id))
                    task.add_done_callback(finish)
                    running.add(task)

        try:
            fill()
            while running:
                while not finished:
                    some_finished.clear()
                    await some_finished.wait()
                task = finished.popleft()
                running.remove(task)
                fill()
                yield task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        if broken is not None:
            raise broken
