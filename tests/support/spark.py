"""Spark's Java process."""

from __future__ import annotations

from pyspark import SparkContext


def end_java() -> None:
    """End the Java process: it uses hundreds of megabytes that later tests don't need."""
    if (gateway := SparkContext._gateway) is not None:
        SparkContext._gateway = SparkContext._jvm = None
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(60)
