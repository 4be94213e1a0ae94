"""Load of session reports into DuckDB, SQLite or PostgreSQL (extra `database`)."""

# Files do not belong here.

from depotclient.database.errors import DatabaseError, DatabaseInUse
from depotclient.database.loading import CONCURRENCY, LAG, load_session_reports
from depotclient.database.result import ConnectorLoad, Load
from depotclient.database.target import Target, parse_target

__all__ = ["CONCURRENCY", "LAG", "ConnectorLoad", "DatabaseError", "DatabaseInUse", "Load"]
__all__ += ["Target", "load_session_reports", "parse_target"]
