"""Shared core of both clients: transport, credentials, errors, structuring and paging."""

# Code for one vendor's API belongs in `thorclient` or `depotclient`.

from evtransport._version import __version__
from evtransport.auth import ApiKey, BearerToken, ClientCredentials
from evtransport.connection import Limiter
from evtransport.errors import (
    ApiError,
    AuthError,
    ConnectionFailed,
    DeadlineExceeded,
    DecodeError,
    MisdirectedResponse,
    NotFoundError,
    PaginationError,
    RateLimitedError,
    RedirectError,
    ResponseError,
    ResponseTooLarge,
    SchemaError,
    ServerError,
    StatusError,
    TransportError,
)
from evtransport.paging.cursor import Cursor
from evtransport.retry import RetryPolicy, RetryQuota, Timeout
from evtransport.secrets import Secret
from evtransport.structure import JsonValue
from evtransport.telemetry import (
    Attempt,
    Call,
    Decoded,
    Event,
    PageRead,
    Retry,
    Telemetry,
    TokenFetched,
)
from evtransport.transport import Transport

__all__ = [
    "ApiError",
    "ApiKey",
    "Attempt",
    "AuthError",
    "BearerToken",
    "Call",
    "ClientCredentials",
    "ConnectionFailed",
    "Cursor",
    "DeadlineExceeded",
    "DecodeError",
    "Decoded",
    "Event",
    "JsonValue",
    "Limiter",
    "MisdirectedResponse",
    "NotFoundError",
    "PageRead",
    "PaginationError",
    "RateLimitedError",
    "RedirectError",
    "ResponseError",
    "ResponseTooLarge",
    "Retry",
    "RetryPolicy",
    "RetryQuota",
    "SchemaError",
    "Secret",
    "ServerError",
    "StatusError",
    "Telemetry",
    "Timeout",
    "TokenFetched",
    "Transport",
    "TransportError",
    "__version__",
]
