"""Items of a run: reports and errors, which the caller acknowledges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar

import attrs

from evtransport.errors import ApiError

__all__ = ["FollowError", "FollowedReport"]

T = TypeVar("T")

Acknowledge: TypeAlias = Callable[[Any], Awaitable[None]]


@attrs.frozen(eq=False, kw_only=True)
class _Item:
    """Item of a run."""

    connector: tuple[str, str]
    _acknowledge: Acknowledge = attrs.field(repr=False, alias="acknowledge")

    async def done(self) -> None:
        """Acknowledge this item and all earlier ones, and save the state.

        Raises:
            RuntimeError: The run is closed.
            Exception: The state can't be saved. The item is not acknowledged.
        """
        await self._acknowledge(self)


@attrs.frozen(eq=False, kw_only=True)
class FollowedReport(_Item, Generic[T]):
    """Report of a session that is new or has changed.

    Attributes:
        connector: Charger id and connector id.
        report: The report.
        error: None.
        is_new: False if the session was delivered before, and its report has changed since.
        raw: JSON text of the report, as received.

    Example:
        >>> from datetime import UTC, datetime
        >>> async with DepotClient.from_env() as depot:
        ...     follow = depot.follow([("CP-001", 1)], since=datetime(2026, 1, 1, tzinfo=UTC))
        ...     async with follow.run() as run:
        ...         item = await anext(run)
        ...         print(item.connector, item.report.session_id, item.is_new)
        ...         await item.done()
        ('CP-001', '1') 100000001 True
    """

    report: T
    error: Final[None] = attrs.field(default=None, init=False, repr=False)
    is_new: bool
    raw: bytes = attrs.field(repr=False)


@attrs.frozen(eq=False, kw_only=True)
class FollowError(_Item):
    """Error of a connector or of one report. The run goes on.

    Attributes:
        connector: Charger id and connector id.
        report: None.
        error: The error. A `SchemaError` with `raw` concerns one report; the reports after it
            follow. Any other error concerns the reading of the connector.
        next_attempt: Time at which the connector is read again (timezone-aware).
        is_new: False.
        raw: JSON text of the invalid report, or empty.

    Example:
        >>> from datetime import UTC, datetime
        >>> async with DepotClient.from_env() as depot:
        ...     follow = depot.follow([("CP-404", 1)], since=datetime(2026, 1, 1, tzinfo=UTC))
        ...     async with follow.run() as run:
        ...         item = await anext(run)
        >>> print(item.connector, type(item.error).__name__)
        ('CP-404', '1') NotFoundError
    """

    report: Final[None] = attrs.field(default=None, init=False, repr=False)
    error: ApiError
    next_attempt: datetime
    is_new: Final[bool] = attrs.field(default=False, init=False, repr=False)
    raw: bytes = attrs.field(default=b"", repr=False)
