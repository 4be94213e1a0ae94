"""The shared base of both sandboxes: an HTTP server on loopback that misbehaves on request."""

from __future__ import annotations

import abc
import asyncio
import math
import random
import threading
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeVar

import attrs
import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

__all__ = ["RETRYABLE", "Answer", "Channel", "Fault", "RecordedRequest", "Sandbox"]
__all__ += ["require_number", "running_in_thread"]

# How long a client that reads slowly may hold up the end of a sandbox, in seconds.
_GRACE = 0.05
_CHUNK = 256 * 1024
_PAGE = b"<!doctype html><html><body><h1>Please come back later</h1></body></html>"

KEPT_REQUESTS = 10_000
"""Maximum number of requests of each kind that a sandbox keeps."""


def require_number(
    name: str, value: object, low: float, high: float = math.inf, *, whole: bool = False
) -> None:
    """Raise ValueError unless the value is a finite number (no bool) within the bounds."""
    good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not (good and low <= value <= high and abs(value) < math.inf):  # type: ignore[operator,arg-type]
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{name} must be {kind} from {low} to {high}, not {value!r}")


@attrs.frozen
class Fault:
    """One way in which an answer goes wrong; made by the class methods below."""

    kind: Literal["status", "disconnect", "truncate", "stall", "html", "garbage", "bad_utf8"]
    code: int = 200
    retry_after: float | str | None = None
    body: bytes = attrs.field(default=b"", repr=False)
    seconds: float = 0.0

    @classmethod
    def status(
        cls,
        code: int,
        *,
        retry_after: float | str | None = None,
        body: bytes | str | None = None,
    ) -> Fault:
        """Answer with the status `code` (200 to 599, else ValueError).

        Args:
            code: The HTTP status.
            retry_after: The header `Retry-After`: seconds, or an HTTP date. None sends none.
            body: The body; by default a JSON object with a `message`, and none with 204 and 304.
        """
        require_number("code", code, 200, 599, whole=True)
        if body is None:
            body = "" if code in {204, 304} else '{"message": "a fault that was asked for"}'
        raw = body.encode() if isinstance(body, str) else body
        return cls("status", code=code, retry_after=retry_after, body=raw)

    @classmethod
    def disconnect(cls) -> Fault:
        """Close the connection before the head of the answer."""
        return cls("disconnect")

    @classmethod
    def truncate(cls) -> Fault:
        """Announce the whole body in `Content-Length`, send half of it and close."""
        return cls("truncate")

    @classmethod
    def stall(cls, seconds: float) -> Fault:
        """Hold back the head for `seconds` (not negative, else ValueError), then answer."""
        require_number("seconds", seconds, 0)
        return cls("stall", seconds=seconds)

    @classmethod
    def html(cls) -> Fault:
        """Answer 200 with an HTML page, as a proxy does."""
        return cls("html")

    @classmethod
    def garbage(cls) -> Fault:
        """Answer 200 with the first half of the JSON body, the length agreeing."""
        return cls("garbage")

    @classmethod
    def bad_utf8(cls) -> Fault:
        """Answer 200 with a byte that is not UTF-8 inside the last string of the body."""
        return cls("bad_utf8")


RETRYABLE: tuple[Fault, ...] = (
    *(Fault.status(code) for code in (408, 500, 502, 503, 504)),
    *(Fault.status(429, retry_after=0), Fault.disconnect(), Fault.truncate()),
    *(Fault.html(), Fault.garbage(), Fault.bad_utf8()),
)
"""The faults that asking once more mends."""


