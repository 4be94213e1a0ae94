"""Asyncio client of the Depot (Siemens DepotFinity) Session Reports API, with tables and export."""

# Code that does not depend on this API belongs in `evtransport`.

from typing import TYPE_CHECKING

from depotclient.client import DepotClient
from depotclient.follow import (
    FileState,
    Follow,
    FollowedReport,
    FollowError,
    FollowRun,
    FollowState,
)
from depotclient.many import SessionReportsMany, WalkMany
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
    json_schema,
    to_dict,
    to_json,
)
from depotclient.pages import Page
from depotclient.reports import SessionReports, Walk
from evtransport import (
    ApiError,
    Attempt,
    AuthError,
    Call,
    ConnectionFailed,
    Cursor,
    DeadlineExceeded,
    Decoded,
    DecodeError,
    Event,
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
    ServerError,
    StatusError,
    Telemetry,
    Timeout,
    TokenFetched,
    TransportError,
    __version__,
)

if TYPE_CHECKING:
    from depotclient.sandbox import DepotSandbox

__all__ = [
    "ApiError",
    "Attempt",
    "AuthError",
    "BatteryAlignmentResults",
    "Call",
    "ChargeParameters",
    "ConnectionFailed",
    "Cursor",
    "DcBreakerOpenConditions",
    "DeadlineExceeded",
    "DecodeError",
    "Decoded",
    "DepotClient",
    "DepotSandbox",
    "DetailStatus",
    "DeviceStatus",
    "ErrorCode",
    "Event",
    "FileState",
    "Follow",
    "FollowError",
    "FollowRun",
    "FollowState",
    "FollowedReport",
    "Limiter",
    "MeterValue",
    "MisdirectedResponse",
    "NotFoundError",
    "OcppStatus",
    "Page",
    "PageRead",
    "PaginationError",
    "RateLimitedError",
    "RedirectError",
    "ResponseError",
    "ResponseTooLarge",
    "Retry",
    "RetryPolicy",
    "SchemaError",
    "ServerError",
    "SessionReport",
    "SessionReports",
    "SessionReportsMany",
    "StatusError",
    "Telemetry",
    "Timeout",
    "TokenFetched",
    "TransportError",
    "Walk",
    "WalkMany",
    "__version__",
    "json_schema",
    "to_dict",
    "to_json",
]


def __getattr__(name: str) -> object:
    # Loaded on first use: most programs need no server.
    if name != "DepotSandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from depotclient.sandbox import DepotSandbox

    return DepotSandbox
