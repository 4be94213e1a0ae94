"""Errors that the Thor integration API documents by name."""

from evtransport.errors import AuthError, NotFoundError, ServerError
from evtransport.http import ErrorNames

__all__ = [
    "ERROR_NAMES",
    "APIKeyNotFound",
    "ChargeboxNotFound",
    "InternalServerError",
    "InvalidSourceIPAddr",
    "RestAPINotEnabled",
]


class APIKeyNotFound(AuthError):
    """The key is invalid (status 403)."""


class RestAPINotEnabled(AuthError):
    """The integration is disabled in the administration dashboard (status 403)."""


class InvalidSourceIPAddr(AuthError):
    """The key is bound to another source address (status 403)."""


class ChargeboxNotFound(NotFoundError):
    """No chargebox has this id (status 404)."""


class InternalServerError(ServerError):
    """The server failed (status 500). For some chargeboxes it fails every time."""


ERROR_NAMES: ErrorNames = {
    error.__name__: error
    for error in (
        APIKeyNotFound,
        RestAPINotEnabled,
        InvalidSourceIPAddr,
        ChargeboxNotFound,
        InternalServerError,
    )
}
