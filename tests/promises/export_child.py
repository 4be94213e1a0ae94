"""Export a sandbox's January, and kill this process at a given audit event."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import depotclient.export.parquet  # noqa: F401 - a later import would count as audit events
from depotclient import DepotClient
from depotclient.export import export_session_reports
from depotclient.export.formats import Format


def kill_at_event(number: int, delay: float) -> None:
    """Kill this process `delay` seconds after the audit event with this number.

    Python raises an audit event in every thread when it opens, renames or deletes a file, resolves
    a name, connects a socket, and more.
    """
    events = count()

    def watch(event: str, _: tuple[object, ...]) -> None:
        if next(events) != number:
            return
        if delay:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


async def main(folder: Path, format_: Format, connectors: list[str]) -> None:
    """Export January day by day."""
    async with DepotClient.from_env() as depot:
        export = await export_session_reports(
            depot,
            [("CP-001", connector) for connector in connectors],
            folder,
            from_=datetime(2026, 1, 1, tzinfo=UTC),
            to=datetime(2026, 2, 1, tzinfo=UTC),
            window="day",
            format=format_,
        )
        assert not export.failed, export


if __name__ == "__main__":
    _, folder, format_, connectors, number, delay = sys.argv
    if int(number) >= 0:
        kill_at_event(int(number), float(delay))
    is_ndjson = format_ == "ndjson"
    asyncio.run(main(Path(folder), "ndjson" if is_ndjson else "parquet", connectors.split(",")))
