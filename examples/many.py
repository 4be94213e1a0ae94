"""Print January 2026 of many connectors: `python many.py STATE CHARGER/CONNECTOR...`.

After an error or Ctrl-C, run it again: it continues after the last line that it printed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from depotclient import ApiError, Cursor, DepotClient


# region README
def load(state: Path) -> dict[tuple[str, str], str]:
    """Return the cursors of an earlier run."""
    rows = json.loads(state.read_text()) if state.exists() else []
    return {(charger_id, connector_id): cursor for charger_id, connector_id, cursor in rows}


def save(state: Path, cursors: Mapping[tuple[str, str], Cursor]) -> None:
    """Store the cursors for the next run."""
    state.write_text(json.dumps([[*connector, str(c)] for connector, c in cursors.items()]))


async def main(state: Path, connectors: Sequence[tuple[str, str]]) -> None:
    """Print a line for each session, as pages arrive. A failure does not stop the others."""
    async with DepotClient.from_env() as depot:
        reports = depot.session_reports_many(
            connectors,
            from_=datetime(2026, 1, 1, tzinfo=UTC),
            to=datetime(2026, 2, 1, tzinfo=UTC),
            margin=timedelta(days=1),
            resume=load(state),
        )
        async with reports.walk() as walk:
            try:
                async for (charger_id, connector_id), report in walk:
                    if isinstance(report, ApiError):
                        print(f"{charger_id}/{connector_id}: {report!r}", file=sys.stderr)
                    else:
                        print(charger_id, connector_id, report.session_id)
            finally:
                save(state, walk.cursors)


# endregion


if __name__ == "__main__":
    pairs = [tuple(name.rsplit("/", 1)) for name in sys.argv[2:]]
    asyncio.run(main(Path(sys.argv[1]), [(charger, connector) for charger, connector in pairs]))
