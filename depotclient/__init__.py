"""Asyncio client of the Depot (Siemens DepotFinity) Session Reports API, with tables and export.

Code that does not depend on this API belongs in `evtransport`.
"""

from depotclient.client import DepotClient
from depotclient.models import (
    BatteryAlignmentResults,
    ChargeParameters,
    DcBreakerOpenConditions,
    DetailStatus,
    DeviceStatus,
    ErrorCode,
    MeterValue,
    OcppStatus,
    SessionReport,
)
from depotclient.pages import Page
from depotclient.reports import SessionReports, Walk
from evtransport import (
    ApiError,
    AuthError,
    ConnectionFailed,
    Cursor,
    DeadlineExceeded,
    DecodeError,
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
    ServerError,
    StatusError,
    Timeout,
    TransportError,
    __version__,
)

__all__ = [
    "ApiError",
    "AuthError",
    "BatteryAlignmentResults",
    "ChargeParameters",
    "ConnectionFailed",
    "Cursor",
    "DcBreakerOpenConditions",
    "DeadlineExceeded",
    "DecodeError",
    "DepotClient",
    "DetailStatus",
    "DeviceStatus",
    "ErrorCode",
    "Limiter",
    "MeterValue",
    "MisdirectedResponse",
    "NotFoundError",
    "OcppStatus",
    "Page",
    "PaginationError",
    "RateLimitedError",
    "RedirectError",
    "ResponseError",
    "ResponseTooLarge",
    "RetryPolicy",
    "SchemaError",
    "ServerError",
    "SessionReport",
    "SessionReports",
    "StatusError",
    "Timeout",
    "TransportError",
    "Walk",
    "__version__",
]
