"""Errors of a database that session reports are loaded into."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["DatabaseError", "DatabaseInUse", "shorten"]

_CODES: Final = re.compile(r"^(?:[A-Z_]+: )?(?:\[\w+\] )?")
_STATEMENT: Final = re.compile(r"Failed to (?:execute|prepare) query '.*?': ", re.DOTALL)


class DatabaseError(OSError):
    """Failure of the database. The message has no password.

    All transactions before the failure are complete: run the load again to continue.

    Example:
        >>> str(DatabaseError("depot.duckdb: the disk is full"))
        'depot.duckdb: the disk is full'
    """


class DatabaseInUse(DatabaseError):
    """Another load writes into the database.

    Example:
        >>> issubclass(DatabaseInUse, DatabaseError)
        True
    """


def shorten(message: str) -> str:
    """Return the first line of a driver's message, without its codes and the failed statement.

    Example:
        >>> shorten("IO: [libpq] Failed to execute query 'SELECT 1': ERROR:  permission denied")
        'ERROR:  permission denied'
    """
    return _STATEMENT.sub("", _CODES.sub("", message)).partition("\n")[0].strip()
