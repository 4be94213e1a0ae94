"""Session reports as Arrow tables (extra `arrow`)."""

try:
    import pyarrow as pa  # noqa: F401 - checks for the extra
except ImportError as error:
    raise ImportError(
        "depotclient.arrow needs pyarrow: pip install 'thor-depot-clients[arrow]'"
    ) from error

from depotclient.arrow.batches import record_batches
from depotclient.arrow.objects import session_reports_from
from depotclient.arrow.schema import FLEET_REPORTS, SESSION_REPORTS, schema_of
from depotclient.arrow.unnest import events

__all__ = ["FLEET_REPORTS", "SESSION_REPORTS", "events", "record_batches", "schema_of"]
__all__ += ["session_reports_from"]
