"""One HTTP exchange: a request, its whole response, and the redaction of secrets in both.

No object of the HTTP library leaves this module: a response is read completely and its connection
released before anything is decoded. Errors are raised outside the exception handlers, because
aiohttp's errors hold the request headers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable

import attrs
from yarl import URL

from evtransport.auth import Auth, Credential
from evtransport.connection import FAILURES, ClientTimeout, SessionManager, reason_of
from evtransport.errors import ApiError, ConnectionFailed, ResponseTooLarge
from evtransport.http import ERROR_BODY_BYTES, KEPT_HEADERS, Response, shorten
from evtransport.logs import LOGGER, log_request
from evtransport.secrets import MAX_SECRET_LENGTH, Secret, redact
from evtransport.telemetry import Attempt, Reporter

__all__ = ["Exchange", "Exchanger"]


# A frozen class takes 6,000 more instructions for each request, 1 % of a small call.
@attrs.define(eq=False)
class Exchange:
    """One HTTP request, with its credential.

    Attributes:
        method: HTTP method.
        path: Path in log records.
        label: Method, path and ids in log records.
        template: Path without ids, for telemetry. Empty if unknown.
        url: Address.
        credential: Header that authenticates the request.
        attempt: Number of requests for reports or chargeboxes that the call has sent.
        form: Body of a token request.
    """

    method: str
    path: str
    label: str
    template: str
    url: URL
    credential: Credential
    attempt: int = 1
    form: bytes | None = None


@attrs.frozen(eq=False)
class Exchanger:
    """Sender of the HTTP requests of one transport.

    Args:
        auth: Credentials, whose secrets are masked.
        sessions: Session that sends the requests.
        timeout: Time limits of a request.
        max_response_bytes: Maximum size of a decompressed body.
        reporter: Receiver of telemetry.
    """

    auth: Auth
    sessions: SessionManager
    timeout: ClientTimeout
    max_response_bytes: int
    reporter: Reporter | None = None

    def send(self, exchange: Exchange) -> Awaitable[Response]:
        """Send one request and return its response.

        Raises:
            ConnectionFailed: No complete response arrived.
            ResponseTooLarge: The body is larger than `max_response_bytes`.
        """
        if self.reporter is None:
            return self._send(exchange, None)
        return self._send_reported(exchange, self.reporter)

    async def _send_reported(self, exchange: Exchange, reporter: Reporter) -> Response:
        """Send one request, and report it as an attempt."""
        sent = (exchange.credential.secret,)
        attempt = Attempt(
            method=exchange.method,
            template=self.redact(exchange.template, sent),
            url=self.redact(str(exchange.url), sent),
            address=exchange.url.raw_host or "",
            port=exchange.url.port or 0,
            number=exchange.attempt,
        )
        with reporter.attempt(attempt):
            response = await self._send(exchange, attempt)
            attempt.body_bytes = len(response.body)
            return response

    async def _send(self, exchange: Exchange, attempt: Attempt | None) -> Response:
        started = time.perf_counter()
        cancellations = _count_cancellations()
        response: Response | None = None
        failure: ApiError | None = None
        try:
            response = await self._read(exchange, attempt)
        except FAILURES as error:
            reason = self.redact(reason_of(error), (exchange.credential.secret,))
            failure = ConnectionFailed(shorten(reason))
        except asyncio.CancelledError as error:
            # Closing a session cancels the tasks that wait for a connection.
            if _count_cancellations() != cancellations or not self.sessions.is_closed:
                raise error.with_traceback(None)  # noqa: B904
        except BaseException as error:
            # A hook of the session may raise anything. The frames below hold the headers.
            raise error.with_traceback(None)  # noqa: B904
        finally:
            if LOGGER.isEnabledFor(logging.DEBUG):
                sent = (exchange.credential.secret,)
                log_request(
                    exchange.method,
                    self.redact(exchange.path, sent),
                    self.redact(exchange.label, sent),
                    status=None if response is None else response.status,
                    attempt=exchange.attempt,
                    elapsed=time.perf_counter() - started,
                )
        if response is not None:
            return response
        self.sessions.get_session()  # raises if the client was closed during the request
        raise failure or ResponseTooLarge(
            f"the response is larger than max_response_bytes={self.max_response_bytes}"
        )

    async def _read(self, exchange: Exchange, attempt: Attempt | None) -> Response | None:
        """Send one request and return its response, or None if its body is too large."""
        credential = exchange.credential
        async with self.sessions.request(
            exchange.method, exchange.url, credential, exchange.form, self.timeout
        ) as response:
            if attempt is not None:
                attempt.status = response.status
                attempt.encoding = response.headers.get("Content-Encoding", "")
            if response.status == 200:
                limit = self.max_response_bytes
                if (response.content_length or 0) <= limit:
                    chunks = await self.sessions.read_chunks(response, limit)
                    if sum(map(len, chunks)) <= limit:
                        return Response(200, {}, b"".join(chunks))
                return None
            # A cut inside a secret would leave a part that no mask covers.
            limit = ERROR_BODY_BYTES + MAX_SECRET_LENGTH
            start = b"".join(await self.sessions.read_chunks(response, limit))
            sent = (credential.secret,)
            headers = {
                name: self.redact(", ".join(response.headers.getall(name)), sent)
                for name in KEPT_HEADERS
                if name in response.headers
            }
            body = redact(start, self.secrets_with(sent))[:ERROR_BODY_BYTES]
            return Response(response.status, headers, body)

    def redact(self, text: str, sent: tuple[Secret, ...] = ()) -> str:
        """Return a text with the secrets masked.

        Args:
            text: Text that may quote a secret.
            sent: Secrets that were sent. They may have been replaced since.
        """
        return redact(text.encode(errors="replace"), self.secrets_with(sent)).decode()

    def secrets_with(self, sent: tuple[Secret, ...]) -> tuple[Secret, ...]:
        """Return the secrets to mask: current credentials, sent ones, and those of proxies.

        Another call may have replaced a token that was sent.
        """
        return tuple(dict.fromkeys((*self.auth.secrets, *sent, *self.sessions.secrets)))


def _count_cancellations() -> int:
    """Return the number of pending cancellation requests of this task."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
