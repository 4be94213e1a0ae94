"""Asyncio client of the Thor integration API: analytics and chargeboxes."""

# Code that does not depend on this API belongs in `evtransport`.

from typing import TYPE_CHECKING

from evtransport import (
    ApiError,
    Attempt,
    AuthError,
    Call,
    ConnectionFailed,
    DeadlineExceeded,
    Decoded,
    DecodeError,
    Event,
    JsonValue,
    Limiter,
    MisdirectedResponse,
    NotFoundError,
    PageRead,
    PaginationError,
    RateLimitedError,
    RedirectError,
    ResponseError,
    ResponseTooLarge,
    Retry,
    RetryPolicy,
    SchemaError,
    Secret,
    ServerError,
    StatusError,
    Telemetry,
    Timeout,
    TokenFetched,
    TransportError,
    __version__,
)
from thorclient.client import ThorClient
from thorclient.errors import (
    APIKeyNotFound,
    ChargeboxNotFound,
    InternalServerError,
    InvalidSourceIPAddr,
    RestAPINotEnabled,
)
from thorclient.models import (
    Analytics,
    Chargebox,
    ChargeboxType,
    Connector,
    ConnectorFormat,
    ConnectorType,
    Coordinates,
    MessageFormat,
    OcppVersion,
    PowerType,
    RollingCounts,
    VehicleType,
    json_schema,
    to_dict,
    to_json,
)

if TYPE_CHECKING:
    from thorclient.sandbox import ThorSandbox

__all__ = [
    "APIKeyNotFound",
    "Analytics",
    "ApiError",
    "Attempt",
    "AuthError",
    "Call",
    "Chargebox",
    "ChargeboxNotFound",
    "ChargeboxType",
    "ConnectionFailed",
    "Connector",
    "ConnectorFormat",
    "ConnectorType",
    "Coordinates",
    "DeadlineExceeded",
    "DecodeError",
    "Decoded",
    "Event",
    "InternalServerError",
    "InvalidSourceIPAddr",
    "JsonValue",
    "Limiter",
    "MessageFormat",
    "MisdirectedResponse",
    "NotFoundError",
    "OcppVersion",
    "PageRead",
    "PaginationError",
    "PowerType",
    "RateLimitedError",
    "RedirectError",
    "ResponseError",
    "ResponseTooLarge",
    "RestAPINotEnabled",
    "Retry",
    "RetryPolicy",
    "RollingCounts",
    "SchemaError",
    "Secret",
    "ServerError",
    "StatusError",
    "Telemetry",
    "ThorClient",
    "ThorSandbox",
    "Timeout",
    "TokenFetched",
    "TransportError",
    "VehicleType",
    "__version__",
    "json_schema",
    "to_dict",
    "to_json",
]


def __getattr__(name: str) -> object:
    # Loaded on first use: most programs need no server.
    if name != "ThorSandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from thorclient.sandbox import ThorSandbox

    return ThorSandbox
