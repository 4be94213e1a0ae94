"""Probe: measure how the API of an account behaves, and recommend settings."""

from depotclient.probe.recommend import Advice, Recommendation, recommend
from depotclient.probe.run import measure, probe
from depotclient.probe.summary import Measurement

__all__ = ["Advice", "Measurement", "Recommendation", "measure", "probe", "recommend"]
