"""What there is to read as partitions, and one of them as a table: for the workers of an engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from depotclient.client import DepotClient
from depotclient.models import SessionReport
from depotclient.pages import Page
from depotclient.partitions.calendar import (
    MARGIN,
    WINDOWS,
    Connector,
    Partition,
    Window,
    WindowFilter,
    plan,
    validate_duration,
)
from depotclient.reports import LIMITS
from evtransport.auth import Secret
from evtransport.errors import ApiError
from evtransport.proxy import SealedProxy, proxy_option, reveal_proxy, seal_proxy
from evtransport.retry import RetryPolicy, Timeout
from evtransport.validation import validate_int

if TYPE_CHECKING:
    import pyarrow as pa

    Shape: TypeAlias = Callable[[pa.RecordBatch, Partition, Sequence[int]], pa.RecordBatch]

__all__ = ["MARGIN", "WINDOWS", "Connector", "Partition", "WindowFilter"]
__all__ += ["ReadSettings", "Window", "plan", "read_batches", "read_partition", "read_table"]


@attrs.frozen(init=False)
class ReadSettings:
    """By whose account partitions are read, and how carefully; the same for all workers.

    Without credentials each worker takes those of its own environment, as `DepotClient.from_env`
    does, and nothing secret is sent to it. Those that are given here show in no text, but they are
    in the pickle of this object: it goes where the engine keeps and sends its tasks.

    Args:
        token: An access token, which must live as long as the whole reading.
        client_id: Client credentials.
        client_secret: The secret that goes with `client_id`.
        region: As in `DepotClient`, with credentials only.
        base_url: Likewise.
        token_url: Likewise.
        proxy: As in `DepotClient`, and allowed without credentials. None uses the proxies in the
            environment of each worker.
        margin: By how much more is read on both sides of a window, so that no session is missed
            whichever of its times the server tests: at least as long as a session may last.
        verify: Walk each window until a whole pass brings nothing new.
        limit: Reports a page; None begins with 10 and lets pages grow to about 8 MiB. A window of
            few small reports costs fewer requests with a larger one.
        retry: How often and how patiently failed requests are repeated.
        timeout: How long a page may take.

    Raises:
        ValueError: An argument is not usable. The message never quotes a secret.
    """

    token: Secret | None
    client_id: str | None
    client_secret: Secret | None
    region: str | None
    base_url: str | None
    token_url: str | None
    proxy: SealedProxy
    margin: timedelta
    verify: bool
    limit: int | None
    retry: RetryPolicy
    timeout: Timeout

    def __init__(
        self,
        *,
        token: str | Secret | None = None,
        client_id: str | None = None,
        client_secret: str | Secret | None = None,
        region: str | None = None,
        base_url: str | None = None,
        token_url: str | None = None,
        proxy: str | Secret | Literal[False] | None = None,
        margin: timedelta = MARGIN,
        verify: bool = False,
        limit: int | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        timeout: Timeout = Timeout(),  # noqa: B008
    ) -> None:
        sealed_token, sealed_secret = _sealed(token), _sealed(client_secret)
        sealed_proxy = seal_proxy(proxy)
        del token, client_secret, proxy  # a traceback that shows locals must not show them
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue] - made by attrs
            sealed_token,
            client_id,
            sealed_secret,
            region,
            base_url,
            token_url,
            sealed_proxy,
            margin,
            verify,
            limit,
            retry,
            timeout,
        )

    def __attrs_post_init__(self) -> None:
        validate_duration("margin", self.margin)
        if self.limit is not None:
            validate_int("limit", self.limit, minimum=1, maximum=LIMITS.maximum)
        if not isinstance(self.verify, bool):
            raise ValueError(f"verify must be True or False: {self.verify!r}")
        if not isinstance(self.retry, RetryPolicy):
            raise ValueError(f"retry must be a RetryPolicy: {self.retry!r}")
        if not isinstance(self.timeout, Timeout):
            raise ValueError(f"timeout must be a Timeout: {self.timeout!r}")
        proxy_option(self.proxy)  # checks it
        if self._has_credentials:
            self.client()  # which checks them
        elif any(value is not None for value in (self.region, self.base_url, self.token_url)):
            raise ValueError(
                "region, base_url and token_url go with credentials; without these a worker takes"
                " DEPOT_REGION, DEPOT_BASE_URL and DEPOT_TOKEN_URL from its environment"
            )

    @property
    def _has_credentials(self) -> bool:
        given = (self.token, self.client_id, self.client_secret)
        return any(value is not None for value in given)

    def client(self) -> DepotClient:
        """A client of this account; nothing is opened yet.

        Raises:
            ValueError: No credentials are given, and the environment has none or not usable ones.
        """
        if not self._has_credentials:
            return DepotClient.from_env(proxy=reveal_proxy(self.proxy))
        return DepotClient(
            token=_revealed(self.token),
            client_id=self.client_id,
            client_secret=_revealed(self.client_secret),
            region=self.region or "eu",
            base_url=self.base_url,
            token_url=self.token_url,
            proxy=reveal_proxy(self.proxy),
        )

    def __getstate__(self) -> dict[str, Any]:
        # A Secret refuses to be pickled by itself; to send it to the workers is what this is for.
        secrets = {"token": self.token, "client_secret": self.client_secret}
        plain = {name: _revealed(secret) for name, secret in secrets.items()}
        return attrs.asdict(self, recurse=False) | plain | {"proxy": reveal_proxy(self.proxy)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state.keys() != attrs.fields_dict(type(self)).keys():
            del state  # a traceback that shows locals must not show it
            raise ValueError(
                "these settings were pickled by another version of this library: workers need the"
                " same one"
            )
        sealed = {name: _sealed(state[name]) for name in ("token", "client_secret")}
        for name, value in (state | sealed | {"proxy": seal_proxy(state["proxy"])}).items():
            object.__setattr__(self, name, value)


def _sealed(secret: str | Secret | None) -> Secret | None:
    return secret if secret is None or isinstance(secret, Secret) else Secret(secret)


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def read_partition(partition: Partition, settings: ReadSettings | None = None) -> pa.Table:
    """Read one partition, with a loop and a session of its own (extra `arrow`).

    It is synchronous, for the workers of an engine: any process or thread without a running loop.

    Args:
        partition: What to read.
        settings: None takes the worker's environment.

    Returns:
        The reports that belong there, with the schema `depotclient.arrow.FLEET_REPORTS`. One
        without a start belongs wherever a reading brings it, so it may come in a neighbouring
        partition as well.

    Raises:
        ApiError: With a note that names the partition.
        ValueError: The environment has no credentials.
        RuntimeError: An event loop runs in this thread, and would stand still meanwhile.
        ImportError: pyarrow is not installed.
    """
    return read_table([partition], settings)


def read_table(partitions: Sequence[Partition], settings: ReadSettings | None = None) -> pa.Table:
    """Read several partitions, one after another, as one table.

    Raises:
        ApiError, ValueError, RuntimeError: As in `read_partition`.
    """
    from depotclient.arrow import table_of

    return table_of(read_batches(partitions, settings))


def read_batches(
    partitions: Iterable[Partition], settings: ReadSettings | None = None
) -> Generator[pa.RecordBatch, None, None]:
    """Read several partitions, one after another, page by page.

    They share one loop, one client, and so a token and a connection. At most one request is under
    way, and none while a batch is used.

    Args:
        partitions: What to read. One that lies in the future, margin included, is passed over.
        settings: None takes the worker's environment.

    Returns:
        The batches, with the schema `depotclient.arrow.FLEET_REPORTS`.

    Raises:
        ApiError, ValueError, RuntimeError: As in `read_partition`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return iter_batches(partitions, settings)
    raise RuntimeError(
        "partitions are read synchronously, which would stop the event loop that runs here:"
        " use asyncio.to_thread(read_partition, partition, settings), or DepotClient itself"
    )


