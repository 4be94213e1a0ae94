"""Exports what a sandbox has, and kills itself at a moment that it is given."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import depotclient.export.parquet  # noqa: F401 - what is imported later would count as a moment
from depotclient import DepotClient
from depotclient.export import export_session_reports
from depotclient.export.layout import Format

JANUARY, FEBRUARY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


def die_at(moment: int, delay: float) -> None:
    """Have this process killed so long after the n-th time that Python tells of something.

    That is whenever a file is opened, made, renamed or deleted, a name is resolved, a socket is
    connected, and much more, in whichever thread.
    """
    moments = count()

    def watch(event: str, _: tuple[object, ...]) -> None:
        if next(moments) != moment:
            return
        if delay:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


async def main(folder: Path, format_: Format, connectors: list[str]) -> None:
    """Export January, day by day."""
    async with DepotClient.from_env() as depot:
        export = await export_session_reports(
            depot,
            [("CP-001", connector) for connector in connectors],
            folder,
            from_=JANUARY,
            to=FEBRUARY,
            window="day",
            format=format_,
        )
        assert not export.failed, export


if __name__ == "__main__":
    _, where, kind, which, moment, delay = sys.argv
    if int(moment) >= 0:
        die_at(int(moment), float(delay))
    asyncio.run(main(Path(where), "ndjson" if kind == "ndjson" else "parquet", which.split(",")))
