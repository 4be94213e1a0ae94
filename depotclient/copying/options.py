"""Options that export and load share: a default, and checks of arguments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from depotclient.query import is_before, require_aware

__all__ = ["CONCURRENCY", "choose_read_ahead", "require_bool", "require_function", "require_span"]

CONCURRENCY: Final = 3
"""Default number of connectors to read at a time. Each holds one or two pages in memory."""


def choose_read_ahead(concurrency: int, connectors: int) -> int:
    """Return `read_ahead` for the walks of a copy.

    With several connectors at a time, the others already use the time between two pages.
    """
    return 1 if min(concurrency, connectors) == 1 else 0


def require_bool(name: str, value: object) -> None:
    """Check a flag.

    Raises:
        ValueError: The value is not a bool.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be a bool, got {value!r}")


def require_function(name: str, value: object) -> None:
    """Check a callback.

    Raises:
        ValueError: The value is not callable.
    """
    if not callable(value):
        raise ValueError(f"{name} must be a function, got {value!r}")


def require_span(from_: datetime, to: datetime | None, now: datetime) -> None:
    """Check the time span of a copy.

    Raises:
        ValueError: A time is naive or out of range, or the span is empty or in the future.
    """
    require_aware("from_", from_)
    if to is not None:
        require_aware("to", to)
        if not is_before(from_, to):
            raise ValueError(f"from_={from_.isoformat()} must be before to={to.isoformat()}")
    if not is_before(from_, now):
        raise ValueError(f"from_={from_.isoformat()} is in the future: there is nothing to copy")
    if is_before(from_, datetime(2, 1, 1, tzinfo=UTC)):
        raise ValueError(f"from_ must be in the year 2 or later, got {from_.isoformat()}")
