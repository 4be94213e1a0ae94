"""Text of an error as a log, a debugger or an error tracker shows it."""

from __future__ import annotations

import traceback
from pathlib import Path

TESTS = str(Path(__file__).parents[1])


def chain_of(error: BaseException) -> list[BaseException]:
    """Return the error with its causes, contexts and the errors of its groups."""
    links = [error]
    for link in links:
        others = (link.__cause__, link.__context__, *getattr(link, "exceptions", ()))
        links += [other for other in others if other is not None and other not in links]
    return links


def dump_error(error: BaseException) -> str:
    """Return an error with its chain and the locals of all frames outside the tests."""
    lines: list[str] = []
    for link in chain_of(error):
        dump = traceback.TracebackException.from_exception(link, capture_locals=True)
        frames = [str(f.locals) for f in dump.stack if not f.filename.startswith(TESTS)]
        lines += [repr(link), str(link), repr(link.args), repr(vars(link)), *frames]
        lines += traceback.format_exception_only(link)
    return "\n".join(lines)
