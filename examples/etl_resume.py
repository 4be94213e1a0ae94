"""Copy January 2026 of one connector into a file: `python etl_resume.py CHARGER CONNECTOR FILE`.

After a crash, run it again: it continues after the last page that it stored.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

from depotclient import DepotClient, Page, SessionReport


def append(part: Path, state: Path, page: Page[SessionReport]) -> None:
    """Append the reports as received, one per line. Then store the new size and cursor."""
    with part.open("ab") as file:
        for report in page.raw_reports:
            file.write(b" ".join(report.splitlines()) + b"\n")
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    new = state.with_suffix(".new")
    with new.open("w") as file:
        file.write(f"{size} {page.cursor}")
        file.flush()
        os.fsync(file.fileno())
    new.replace(state)


def cursor_of(part: Path, state: Path) -> str | None:
    """Return the cursor to resume from. Drop lines that a killed run wrote after it."""
    size, cursor = state.read_text().split() if state.exists() else ("0", None)
    with part.open("ab") as file:
        file.truncate(int(size))
    return cursor


async def main(charger_id: str, connector_id: str, target: Path) -> None:
    """Copy a window into `target`. The file exists only when it is complete."""
    part, state = target.with_suffix(".part"), target.with_suffix(".state")
    async with DepotClient.from_env() as depot:
        reports = depot.session_reports(
            charger_id,
            connector_id,
            from_=datetime(2026, 1, 1, tzinfo=UTC),
            to=datetime(2026, 2, 1, tzinfo=UTC),
            resume=cursor_of(part, state),
        )
        async with aclosing(reports.pages()) as pages:
            async for page in pages:
                append(part, state, page)
    state.unlink(missing_ok=True)  # first, so that no state exists without its part
    part.replace(target)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
