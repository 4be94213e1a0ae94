"""Turns a blocking call inside a running event loop into an error."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from blockbuster import blockbuster_ctx


@contextmanager
def no_blocking(modules: Sequence[str] | None = None) -> Generator[None]:
    """Watch all modules, or calls out of some."""
    with blockbuster_ctx(list(modules) if modules is not None else None) as detector:
        # The command lines write to a pipe in the loop that is theirs alone, and fetch nothing
        # ahead meanwhile.
        writing = detector.functions["io.BufferedWriter.write"]
        writing.can_block_in("evtransport/cli/base.py", "_write_whole")
        # When two threads come to lines that are new to the measuring of coverage, one waits.
        for acquire in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            detector.functions[acquire].can_block_in("coverage/collector.py", "lock_data")
        yield