@attrs.frozen
class Answer:
    """What a sandbox answers; only the first `sent` bytes of the body go out, None: all."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    sent: int | None = None

    @classmethod
    def json(cls, payload: object, status: int = 200) -> Answer:
        """An answer whose body is the payload as JSON."""
        return cls(msgspec.json.encode(payload), status)

    def apply_fault(self, fault: Fault | None) -> Answer | None:
        """What a fault makes of this answer; None stands for no answer at all."""
        match fault.kind if fault else None:
            case "status" if fault:
                wait = fault.retry_after
                head = {} if wait is None else {"Retry-After": str(wait)}
                return Answer(fault.body, fault.code, headers=head)
            case "disconnect":
                return None
            case "truncate":
                return attrs.evolve(self, sent=len(self.body) // 2)
            case "html":
                return Answer(_PAGE, content_type="text/html")
            case "garbage":
                return Answer(self.body[: len(self.body) // 2])
            case "bad_utf8":
                before, quote, after = self.body.rpartition(b'"')
                return Answer(b"".join((before, b"\xff", quote, after)))
            case _:
                return self


@attrs.frozen
class RecordedRequest:
    """One request that a sandbox has seen, without its headers: they carry credentials.

    Attributes:
        method: The HTTP method.
        path: The path as it was on the wire, percent-encoded, without the query.
        query: The decoded query; of a repeated name the first value.
        status: The status answered; None where the connection was dropped before the head.
        fault: The fault that was played, or None.
    """

    method: str
    path: str
    query: Mapping[str, str]
    status: int | None
    fault: Fault | None


@attrs.define(eq=False)
class Channel:
    """Requests of one kind: the last ones answered, the number in flight, and the next faults."""

    faults: Iterator[Fault | None]
    requests: list[RecordedRequest] = attrs.field(factory=list[RecordedRequest])
    in_flight: int = 0
    peak_in_flight: int = 0

    def record(self, request: RecordedRequest) -> None:
        """Add a request. Keep the last 10,000."""
        self.requests.append(request)
        del self.requests[:-KEPT_REQUESTS]

    @contextmanager
    def open(self) -> Generator[Fault | None]:
        """Count one request in and out, and draw its fault."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            yield next(self.faults, None)
        finally:
            self.in_flight -= 1


def _schedule(faults: Iterable[Fault | None], rate: float, seed: int) -> Iterator[Fault | None]:
    yield from faults
    draw = random.Random(seed)  # noqa: S311
    while True:
        yield draw.choice(RETRYABLE) if draw.random() < rate else None


