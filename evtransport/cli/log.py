"""Log lines of the logger `evtransport` on stderr, if `--verbose` is given."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from evtransport.cli.output import echo_error
from evtransport.logs import LOGGER

__all__ = ["hidden_log", "show_log"]


class _StderrHandler(logging.Handler):
    """Handler that prints the message of a record on stderr, above the progress."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message as one line."""
        echo_error(record.getMessage())


_HANDLER: Final = _StderrHandler()


@contextmanager
def hidden_log() -> Generator[None]:
    """Keep log lines off stderr during the block, unless `show_log` is called in it."""
    level, handlers = LOGGER.level, [*LOGGER.handlers]
    # Without any handler, Python prints warnings on stderr.
    LOGGER.addHandler(logging.NullHandler())
    try:
        yield
    finally:
        LOGGER.setLevel(level)
        LOGGER.handlers[:] = handlers


def show_log(requested: bool) -> bool:
    """Print a line on stderr for each request and each retry from now on if `requested` is True.

    It is the callback of the option `--verbose`, and returns the option's value.
    """
    if requested:
        LOGGER.setLevel(logging.DEBUG)
        LOGGER.addHandler(_HANDLER)
    return requested
