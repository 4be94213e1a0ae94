"""Log records of requests and retries, on the logger `evtransport`."""

from __future__ import annotations

import logging
from typing import Final

from evtransport.errors import ApiError, StatusError

__all__ = ["LOGGER", "log_request", "log_retry"]

LOGGER: Final = logging.getLogger("evtransport")


def log_request(
    method: str, path: str, label: str, *, status: int | None, attempt: int, elapsed: float
) -> None:
    """Write the DEBUG record of one request.

    Args:
        method: HTTP method.
        path: Path below the base URL. A token request has its whole path.
        label: Short name of the request.
        status: HTTP status. None without a complete response.
        attempt: Number of requests for reports or chargeboxes that the call has sent.
        elapsed: Seconds.
    """
    fields = {
        "method": method,
        "path": path,
        "label": label,
        "status": status,
        "attempt": attempt,
        "elapsed": elapsed,
    }
    outcome = "no complete response" if status is None else "%(status)s"
    message = f"%(label)s: {outcome} (attempt %(attempt)d, %(elapsed).3f s)"
    LOGGER.debug(message, fields, extra=fields)


def log_retry(error: ApiError, *, wait: float, attempts: int) -> None:
    """Write the WARNING record of one retry, before its wait.

    Args:
        error: Error of the last attempt, already redacted.
        wait: Seconds until the next attempt.
        attempts: Maximum number of attempts.
    """
    status = error.status if isinstance(error, StatusError) else None
    reason = error.reason if status is None else str(status)
    fields = {
        "method": error.method,
        "path": error.path,
        "context": error.context,
        "label": error.label,
        "status": status,
        "reason": f"{error.source}: {reason}" if error.source else reason,
        "attempt": error.attempts + 1,
        "attempts": attempts,
        "wait": wait,
    }
    message = "%(label)s: %(reason)s, attempt %(attempt)d of %(attempts)d in %(wait).1f s"
    LOGGER.warning(message, fields, extra=fields)
