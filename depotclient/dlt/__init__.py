"""Session reports as a dlt resource: the first run loads a span, later runs add what has changed.

It needs the extra `dlt`.
"""

try:
    import dlt as _dlt
except ImportError as error:
    raise ImportError("depotclient.dlt needs dlt: pip install 'thor-depot-clients[dlt]'") from error

from depotclient.dlt.resource import session_reports
from depotclient.dlt.rows import PRIMARY_KEY, Rows
from depotclient.dlt.state import LOOK_BACK

__all__ = ["LOOK_BACK", "PRIMARY_KEY", "Rows", "session_reports"]

del _dlt
