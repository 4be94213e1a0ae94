"""Turns a blocking call inside a running event loop into an error."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from blockbuster import blockbuster_ctx


@contextmanager
def no_blocking(modules: Sequence[str] | None = None) -> Generator[None]:
    """Watch the calls of all modules, or only of some."""
    with blockbuster_ctx(list(modules) if modules is not None else None) as detector:
        # A command writes to a pipe in its own event loop and prefetches nothing at that time.
        writing = detector.functions["io.BufferedWriter.write"]
        writing.can_block_in("evtransport/cli/output.py", "write_json")
        # Coverage measures new lines under a lock. Two threads may wait for each other there.
        for acquire in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            detector.functions[acquire].can_block_in("coverage/collector.py", "lock_data")
        yield
