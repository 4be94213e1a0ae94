"""Signal handlers that are in place during a block."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from evtransport.cli.signals import Interrupted, handling_signals, interrupt


def test_a_handler_is_replaced_only_during_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as interrupted, handling_signals(interrupt):
        assert signal.getsignal(signal.SIGTERM) is interrupt
        signal.raise_signal(signal.SIGTERM)
    assert (interrupted.value.signal, interrupted.value.code) == (signal.SIGTERM, 143)
    assert signal.getsignal(signal.SIGTERM) is before


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
