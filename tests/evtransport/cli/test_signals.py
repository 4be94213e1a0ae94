"""Signal handlers that are in place during a block."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

from evtransport.cli.run import run_async
from evtransport.cli.signals import handling_signals, interrupt


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handling_signals(interrupt):
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_command_in_another_thread_leaves_the_handlers_unchanged() -> None:
    before = signal.getsignal(signal.SIGINT)

    async def handler() -> object:
        return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(lambda: run_async(handler())).result() is before
