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
    """The key is invalid (status 403).

    Example:
        >>> import os
        >>> async with ThorClient(api_key="wrong", base_url=os.environ["THOR_BASE_URL"]) as thor:
        ...     try:
        ...         await thor.get_analytics("TB-0001")
        ...     except APIKeyNotFound as error:
        ...         print(error.status)
        403
    """


class RestAPINotEnabled(AuthError):
    """The integration is disabled in the administration dashboard (status 403).

    Example:
        >>> from thorclient.sandbox import ThorSandbox
        >>> async with ThorSandbox(enabled=False) as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         try:
        ...             await thor.get_analytics("TB-0001")
        ...         except RestAPINotEnabled as error:
        ...             print(error.status)
        403
    """


class InvalidSourceIPAddr(AuthError):
    """The key is bound to another source address (status 403).

    Example:
        >>> from thorclient.sandbox import ThorSandbox
        >>> async with ThorSandbox(allowed_address="192.0.2.1") as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         try:
        ...             await thor.get_analytics("TB-0001")
        ...         except InvalidSourceIPAddr as error:
        ...             print(error.status)
        403
    """


class ChargeboxNotFound(NotFoundError):
    """No chargebox has this id (status 404).

    Example:
        >>> async with ThorClient.from_env() as thor:
        ...     try:
        ...         await thor.get_analytics("TB-9999")
        ...     except ChargeboxNotFound as error:
        ...         print(error.status)
        404
    """


class InternalServerError(ServerError):
    """The server failed (status 500). For some chargeboxes it fails every time.

    Example:
        >>> from thorclient.sandbox import ThorSandbox
        >>> async with ThorSandbox(broken=["TB-0001"]) as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         try:
        ...             await thor.get_analytics("TB-0001")
        ...         except InternalServerError as error:
        ...             print(error.status)
        500
    """


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
