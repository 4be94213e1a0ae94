"""Load of session reports into DuckDB, SQLite or PostgreSQL (extra `database`)."""

# Files do not belong here.

try:
    # These imports check for the extra.
    import adbc_driver_duckdb  # noqa: F401
    import adbc_driver_postgresql  # noqa: F401
    import adbc_driver_sqlite  # noqa: F401
    import duckdb  # noqa: F401
    import filelock  # noqa: F401
    import pyarrow as pa  # noqa: F401
except ImportError as error:
    raise ImportError(
        "depotclient.database needs database drivers: pip install 'thor-depot-clients[database]'"
    ) from error

from depotclient.database.errors import DatabaseError, DatabaseInUse
from depotclient.database.loading import CONCURRENCY, LAG, load_session_reports
from depotclient.database.result import ConnectorLoad, Load
from depotclient.database.target import Target, parse_target

__all__ = ["CONCURRENCY", "LAG", "ConnectorLoad", "DatabaseError", "DatabaseInUse", "Load"]
__all__ += ["Target", "load_session_reports", "parse_target"]
