"""The five errors that the Thor integration API documents by name."""

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
    """The key is not valid (sent with status 403)."""


class RestAPINotEnabled(AuthError):
    """The integration is switched off in the administration dashboard (403)."""


class InvalidSourceIPAddr(AuthError):
    """The request came from another address than the configured one (403)."""


class ChargeboxNotFound(NotFoundError):
    """There is no chargebox of this id (404)."""


class InternalServerError(ServerError):
    """Something unexpected went wrong (500); for one chargebox it may go wrong every time."""


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
