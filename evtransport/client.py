"""Base class of the clients."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from enum import Enum
from typing import ClassVar, Final, Self, TypeVar, cast, get_args, get_origin, overload

import msgspec

from evtransport.closing import AsyncCloseable
from evtransport.connection import Limiter
from evtransport.errors import ApiError
from evtransport.http import Request
from evtransport.pauses import Pauses
from evtransport.query import QueryValue, encode_query
from evtransport.retry import RetryPolicy, Timeout
from evtransport.structure import Into, JsonValue, Structurer, Structures, decode
from evtransport.telemetry import DecodeTimer, Telemetry
from evtransport.transport import Transport
from evtransport.validation import encode_segment

__all__ = ["UNCHANGED", "ApiClient", "Unchanged", "read_environment"]

T = TypeVar("T")

_JSON_DECODER: msgspec.json.Decoder[JsonValue] = msgspec.json.Decoder()
_ARRAY_DECODER = msgspec.json.Decoder(list[msgspec.Raw])


class Unchanged(Enum):
    """Type of `UNCHANGED`, for an option that accepts None as a value."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


class ApiClient(AsyncCloseable):
    """Base class of `ThorClient` and `DepotClient`.

    Use a client with `async with client:`, or call `aclose()` at the end. No connection is opened
    before the first call. A client belongs to the event loop of its first call.
    """

    _transport: Transport
    _structures: ClassVar[Structures]

    @overload
    async def get(
        self, *segments: str, query: Mapping[str, QueryValue] | None = None, into: None = None
    ) -> JsonValue: ...

    @overload
    async def get(
        self, *segments: str, query: Mapping[str, QueryValue] | None = None, into: Into[T]
    ) -> T: ...

    async def get(
        self,
        *segments: str,
        query: Mapping[str, QueryValue] | None = None,
        into: Into[T] | None = None,
    ) -> T | JsonValue:
        """Send a GET request to an endpoint that has no method here, and return its JSON.

        The request uses the same credentials, retries, limits and redaction as other calls.

        Args:
            segments: Path below the base URL, such as `"charges", "running"`. Each is exactly one
                path segment: a slash in it is percent-encoded.
            query: Parameters: strings, numbers and bools (`true`, `false`). A parameter with the
                value None is left out. Write times as the endpoint documents them.
            into: attrs class or dataclass of the result, a list such as `list[MyClass]`, or a
                function that returns an object for the body, such as
                `MyModel.model_validate_json` of pydantic. None returns the JSON as Python values.

        Raises:
            ValueError: A segment, a parameter or `into` is invalid.
            NotFoundError: The API has no such endpoint or object.
            SchemaError: The response does not fit `into`.
            ApiError: The call failed for another reason.

        Example:
            >>> async with ThorClient.from_env() as thor:
            ...     box = await thor.get("chargeboxes", "TB-0001")
            >>> box["id"]
            'TB-0001'

            Endpoints of the vendor's documentation are called in the same way (Thor: "Get running
            charges"): `await thor.get("charges", "running", query={"chargebox": "CB-1"})`.
        """
        if not segments:
            raise ValueError("get() requires the segments of a path, such as 'charges', 'running'")
        path = tuple(
            encode_segment(f"segment {number}", segment)
            for number, segment in enumerate(segments, 1)
        )
        parameters = encode_query(query or {})
        if get_origin(into) is list:
            structure = self._structures.of(get_args(into)[0])
            return cast(T, await self._get_list(path, parameters, structure))
        decode_body = _decode_json if into is None else self._structures.of(into)
        return await self._transport.send(Request(path, decode_body, parameters))

    async def _get_list(
        self,
        segments: tuple[str, ...],
        query: tuple[tuple[str, str], ...],
        structure: Structurer[T],
        template: str = "",
    ) -> list[T]:
        """Request a JSON array. Structure its items with pauses for the event loop."""
        request = Request(segments, _split_array, query, template=template)
        items = await self._transport.send(request)
        found, pauses = list[T](), Pauses()
        timer = DecodeTimer(self._transport.reporter)
        structure_item = timer.wrap(structure)
        try:
            for index, item in enumerate(items):
                found.append(structure_item(item, f"$[{index}]"))
                await pauses.pause_if_needed()
        except ApiError as error:
            self._transport.describe(request, error)
            raise
        finally:
            timer.report()
        return found

    def with_options(
        self,
        *,
        retry: RetryPolicy | None = None,
        timeout: Timeout | None = None,
        limiter: Limiter | Unchanged | None = UNCHANGED,
        telemetry: Telemetry | Unchanged | None = UNCHANGED,
    ) -> Self:
        """Return a client with other options.

        It shares session, credentials and retry quota with this client. Closing it does nothing.

        Args:
            retry: Retry settings. None keeps those of this client.
            timeout: Time limits. None keeps those of this client.
            limiter: Limiter around each request, or None for no limiter.
            telemetry: Receiver of telemetry, or None for none.
        """
        transport, other = self._transport, copy.copy(self)
        other._transport = transport.with_options(
            retry=transport.retry if retry is None else retry,
            timeout=transport.timeout if timeout is None else timeout,
            limiter=transport.limiter if limiter is UNCHANGED else limiter,
            telemetry=transport.telemetry if telemetry is UNCHANGED else telemetry,
        )
        return other

    async def aclose(self) -> None:
        """Close the session if this client made it. Closing twice is allowed."""
        await self._transport.aclose()

    def __repr__(self) -> str:
        # A traceback may show a client whose construction has failed.
        transport = getattr(self, "_transport", None)
        address = "no address" if transport is None else transport.base_url
        return f"<{type(self).__name__} of {address}>"


def read_environment(name: str) -> str | None:
    """Return an environment variable, or None if it is unset or blank."""
    return os.environ.get(name, "").strip() or None


def _decode_json(body: bytes) -> JsonValue:
    return decode(body, _JSON_DECODER)


def _split_array(body: bytes) -> list[msgspec.Raw]:
    return decode(body, _ARRAY_DECODER)
