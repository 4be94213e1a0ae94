"""Asyncio client of the Thor integration API: analytics and chargeboxes."""

# Code that does not depend on this API belongs in `evtransport`.

from typing import TYPE_CHECKING

from evtransport import (
    ApiError,
    AuthError,
    ConnectionFailed,
    DeadlineExceeded,
    DecodeError,
    JsonValue,
    Limiter,
    MisdirectedResponse,
    NotFoundError,
    PaginationError,
    RateLimitedError,
    RedirectError,
    ResponseError,
    ResponseTooLarge,
    RetryPolicy,
    SchemaError,
    Secret,
    ServerError,
    StatusError,
    Timeout,
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
    "AuthError",
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
    "InternalServerError",
    "InvalidSourceIPAddr",
    "JsonValue",
    "Limiter",
    "MessageFormat",
    "MisdirectedResponse",
    "NotFoundError",
    "OcppVersion",
    "PaginationError",
    "PowerType",
    "RateLimitedError",
    "RedirectError",
    "ResponseError",
    "ResponseTooLarge",
    "RestAPINotEnabled",
    "RetryPolicy",
    "RollingCounts",
    "SchemaError",
    "Secret",
    "ServerError",
    "StatusError",
    "ThorClient",
    "ThorSandbox",
    "Timeout",
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