@attrs.define(kw_only=True, eq=False, repr=False)
class Sandbox(abc.ABC):
    """A server on loopback that answers as a vendor's API is described to answer.

    Use it with `async with`, or from synchronous code with `running_in_thread`. It can be started
    again after it was closed.

    Args:
        host: The address to listen at.
        port: The port to listen at; 0 takes a free one at every start.
        latency: Seconds added to each answer; may be set while the sandbox runs.
        faults: What goes wrong, one entry for each API request in order of arrival, taken lazily;
            None answers normally. When they are used up, `fault_rate` decides.
        fault_rate: The share (0 to 1) of API requests that get a fault out of `RETRYABLE`.
        seed: Seeds the choice of faults, and the data that the sandbox makes up.

    Raises:
        ValueError: An argument is out of range.
    """

    prefix: ClassVar[str] = ""

    _host: str = attrs.field(default="127.0.0.1", alias="host")
    _port: int = attrs.field(default=0, alias="port")
    latency: float = 0.0
    _faults: Iterable[Fault | None] = attrs.field(default=(), alias="faults")
    _fault_rate: float = attrs.field(default=0.0, alias="fault_rate")
    _seed: int = attrs.field(default=0, alias="seed")
    _api: Channel = attrs.field(init=False)
    _runner: web.ServerRunner | None = attrs.field(init=False, default=None)
    _origin: str | None = attrs.field(init=False, default=None)
    _busy: set[asyncio.Task[None]] = attrs.field(init=False, factory=set[asyncio.Task[None]])

    def __attrs_post_init__(self) -> None:
        if not self._host:
            raise ValueError("host must not be empty")
        require_number("port", self._port, 0, 65535, whole=True)
        require_number("latency", self.latency, 0)
        require_number("fault_rate", self._fault_rate, 0, 1)
        require_number("seed", self._seed, -math.inf, whole=True)
        self._api = Channel(_schedule(self._faults, self._fault_rate, self._seed))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._origin or 'not running'}>"

    @property
    def origin(self) -> str:
        """Scheme, host and port; RuntimeError unless the sandbox is running."""
        if self._origin is None:
            raise RuntimeError("the sandbox is not running: start it with `async with`")
        return self._origin

    @property
    def base_url(self) -> str:
        """The base URL for a client; RuntimeError unless the sandbox is running."""
        return self.origin + self.prefix

    @property
    def requests(self) -> list[RecordedRequest]:
        """The last 10,000 API requests that were answered, in the order of answering."""
        return self._api.requests

    @property
    def in_flight(self) -> int:
        """How many API requests are being answered now."""
        return self._api.in_flight

    @property
    def peak_in_flight(self) -> int:
        """The most API requests that were being answered at one time."""
        return self._api.peak_in_flight

    async def start(self) -> None:
        """Begin to listen; OSError where the address is taken, RuntimeError if running already."""
        if self._runner is not None:
            raise RuntimeError("the sandbox is running already")
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=_GRACE)
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, self._host, self._port).start()
        except BaseException:
            await self.aclose()
            raise
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._origin = f"http://{host}:{self._runner.addresses[0][1]}"

    async def aclose(self) -> None:
        """Stop at once and drop whatever is being answered; further calls do nothing."""
        runner, self._runner, self._origin = self._runner, None, None
        if runner is not None:
            for connection in self._busy:
                connection.cancel()
            await asyncio.gather(*self._busy, return_exceptions=True)
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @abc.abstractmethod
    async def answer(self, request: web.BaseRequest, path: str) -> Answer:
        """Answer as the vendor would; `path` is percent-encoded and without the query."""

    def channel(self, path: str) -> Channel:
        """The channel of a path: the API's own unless a sandbox knows better."""
        return self._api

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        channel, answer = self.channel(path), None
        self._busy.add(request.task)
        try:
            with channel.open() as fault:
                try:
                    await asyncio.sleep(self.latency + (fault.seconds if fault else 0))
                    answer = (await self.answer(request, path)).apply_fault(fault)
                finally:
                    # Here and not after sending: who has the answer finds the record.
                    status = answer.status if answer else None
                    seen = (request.method, path, dict(request.query), status, fault)
                    channel.record(RecordedRequest(*seen))
                return await _send(request, answer)
        finally:
            self._busy.discard(request.task)


async def _send(request: web.BaseRequest, answer: Answer | None) -> web.StreamResponse:
    if answer is None:
        request.protocol.force_close()
        return web.Response()
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_type = answer.content_type
    response.content_length = len(answer.body)
    with suppress(ConnectionResetError):  # a client that has left is no error of the server's
        await response.prepare(request)
        body = memoryview(answer.body)[: answer.sent]
        for begin in range(0, len(body), _CHUNK):
            await response.write(body[begin : begin + _CHUNK])
    if answer.sent is not None:
        request.protocol.force_close()
    return response


S = TypeVar("S", bound=Sandbox)


@contextmanager
def running_in_thread(sandbox: S) -> Generator[S]:
    """Run a sandbox in an event loop and a thread of its own, for synchronous code.

    Args:
        sandbox: A sandbox that is not running.

    Yields:
        The same sandbox, running. It is closed, and the thread has ended, after the block.

    Raises:
        OSError: The address is taken.
    """
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        try:
            async with sandbox:
                ready.set_result((asyncio.get_running_loop(), stop))
                await stop.wait()
        except BaseException as error:
            # Only a failed start comes here, and it is raised in the caller's thread.
            ready.set_exception(error)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="sandbox", daemon=True)
    thread.start()
    try:
        loop, stop = ready.result()
        try:
            yield sandbox
        finally:
            loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join()
