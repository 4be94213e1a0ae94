"""All that a log, a debugger or an error tracker would show of an error."""

from __future__ import annotations

import traceback
from pathlib import Path

TESTS = str(Path(__file__).parents[1])


def all_that_shows(error: BaseException) -> str:
    """An error with its whole chain and the locals of every frame, the tests' own frames apart."""
    links = [error]
    for link in links:
        chain = (link.__cause__, link.__context__)
        links += [other for other in chain if other is not None and other not in links]
    told: list[str] = []
    for link in links:
        shown = traceback.TracebackException.from_exception(link, capture_locals=True)
        frames = [str(f.locals) for f in shown.stack if not f.filename.startswith(TESTS)]
        told += [repr(link), str(link), repr(link.args), repr(vars(link)), *frames]
        told += traceback.format_exception_only(link)
    return "\n".join(told)
