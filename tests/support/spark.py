"""The Java process that Spark runs in."""

from __future__ import annotations

from pyspark import SparkContext


def end_java() -> None:
    """End it: some hundred megabytes are of no use for the tests that follow."""
    if (gateway := SparkContext._gateway) is not None:
        SparkContext._gateway = SparkContext._jvm = None
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(60)
