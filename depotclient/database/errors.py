"""Errors of a database that session reports are loaded into."""

from __future__ import annotations

__all__ = ["DatabaseError", "DatabaseInUse"]


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