def iter_batches(
    partitions: Iterable[Partition],
    settings: ReadSettings | None = None,
    shape: Shape | None = None,
) -> Generator[pa.RecordBatch, None, None]:
    """Return batches as `read_batches` does, but block a running event loop for that time.

    Args:
        partitions: What to read.
        settings: Settings of the client. None takes the worker's environment.
        shape: Function that returns the final batch, given the reports of a page, their partition
            and their keys. None returns batches with `FLEET_REPORTS`.

    Raises:
        ApiError, ValueError: As in `read_partition`.
    """
    settings = require_settings(settings)
    return _taken(_Reading(tuple(partitions), settings, settings.client(), shape))


def require_settings(settings: ReadSettings | None) -> ReadSettings:
    """What a caller gave; None is the environment.

    Raises:
        ValueError: It is something else.
    """
    if settings is None:
        return ReadSettings()
    if not isinstance(settings, ReadSettings):
        # Its type alone: it may be a credential that was given in its place.
        raise ValueError(f"settings must be ReadSettings, not {type(settings).__name__}")
    return settings


def _taken(reading: _Reading) -> Generator[pa.RecordBatch, None, None]:
    """The batches of a reading that begins with the first of them."""
    reading.start()
    try:
        while (batch := reading.next()) is not None:
            yield batch
            reading.go_on()
    finally:
        # It does not wait for the thread: whoever collects this may be in the midst of anything.
        reading.stop()


