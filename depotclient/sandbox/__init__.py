"""Sandbox of the Depot API: a server on loopback with simulated sessions."""

# Nothing that the clients need belongs here.

from depotclient.profile import TimeFilter
from depotclient.sandbox.make import ReportFields, make_report
from depotclient.sandbox.server import DepotSandbox
from depotclient.sandbox.simulation import ReportShape
from depotclient.sandbox.store import Churn
from evtransport.testing.faults import RETRYABLE, Fault
from evtransport.testing.sandbox import RecordedRequest, running_in_thread

__all__ = ["RETRYABLE", "Churn", "DepotSandbox", "Fault", "RecordedRequest", "ReportFields"]
__all__ += ["ReportShape", "TimeFilter", "make_report", "running_in_thread"]
