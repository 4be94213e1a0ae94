"""One measurement in a process of its own: a task comes in as a line, figures go out as one."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.protocol import Figures, Task


def measured(task: Task) -> Figures:
    """The figures of one task; what it does not need is not imported."""
    match task.workload:
        case "W1":
            from benchmarks.measures import decoding

            return decoding(task)
        case "W2":
            from benchmarks.measures import walk

            return asyncio.run(walk(task))
        case "W3":
            from benchmarks.own_measures import walk_far_away

            return asyncio.run(walk_far_away(task))
        case "W3 requests":
            from benchmarks.own_measures import count_requests

            return asyncio.run(count_requests(task))
        case "W4":
            from benchmarks.measures import poll

            return asyncio.run(poll(task))
        case "W5":
            from benchmarks.measures import walk_fleet

            return asyncio.run(walk_fleet(task))
        case "W6 construction":
            from benchmarks.own_measures import construct

            return construct(task)
        case "W7":
            from benchmarks.measures import to_parquet

            return to_parquet(task)
        case "W8":
            from benchmarks.own_measures import export

            return export(task)
        case _:
            raise ValueError(f"there is no workload {task.workload!r}")


if __name__ == "__main__":
    print(json.dumps(measured(Task.from_line(sys.stdin.readline()))))
