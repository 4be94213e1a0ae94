"""Sandbox of the Depot API: a server on loopback with simulated sessions, for tests and examples.

Nothing that the clients need belongs here.
"""

from depotclient.sandbox.server import (
    RETRYABLE,
    Churn,
    DepotSandbox,
    Fault,
    RecordedRequest,
    TimeFilter,
    running_in_thread,
)
from depotclient.sandbox.simulation import ReportShape

__all__ = ["RETRYABLE", "Churn", "DepotSandbox", "Fault", "RecordedRequest", "ReportShape"]
__all__ += ["TimeFilter", "running_in_thread"]