class _Reading:
    """Partitions that a thread reads, whose event loop nobody else's can be in the way of.

    The one who takes the batches may so be interrupted, do it in several threads, or leave off
    where a loop of another runs, and what was forked off has nothing to clean up.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        settings: ReadSettings,
        owner: DepotClient,
        shape: Shape | None,
    ) -> None:
        self._partitions = partitions
        self._settings = settings
        self._owner = owner
        self._shape = shape
        self._goes_on = SimpleQueue[bool]()
        self._given = SimpleQueue["pa.RecordBatch | BaseException | None"]()
        self._loop: asyncio.AbstractEventLoop
        self._page: asyncio.Task[Any] | None = None

    # For the one who takes.

    def start(self) -> None:
        """Begin with the first batch."""
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self.run, name="session-reports", daemon=True).start()

    def next(self) -> pa.RecordBatch | None:
        """The batch that comes; None at the end, when all is closed."""
        given = self._given.get()
        try:
            if isinstance(given, BaseException):
                raise given
            return given
        finally:
            del given  # which would hold the error that holds this frame

    def go_on(self) -> None:
        """Begin with the one behind it."""
        self._goes_on.put(True)

    def stop(self) -> None:
        """End the thread soon, also in the midst of a page."""
        self._goes_on.put(False)
        with suppress(RuntimeError):  # it is over, and the loop closed
            self._loop.call_soon_threadsafe(self._cancel)

    # For the thread.

    def run(self) -> None:
        """Read until all is read, something fails, or nobody takes any more."""
        outcome: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                self._read(runner)
        except BaseException as error:
            outcome = error
        self._given.put(outcome)
        outcome = None  # which would hold this frame

    def _read(self, runner: asyncio.Runner) -> None:
        settings, owner = self._settings, self._owner
        depot = owner.with_options(retry=settings.retry, timeout=settings.timeout)
        try:
            for partition in self._partitions:
                with closing(self._batches(runner, depot, partition)) as batches:
                    for batch in batches:
                        self._given.put(batch)
                        del batch  # which would be held while it is used
                        if not self._goes_on.get():
                            return
        finally:
            runner.run(owner.aclose())

    def _batches(
        self, runner: asyncio.Runner, depot: DepotClient, partition: Partition
    ) -> Generator[pa.RecordBatch, None, None]:
        from depotclient.partitions.batches import (
            add_connector,
            filter_page,
        )  # planning needs no pyarrow

        settings, now = self._settings, depot.now()
        if partition.start - settings.margin >= now:
            return  # all that there is to ask for lies in the future
        window_filter = partition.window_filter()
        reports = partition.reports(
            depot,
            now,
            into=SessionReport,
            margin=settings.margin,
            verify=settings.verify,
            limit=settings.limit,
        )
        pages = reports.pages()
        try:
            while (page := runner.run(self._next_page(pages))) is not None:
                batch, keys = filter_page(page, window_filter)
                del page  # Release the page while the next one is awaited.
                if keys:
                    shape = self._shape or add_connector
                    yield shape(batch, partition, keys)
        except ApiError as error:
            error.add_note(f"partition {partition.key}")
            raise
        finally:
            runner.run(pages.aclose())

    async def _next_page(
        self, pages: AsyncGenerator[Page[SessionReport], None]
    ) -> Page[SessionReport] | None:
        self._page = asyncio.current_task()
        try:
            return await anext(pages, None)
        finally:
            self._page = None

    def _cancel(self) -> None:
        if self._page is not None:
            self._page.cancel()
