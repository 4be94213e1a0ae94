"""Copy a depot in a process of its own, and kill that process at a given moment."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import attrs

# Here, because later imports would count as audit events. Arrow imports pandas if it can.
import pandas as pd  # noqa: F401

import tests.support.tables  # noqa: F401
from depotclient import DepotClient
from tests.support.copies import CopyTarget
from tests.support.nights import CONNECTORS

KILLED = {-signal.SIGKILL, -signal.SIGALRM}


@attrs.frozen
class Moment:
    """Moment to kill a process: some seconds after the audit event with this number.

    Python raises an audit event in every thread when it opens, renames or deletes a file, resolves
    a name, connects a socket, and more. The system's timer adds the delay, because a timer of
    Python waits for the C code of a database.
    """

    event: int
    delay: float

    def kill(self) -> None:
        """Kill this process after the delay."""
        if self.delay:
            # Nothing handles the timer's signal, so the system ends the process at once.
            signal.setitimer(signal.ITIMER_REAL, self.delay)
        else:
            os.kill(os.getpid(), signal.SIGKILL)


@attrs.frozen
class Task:
    """Copy of one night.

    Attributes:
        target: Target of the copy.
        account: Arguments of the client.
        now: Time of the night, at which the client's clock stands still.
        log: File for the number of audit events, or for the traceback of an error.
    """

    target: CopyTarget
    account: Mapping[str, Any]
    now: datetime
    log: Path

    def run(self, moment: Moment | None = None) -> int | None:
        """Run in a new process. Return the number of its audit events, or None if it was killed."""
        # A process that has done the imports is forked for each run.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        process = context.Process(target=run_task, args=(self, moment))
        process.start()
        process.join(60)
        if process.exitcode in KILLED:
            return None
        assert process.exitcode == 0, self.log.read_text()
        return int(self.log.read_text())

    async def copy(self) -> None:
        """Copy the connectors. Fail if the copy is not complete."""
        async with DepotClient(**self.account) as depot:
            depot.now = lambda: self.now
            errors = await self.target.copy(depot, CONNECTORS)
            assert not any(errors), errors


def run_task(task: Task, moment: Moment | None) -> None:
    """Run a task in this process, and kill the process at a moment."""
    events = count()

    def watch(event: str, _: tuple[object, ...]) -> None:
        number = next(events)
        if moment is not None and number == moment.event:
            moment.kill()

    sys.addaudithook(watch)
    try:
        asyncio.run(task.copy())
    except BaseException:
        task.log.write_text(traceback.format_exc())
        raise
    task.log.write_text(str(next(events)))
