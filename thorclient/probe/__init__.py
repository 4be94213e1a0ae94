"""Probe: measure how the API of an account behaves."""

from thorclient.probe.findings import Measurement
from thorclient.probe.run import measure, probe

__all__ = ["Measurement", "measure", "probe"]
