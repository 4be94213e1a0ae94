"""Signal handlers that are in place during a block."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from evtransport.cli.signals import handling_signals, interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(number: int) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with handling_signals(interrupt):
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_thread_leaves_the_handlers_unchanged() -> None:
    before = signal.getsignal(signal.SIGINT)

    def handler_in_block() -> object:
        with handling_signals(interrupt):
            return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(handler_in_block).result() is before
