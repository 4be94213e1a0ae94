"""The core of thorclient and depotclient: transport, credentials, errors, structuring, paging."""

from evtransport._version import __version__
from evtransport.auth import ApiKey, BearerToken, ClientCredentials, Secret
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
from evtransport.structure import JsonValue
from evtransport.transport import Limiter, Transport

__all__ = [
    "ApiError",
    "ApiKey",
    "AuthError",
    "BearerToken",
    "ClientCredentials",
    "ConnectionFailed",
    "Cursor",
    "DeadlineExceeded",
    "DecodeError",
    "JsonValue",
    "Limiter",
    "MisdirectedResponse",
    "NotFoundError",
    "PaginationError",
    "RateLimitedError",
    "RedirectError",
    "ResponseError",
    "ResponseTooLarge",
    "RetryPolicy",
    "RetryQuota",
    "SchemaError",
    "Secret",
    "ServerError",
    "StatusError",
    "Timeout",
    "Transport",
    "TransportError",
    "__version__",
]
