"""Text of an error as a log, a debugger or an error tracker shows it."""

from __future__ import annotations

import traceback
from pathlib import Path

TESTS = str(Path(__file__).parents[1])


def dump_error(error: BaseException) -> str:
    """Return an error with its chain and the locals of all frames outside of the tests."""
    links = [error]
    for link in links:
        chain = (link.__cause__, link.__context__)
        links += [other for other in chain if other is not None and other not in links]
    lines: list[str] = []
    for link in links:
        dump = traceback.TracebackException.from_exception(link, capture_locals=True)
        frames = [str(f.locals) for f in dump.stack if not f.filename.startswith(TESTS)]
        lines += [repr(link), str(link), repr(link.args), repr(vars(link)), *frames]
        lines += traceback.format_exception_only(link)
    return "\n".join(lines)
