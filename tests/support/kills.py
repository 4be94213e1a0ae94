"""Processes that are killed at a given moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import count
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import attrs

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


def start_child(
    work: Callable[[], object], log: Path, moment: Moment | None, preload: Sequence[str]
) -> ForkServerProcess:
    """Start a process that does some work and is killed at a moment.

    Args:
        work: Function that can be pickled.
        log: File for the number of audit events, or for the traceback of an error.
        moment: Moment to kill the process, or None.
        preload: Modules to import before the process starts. The first call decides.
    """
    # A process that has done the imports is forked for each run.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload])
    process = context.Process(target=_run, args=(work, log, moment))
    process.start()
    return process


def _run(work: Callable[[], object], log: Path, moment: Moment | None) -> None:
    """Run some work in this process, and kill the process at a moment."""
    events = count()

    def watch(event: str, _: tuple[object, ...]) -> None:
        number = next(events)
        if moment is not None and number == moment.event:
            moment.kill()

    sys.addaudithook(watch)
    try:
        work()
    except BaseException:
        log.write_text(traceback.format_exc())
        raise
    log.write_text(str(next(events)))
