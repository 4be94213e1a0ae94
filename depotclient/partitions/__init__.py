"""Partitions: connectors split into calendar windows, and reading them as Arrow tables."""

# File formats and engines do not belong here.

from depotclient.partitions.calendar import (
    MARGIN,
    WINDOWS,
    Connector,
    Partition,
    Window,
    plan,
)
from depotclient.partitions.reader import read_batches, read_partition, read_table
from depotclient.partitions.settings import ReadSettings

__all__ = ["MARGIN", "WINDOWS", "Connector", "Partition", "ReadSettings", "Window"]
__all__ += ["plan", "read_batches", "read_partition", "read_table"]
