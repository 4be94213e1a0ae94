"""Base of the sandboxes: HTTP servers on loopback, and their faults, for tests and examples."""

# No vendor API belongs here.

from evtransport.testing.faults import RETRYABLE, Fault, SandboxResponse
from evtransport.testing.sandbox import Channel, RecordedRequest, Sandbox, running_in_thread

__all__ = ["RETRYABLE", "Channel", "Fault", "RecordedRequest", "Sandbox", "SandboxResponse"]
__all__ += ["running_in_thread"]
