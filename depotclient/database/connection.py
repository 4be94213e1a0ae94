"""Connection to a database: its lock, transactions and retries (extra `database`)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import adbc_driver_manager
import adbc_driver_manager.dbapi
import attrs
from filelock import FileLock, Timeout

from depotclient.database.dialect import DIALECTS, Dialect
from depotclient.database.errors import DatabaseError, DatabaseInUse, shorten
from depotclient.database.target import Target
from depotclient.database.transaction import Transaction

__all__ = ["Connection"]

R = TypeVar("R")

_SQLITE_HEADER: Final = b"SQLite format 3\0"


@attrs.define(eq=False)
class Connection:
    """Connection to one database, for one thread at a time. It locks the database.

    The lock of a server belongs to the connection. The lock of a file is a file next to it.

    Attributes:
        target: The database.
        schema: Schema of the tables. None means the current schema, if there are any.
    """

    target: Target
    schema: str | None
    _catalog: str | None = None
    _connection: adbc_driver_manager.dbapi.Connection | None = None
    _transactions: int = 0
    _lock: FileLock | None = None

    @property
    def dialect(self) -> Dialect:
        """Return the dialect of the database."""
        return DIALECTS[self.target.kind]

    def transact(self, work: Callable[[Transaction], R]) -> R:
        """Run a function in a transaction. Connect if there is no connection.

        Raises:
            DatabaseInUse: Another connection has locked the database.
            DatabaseError: The database failed. The transaction has no effect, or its commit was not
                confirmed.
        """
        try:
            connection = self._connection or self._open()
            result = work(Transaction(connection, self.dialect, self.schema, self._catalog))
            connection.commit()
            self._transactions += 1
            if self._transactions == self.dialect.max_transactions:
                self._disconnect()
        except DatabaseError:
            self._roll_back()
            raise
        except (adbc_driver_manager.Error, OSError) as error:  # Reading rows raises an OSError.
            self._disconnect()
            message = shorten(self.target.redact(str(error)))
        except Exception:
            self._roll_back()
            raise
        else:
            return result
        # Outside of the block: the frames of the driver's error have the address.
        raise DatabaseError(f"{self.target.name}: {message}")

    def close(self) -> None:
        """Close the connection, and release the lock. An open transaction is rolled back."""
        self._disconnect()
        if self._lock is not None:
            self._lock.release()

    def _open(self) -> adbc_driver_manager.dbapi.Connection:
        file = self.target.file
        if file is not None and self._lock is None:
            self._lock_file(file)
        address = self.target.address.reveal() if file is None else str(file)
        self._connection = self.dialect.connect(address)
        try:
            self._prepare(Transaction(self._connection, self.dialect, self.schema))
            self._connection.commit()
        except BaseException:
            self._disconnect()
            raise
        return self._connection

    def _prepare(self, transaction: Transaction) -> None:
        if self.dialect.has_schemas:
            names = "SELECT current_database() AS catalog, current_schema() AS schema"
            [current] = transaction.query(names).to_pylist()
            self.schema = self.schema or current["schema"]
            self._catalog = current["catalog"] if self.dialect.has_catalogs else None
        if self.target.file is None:
            # The lock lasts as long as the connection.
            name = f"depotclient.load {self.schema}"
            found = transaction.query("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", name)
            if not found.column(0).to_pylist()[0]:
                raise _in_use(self.target)

    def _lock_file(self, file: Path) -> None:
        try:
            self._check_file(file)
            # Links to one database have one lock.
            lock = FileLock(f"{file.resolve()}.lock")
            lock.acquire(blocking=False)
        except Timeout:
            raise _in_use(self.target) from None
        except (OSError, RuntimeError, NotImplementedError) as error:
            if isinstance(error, DatabaseError):
                raise
            raise DatabaseError(f"{self.target.name}: it can't be locked: {error}") from error
        self._lock = lock

    def _check_file(self, file: Path) -> None:
        if not file.parent.is_dir():
            raise DatabaseError(f"{self.target.name}: the folder {file.parent} does not exist")
        if file.exists() and not file.is_file():
            raise DatabaseError(f"{self.target.name}: it is not a file")
        if self.target.kind == "duckdb" and file.exists():
            with file.open("rb") as start:
                if start.read(len(_SQLITE_HEADER)) == _SQLITE_HEADER:
                    raise DatabaseError(
                        f"{self.target.name} is an SQLite file: write sqlite:///{self.target.name}"
                    )

    def _roll_back(self) -> None:
        if self._connection is not None:
            try:
                self._connection.rollback()
            except adbc_driver_manager.Error:
                self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection, self._transactions = self._connection, None, 0
        if connection is not None:
            with suppress(adbc_driver_manager.Error):
                connection.rollback()
            with suppress(adbc_driver_manager.Error):
                connection.close()


def _in_use(target: Target) -> DatabaseInUse:
    return DatabaseInUse(f"{target.name}: another load is running; wait until it has ended")
