"""Sandbox of the Thor API: a server on loopback with simulated chargeboxes."""

# Nothing that the client needs belongs here.

from evtransport.testing.faults import RETRYABLE, Fault
from evtransport.testing.sandbox import RecordedRequest, running_in_thread
from thorclient.sandbox.make import (
    AnalyticsFields,
    ChargeboxFields,
    make_analytics,
    make_chargebox,
)
from thorclient.sandbox.server import ThorSandbox

__all__ = ["RETRYABLE", "AnalyticsFields", "ChargeboxFields", "Fault", "RecordedRequest"]
__all__ += ["ThorSandbox", "make_analytics", "make_chargebox", "running_in_thread"]
