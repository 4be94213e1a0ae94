"""Read partitions in a pool: `python any_engine.py connectors.csv 2026-01-01 2026-03-01`."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from depotclient.partitions import ReadSettings, plan, read_partition
from depotclient.text import read_connectors


def main(connectors: str, start: str, end: str) -> None:
    """Read each month of each connector in one of 4 processes, with 4 requests at once."""
    from_, to = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    partitions = plan(read_connectors(Path(connectors)), from_, to, "month")
    read = partial(read_partition, settings=ReadSettings(verify=True))
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as workers:
        for partition, table in zip(partitions, workers.map(read, partitions), strict=True):
            print(partition.key, table.num_rows, "reports")  # a pyarrow.Table


if __name__ == "__main__":
    main(*sys.argv[1:])
